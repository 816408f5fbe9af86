package stint_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// The handler of a job that is deleted, suspended, scaled or evicted hears why,
// also that of a plain job, which gets its record by that.
func TestHandlersHearWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(ctx context.Context, q *stint.Queue, job string) error
		want error
	}{
		"delete":  {func(ctx context.Context, q *stint.Queue, job string) error { return q.Delete(ctx, job) }, stint.ErrJobDeleted},
		"suspend": {func(ctx context.Context, q *stint.Queue, job string) error { _, err := q.Suspend(ctx, job); return err }, stint.ErrJobSuspended},
		"scale": {func(ctx context.Context, q *stint.Queue, job string) error {
			_, err := q.Scale(ctx, job, 0)
			return err
		}, stint.ErrScaledDown},
		"evict":    {func(ctx context.Context, q *stint.Queue, job string) error { return q.Evict(ctx, job, 0) }, stint.ErrEvicted},
		"deadline": {func(context.Context, *stint.Queue, string) error { return nil }, stint.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hearsWhy := func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient, job string) {
				running, cause := make(chan struct{}, 9), make(chan error, 9)
				handle(t, q, stint.WorkerConfig{Lease: time.Hour, ShutdownTimeout: -1}, func(ctx context.Context, _ *stint.Task[work]) error {
					running <- struct{}{}
					<-ctx.Done()
					cause <- context.Cause(ctx)
					return ctx.Err()
				})
				spec := stint.JobSpec{Name: job}
				if errors.Is(c.want, stint.ErrDeadlineExceeded) {
					spec.ActiveDeadline = new(3 * time.Second) // longer than a claim may take
				}
				told, err := q.Submit(ctx, work{}, spec)
				require.NoError(t, err)
				<-running
				require.NoError(t, c.do(ctx, q, told.Name))
				select {
				case got := <-cause:
					require.ErrorIs(t, got, c.want)
				case <-ctx.Done(): // a renewal would come after twenty minutes
					require.Fail(t, "no order has come")
				}
				if name == "delete" {
					for _, key := range keysOf(t, rdb) {
						require.NotContains(t, key, ":job:")
					}
				}
			}
			for _, job := range []string{"told", ""} {
				t.Run("name "+job, func(t *testing.T) {
					t.Parallel()
					each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
						hearsWhy(t, ctx, q, rdb, job)
					})
				})
			}
		})
	}
}

// A plain job that is steered while it runs keeps its end: it is counted in
// the record that it got, whatever its worker knows of that.
func TestPlainJobSteeredWhileItRuns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		begun, end := make(chan struct{}, 9), make(chan struct{})
		w := stint.NewWorker(audited(t, q), stint.WorkerConfig{})
		stint.HandleResult(w, func(context.Context, *stint.Task[work]) (int, error) {
			begun <- struct{}{}
			<-end
			return 7, nil
		})
		startWorker(t, w)
		var names []string
		for range 3 {
			job, err := q.Submit(ctx, work{})
			require.NoError(t, err)
			names = append(names, job.Name)
			<-begun
		}
		_, err := q.Update(ctx, names[1], func(s *stint.JobSpec) { s.Labels = map[string]string{"a": "b"} })
		require.NoError(t, err)
		close(end)
		for i, name := range names {
			n, err := stint.Await[int](ctx, q, name)
			require.NoError(t, err)
			require.Equal(t, 7, n)
			j, err := q.Get(ctx, name)
			require.NoError(t, err)
			require.Equal(t, stint.PhaseComplete, j.Phase())
			require.Equal(t, 1, j.Status.Succeeded)
			require.Equal(t, i == 1, j.Spec.Labels["a"] == "b")
		}
	})
}

