package stint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

func TestNamedSubmitIsIdempotent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		first, err := q.Submit(ctx, work{1}, stint.JobSpec{Name: "one"})
		require.NoError(t, err)
		again, err := q.Submit(ctx, work{1}, stint.JobSpec{Name: "one"})
		require.NoError(t, err)
		require.Equal(t, first.UID, again.UID)
		_, err = q.Submit(ctx, work{2}, stint.JobSpec{Name: "one"})
		require.ErrorIs(t, err, stint.ErrExists)
	})
}

func TestSubmitMany(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		_, err := q.Submit(ctx, work{1}, stint.JobSpec{Name: "taken"})
		require.NoError(t, err)
		out, err := q.SubmitMany(ctx, []stint.NewJob{
			{Args: work{}, Spec: stint.JobSpec{Name: "new"}}, {Args: work{2}, Spec: stint.JobSpec{Name: "taken"}}, {Args: work{}},
		})
		require.ErrorIs(t, err, stint.ErrExists)
		require.ErrorIs(t, out[0].Err, stint.ErrBatchRefused)
		require.ErrorIs(t, out[1].Err, stint.ErrExists)
		require.ErrorIs(t, out[2].Err, stint.ErrBatchRefused)
		_, err = q.Get(ctx, "new")
		require.ErrorIs(t, err, stint.ErrNotFound, "nothing of the batch is stored")

		jobs := make([]stint.NewJob, 1200)
		for i := range jobs {
			jobs[i] = stint.NewJob{Args: work{i}}
		}
		jobs[700].Spec.Name = "taken"
		jobs[700].Args = work{1}
		out, err = q.SubmitMany(ctx, jobs)
		require.NoError(t, err)
		require.True(t, out[700].Existing)
		n := 0
		for _, err := range q.List(ctx, stint.ListOptions{}) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 1200, n)
	})
}

func TestPlainJobsAreOneEntry(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		for i := range 50 {
			_, err := q.Submit(ctx, work{i}, stint.JobSpec{TTLAfterFinished: new(time.Duration(0))})
			require.NoError(t, err)
		}
		for _, key := range keysOf(t, rdb) {
			require.NotContains(t, key, ":job:")
		}
		done := make(chan struct{}, 50)
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			done <- struct{}{}
			return nil
		})
		for range 50 {
			<-done
		}
		require.Eventually(t, func() bool {
			n, err := rdb.XLen(ctx, "stint:{promises}:ready:work").Result()
			return err == nil && n == 0
		}, within, time.Millisecond)
		for _, key := range keysOf(t, rdb) {
			require.NotContains(t, key, ":job:")
			require.NotContains(t, key, ":past:")
		}
	})
}

func TestKeptPlainJobIsFound(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.HandleResult(w, func(_ context.Context, task *stint.Task[work]) (int, error) { return task.Args.N * 2, nil })
		startWorker(t, w)
		job, err := q.Submit(ctx, work{21}, stint.JobSpec{Labels: map[string]string{"a": "b"}})
		require.NoError(t, err)
		n, err := stint.Await[int](ctx, q, job.Name)
		require.NoError(t, err)
		require.Equal(t, 42, n)
		got, err := q.Get(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		require.JSONEq(t, `{"n":21}`, string(got.Args))
		found := 0
		for j, err := range q.List(ctx, stint.ListOptions{Labels: map[string]string{"a": "b"}, Phase: stint.PhaseComplete}) {
			require.NoError(t, err)
			require.Equal(t, job.Name, j.Name)
			found++
		}
		require.Equal(t, 1, found)
		require.NoError(t, q.Delete(ctx, job.Name))
		_, err = q.Get(ctx, job.Name)
		require.ErrorIs(t, err, stint.ErrNotFound)
	})
}

// Whoever waits already hears of the end of a job that is not kept.
func TestAwaitWithoutTTL(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		for _, name := range []string{"", "with-a-record"} {
			job, err := q.Submit(ctx, work{3}, stint.JobSpec{Name: name, TTLAfterFinished: new(time.Duration(0))})
			require.NoError(t, err)
			got := make(chan int, 1)
			go func() {
				n, err := stint.Await[int](ctx, q, job.Name)
				if err == nil {
					got <- n
				}
				close(got)
			}()
			require.Eventually(t, func() bool {
				return rdb.HExists(ctx, "stint:{promises}:waits", job.Name).Val()
			}, within, time.Millisecond)
			w := stint.NewWorker(q, stint.WorkerConfig{})
			stint.HandleResult(w, func(_ context.Context, task *stint.Task[work]) (int, error) { return task.Args.N, nil })
			stop := startWorker(t, w)
			require.Equal(t, 3, <-got)
			stop()
			_, err = q.Get(ctx, job.Name)
			require.ErrorIs(t, err, stint.ErrNotFound)
		}
	})
}

