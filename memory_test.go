package stint_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// safeBuffer is a log that is written and read at once.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// limited is a spec of one attempt with a memory limit.
func limited(name string, limit stint.Quantity) stint.JobSpec {
	return stint.JobSpec{Name: name, Resources: stint.Resources{Limits: stint.ResourceList{"memory": limit}}}
}

// The memory of the process is compared with the limits of all that runs, where
// each attempt has one: jobs, worker and log tell, and tell when it is over.
func TestMemoryPressure(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		var memory atomic.Int64
		var log safeBuffer
		gates := map[int]chan struct{}{0: make(chan struct{}), 1: make(chan struct{}), 2: make(chan struct{})}
		handle(t, q, stint.WorkerConfig{
			Lease: unhurried, MemoryInUse: memory.Load, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}, func(ctx context.Context, task *stint.Task[work]) error {
			select {
			case <-gates[task.Args.N]:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		submit := func(n int, spec stint.JobSpec) {
			t.Helper()
			_, err := q.Submit(ctx, work{n}, spec)
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				j, err := q.Get(ctx, spec.Name)
				return err == nil && j.Status.Ready == 1
			}, within, time.Millisecond)
		}
		is := func(name string) stint.ConditionStatus {
			j, err := q.Get(ctx, name)
			require.NoError(t, err)
			c, _ := j.Condition(stint.JobMemoryPressure)
			return c.Status
		}
		becomes := func(want stint.ConditionStatus, flag bool, names ...string) {
			t.Helper()
			require.Eventually(t, func() bool {
				for _, name := range names {
					if is(name) != want {
						return false
					}
				}
				all, err := q.Workers(ctx)
				return err == nil && len(all) == 1 && all[0].MemoryPressure == flag && all[0].MemoryBytes == memory.Load()
			}, within, 5*time.Millisecond)
		}
		memory.Store(3 << 20)
		submit(0, limited("a", "1Mi"))
		becomes(stint.ConditionTrue, true, "a")
		submit(1, limited("b", "2Mi"))
		becomes(stint.ConditionFalse, false, "a") // 3Mi are allowed to both
		require.Empty(t, is("b"), "it was never so")
		memory.Add(1)
		becomes(stint.ConditionTrue, true, "a", "b")
		submit(2, stint.JobSpec{Name: "any"})
		becomes(stint.ConditionFalse, false, "a", "b") // whose memory it is cannot be told
		close(gates[2])
		becomes(stint.ConditionTrue, true, "a", "b")
		close(gates[0])
		_, err := q.Wait(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, stint.ConditionFalse, is("a"), "it ends with the attempts")
		require.Equal(t, "Normal SuccessfulCreate 1, Warning MemoryLimitExceeded 1, Normal Completed 1", happened(t, ctx, q, "a"))
		require.Equal(t, "Normal SuccessfulCreate 1, Warning MemoryLimitExceeded 1", happened(t, ctx, q, "b"))
		require.Equal(t, "Normal SuccessfulCreate 1, Normal Completed 1", happened(t, ctx, q, "any"))
		memory.Store(1)
		becomes(stint.ConditionFalse, false, "b")
		close(gates[1])
		_, err = q.Wait(ctx, "b")
		require.NoError(t, err)
		require.Equal(t, 3, strings.Count(log.String(), "the process has more memory"), log.String())
		require.Equal(t, 3, strings.Count(log.String(), "the process has no more memory"), log.String())
	})
}

// A plain job has no record to note anything in: its worker alone tells.
func TestMemoryPressureOfAPlainJob(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		gate := make(chan struct{})
		handle(t, q, stint.WorkerConfig{Lease: unhurried, MemoryInUse: func() int64 { return 1 << 40 }},
			func(context.Context, *stint.Task[work]) error { <-gate; return nil })
		spec := limited("", "1Mi")
		spec.Resources.Requests = stint.ResourceList{"memory": "0"}
		job, err := q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			all, err := q.Workers(ctx)
			return err == nil && len(all) == 1 && all[0].MemoryPressure
		}, within, 5*time.Millisecond)
		close(gate)
		job, err = q.Wait(ctx, job.Name)
		require.NoError(t, err)
		_, has := job.Condition(stint.JobMemoryPressure)
		require.False(t, has)
	})
}

// Of many attempts of a job some are followed, and what is kept stays small.
func TestMemoryPressureOfManyAttempts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		const n = 250
		gate := make(chan struct{})
		handle(t, q, stint.WorkerConfig{Lease: unhurried, Concurrency: n, MemoryInUse: func() int64 { return 1 << 40 }},
			func(context.Context, *stint.Task[work]) error { <-gate; return nil })
		spec := limited("many", "1Mi")
		spec.Completions, spec.Parallelism = new(n), new(n)
		_, err := q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			events, err := q.Events(ctx, "many")
			return err == nil && len(events) == 2 && events[1].Count > 100
		}, within, 5*time.Millisecond)
		kept, err := rdb.HGet(ctx, "stint:{promises}:job:many", "memory").Result()
		require.NoError(t, err)
		require.Less(t, len(kept), 2600)
		close(gate)
		job, err := q.Wait(ctx, "many")
		require.NoError(t, err)
		c, has := job.Condition(stint.JobMemoryPressure)
		require.True(t, has)
		require.Equal(t, stint.ConditionFalse, c.Status)
	})
}
