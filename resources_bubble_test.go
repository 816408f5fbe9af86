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

// Cron jobs carry requests to their runs.
func TestCronWithRequests(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		_, err := q.ApplyCron(ctx, stint.CronJob{
			Name: "c", Schedule: "@hourly", Args: work{}, Job: asks("", stint.ResourceList{"example.com/gpu": "1"}),
		})
		require.NoError(t, err)
		var n, wrong atomic.Int64
		small := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(small, func(context.Context, *stint.Task[work]) error { wrong.Add(1); return nil })
		run(small.Run)
		big := stint.NewWorker(q, stint.WorkerConfig{Capacity: stint.ResourceList{"example.com/gpu": "1"}})
		stint.Handle(big, func(context.Context, *stint.Task[work]) error { n.Add(1); return nil })
		run(big.Run)
		time.Sleep(2*time.Hour + time.Minute)
		require.EqualValues(t, 2, n.Load())
		require.Zero(t, wrong.Load())
	})
}

// Room that comes back is used at once, also where nothing waited for it when
// it was last looked at. All waits here are by Redis's bells, so nothing may
// take as long as a poll.
func TestRoomIsUsedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		w := stint.NewWorker(q, stint.WorkerConfig{Capacity: stint.ResourceList{"cpu": "4"}})
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
			time.Sleep(time.Duration(task.Args.N) * time.Millisecond)
			return nil
		})
		run(w.Run)
		time.Sleep(time.Minute)
		began := time.Now()
		_, err := q.Submit(ctx, work{700}, asks("all", stint.ResourceList{"cpu": "4"}))
		require.NoError(t, err)
		time.Sleep(100 * time.Millisecond)
		_, err = q.Submit(ctx, work{200}, asks("half", stint.ResourceList{"cpu": "2"}))
		require.NoError(t, err)
		_, err = q.Wait(ctx, "half")
		require.NoError(t, err)
		require.Less(t, time.Since(began), 1500*time.Millisecond)
		_, err = q.Submit(ctx, work{100}, asks("again", stint.ResourceList{"cpu": "4"}))
		require.NoError(t, err)
		_, err = q.Wait(ctx, "again")
		require.NoError(t, err)
		require.Less(t, time.Since(began), 2500*time.Millisecond)
	})
}

// While nothing ends, a large task keeps the room free that is there for it:
// a smaller one that came later waits, until the large one has run.
func TestRoomIsKeptForTheOldest(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		w := stint.NewWorker(q, stint.WorkerConfig{Capacity: stint.ResourceList{"cpu": "4"}})
		var order []string
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
			order = append(order, task.Job) // the last three never run at the same time
			time.Sleep(time.Minute)
			return nil
		})
		run(w.Run)
		for _, c := range []struct{ name, cpu string }{{"first", "2"}, {"large", "3"}, {"small", "2"}, {"never", "5"}} {
			_, err := q.Submit(ctx, work{}, asks(c.name, stint.ResourceList{"cpu": stint.Quantity(c.cpu)}))
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		time.Sleep(30 * time.Second)
		codes, _ := whys(t, ctx, q, "small")
		require.Equal(t, []stint.Why{stint.WhyWorkerSlot}, codes)
		_, err := q.Wait(ctx, "small")
		require.NoError(t, err)
		require.Equal(t, []string{"first", "large", "small"}, order)
		codes, _ = whys(t, ctx, q, "never")
		require.Equal(t, []stint.Why{stint.WhyUnschedulable}, codes)
	})
}

// Of a worker that died the attempts end, and another one's room is asked.
func TestLostWithRequests(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		_, err := q.Submit(ctx, work{}, asks("job", stint.ResourceList{"cpu": "1"}))
		require.NoError(t, err)
		const ready = "stint:{bubble}:ready:work~cpu=1000"
		require.NoError(t, rdb.XGroupCreateMkStream(ctx, ready, "w", "0").Err())
		require.NoError(t, rdb.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "w", Consumer: "dead", Streams: []string{ready, ">"}, Count: 1}).Err())
		w := stint.NewWorker(q, stint.WorkerConfig{Capacity: stint.ResourceList{"cpu": "1"}})
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { return nil })
		run(w.Run)
		got, err := q.Wait(ctx, "job")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		for e, err := range q.Errors(ctx, "job") {
			require.NoError(t, err)
			require.Equal(t, "Lost", e.Outcome)
		}
	})
}

// F04: a handler that never returns keeps its room, while its attempt fails
// after its time limit.
func TestF04StuckHandlerKeepsItsRoom(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		gate := make(chan struct{})
		w := stint.NewWorker(q, stint.WorkerConfig{Capacity: stint.ResourceList{"cpu": "1"}})
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
			if task.Attempt == 1 {
				<-gate
			}
			return nil
		})
		run(w.Run)
		spec := asks("stuck", stint.ResourceList{"cpu": "1"})
		spec.AttemptTimeout, spec.Backoff = time.Minute, quick()
		_, err := q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		got, err := q.Get(ctx, "stuck")
		require.NoError(t, err)
		require.Equal(t, 1, got.Status.Failed)
		require.False(t, got.Finished(), "its room is not there for the retry")
		all, err := q.Workers(ctx)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, 1, all[0].Stuck)
		require.Equal(t, stint.Quantity("1"), all[0].InUse["cpu"])
		require.Positive(t, all[0].MemoryBytes)
		close(gate)
		got, err = q.Wait(ctx, "stuck")
		require.NoError(t, err)
		require.Equal(t, 1, got.Status.Failed)
		require.Equal(t, stint.PhaseComplete, got.Phase())
	})
}
