package stint_test

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// One goroutine runs one task after another, and one that a handler ends with
// Goexit is replaced.
func TestHandsAreUsedAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		const tasks = 100
		var mu sync.Mutex
		seen, failed := map[string]int{}, 0
		handle(t, q, stint.WorkerConfig{Concurrency: 1}, func(_ context.Context, task *stint.Task[work]) error {
			buf := make([]byte, 64)
			id, _, _ := bytes.Cut(buf[:runtime.Stack(buf, false)], []byte(" ["))
			mu.Lock()
			defer mu.Unlock()
			seen[string(id)]++
			if task.Index%50 == 10 && task.Attempt == 1 {
				failed++
				runtime.Goexit()
			}
			return nil
		})
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "many", CompletionMode: stint.Indexed, Completions: new(tasks), Backoff: quick()})
		require.NoError(t, err)
		job, err := q.Wait(ctx, "many")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, job.Phase())
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, 2, failed)
		require.Less(t, len(seen), 20)
	})
}

// As many handlers run at a time as the worker has places, each of which waits
// for all the others here.
func TestHandlersThatWaitForEachOther(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		const places, rounds = 40, 3
		var mu sync.Mutex
		here, all := 0, make(chan struct{})
		handle(t, q, stint.WorkerConfig{Concurrency: places}, func(ctx context.Context, _ *stint.Task[work]) error {
			mu.Lock()
			met := all
			if here++; here == places {
				here, all = 0, make(chan struct{})
				close(met)
			}
			mu.Unlock()
			select {
			case <-met:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		job, err := q.Submit(ctx, work{}, stint.JobSpec{CompletionMode: stint.Indexed, Completions: new(places * rounds), Parallelism: new(places)})
		require.NoError(t, err)
		job, err = q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, job.Phase())
		require.Zero(t, job.Status.Failed)
	})
}
