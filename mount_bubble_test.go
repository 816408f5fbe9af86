package stint_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// A handler that runs is told of a change and reads it; of a rotation it hears
// nothing, and what is deleted stays.
func TestRunningHandlerSeesChanges(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		q = withKeys(q, rdb, stint.QueueConfig{}, "k1")
		_, err := q.ApplySecret(ctx, secretOf("db", "password", "one"))
		require.NoError(t, err)
		seen := make(chan string)
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(ctx context.Context, task *stint.Task[work]) error {
			for {
				changed := task.MountsChanged()
				s, err := task.Secret("db")
				if err != nil {
					return err
				}
				level := "none"
				if c, err := task.Config("app"); err == nil {
					level = c.Data["level"]
				}
				seen <- s.Value("password") + " " + level
				select {
				case <-changed:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		})
		run(w.Run)
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "long", Mounts: []stint.Mount{{Secret: "db"}, {ConfigMap: "app", Optional: true}}})
		require.NoError(t, err)
		require.Equal(t, "one none", <-seen)
		time.Sleep(time.Hour)

		change := func(want string, do func() error) {
			began := time.Now()
			require.NoError(t, do())
			require.Equal(t, want, <-seen)
			require.Less(t, time.Since(began), time.Second, want)
		}
		change("two none", func() error { _, err := q.ApplySecret(ctx, secretOf("db", "password", "two")); return err })
		change("two info", func() error {
			_, err := q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "app", Data: map[string]string{"level": "info"}})
			return err
		})
		for _, err := range withKeys(q, rdb, stint.QueueConfig{}, "k2", "k1").RotateSecrets(ctx, "") {
			require.NoError(t, err) // the worker has not the new key: what it has stays
		}
		require.NoError(t, q.DeleteConfigMap(ctx, "app"))
		time.Sleep(time.Minute)
		select {
		case text := <-seen:
			t.Fatal(text)
		default:
		}
		change("two debug", func() error {
			_, err := q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "app", Data: map[string]string{"level": "debug"}})
			return err
		})

		// A change that nobody was told of is found all the same.
		began := time.Now()
		data, err := rdb.HGet(ctx, "stint:{bubble}:object:config/app", "d").Result()
		require.NoError(t, err)
		require.NoError(t, rdb.HSet(ctx, "stint:{bubble}:object:config/app", "v", "9-9", "d", strings.Replace(data, "debug", "warn", 1)).Err())
		require.Equal(t, "two warn", <-seen)
		require.LessOrEqual(t, time.Since(began), 6*time.Second)
		require.NoError(t, q.Delete(ctx, "long"))
	})
}

// A job that waits for a config map is looked at seldom, whatever time passes.
func TestWaitingForAMountCostsLittle(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		w := stint.NewWorker(q, stint.WorkerConfig{})
		started := make(chan time.Time, 1)
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { started <- time.Now(); return nil })
		run(w.Run)
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "waits", BackoffLimit: new(0), Mounts: []stint.Mount{{ConfigMap: "app"}}})
		require.NoError(t, err)
		time.Sleep(time.Hour + time.Minute)
		events, err := q.Events(ctx, "waits")
		require.NoError(t, err)
		for _, e := range events {
			if e.Reason == stint.EventFailedMount {
				require.InDelta(t, 12, e.Count, 1, "every five minutes")
			}
		}
		_, why := whys(t, ctx, q, "waits")
		require.WithinDuration(t, time.Now(), why.Until, 5*time.Minute)
		began := time.Now()
		_, err = q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "app"})
		require.NoError(t, err)
		require.Less(t, (<-started).Sub(began), time.Second)
		job, err := q.Wait(ctx, "waits")
		require.NoError(t, err)
		require.Zero(t, job.Status.Failed)
	})
}

// brake has a client rest that asks without end, so that time goes on.
type brake struct{ n atomic.Int64 }

func (*brake) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *brake) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if b.n.Add(1) > 50_000 {
			time.Sleep(time.Minute)
		}
		return next(ctx, cmd)
	}
}

func (*brake) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A job that lacks something and cannot be parked, as when memory is out, is
// tried again now and then.
func TestWhatCannotBeParkedIsTriedSeldom(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx, b := context.Background(), &brake{}
		lacks := "stint:{bubble}:lacks:config/app"
		require.NoError(t, rdb.SAdd(ctx, lacks, "x").Err())
		rdb.AddHook(b)
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { return nil })
		run(w.Run)
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "waits", Mounts: []stint.Mount{{ConfigMap: "app"}}})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Less(t, b.n.Load(), int64(30_000))
		require.NoError(t, rdb.Del(ctx, lacks).Err())
		_, err = q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "app"})
		require.NoError(t, err)
		_, err = q.Wait(ctx, "waits")
		require.NoError(t, err)
	})
}
