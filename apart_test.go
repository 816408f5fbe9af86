package stint

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
)

// One of two jobs that are settled and looked at in one call has a key of the
// wrong type: the other goes on all the same.
func TestTroubleOfAJobIsItsOwn(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		q := NewQueue("apart", rdb)
		two, spec := 2, JobSpec{CompletionMode: Indexed, Backoff: &Backoff{Initial: 300 * time.Millisecond}}
		spec.Completions, spec.Parallelism = &two, &two
		for _, name := range []string{"a-broken", "whole"} {
			spec.Name = name
			_, err := q.Submit(ctx, clockArgs{}, spec)
			require.NoError(t, err)
		}
		started, release := make(chan string, 8), make(chan struct{})
		w := NewWorker(q, WorkerConfig{})
		Handle(w, func(_ context.Context, task *Task[clockArgs]) error {
			started <- task.Job
			<-release
			if task.Attempt == 1 {
				return errors.New("again")
			}
			return nil
		})
		wctx, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- w.Run(wctx) }()
		for range 4 {
			<-started
		}
		require.NoError(t, rdb.Set(ctx, "stint:{apart}:job:a-broken:wait", "not a zset", 0).Err())
		require.NoError(t, rdb.ZAdd(ctx, "stint:{apart}:timers", redis.Z{Score: 1, Member: "a-broken"}).Err())
		require.NoError(t, rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stint:{apart}:ctl", Values: []any{"t", 1}}).Err())
		close(release)
		job, err := q.Wait(ctx, "whole")
		require.NoError(t, err)
		require.Equal(t, PhaseComplete, job.Phase())
		require.Equal(t, 2, job.Status.Failed)
		stop()
		require.NoError(t, <-done)
	})
}
