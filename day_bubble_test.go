package stint_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// bubble runs a test in a bubble with a Redis and a queue; what run starts
// ends before the bubble does.
func bubble(t *testing.T, test func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rdb, done := redistest.Bubble(t)
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		test(t, stint.NewQueue("bubble", rdb), rdb, func(f func(context.Context) error) {
			all.Go(func() { _ = f(ctx) })
		})
		cancel()
		all.Wait()
		found, err := findings(context.Background(), stint.NewQueue("bubble", rdb))
		require.NoError(t, err)
		require.Empty(t, found, "the audit at the end of the test")
		done()
	})
}

// times records when each run of a cron job was due.
type times struct {
	mu  sync.Mutex
	all map[string]int
}

func (r *times) note(at string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]int{}
	}
	r.all[at]++
}

// A day of cron jobs, retries and expiry.
func TestADay(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		var fired times
		var retried, late atomic.Int64
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
			if due := task.Annotations()[stint.ScheduledAnnotation]; due != "" {
				fired.note(due)
				at, err := time.Parse(time.RFC3339, due)
				if err != nil || time.Since(at) > 20*time.Millisecond {
					late.Add(1)
				}
				return nil
			}
			retried.Add(1)
			if task.Attempt < 4 {
				return errors.New("not yet")
			}
			return nil
		})
		run(w.Run)
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "often", Schedule: "*/5 * * * *", Args: work{}})
		require.NoError(t, err)
		begin := time.Now()
		job, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "retried", TTLAfterFinished: new(time.Hour)})
		require.NoError(t, err)
		got, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		waited := got.Status.CompletedAt.Sub(begin)
		require.InDelta(t, 70, waited.Seconds(), 0.1, "10, 20 and 40 seconds of backoff")

		time.Sleep(time.Until(got.Status.CompletedAt.Add(time.Hour - 10*time.Millisecond)))
		_, err = q.Get(ctx, job.Name)
		require.NoError(t, err, "kept until its time is over")
		time.Sleep(20 * time.Millisecond)
		_, err = q.Get(ctx, job.Name)
		require.ErrorIs(t, err, stint.ErrNotFound)

		time.Sleep(time.Until(begin.Add(24*time.Hour + time.Second)))
		fired.mu.Lock()
		defer fired.mu.Unlock()
		require.Len(t, fired.all, 24*12)
		for at, n := range fired.all {
			require.Equal(t, 1, n, at)
		}
		require.Zero(t, late.Load(), "a run started more than 20 ms late")
		require.EqualValues(t, 4, retried.Load())
		c, err := q.GetCron(ctx, "often")
		require.NoError(t, err)
		require.Len(t, c.Status.Finished, 3, "the history limit")
	})
}

func TestP7DelaysAreKeptToTheMillisecond(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		late := make(chan time.Duration, 100)
		w := stint.NewWorker(q, stint.WorkerConfig{Concurrency: 100})
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
			late <- time.Since(time.UnixMilli(int64(task.Args.N)))
			return nil
		})
		run(w.Run)
		for i := range 100 {
			at := time.Now().Add(time.Duration(i*37) * time.Second)
			_, err := q.Submit(ctx, work{int(at.UnixMilli())}, stint.JobSpec{StartAt: at})
			require.NoError(t, err)
		}
		for range 100 {
			d := <-late
			require.GreaterOrEqual(t, d, time.Duration(0))
			require.Less(t, d, 10*time.Millisecond)
		}
	})
}

func TestP5LostWorkerIsNoticedWithinTwoLeases(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		job, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "orphan"})
		require.NoError(t, err)
		// A worker that takes the task and is never heard of again.
		require.NoError(t, rdb.XGroupCreateMkStream(ctx, "stint:{bubble}:ready:work", "w", "0").Err())
		require.NoError(t, rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: "w", Consumer: "dead", Streams: []string{"stint:{bubble}:ready:work", ">"}, Count: 1,
		}).Err())
		died := time.Now()
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { return nil })
		run(w.Run)
		got, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		require.LessOrEqual(t, time.Since(died), 2*stint.DefaultLease)
		time.Sleep(time.Second) // until the dead worker is removed as well
	})
}

