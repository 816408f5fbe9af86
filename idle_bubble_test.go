package stint_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// counter counts what a client asks of Redis.
type counter struct{ n atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

type kindB struct{ work }

func (kindB) Kind() string { return "b" }

type kindC struct{ work }

func (kindC) Kind() string { return "c" }

// A worker of three kinds with nothing to do asks for next to nothing, and
// yet takes up work at once.
func TestP9NoPolling(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		var c counter
		rdb.AddHook(&c)
		taken := make(chan time.Time, 1)
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { taken <- time.Now(); return nil })
		stint.Handle(w, func(context.Context, *stint.Task[kindB]) error { return nil })
		stint.Handle(w, func(context.Context, *stint.Task[kindC]) error { return nil })
		run(w.Run)
		time.Sleep(time.Minute)
		before := c.n.Load()
		time.Sleep(10 * time.Minute)
		require.LessOrEqual(t, float64(c.n.Load()-before)/600, 1.0, "commands per second")
		_, err := q.Submit(context.Background(), work{})
		require.NoError(t, err)
		submitted := time.Now()
		require.Less(t, (<-taken).Sub(submitted), time.Millisecond)
	})
}
