package stint

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
)

type clockArgs struct{}

func (clockArgs) Kind() string { return "clock" }

// The clock that the scripts go by is an hour ahead of the worker's, and
// jumps back by two: a delay is as long as was asked, no lease ends, and what
// is submitted after the jump runs.
func TestP7NoTwoClocksAreCompared(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		var ahead atomic.Int64
		ahead.Store(time.Hour.Milliseconds())
		q := NewQueue("clock", rdb)
		q.store.Clock = func() int64 { return time.Now().UnixMilli() + ahead.Load() }

		running, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		w := NewWorker(q, WorkerConfig{Lease: 3 * time.Second})
		Handle(w, func(ctx context.Context, task *Task[clockArgs]) error {
			if task.Job != "held" {
				return nil
			}
			once.Do(func() { close(running) })
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		wctx, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- w.Run(wctx) }()

		_, err := q.Submit(ctx, clockArgs{}, JobSpec{Name: "held"})
		require.NoError(t, err)
		<-running
		began := time.Now()
		_, err = q.Submit(ctx, clockArgs{}, JobSpec{Name: "delayed", Delay: 300 * time.Millisecond})
		require.NoError(t, err)
		_, err = q.Wait(ctx, "delayed")
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)

		ahead.Store(-time.Hour.Milliseconds())
		_, err = q.Submit(ctx, clockArgs{}, JobSpec{Name: "after", Delay: 6 * time.Second})
		require.NoError(t, err)
		got, err := q.Wait(ctx, "after") // two leases later
		require.NoError(t, err)
		require.Equal(t, PhaseComplete, got.Phase())
		close(release)
		got, err = q.Wait(ctx, "held")
		require.NoError(t, err)
		require.Equal(t, PhaseComplete, got.Phase())
		require.Zero(t, got.Status.Failed)
		stop()
		require.NoError(t, <-done)
	})
}
