// Package stint gives an application Kubernetes's Job and CronJob, on Redis
// Streams and without Kubernetes: jobs that run to completion, retries and
// what a failure means, indexed and parallel work, deadlines, suspension,
// schedules. There is no server of its own. An application imports the
// package, submits jobs, and runs workers inside its own processes.
//
// # A job from submission to result
//
// The input of a job is a type of the application's; its Kind says which
// handler works on it:
//
//	type Thumbnail struct{ Album string }
//
//	func (Thumbnail) Kind() string { return "thumbnail" }
//
// A [Queue] is a name in a Redis. Whoever has one submits:
//
//	q := stint.NewQueue("media", rdb) // any redis.UniversalClient
//	job, err := q.Submit(ctx, Thumbnail{"2026"}, stint.JobSpec{
//		Name:           "thumbnails-2026",
//		CompletionMode: stint.Indexed,
//		Completions:    new(1000),
//		Parallelism:    new(50),
//	})
//
// A [Worker], in the same process or in any other, runs the handlers:
//
//	w := stint.NewWorker(q, stint.WorkerConfig{Concurrency: 100})
//	stint.Handle(w, func(ctx context.Context, t *stint.Task[Thumbnail]) error {
//		return render(ctx, t.Args.Album, t.Index)
//	})
//	err = w.Run(ctx) // until ctx is cancelled; then it drains and returns
//
// [Queue.Wait] waits for the end of a job, [Await] for its result, [Results]
// goes over the results of all indexes, and [Queue.Watch] over what happens.
//
// # Jobs
//
// A [JobSpec] is a goal, and how to give up on it. What Completions and
// Parallelism say together is Kubernetes's:
//
//	Completions  Parallelism
//	nil          nil          one success (the default)
//	N            P            N successes, at most P attempts at a time
//	N, Indexed   P            the same, each index 0..N-1 once
//	nil          P            a work queue: attempts share work that lies
//	                          elsewhere, and nothing starts after a success
//
// A job ends Complete or Failed, and that is final. [JobStatus] has the
// conditions and reasons of batch/v1. After TTLAfterFinished, an hour unless
// told otherwise, it is removed.
//
// A name makes a submission safe to repeat: the same job of the same name is
// stored once. Without one, a name is made up.
//
// # Failures
//
// What a handler returns is what its attempt came to:
//
//	nil                  success
//	any error, a panic   a failure; retried up to BackoffLimit, after Backoff
//	Code(n, err)         the same, with a code for the FailurePolicy
//	RetryAfter(d, err)   the same, with the wait of its choice
//	Ignore(err)          retried, and not counted
//	FailIndex(err)       this index is given up
//	FailJob(err)         the job is given up
//	Snooze(d)            no failure: come back later
//
// With BackoffLimitPerIndex indexes fail one by one, and the job goes on. A
// [FailurePolicy] decides by code, by registered error, or by whether the
// attempt was lost. [Queue.Retry] opens the failed part of a finished job
// again.
//
// An attempt that dies with its worker is lost, which is no failure: it is
// begun anew, until a slot has lost more than LostLimit attempts in a row.
//
// # What a handler must know
//
// An attempt may be run more than once: a worker can die after the work and
// before saying so. So let handlers be idempotent, or give Task.Token, which
// grows with each attempt, to what they write to.
//
// The context of a handler is cancelled when its result no longer matters,
// or when it shall end; [context.Cause] tells why, by one of the errors from
// [ErrJobDeleted] to [ErrShutdown]. A handler that does not heed it goes on
// running, but nothing that it returns changes the job.
//
// Long work can save a checkpoint, which the next attempt reads, and say how
// far it is: RawTask.SaveCheckpoint, RawTask.Checkpoint, RawTask.Progress.
//
// # Cron jobs
//
// [Queue.ApplyCron] stores a [CronJob]. Every worker, and every [Scheduler],
// keeps the schedules of its queue, and each time fires once all the same.
// Schedules are in UTC unless TimeZone says otherwise.
//
// # Time
//
// Delays, deadlines, schedules and TTLs go by the clock of Redis. Leases go
// by no wall clock at all: a worker gives signs of life, and who sees none for
// a whole lease, by its own monotonic clock, ends the worker's attempts. The
// clocks of two machines are never compared.
//
// # Redis
//
// Redis 7.0 or later, standalone, with Sentinel, or as a Cluster: all keys of
// a queue are in one slot. What is stored is as durable as Redis is set to
// be; see docs/guarantees.md and docs/operations.md. Package embedded is a
// Redis inside the process for tests and for trying things out.
package stint
