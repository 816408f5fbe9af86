package stint_test

import (
	"context"
	"errors"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// F113, I15: what is left of a queue when every job has gone, and the worker
// too: the streams of its kinds, of events and of orders, what kinds there
// were, and the version of its layout. Nothing of it grows with the number of jobs.
func TestWhatIsLeftOfAQueue(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, _ func(func(context.Context) error)) {
		ctx := t.Context()
		w := stint.NewWorker(q, stint.WorkerConfig{})
		var n atomic.Int64
		stint.HandleResult(w, func(ctx context.Context, task *stint.Task[work]) (int, error) {
			if err := task.SaveCheckpoint(ctx, 1); err != nil {
				return 0, err
			}
			if n.Add(1)%3 == 0 {
				return 0, errors.New("now and then")
			}
			return 1, nil
		})
		run, stop := context.WithCancel(ctx)
		done := make(chan error)
		go func() { done <- w.Run(run) }()
		ttl := new(time.Hour)
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@hourly", Args: work{}, Job: stint.JobSpec{TTLAfterFinished: ttl}})
		require.NoError(t, err)
		for i := range 50 {
			spec := stint.JobSpec{TTLAfterFinished: ttl, Backoff: quick()}
			switch i % 5 {
			case 1:
				spec.Delay = time.Minute
			case 2:
				spec.CompletionMode, spec.Completions, spec.Parallelism = stint.Indexed, new(7), new(2)
			case 3:
				spec.BackoffLimit = new(0)
			case 4:
				spec.Suspend = true
			}
			job, err := q.Submit(ctx, work{i}, spec)
			require.NoError(t, err)
			if i%10 == 0 {
				_, err = q.Wait(ctx, job.Name)
				require.NoError(t, err)
			}
			if spec.Suspend {
				require.NoError(t, q.Delete(ctx, job.Name))
			}
		}
		time.Sleep(90 * time.Minute)
		require.NoError(t, q.DeleteCron(ctx, "c"))
		time.Sleep(2 * time.Hour)
		stop()
		require.NoError(t, <-done)
		time.Sleep(72 * time.Hour)
		few := regexp.MustCompile(`^stint:{bubble}:(ready:work|kinds|layout|events|ctl)$`)
		for _, key := range keysOf(t, rdb) {
			require.Regexp(t, few, key)
		}
	})
}
