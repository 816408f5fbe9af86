package stint_test

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

type listWork struct{ Words []string }

func (listWork) Kind() string { return "list" }

// Handlers of one job's tasks get args of their own, whatever they make of
// them, and what a middleware has put in their place.
func TestTasksShareNoArgs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		const n = 20
		var mu sync.Mutex
		got := map[int]int{}
		var wrong atomic.Int64
		swap := func(next stint.Handler) stint.Handler {
			return func(ctx context.Context, task *stint.RawTask) error {
				if task.Index == 7 {
					task.RawArgs = bytes.Replace(task.RawArgs, []byte("41"), []byte("99"), 1)
				}
				return next(ctx, task)
			}
		}
		w := stint.NewWorker(q, stint.WorkerConfig{Concurrency: 4, Middleware: []stint.Middleware{swap}})
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
			mu.Lock()
			defer mu.Unlock()
			got[task.Index] = task.Args.N
			task.Args.N = -1
			return nil
		})
		stint.Handle(w, func(_ context.Context, task *stint.Task[listWork]) error {
			mu.Lock()
			defer mu.Unlock()
			if task.Args.Words[0] != "first" {
				wrong.Add(1)
			}
			task.Args.Words[0] = "spoilt"
			return nil
		})
		startWorker(t, w)
		for i, args := range []stint.Args{work{41}, work{42}, listWork{[]string{"first"}}} {
			job, err := q.Submit(ctx, args, stint.JobSpec{CompletionMode: stint.Indexed, Completions: new(n), Parallelism: new(n)})
			require.NoError(t, err)
			done, err := q.Wait(ctx, job.Name)
			require.NoError(t, err)
			require.Equal(t, stint.PhaseComplete, done.Phase())
			mu.Lock()
			for index := range n {
				want := []int{41, 42, 42}[i]
				if i == 0 && index == 7 {
					want = 99
				}
				require.Equal(t, want, got[index], "job %d, index %d", i, index)
			}
			mu.Unlock()
		}
		require.Zero(t, wrong.Load())
	})
}
