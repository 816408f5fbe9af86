package stint_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// A job from its submission to its end, with the reason at each time.
func TestExplainOverTime(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
			time.Sleep(time.Minute)
			if task.Attempt < 2 {
				return errors.New("not yet")
			}
			return nil
		})
		run(w.Run)
		begin := time.Now()
		spec := stint.JobSpec{
			Name: "slow", Delay: time.Hour, ActiveDeadline: new(3 * time.Hour),
			Backoff: &stint.Backoff{Initial: 10 * time.Minute, Max: time.Hour},
		}
		_, err := q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		for _, c := range []struct {
			after time.Duration
			want  []stint.Why
			until time.Duration
		}{
			// The worker has not said its kinds yet.
			{time.Second, []stint.Why{stint.WhyNotBefore, stint.WhyNoWorker}, time.Hour},
			{time.Hour - time.Second, []stint.Why{stint.WhyNotBefore}, time.Hour},
			{time.Hour + time.Second, []stint.Why{stint.WhyRunning, stint.WhyDeadline}, 0},
			{time.Hour + 2*time.Minute, []stint.Why{stint.WhyBackoff, stint.WhyDeadline}, time.Hour + 11*time.Minute},
			{time.Hour + 11*time.Minute + time.Second, []stint.Why{stint.WhyRunning, stint.WhyDeadline}, 0},
			{time.Hour + 13*time.Minute, []stint.Why{stint.WhyFinished}, 0},
		} {
			time.Sleep(time.Until(begin.Add(c.after)))
			got, why := whys(t, ctx, q, "slow")
			require.Equal(t, c.want, got, c.after)
			if c.until > 0 {
				require.WithinDuration(t, begin.Add(c.until), why.Until, time.Second, c.after)
			} else {
				require.Zero(t, why.Until, c.after)
			}
		}
	})
}

// Nobody keeps the timers of a queue whose workers run handlers only.
func TestExplainTimers(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		w := stint.NewWorker(q, stint.WorkerConfig{HandlersOnly: true})
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { return nil })
		run(w.Run)
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "later", Delay: time.Minute})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		got, _ := whys(t, ctx, q, "later")
		require.Equal(t, []stint.Why{stint.WhyTimers}, got)
		s := stint.NewScheduler(nil, q)
		run(s.Run)
		_, err = q.Wait(ctx, "later")
		require.NoError(t, err)
	})
}

// A worker that holds an attempt and falls silent is noticed before anybody
// ends the attempt, and one that is idle for long is not taken for it.
func TestExplainLostWorker(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		plain, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "named"})
		require.NoError(t, err)
		require.NoError(t, rdb.XGroupCreateMkStream(ctx, "stint:{bubble}:ready:work", "w", "0").Err())
		require.NoError(t, rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: "w", Consumer: "dead", Streams: []string{"stint:{bubble}:ready:work", ">"}, Count: 2,
		}).Err())
		// It has signed on and renewed, and then no more.
		require.NoError(t, rdb.HSet(ctx, "stint:{bubble}:beats", "dead", "1 15000").Err())
		require.NoError(t, rdb.HSet(ctx, "stint:{bubble}:worker:dead", "info", `{"kinds":["work"],"concurrency":2}`).Err())
		require.NoError(t, rdb.PExpire(ctx, "stint:{bubble}:worker:dead", 24*time.Hour).Err())
		for _, name := range []string{plain.Name, "named"} {
			got, _ := whys(t, ctx, q, name)
			require.Equal(t, []stint.Why{stint.WhyRunning}, got)
		}
		time.Sleep(31 * time.Second)
		for _, name := range []string{plain.Name, "named"} {
			got, _ := whys(t, ctx, q, name)
			require.Equal(t, []stint.Why{stint.WhyLost}, got)
		}
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "another"})
		require.NoError(t, err)
		got, why := whys(t, ctx, q, "another")
		require.Equal(t, []stint.Why{stint.WhyNoWorker}, got, "it listed the kind while it lived")
		require.Contains(t, why.Message, "0 live workers")

		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { return nil })
		run(w.Run)
		_, err = q.Wait(ctx, "named")
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "later", Delay: 100 * time.Hour})
		require.NoError(t, err)
		time.Sleep(2 * stint.DefaultLease)
		for range 100 {
			time.Sleep(777 * time.Millisecond)
			got, _ := whys(t, ctx, q, "later")
			require.Equal(t, []stint.Why{stint.WhyNotBefore}, got)
		}
	})
}
