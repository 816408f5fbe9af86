package stint_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// happened is a job's events as text: type, reason, count.
func happened(t *testing.T, ctx context.Context, q *stint.Queue, name string) string {
	t.Helper()
	all, err := q.Events(ctx, name)
	require.NoError(t, err)
	return events(t, all)
}

func events(t *testing.T, all []stint.JobEvent) string {
	t.Helper()
	lines := make([]string, len(all))
	for i, e := range all {
		lines[i] = fmt.Sprintf("%s %s %d", e.Type, e.Reason, e.Count)
		require.NotEmpty(t, e.Message)
		require.False(t, e.FirstAt.IsZero() || e.LastAt.Before(e.FirstAt))
	}
	return strings.Join(lines, ", ")
}

func TestEventsOfAJob(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "a", Completions: new(5), Parallelism: new(3)})
		require.NoError(t, err)
		require.Equal(t, "Normal SuccessfulCreate 3", happened(t, ctx, q, "a"))
		_, err = q.Scale(ctx, "a", 2)
		require.NoError(t, err)
		require.Equal(t, "Normal SuccessfulCreate 3, Normal SuccessfulDelete 1", happened(t, ctx, q, "a"))
		for range 2 {
			_, err = q.Suspend(ctx, "a")
			require.NoError(t, err)
			_, err = q.Resume(ctx, "a")
			require.NoError(t, err)
		}
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			if task.Args.N > 0 {
				return errors.New("always")
			}
			return nil
		})
		_, err = q.Wait(ctx, "a")
		require.NoError(t, err)
		got := strings.Split(happened(t, ctx, q, "a"), ", ")
		require.Equal(t, "Normal Completed 1", got[len(got)-1])
		require.ElementsMatch(t, []string{
			"Normal SuccessfulCreate 10", "Normal SuccessfulDelete 5", "Normal Suspended 2", "Normal Resumed 2", "Normal Completed 1",
		}, got, "3, then 2 twice, then 3")

		_, err = q.Submit(ctx, work{1}, stint.JobSpec{Name: "b", BackoffLimit: new(0)})
		require.NoError(t, err)
		_, err = q.Wait(ctx, "b")
		require.NoError(t, err)
		require.Equal(t, "Normal SuccessfulCreate 1, Warning BackoffLimitExceeded 1", happened(t, ctx, q, "b"))

		plain, err := q.Submit(ctx, work{}, stint.JobSpec{})
		require.NoError(t, err)
		_, err = q.Wait(ctx, plain.Name)
		require.NoError(t, err)
		require.Equal(t, "Normal SuccessfulCreate 1, Normal Completed 1", happened(t, ctx, q, plain.Name))
		plain, err = q.Submit(ctx, work{1}, stint.JobSpec{BackoffLimit: new(0)})
		require.NoError(t, err)
		_, err = q.Wait(ctx, plain.Name)
		require.NoError(t, err)
		require.Equal(t, "Normal SuccessfulCreate 1, Warning BackoffLimitExceeded 1", happened(t, ctx, q, plain.Name))

		_, err = q.Events(ctx, "none")
		require.ErrorIs(t, err, stint.ErrNotFound)
	})
}

func TestWatchBySelector(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		for name, env := range map[string]string{"a": "test", "b": "prod", "c": "test"} {
			_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: name, Labels: map[string]string{"env": env}})
			require.NoError(t, err)
		}
		_, err := q.Update(ctx, "c", func(s *stint.JobSpec) { s.Labels = map[string]string{"env": "new"} })
		require.NoError(t, err)
		for _, name := range []string{"a", "b", "c"} {
			require.NoError(t, q.Delete(ctx, name))
		}
		seen := func(o stint.WatchOptions, n int) (out []string) {
			o.From = "0"
			for e, err := range q.Watch(ctx, o) {
				require.NoError(t, err)
				out = append(out, string(e.Type)+" "+e.Name+" "+e.Labels["env"])
				if len(out) == n {
					break
				}
			}
			return out
		}
		require.ElementsMatch(t, []string{"Submitted a test", "Submitted c test", "Deleted a test"}, seen(stint.WatchOptions{Selector: "env=test"}, 3))
		require.Equal(t, []string{"Deleted c new"}, seen(stint.WatchOptions{Selector: "env notin (test,prod)", Kind: "work"}, 1))
		for _, err := range q.Watch(ctx, stint.WatchOptions{Selector: "a in"}) {
			require.ErrorContains(t, err, "selector")
		}
	})
}