func TestUnknownKindsWait(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		other, err := q.SubmitRaw(ctx, stint.Submission{Kind: "other", Args: []byte("{}")})
		require.NoError(t, err)
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		job, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		_, err = q.Wait(ctx, job.Name)
		require.NoError(t, err)
		got, err := q.Get(ctx, other.Name)
		require.NoError(t, err)
		require.Equal(t, 1, got.Status.Active)
		require.Zero(t, got.Status.Ready)
	})
}

func TestRetryOfFailedIndexes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		var mended atomic.Bool
		var runs atomic.Int64
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			runs.Add(1)
			if task.Index%3 == 0 && !mended.Load() {
				return errors.New("not mended yet")
			}
			return nil
		})
		job, err := q.Submit(ctx, work{}, stint.JobSpec{
			CompletionMode: stint.Indexed, Completions: new(10), Parallelism: new(10), BackoffLimitPerIndex: new(0), Backoff: quick(),
		})
		require.NoError(t, err)
		got, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseFailed, got.Phase())
		require.Equal(t, "0,3,6,9", got.Status.FailedIndexes)
		mended.Store(true)
		runs.Store(0)
		again, err := q.Retry(ctx, job.Name, "")
		require.NoError(t, err)
		require.NotEqual(t, got.UID, again.UID)
		got, err = q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, "0-9", got.Status.CompletedIndexes)
		require.EqualValues(t, 4, runs.Load())

		runs.Store(0)
		_, err = q.Retry(ctx, job.Name, "1-3,7")
		require.NoError(t, err)
		_, err = q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.EqualValues(t, 4, runs.Load())
		_, err = q.Retry(ctx, job.Name, "7-3")
		var bad *stint.InvalidError
		require.ErrorAs(t, err, &bad)
	})
}

func TestWatchLosesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		for i := range 20 {
			_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: fmt.Sprintf("job-%d", i)})
			require.NoError(t, err)
			_, err = q.Wait(ctx, fmt.Sprintf("job-%d", i))
			require.NoError(t, err)
		}
		// In pieces, each going on from where the one before has ended.
		var seen []string
		from := "0"
		for len(seen) < 40 {
			for e, err := range q.Watch(ctx, stint.WatchOptions{From: from}) {
				require.NoError(t, err)
				seen = append(seen, string(e.Type)+" "+e.Name)
				from = e.ResourceVersion
				if len(seen)%7 == 0 || len(seen) == 40 {
					break
				}
			}
		}
		for i := range 20 {
			require.Equal(t, fmt.Sprintf("Submitted job-%d", i), seen[2*i])
			require.Equal(t, fmt.Sprintf("Complete job-%d", i), seen[2*i+1])
		}
	})
}

// A spec as stored reads back as it was.
func TestSpecRoundTrip(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		at := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
		spec := stint.JobSpec{
			Name: "full", Labels: map[string]string{"a": "b"}, CompletionMode: stint.Indexed, Completions: new(5), Parallelism: new(2),
			BackoffLimitPerIndex: new(1), MaxFailedIndexes: new(2), StartAt: at, ActiveDeadline: new(time.Minute),
			FailurePolicy: &stint.FailurePolicy{Rules: []stint.FailureRule{{Action: stint.ActionFailIndex, OnCodes: &stint.CodesRule{
				Operator: stint.OperatorIn, Values: []int{3},
			}}}},
		}
		_, err := q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		got, err := q.Get(ctx, "full")
		require.NoError(t, err)
		require.Equal(t, stint.PhasePending, got.Phase())
		want, err := json.Marshal(spec)
		require.NoError(t, err)
		have, err := json.Marshal(got.Spec)
		require.NoError(t, err)
		var w, h map[string]any
		require.NoError(t, json.Unmarshal(want, &w))
		require.NoError(t, json.Unmarshal(have, &h))
		for field, v := range w {
			require.Equal(t, v, h[field], field)
		}
	})
}

func TestDelayCanBeChanged(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "later", Delay: 24 * time.Hour})
		require.NoError(t, err)
		job, err := q.Get(ctx, "later")
		require.NoError(t, err)
		_, err = q.Update(ctx, "later", func(s *stint.JobSpec) { s.Delay = time.Hour })
		require.ErrorContains(t, err, "spec.delay")
		got, err := q.Update(ctx, "later", func(s *stint.JobSpec) {
			require.Zero(t, s.Delay)
			require.Equal(t, job.CreatedAt.Add(24*time.Hour).UnixMilli(), s.StartAt.UnixMilli())
			s.Labels = map[string]string{"a": "b"}
		})
		require.NoError(t, err)
		require.Equal(t, job.CreatedAt.Add(24*time.Hour).UnixMilli(), got.Spec.StartAt.UnixMilli())
		_, err = q.Update(ctx, "later", func(s *stint.JobSpec) { s.StartAt = time.Time{} })
		require.NoError(t, err)
		got, err = q.Wait(ctx, "later")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
	})
}