// The days on which the clocks change: a time that daylight saving skips does
// not fire, one that it repeats fires twice (B222, B223).
func TestP6DaylightSaving(t *testing.T) {
	for _, c := range []struct {
		zone, schedule string
		from           time.Time
		want           []string
	}{
		{"Europe/Berlin", "30 2 * * *", time.Date(2026, 3, 29, 0, 50, 0, 0, time.UTC), nil},
		{"Europe/Berlin", "30 2 * * *", time.Date(2026, 10, 25, 0, 20, 0, 0, time.UTC), []string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"}},
		{"America/New_York", "30 2 * * *", time.Date(2026, 3, 8, 6, 50, 0, 0, time.UTC), nil},
		{"America/New_York", "30 1 * * *", time.Date(2026, 11, 1, 5, 20, 0, 0, time.UTC), []string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00"}},
	} {
		t.Run(c.zone+" "+c.from.Format(time.DateOnly), func(t *testing.T) {
			bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
				ctx := context.Background()
				time.Sleep(time.Until(c.from))
				var fired times
				w := stint.NewWorker(q, stint.WorkerConfig{})
				stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
					fired.note(task.Annotations()[stint.ScheduledAnnotation])
					return nil
				})
				run(w.Run)
				_, err := q.ApplyCron(ctx, stint.CronJob{Name: "nightly", Schedule: c.schedule, TimeZone: c.zone, Args: work{}})
				require.NoError(t, err)
				time.Sleep(80 * time.Minute)
				fired.mu.Lock()
				defer fired.mu.Unlock()
				require.Len(t, fired.all, len(c.want))
				for _, at := range c.want {
					require.Equal(t, 1, fired.all[at], at)
				}
			})
		})
	}
}

func TestP6FiresOnceWithFiveSchedulers(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		var fired times
		for range 5 {
			w := stint.NewWorker(stint.NewQueue("bubble", rdb), stint.WorkerConfig{})
			stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
				fired.note(task.Annotations()[stint.ScheduledAnnotation])
				return nil
			})
			run(w.Run)
		}
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "minutely", Schedule: "* * * * *", Args: work{}})
		require.NoError(t, err)
		time.Sleep(10*time.Minute + time.Second)
		fired.mu.Lock()
		defer fired.mu.Unlock()
		require.Len(t, fired.all, 10)
		for at, n := range fired.all {
			require.Equal(t, 1, n, at)
		}
	})
}

// After an outage the latest missed time starts, once, and at once.
func TestCatchUp(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "hourly", Schedule: "@hourly", Args: work{}})
		require.NoError(t, err)
		time.Sleep(100*24*time.Hour + 30*time.Minute)
		var fired times
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
			fired.note(task.Annotations()[stint.ScheduledAnnotation])
			return nil
		})
		run(w.Run)
		time.Sleep(time.Minute)
		fired.mu.Lock()
		defer fired.mu.Unlock()
		require.Equal(t, map[string]int{time.Now().UTC().Truncate(time.Hour).Format(time.RFC3339): 1}, fired.all)
	})
}

func TestConcurrencyPolicies(t *testing.T) {
	for policy, want := range map[stint.ConcurrencyPolicy]string{
		stint.AllowConcurrent:   "00 01 02 03 ", // each starts in its minute
		stint.ForbidConcurrent:  "00 01 03 ",    // at 02:30 the one of 01 has ended: 02 was put off; see below
		stint.SkipConcurrent:    "00 02 ",
		stint.ReplaceConcurrent: "00 01 02 03 ",
	} {
		t.Run(string(policy), func(t *testing.T) {
			bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
				ctx := context.Background()
				var mu sync.Mutex
				var got string
				var replaced int
				w := stint.NewWorker(q, stint.WorkerConfig{ShutdownTimeout: -1})
				stint.Handle(w, func(ctx context.Context, task *stint.Task[work]) error {
					at, err := time.Parse(time.RFC3339, task.Annotations()[stint.ScheduledAnnotation])
					mu.Lock()
					got += fmt.Sprintf("%02d ", at.Minute())
					mu.Unlock()
					select {
					case <-time.After(90 * time.Second):
					case <-ctx.Done():
						if errors.Is(context.Cause(ctx), stint.ErrJobDeleted) {
							mu.Lock()
							replaced++
							mu.Unlock()
						}
					}
					return err
				})
				run(w.Run)
				time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour - time.Second)))
				_, err := q.ApplyCron(ctx, stint.CronJob{Name: "slow", Schedule: "* * * * *", ConcurrencyPolicy: policy, Args: work{}})
				require.NoError(t, err)
				time.Sleep(3*time.Minute + 30*time.Second)
				mu.Lock()
				defer mu.Unlock()
				require.Equal(t, want, got)
				if policy == stint.ReplaceConcurrent {
					require.Equal(t, 3, replaced)
				}
			})
		})
	}
}
