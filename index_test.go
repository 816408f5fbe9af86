package stint_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// Each index of a job tells its state and what is kept of it.
func TestIndex(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		hold := make(chan struct{})
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.HandleResult(w, func(ctx context.Context, task *stint.Task[work]) (int, error) {
			switch task.Index {
			case 1:
				return 0, stint.FailIndex(errors.New("never"))
			case 2:
				return 0, stint.RetryAfter(time.Hour, stint.Code(9, errors.New("later")))
			case 3:
				require.NoError(t, task.SaveCheckpoint(ctx, "half"))
				require.NoError(t, task.Progress(ctx, 1, 2, "on it"))
				<-hold
			}
			return 40 + task.Index, nil
		})
		startWorker(t, w)
		_, err := q.Submit(ctx, work{}, stint.JobSpec{
			Name: "looked-at", CompletionMode: stint.Indexed, Completions: new(5), Parallelism: new(2), BackoffLimitPerIndex: new(1),
		})
		require.NoError(t, err)
		at := func(i int) stint.IndexInfo {
			info, err := q.Index(ctx, "looked-at", i)
			require.NoError(t, err)
			require.Equal(t, i, info.Index)
			return info
		}
		require.Eventually(t, func() bool { return at(4).State == stint.IndexSucceeded && at(3).Progress != nil }, within, 10*time.Millisecond)
		require.Equal(t, "44", string(at(4).Result))
		require.Equal(t, stint.IndexFailed, at(1).State)
		require.Equal(t, "never", at(1).Errors[0].Message)
		require.Equal(t, stint.IndexRetrying, at(2).State)
		require.Equal(t, 9, at(2).Errors[0].Code)
		require.WithinRange(t, at(2).RetryAt, time.Now().Add(-time.Hour), time.Now().Add(2*time.Hour))
		held := at(3)
		require.Equal(t, stint.IndexActive, held.State)
		require.NotEmpty(t, held.Task.Worker)
		require.Equal(t, `"half"`, string(held.Checkpoint))
		require.Equal(t, stint.IndexProgress{Index: 3, Done: 1, Total: 2, Note: "on it"}, *held.Progress)
		close(hold)

		plain, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		_, err = q.Wait(ctx, plain.Name)
		require.NoError(t, err)
		info, err := q.Index(ctx, plain.Name, 0)
		require.NoError(t, err)
		require.Equal(t, stint.IndexInfo{State: stint.IndexSucceeded, Result: []byte("40")}, info)
		var bad *stint.InvalidError
		_, err = q.Index(ctx, plain.Name, 1)
		require.ErrorAs(t, err, &bad)
		_, err = q.Index(ctx, "nobody", 0)
		require.ErrorIs(t, err, stint.ErrNotFound)
	})
}

// The worker of an index is told whether or not the job has requests.
func TestIndexOfARequestingJob(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		runs, hold := make(chan struct{}), make(chan struct{})
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { close(runs); <-hold; return nil })
		job, err := q.Submit(ctx, work{}, stint.JobSpec{Resources: stint.Resources{Requests: stint.ResourceList{"cpu": "1"}}})
		require.NoError(t, err)
		<-runs
		info, err := q.Index(ctx, job.Name, 0)
		close(hold)
		require.NoError(t, err)
		require.NotEmpty(t, info.Task.Worker)
	})
}
