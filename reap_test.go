package stint_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

func TestReapEndsAnAttemptAsLost(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		began, causes := make(chan string, 3), make(chan error, 1)
		handle(t, q, stint.WorkerConfig{Lease: time.Hour}, func(ctx context.Context, task *stint.Task[work]) error {
			began <- task.Token()
			if task.Attempt > 1 {
				return nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return stint.FailJob(nil) // changes nothing
		})
		for _, spec := range []stint.JobSpec{
			{Name: "with-a-record"},
			{}, // a plain one
			{Name: "indexed", CompletionMode: stint.Indexed, Completions: new(1)},
		} {
			job, err := q.Submit(ctx, work{}, spec)
			require.NoError(t, err)
			first := <-began
			require.NoError(t, q.Reap(ctx, job.Name, 0))
			require.ErrorIs(t, <-causes, stint.ErrLeaseLost, "at once, though the lease is an hour")
			require.Positive(t, stint.CompareTokens(<-began, first))
			got, err := q.Wait(ctx, job.Name)
			require.NoError(t, err)
			require.Equal(t, stint.PhaseComplete, got.Phase())
			require.Zero(t, got.Status.Failed)
			lost := 0
			for e, err := range q.Errors(ctx, job.Name) {
				require.NoError(t, err)
				require.Equal(t, "Lost", e.Outcome)
				lost++
			}
			require.Equal(t, 1, lost)
			require.ErrorIs(t, q.Reap(ctx, job.Name, 0), stint.ErrNotFound, "none is active any more")
		}
		require.ErrorIs(t, q.Reap(ctx, "nobody", 0), stint.ErrNotFound)
		waiting, err := q.SubmitRaw(ctx, stint.Submission{Kind: "unknown"})
		require.NoError(t, err)
		require.ErrorIs(t, q.Reap(ctx, waiting.Name, 0), stint.ErrNotFound, "no worker has it")
	})
}

func TestReapBeyondTheLostLimit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		began := make(chan struct{}, 1)
		handle(t, q, stint.WorkerConfig{}, func(ctx context.Context, _ *stint.Task[work]) error {
			began <- struct{}{}
			<-ctx.Done()
			return nil
		})
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "doomed", LostLimit: new(0)})
		require.NoError(t, err)
		<-began
		require.NoError(t, q.Reap(ctx, "doomed", 0))
		got, err := q.Wait(ctx, "doomed")
		require.NoError(t, err)
		c, _ := got.Condition(stint.JobFailed)
		require.Equal(t, stint.ReasonLostLimitExceeded, c.Reason)
	})
}

func TestKindsOfAWorker(t *testing.T) {
	t.Parallel()
	w := stint.NewWorker(stint.NewQueue("q", nil), stint.WorkerConfig{})
	require.Empty(t, w.Kinds())
	w.HandleRaw("b", nil)
	w.HandleRaw("a", nil)
	require.Equal(t, []string{"a", "b"}, w.Kinds())
}
