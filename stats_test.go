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

type other struct{ N int }

func (other) Kind() string { return "other" }

// What ended is counted by kind and minute, whether a job has a record or not.
func TestStats(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		none, err := q.Stats(ctx, time.Time{}, time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.Empty(t, none)

		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
			if task.Attempt == 1 && task.Args.N == 1 {
				return errors.New("once")
			}
			return nil
		})
		stint.Handle(w, func(_ context.Context, task *stint.Task[other]) error {
			if task.Attempt == 1 && task.Args.N == 1 {
				return stint.FailJob(errors.New("never"))
			}
			return nil
		})
		startWorker(t, w)
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "big", CompletionMode: stint.Indexed, Completions: new(20), Parallelism: new(4)})
		require.NoError(t, err)
		jobs, err := q.SubmitMany(ctx, []stint.NewJob{
			{Args: work{0}},
			{Args: work{1}, Spec: stint.JobSpec{Backoff: quick()}},
			{Args: other{0}},
			{Args: other{1}},
		})
		require.NoError(t, err)
		for _, j := range jobs {
			_, err := q.Wait(ctx, j.Job.Name)
			require.NoError(t, err)
		}
		_, err = q.Wait(ctx, "big")
		require.NoError(t, err)

		all, err := q.Stats(ctx, time.Time{}, time.Now().Add(time.Hour))
		require.NoError(t, err)
		sum := map[string]stint.StatPoint{}
		for _, p := range all {
			require.Zero(t, p.At.Second())
			s := sum[p.Kind]
			s.Succeeded += p.Succeeded
			s.Failed += p.Failed
			s.Lost += p.Lost
			s.Wait += p.Wait
			s.Run += p.Run
			sum[p.Kind] = s
		}
		require.Len(t, sum, 2)
		require.Equal(t, 22, sum["work"].Succeeded)
		require.Equal(t, 1, sum["work"].Failed)
		require.Equal(t, 1, sum["other"].Succeeded)
		require.Equal(t, 1, sum["other"].Failed)

		late, err := q.Stats(ctx, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
		require.NoError(t, err)
		require.Empty(t, late)
	})
}

// Kinds tells what waits for a worker, and what one has.
func TestKinds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		kinds, err := q.Kinds(ctx)
		require.NoError(t, err)
		require.Empty(t, kinds)
		for range 3 {
			_, err := q.Submit(ctx, work{})
			require.NoError(t, err)
		}
		_, err = q.Submit(ctx, other{}, stint.JobSpec{Delay: time.Hour})
		require.NoError(t, err)
		kinds, err = q.Kinds(ctx)
		require.NoError(t, err)
		require.Equal(t, []stint.KindInfo{{Kind: "other"}, {Kind: "work", Ready: 3}}, kinds)

		began, free := make(chan struct{}), make(chan struct{})
		handle(t, q, stint.WorkerConfig{Concurrency: 2}, func(context.Context, *stint.Task[work]) error {
			began <- struct{}{}
			<-free
			return nil
		})
		<-began
		<-began
		kinds, err = q.Kinds(ctx)
		require.NoError(t, err)
		require.Equal(t, []stint.KindInfo{{Kind: "other"}, {Kind: "work", Ready: 1, Running: 2}}, kinds)
		close(free)
		<-began
	})
}
