package stint_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// gate holds back scripts while it is shut, and counts them.
type gate struct {
	mu    sync.Mutex // guards what follows
	shut  chan struct{}
	calls int
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			g.mu.Lock()
			g.calls++
			shut := g.shut
			g.mu.Unlock()
			<-shut
		}
		return next(ctx, cmd)
	}
}

// close shuts the gate, and answers what opens it.
func (g *gate) close() (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	shut := make(chan struct{})
	g.shut, g.calls = shut, 0
	return func() { close(shut) }
}

// What is submitted while a call is under way goes together with the next, at
// most 500 at once. Each gets its own answer; who gives up hears that it is
// uncertain, and nobody hears later what was meant for it.
func TestSubmissionsGather(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, _ func(func(context.Context) error)) {
		var g gate
		rdb.AddHook(&g)
		stored := map[string]string{} // args by name
		for round, n := range []int{3, 700, 40, 1} {
			open := g.close()
			ctx, giveUp := context.WithCancel(t.Context())
			jobs, errs := make([]*stint.Job, n), make([]error, n)
			var all sync.WaitGroup
			submit := func(i int) {
				all.Go(func() {
					ctx := ctx
					if i%7 != 1 {
						ctx = context.WithoutCancel(ctx)
					}
					jobs[i], errs[i] = q.Submit(ctx, named{fmt.Sprint(round, " ", i)})
				})
			}
			submit(0)
			synctest.Wait() // it is under way by itself
			for i := 1; i < n; i++ {
				submit(i)
			}
			synctest.Wait()
			require.Equal(t, 1, g.calls)
			giveUp()
			synctest.Wait()
			open()
			all.Wait()
			synctest.Wait()
			require.Equal(t, 1+(n-1+499)/500, g.calls)
			for i := range n {
				if i%7 == 1 {
					require.ErrorIs(t, errs[i], stint.ErrUncertain)
					require.ErrorIs(t, errs[i], context.Canceled)
					continue
				}
				require.NoError(t, errs[i])
				require.NotContains(t, stored, jobs[i].Name)
				stored[jobs[i].Name] = string(jobs[i].Args)
			}
		}
		seen := 0
		for job, err := range q.List(t.Context(), stint.ListOptions{}) {
			require.NoError(t, err)
			if args, known := stored[job.Name]; known {
				require.Equal(t, args, string(job.Args))
				delete(stored, job.Name)
			}
			seen++
		}
		require.Empty(t, stored)
		require.Equal(t, 3+700+40+1, seen, "those who gave up did submit")
	})
}
