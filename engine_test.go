package stint_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

type echo struct{ Text string }

func (echo) Kind() string { return "echo" }

func client(t *testing.T) redis.UniversalClient {
	if os.Getenv("REAL") != "" {
		c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6399"})
		c.FlushAll(context.Background())
		return c
	}
	m := miniredis.RunT(t)
	return redis.NewClient(&redis.Options{Addr: m.Addr()})
}

func TestSmoke(t *testing.T) {
	t.Parallel()
	rdb := client(t)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	q := stint.NewQueue("q", rdb)
	w := stint.NewWorker(q, stint.WorkerConfig{Logger: log})
	stint.HandleResult(w, func(ctx context.Context, task *stint.Task[echo]) (string, error) {
		return "hello " + task.Args.Text + fmt.Sprint(task.Index), nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	wctx, stop := context.WithCancel(ctx)
	go func() { done <- w.Run(wctx) }()
	job, err := q.Submit(ctx, echo{"you"})
	require.NoError(t, err)
	got, err := stint.Await[string](ctx, q, job.Name)
	require.NoError(t, err)
	require.Equal(t, "hello you0", got)

	job, err = q.Submit(ctx, echo{"idx"}, stint.JobSpec{Name: "many", Completions: new(50), Parallelism: new(7), CompletionMode: stint.Indexed})
	require.NoError(t, err)
	j, err := q.Wait(ctx, job.Name)
	require.NoError(t, err)
	require.Equal(t, "0-49", j.Status.CompletedIndexes)
	n := 0
	for r, err := range stint.Results[string](ctx, q, job.Name) {
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("hello idx", r.Index), r.Value)
		n++
	}
	require.Equal(t, 50, n)
	stop()
	require.NoError(t, <-done)
}

type flaky struct{}

func (flaky) Kind() string { return "flaky" }

func TestSmokeRetry(t *testing.T) {
	t.Parallel()
	rdb := client(t)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	q := stint.NewQueue("q", rdb)
	w := stint.NewWorker(q, stint.WorkerConfig{Logger: log})
	var runs atomic.Int64
	stint.Handle(w, func(ctx context.Context, task *stint.Task[flaky]) error {
		if runs.Add(1) < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	wctx, stop := context.WithCancel(ctx)
	go func() { done <- w.Run(wctx) }()
	job, err := q.Submit(ctx, flaky{}, stint.JobSpec{Backoff: &stint.Backoff{Initial: 50 * time.Millisecond}})
	require.NoError(t, err)
	j, err := q.Wait(ctx, job.Name)
	require.NoError(t, err)
	require.Equal(t, stint.PhaseComplete, j.Phase())
	require.Equal(t, 2, j.Status.Failed)
	for e, err := range q.Errors(ctx, job.Name) {
		require.NoError(t, err)
		t.Log(e)
	}
	stop()
	require.NoError(t, <-done)
}
