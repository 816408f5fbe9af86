package stint_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/store"
)

// A worker without the key gives a task back less and less often, tells it once
// of each job, and leaves it as it was for the worker that has the key.
func TestWithoutTheKeyLessAndLess(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		begin := time.Now()
		keyed := withKeys(q, rdb, stint.QueueConfig{EncryptJobs: true}, "k1")
		var log safeBuffer
		none := stint.NewWorker(q, stint.WorkerConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		stint.Handle(none, func(context.Context, *stint.Task[named]) error { t.Error("it cannot read this"); return nil })
		noneCtx, stop := context.WithCancel(ctx)
		stopped := make(chan struct{})
		run(func(context.Context) error { defer close(stopped); return none.Run(noneCtx) })
		for _, name := range []string{"", "named"} {
			_, err := keyed.Submit(ctx, named{hush}, stint.JobSpec{Name: name})
			require.NoError(t, err)
		}
		time.Sleep(time.Hour)
		gaveBack := 0
		points, err := q.Stats(ctx, begin, time.Now())
		require.NoError(t, err)
		for _, p := range points {
			gaveBack += p.GaveBack
		}
		require.InDelta(t, 2*(4+59), gaveBack, 4, "after 5, 10, 20, 40 s, and then every minute")
		require.Equal(t, 2, strings.Count(log.String(), "tasks given back"), log.String())
		stop()
		<-stopped

		ran := make(chan int, 2)
		w := stint.NewWorker(keyed, stint.WorkerConfig{})
		stint.Handle(w, func(_ context.Context, task *stint.Task[named]) error {
			require.Equal(t, hush, task.Args.Name)
			ran <- task.Attempt
			return nil
		})
		run(w.Run)
		require.Equal(t, []int{1, 1}, []int{<-ran, <-ran})
	})
}

// A worker dies with encrypted jobs. One that has not the key ends its attempts
// as lost, and one that has it runs the next ones.
func TestLostWorkerOfEncryptedJobs(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		keyed := withKeys(q, rdb, stint.QueueConfig{EncryptJobs: true}, "k1")
		plain, err := keyed.Submit(ctx, named{hush})
		require.NoError(t, err)
		for _, spec := range []stint.JobSpec{{Name: "named"}, {Name: "final", LostLimit: new(0)}} {
			_, err := keyed.Submit(ctx, named{hush}, spec)
			require.NoError(t, err)
		}
		claim := store.Claim{Worker: "dead", Op: "1", Lanes: []string{named{}.Kind()}, Max: 3, Lease: stint.DefaultLease}
		claimed, err := store.New(rdb, "bubble").Claim(ctx, claim)
		require.NoError(t, err)
		require.Len(t, claimed.Tasks, 3)
		run(stint.NewWorker(q, stint.WorkerConfig{}).Run)
		time.Sleep(2*stint.DefaultLease + 6*time.Second)
		final, err := keyed.Get(ctx, "final")
		require.NoError(t, err)
		reason, _ := final.Condition(stint.JobFailed)
		require.Equal(t, stint.ReasonLostLimitExceeded, reason.Reason)
		require.JSONEq(t, `{"Name":"hush-marker"}`, string(final.Args))

		w := stint.NewWorker(keyed, stint.WorkerConfig{})
		stint.HandleResult(w, func(_ context.Context, task *stint.Task[named]) (string, error) {
			require.Equal(t, 2, task.Attempt)
			return task.Args.Name, nil
		})
		run(w.Run)
		for _, name := range []string{plain.Name, "named"} {
			text, err := stint.Await[string](ctx, keyed, name)
			require.NoError(t, err)
			require.Equal(t, hush, text)
		}
		require.NotContains(t, everything(t, ctx, rdb), hush)
	})
}
