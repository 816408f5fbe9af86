package stint_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

const hush = "hush-marker"

// encrypting runs a test on every store with a queue that encrypts, and looks
// that nothing stands in Redis.
func encrypting(t *testing.T, test func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient)) {
	t.Helper()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		test(t, ctx, withKeys(q, rdb, stint.QueueConfig{EncryptJobs: true}, "k1"), rdb)
		require.NotContains(t, everything(t, ctx, rdb), hush)
	})
}

// Jobs of every form run, fail, are retried and leave results and checkpoints.
func TestEncryptedJobs(t *testing.T) {
	t.Parallel()
	encrypting(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.HandleResult(w, func(ctx context.Context, task *stint.Task[named]) (string, error) {
			var had string
			if _, err := task.Checkpoint(ctx, &had); err != nil {
				return "", stint.FailJob(err)
			}
			if task.Attempt == 1 {
				return "", errors.Join(errors.New("again"), task.SaveCheckpoint(ctx, task.Args.Name))
			}
			return had + "!", nil
		})
		startWorker(t, w)
		for _, spec := range []stint.JobSpec{
			{},
			{Name: "named"},
			{TTLAfterFinished: new(time.Duration(0))},
			{Name: "indexed", CompletionMode: stint.Indexed, Completions: new(3), Parallelism: new(2)},
		} {
			spec.Backoff = quick()
			job, err := q.Submit(ctx, named{hush}, spec)
			require.NoError(t, err)
			require.JSONEq(t, `{"Name":"hush-marker"}`, string(job.Args))
			if spec.TTLAfterFinished == nil {
				text, err := stint.Await[string](ctx, q, job.Name)
				require.NoError(t, err)
				require.Equal(t, hush+"!", text)
				job, err = q.Get(ctx, job.Name)
				require.NoError(t, err)
				require.JSONEq(t, `{"Name":"hush-marker"}`, string(job.Args))
				n := 0
				for r, err := range stint.Results[string](ctx, q, job.Name) {
					require.NoError(t, err)
					require.Equal(t, hush+"!", r.Value)
					n++
				}
				require.Equal(t, *job.Spec.Completions, n)
			}
		}
		_, err := q.Retry(ctx, "indexed", "1")
		require.NoError(t, err)
		_, err = q.Wait(ctx, "indexed")
		require.NoError(t, err)
		_, err = q.SubmitMany(ctx, []stint.NewJob{{Args: named{hush}}, {Args: named{hush}, Spec: stint.JobSpec{Name: "of-many"}}})
		require.NoError(t, err)
		_, err = q.Wait(ctx, "of-many")
		require.NoError(t, err)
	})
}

// A plain job that succeeds at once is kept encrypted, and can be steered.
func TestEncryptedPlainJobs(t *testing.T) {
	t.Parallel()
	encrypting(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.HandleResult(w, func(_ context.Context, task *stint.Task[named]) (string, error) { return task.Args.Name, nil })
		first, err := q.Submit(ctx, named{hush})
		require.NoError(t, err)
		_, err = q.Suspend(ctx, first.Name) // it gets its record while it waits
		require.NoError(t, err)
		startWorker(t, w)
		_, err = q.Resume(ctx, first.Name)
		require.NoError(t, err)
		second, err := q.Submit(ctx, named{hush})
		require.NoError(t, err)
		later, err := q.Submit(ctx, named{hush}, stint.JobSpec{Delay: 10 * time.Millisecond})
		require.NoError(t, err)
		for _, name := range []string{first.Name, second.Name, later.Name} {
			text, err := stint.Await[string](ctx, q, name)
			require.NoError(t, err)
			require.Equal(t, hush, text)
		}
		_, err = q.Retry(ctx, second.Name, "0") // and after its success
		require.NoError(t, err)
		text, err := stint.Await[string](ctx, q, second.Name)
		require.NoError(t, err)
		require.Equal(t, hush, text)
		keyless := stint.NewQueue(q.Name(), rdb)
		job, err := keyless.Get(ctx, first.Name)
		require.NoError(t, err)
		require.Empty(t, job.Args)
		_, err = stint.Await[string](ctx, keyless, first.Name)
		require.ErrorIs(t, err, stint.ErrUnknownKey)
	})
}

// The same job is the same, whatever key it was encrypted with.
func TestEncryptedJobsAreUnique(t *testing.T) {
	t.Parallel()
	encrypting(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		cfg := stint.QueueConfig{EncryptJobs: true}
		first, err := q.Submit(ctx, named{hush}, stint.JobSpec{Name: "once"})
		require.NoError(t, err)
		for _, other := range []*stint.Queue{
			q, withKeys(q, rdb, cfg, "k2", "k1"), withKeys(q, rdb, cfg, "k1", "k2"), withKeys(q, rdb, stint.QueueConfig{}, "k1"),
		} {
			again, err := other.Submit(ctx, named{hush}, stint.JobSpec{Name: "once"})
			require.NoError(t, err)
			require.Equal(t, first.UID, again.UID)
			_, err = other.Submit(ctx, named{"other"}, stint.JobSpec{Name: "once"})
			require.ErrorIs(t, err, stint.ErrExists)
			many, err := other.SubmitMany(ctx, []stint.NewJob{{Args: named{hush}, Spec: stint.JobSpec{Name: "once"}}})
			require.NoError(t, err)
			require.True(t, many[0].Existing)
		}
		_, err = withKeys(q, rdb, cfg, "k3").Submit(ctx, named{hush}, stint.JobSpec{Name: "once"})
		require.ErrorIs(t, err, stint.ErrExists, "it cannot be told without the key")
		plain := stint.NewQueue(q.Name(), rdb)
		before, err := plain.Submit(ctx, named{"open"}, stint.JobSpec{Name: "before"})
		require.NoError(t, err)
		cfg.AcceptPlain = true
		same, err := withKeys(q, rdb, cfg, "k1").Submit(ctx, named{"open"}, stint.JobSpec{Name: "before"})
		require.NoError(t, err)
		require.Equal(t, before.UID, same.UID)
	})
}

