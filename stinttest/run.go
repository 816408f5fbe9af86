package stinttest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/store"
)

// TaskOptions say which task a handler is given. The zero value is the first
// attempt at a job of one completion.
type TaskOptions struct {
	// Index is the task's, and makes the job Indexed if it is more than 0. It
	// is 100000 at most. The indexes below it have succeeded then.
	Index int
	// Attempt is which attempt it is, from 1 to 1000. The ones before were
	// failures that do not count.
	Attempt int
	// Checkpoint, if not nil, is what the attempt before has left: so Attempt
	// is 2 at least.
	Checkpoint any
	// Spec is that of the job: labels, policies, limits. Its parallelism, TTL
	// and times of start are not used.
	Spec stint.JobSpec
	// Queue and Worker are configurations of the application's: a codec, or
	// middleware, or names of errors.
	Queue  stint.QueueConfig
	Worker stint.WorkerConfig
}

// Ran is what became of a task.
type Ran struct {
	// Err is what the handler returned, with its own middleware around it. For
	// a panic it is a [*stint.PanicError].
	Err error
	// Outcome is what that means to the job: "Succeeded" or "GaveBack", or a
	// word of [stint.AttemptError].
	Outcome string
	// Failure is what is kept of a failed attempt; nil for others.
	Failure *stint.AttemptError
	// Token is the task's fencing token.
	Token string
	// Job is the job afterwards, and Queue where it is.
	Job   *stint.Job
	Queue *stint.Queue

	index      int
	codec      stint.Codec
	progress   *stint.IndexProgress
	checkpoint []byte
}

// Progress is what the handler last said of its progress and was passed on,
// nil for nothing.
func (r *Ran) Progress() *stint.IndexProgress { return r.progress }

// Checkpoint reads into v what the handler, or one before it, has left for
// its next attempt, and tells whether there is anything.
func (r *Ran) Checkpoint(v any) (bool, error) {
	if r.checkpoint == nil {
		return false, nil
	}
	return true, unmarshal(r.codec, r.checkpoint, v)
}

// ResultOf reads the result that the handler has left, and tells whether there
// is one.
func ResultOf[R any](r *Ran) (v R, ok bool, err error) {
	for res, err := range stint.Results[R](context.Background(), r.Queue, r.Job.Name) {
		if err != nil || res.Index == r.index {
			return res.Value, err == nil, err
		}
	}
	return v, false, nil
}

// Run gives a handler one task, in a queue of its own, and comes back when it
// is settled. The handler is the one that h registers for the kind of args.
// What it does with the task, as saving a checkpoint, works as in production.
func (s *Server) Run(h Handlers, args stint.Args, o ...TaskOptions) *Ran {
	s.t.Helper()
	r := s.newRun(args, first(o))
	ran := &Ran{index: r.o.Index, codec: r.o.Queue.Codec, Queue: r.queue}
	r.from = func(ctx context.Context, t *stint.RawTask, next stint.Handler) error {
		ran.Token = t.Token()
		defer close(r.done)
		defer r.read(context.WithoutCancel(ctx), t, ran)
		return r.call(ctx, t, next, ran)
	}
	r.work(h)
	r.judge(ran)
	return ran
}

// run is a job of which one index is looked at, from one attempt on.
type run struct {
	s     *Server
	o     TaskOptions
	queue *stint.Queue
	args  stint.Args
	job   *stint.Job
	from  func(ctx context.Context, t *stint.RawTask, next stint.Handler) error // the attempts looked at
	done  chan struct{}                                                         // closed when no more is to be seen
	over  atomic.Bool
}

func (s *Server) newRun(args stint.Args, o TaskOptions) *run {
	s.t.Helper()
	if o.Checkpoint != nil && o.Attempt == 0 {
		o.Attempt = 2
	}
	o.Attempt = max(o.Attempt, 1)
	switch {
	case o.Index < 0 || o.Index > 100_000:
		s.t.Fatalf("stinttest: Index: %d: must be between 0 and 100000", o.Index)
	case o.Attempt > 1000:
		s.t.Fatalf("stinttest: Attempt: %d: must be between 1 and 1000", o.Attempt)
	case o.Checkpoint != nil && o.Attempt == 1:
		s.t.Fatalf("stinttest: Checkpoint: a first attempt has none")
	}
	name := fmt.Sprintf("stinttest-%d", s.queues.Add(1))
	return &run{s: s, o: o, args: args, queue: s.Queue(name, o.Queue), done: make(chan struct{})}
}