func TestFailuresKeepTheirStacks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		var n atomic.Int64
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error {
			switch n.Add(1) {
			case 1:
				panic("deliberate")
			case 2:
				runtime.Goexit()
			case 3:
				return stint.Code(7, errors.New("seven"))
			}
			return nil
		})
		job, err := q.Submit(ctx, work{}, stint.JobSpec{Backoff: quick()})
		require.NoError(t, err)
		got, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		require.Equal(t, 3, got.Status.Failed)
		all := map[int]stint.AttemptError{}
		for e, err := range q.Errors(ctx, job.Name) {
			require.NoError(t, err)
			all[e.Attempt] = e
		}
		require.Contains(t, all[1].Message, "deliberate")
		require.Contains(t, all[1].Stack, "handler_test.go")
		require.Contains(t, all[2].Message, "Goexit")
		require.Contains(t, all[2].Stack, "handler_test.go")
		require.Equal(t, 7, all[3].Code)
	})
}

func TestUndecodableArgsAreKept(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		job, err := q.SubmitRaw(ctx, stint.Submission{Kind: "work", Args: []byte(`{"n":`), Spec: stint.JobSpec{BackoffLimit: new(0)}})
		require.NoError(t, err)
		got, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseFailed, got.Phase())
		require.Equal(t, `{"n":`, string(got.Args))
		for e, err := range q.Errors(ctx, job.Name) {
			require.NoError(t, err)
			require.Equal(t, stint.CodeUndecodable, e.Code)
		}
	})
}

func TestCheckpointAndTokens(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		var last string
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.HandleResult(w, func(ctx context.Context, task *stint.Task[work]) (int, error) {
			if last != "" && stint.CompareTokens(last, task.Token()) >= 0 {
				return 0, stint.FailJob(fmt.Errorf("token %s after %s", task.Token(), last))
			}
			last = task.Token()
			var at int
			if _, err := task.Checkpoint(ctx, &at); err != nil {
				return 0, err
			}
			if at == 3 {
				return at, nil
			}
			if err := task.SaveCheckpoint(ctx, at+1); err != nil {
				return 0, err
			}
			return 0, errors.New("on with the next attempt")
		})
		startWorker(t, w)
		job, err := q.Submit(ctx, work{}, stint.JobSpec{Backoff: quick()})
		require.NoError(t, err)
		n, err := stint.Await[int](ctx, q, job.Name)
		require.NoError(t, err)
		require.Equal(t, 3, n)
	})
}

func TestDrainGivesTasksBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		running, release := make(chan struct{}, 2), make(chan struct{})
		t.Cleanup(func() { close(release) })
		stop := handle(t, q, stint.WorkerConfig{ShutdownTimeout: -1, CancelTimeout: -1}, func(_ context.Context, task *stint.Task[work]) error {
			running <- struct{}{}
			<-release // it ignores its context
			return nil
		})
		job, err := q.Submit(ctx, work{}, stint.JobSpec{})
		require.NoError(t, err)
		<-running
		stop()
		var attempt atomic.Int64
		handle(t, stint.NewQueue("promises", rdb), stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			attempt.Store(int64(task.Attempt))
			return nil
		})
		got, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		require.EqualValues(t, 1, attempt.Load(), "the attempt that was given back is not charged")
		require.Zero(t, got.Status.Failed)
	})
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, _ *stint.Queue, rdb redis.UniversalClient) {
		q := stint.NewQueue("mw", rdb, stint.QueueConfig{SubmitMiddleware: []stint.SubmitMiddleware{
			func(next stint.SubmitFunc) stint.SubmitFunc {
				return func(ctx context.Context, s stint.Submission) (*stint.Job, error) {
					s.Spec.Labels = map[string]string{"by": "middleware"}
					return next(ctx, s)
				}
			},
		}})
		var order strings.Builder
		mark := func(name string) stint.Middleware {
			return func(next stint.Handler) stint.Handler {
				return func(ctx context.Context, task *stint.RawTask) error {
					order.WriteString(name)
					return next(ctx, task)
				}
			}
		}
		w := stint.NewWorker(q, stint.WorkerConfig{Middleware: []stint.Middleware{mark("a"), mark("b")}})
		stint.HandleResult(w, func(_ context.Context, task *stint.Task[work]) (string, error) { return task.Labels()["by"], nil })
		startWorker(t, w)
		job, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		by, err := stint.Await[string](ctx, q, job.Name)
		require.NoError(t, err)
		require.Equal(t, "middleware", by)
		require.Equal(t, "ab", order.String())
	})
}