// Encrypted args do not open for another job, and plain ones are refused
// where all must be encrypted.
func TestEncryptedArgsStayInTheirPlace(t *testing.T) {
	t.Parallel()
	encrypting(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		for _, name := range []string{"a", "b"} {
			_, err := q.Submit(ctx, named{hush}, stint.JobSpec{Name: name, Suspend: true, BackoffLimit: new(0)})
			require.NoError(t, err)
		}
		key := "stint:{promises}:job:"
		args, err := rdb.HGet(ctx, key+"a", "args").Result()
		require.NoError(t, err)
		require.NoError(t, rdb.HSet(ctx, key+"b", "args", args).Err())
		plain, err := stint.NewQueue(q.Name(), rdb).Submit(ctx, named{"open"}, stint.JobSpec{Name: "plain", BackoffLimit: new(0)})
		require.NoError(t, err)
		got := make(chan string, 10)
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(_ context.Context, task *stint.Task[named]) error { got <- task.Job; return nil })
		stop := startWorker(t, w)
		for _, name := range []string{"a", "b"} {
			_, err = q.Resume(ctx, name)
			require.NoError(t, err)
		}
		for name, want := range map[string]error{"b": stint.ErrTampered, plain.Name: stint.ErrNotEncrypted} {
			job, err := q.Wait(ctx, name)
			require.NoError(t, err)
			require.Equal(t, stint.PhaseFailed, job.Phase())
			for e, err := range q.Errors(ctx, name) {
				require.NoError(t, err)
				require.Equal(t, stint.CodeUndecodable, e.Code)
				require.Contains(t, e.Message, want.Error())
			}
		}
		_, err = q.Wait(ctx, "a")
		require.NoError(t, err)
		stop()
		require.Equal(t, "a", <-got)
		require.Empty(t, got)

		again, err := stint.NewQueue(q.Name(), rdb).Submit(ctx, named{"open"})
		require.NoError(t, err)
		w = stint.NewWorker(withKeys(q, rdb, stint.QueueConfig{EncryptJobs: true, AcceptPlain: true}, "k1"), stint.WorkerConfig{})
		stint.Handle(w, func(context.Context, *stint.Task[named]) error { return nil })
		startWorker(t, w)
		job, err := q.Wait(ctx, again.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, job.Phase())
	})
}

// A worker without the key gives the task back, and one that has it runs it.
func TestWorkerWithoutTheKey(t *testing.T) {
	t.Parallel()
	encrypting(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		job, err := q.Submit(ctx, named{hush}, stint.JobSpec{BackoffLimit: new(0)})
		require.NoError(t, err)
		none := stint.NewWorker(stint.NewQueue(q.Name(), rdb), stint.WorkerConfig{})
		stint.Handle(none, func(context.Context, *stint.Task[named]) error { return errors.New("it cannot read this") })
		stop := startWorker(t, none)
		require.Eventually(t, func() bool {
			j, err := q.Get(ctx, job.Name)
			return err == nil && j.Status.Active == 0 && !j.Finished() // it waits to be tried again
		}, within, time.Millisecond)
		stop()
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.HandleResult(w, func(_ context.Context, task *stint.Task[named]) (int, error) { return task.Attempt, nil })
		startWorker(t, w)
		attempt, err := stint.Await[int](ctx, q, job.Name)
		require.NoError(t, err)
		require.Equal(t, 1, attempt)
	})
}

func TestEncryptedCronJobs(t *testing.T) {
	t.Parallel()
	encrypting(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		got := make(chan string, 10)
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(_ context.Context, task *stint.Task[named]) error { got <- task.Args.Name; return nil })
		startWorker(t, w)
		first, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@every 1s", Args: named{hush}})
		require.NoError(t, err)
		require.Equal(t, hush, <-got)
		_, err = q.RunCron(ctx, "c")
		require.NoError(t, err)
		require.Equal(t, hush, <-got)
		again, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@every 1s", Args: named{hush}})
		require.NoError(t, err)
		require.Equal(t, first.Generation, again.Generation)
		keyless := stint.NewQueue(q.Name(), rdb)
		c, err := keyless.SuspendCron(ctx, "c")
		require.NoError(t, err)
		require.Empty(t, c.RawArgs)
		_, err = keyless.RunCron(ctx, "c")
		require.ErrorIs(t, err, stint.ErrUnknownKey)
		c, err = q.ResumeCron(ctx, "c")
		require.NoError(t, err)
		require.JSONEq(t, `{"Name":"hush-marker"}`, string(c.RawArgs))
		require.NoError(t, q.DeleteCron(ctx, "c"))
	})
}

func TestLimitsCountWhatIsStored(t *testing.T) {
	t.Parallel()
	encrypting(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		fits := stint.MaxArgsBytes - len(`{"Name":""}`)
		_, err := stint.NewQueue(q.Name(), rdb).Submit(ctx, named{strings.Repeat("x", fits)})
		require.NoError(t, err)
		_, err = q.Submit(ctx, named{strings.Repeat("x", fits)})
		requireField(t, err, "args")
		_, err = q.Submit(ctx, named{strings.Repeat("x", fits-100)}, stint.JobSpec{Name: "fits"})
		require.NoError(t, err)
	})
}