// atOnce is how many of the earlier indexes are worked off at a time.
const atOnce = 50

// work submits the job and works on it until there is no more to be seen.
func (r *run) work(h Handlers) {
	r.s.t.Helper()
	spec := r.o.Spec
	spec.Parallelism, spec.Suspend, spec.StartAt, spec.Delay = nil, false, time.Time{}, 0
	spec.TTLAfterFinished = new(stint.NeverExpire)
	if r.o.Index > 0 || spec.CompletionMode == stint.Indexed {
		spec.CompletionMode = stint.Indexed
		n := r.o.Index + 1
		if spec.Completions != nil {
			n = max(n, *spec.Completions)
		}
		spec.Completions, spec.Parallelism = &n, new(min(n, atOnce))
	}
	var err error
	if r.job, err = r.queue.Submit(context.Background(), r.args, spec); err != nil {
		r.s.t.Fatalf("stinttest: the job cannot be submitted: %v", err)
	}
	cfg := r.o.Worker
	cfg.Concurrency, cfg.Queues = atOnce, nil
	cfg.Middleware = append([]stint.Middleware{r.lead}, cfg.Middleware...)
	w := stint.NewWorker(r.queue, cfg)
	h(w)
	if !slices.Contains(w.Kinds(), r.args.Kind()) {
		r.s.t.Fatalf("stinttest: there is no handler for kind %q, but for %q", r.args.Kind(), w.Kinds())
	}
	ended, stop := r.s.start(w)
	defer stop()
	select {
	case <-r.done:
	case <-ended: // it cannot run, as stop tells
	}
}

var errEarlier = errors.New("stinttest: an attempt before the one asked for")

// lead leads to the attempts that are looked at: others do not reach the
// handler.
func (r *run) lead(next stint.Handler) stint.Handler {
	return func(ctx context.Context, t *stint.RawTask) error {
		switch {
		case t.Index < r.o.Index:
			return nil
		case t.Index > r.o.Index || r.over.Load():
			return stint.Snooze(time.Hour)
		case t.Attempt >= r.o.Attempt:
			return r.from(ctx, t, next)
		case t.Attempt == r.o.Attempt-1 && r.o.Checkpoint != nil:
			if err := t.SaveCheckpoint(ctx, r.o.Checkpoint); err != nil {
				return err
			}
		}
		return stint.Ignore(stint.RetryAfter(0, errEarlier))
	}
}

// call calls the handler, once, and notes what it returns.
func (r *run) call(ctx context.Context, t *stint.RawTask, next stint.Handler, ran *Ran) error {
	r.over.Store(true)
	ran.Err = errors.New("stinttest: the handler called runtime.Goexit")
	defer func() {
		if v := recover(); v != nil {
			ran.Err = &stint.PanicError{Value: v, Stack: debug.Stack()}
			panic(v)
		}
	}()
	ran.Err = next(ctx, t)
	return ran.Err
}

// read reads what is dropped when the task is settled.
func (r *run) read(ctx context.Context, t *stint.RawTask, ran *Ran) {
	ran.checkpoint, _ = store.New(r.s.own, r.queue.Name()).Checkpoint(ctx, &store.Task{Job: t.Job, Slot: t.Index})
	for p, err := range r.s.direct(r.queue.Name()).Progress(ctx, t.Job) {
		if err == nil && p.Index == t.Index {
			ran.progress = &p
		}
	}
}

// judge reads what the end of the task has meant.
func (r *run) judge(ran *Ran) {
	r.s.t.Helper()
	ctx := context.Background()
	q := r.s.direct(r.queue.Name())
	var err error
	if ran.Job, err = q.Get(ctx, r.job.Name); err != nil {
		r.s.t.Fatalf("stinttest: job %s cannot be read: %v", r.job.Name, err)
	}
	for e, err := range q.Errors(ctx, r.job.Name) {
		if err != nil {
			r.s.t.Fatalf("stinttest: errors of job %s cannot be read: %v", r.job.Name, err)
		}
		if e.Index == r.o.Index && e.Attempt == r.o.Attempt {
			ran.Failure, ran.Outcome = &e, e.Outcome
			return
		}
	}
	ran.Outcome = "GaveBack"
	if ran.Err == nil {
		ran.Outcome = "Succeeded"
	}
}
