package stint_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

func TestB037StatusIsNotTheSubmitters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		job, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "new", Suspend: true})
		require.NoError(t, err)
		require.EqualValues(t, 1, job.Generation)
		require.Zero(t, job.Status.Succeeded)
		job, err = q.Scale(ctx, "new", 2)
		require.NoError(t, err)
		require.EqualValues(t, 2, job.Generation)
	})
}

func TestB085EveryAttemptKnowsItsIndex(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		seen := make(chan int, 10)
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			if task.Completions() != 4 {
				return errors.New("it does not know of how many")
			}
			seen <- task.Index
			return nil
		})
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "four", CompletionMode: stint.Indexed, Completions: new(4), Parallelism: new(2)})
		require.NoError(t, err)
		got, err := q.Wait(ctx, "four")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		indexes := []int{<-seen, <-seen, <-seen, <-seen}
		require.ElementsMatch(t, []int{0, 1, 2, 3}, indexes)
	})
}

func TestB174DeletedJobsCannotBeSuspended(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		// More than one call removes: the job is gone for its users at once.
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "large", Completions: new(2000), Parallelism: new(2000)})
		require.NoError(t, err)
		require.NoError(t, q.Delete(ctx, "large"))
		_, err = q.Suspend(ctx, "large")
		require.ErrorIs(t, err, stint.ErrNotFound)
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		require.Eventually(t, func() bool {
			for _, key := range keysOf(t, rdb) {
				if strings.Contains(key, ":job:") {
					return false
				}
			}
			return true
		}, within, 10*time.Millisecond)
	})
}

// The life of a job by the API: create, watch, change, list by label, delete.
func TestB204LifecycleByTheAPI(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		labels := map[string]string{"team": "media"}
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "one", Suspend: true, Labels: labels})
		require.NoError(t, err)
		_, err = q.Update(ctx, "one", func(s *stint.JobSpec) { s.Annotations = map[string]string{"note": "x"} })
		require.NoError(t, err)
		got, err := q.Get(ctx, "one")
		require.NoError(t, err)
		require.Equal(t, "x", got.Spec.Annotations["note"])
		n := 0
		for job, err := range q.List(ctx, stint.ListOptions{Selector: "team=media"}) {
			require.NoError(t, err)
			require.Equal(t, "one", job.Name)
			n++
		}
		require.Equal(t, 1, n)
		_, err = q.Resume(ctx, "one")
		require.NoError(t, err)
		require.NoError(t, q.Delete(ctx, "one"))
		var events []stint.EventType
		for e, err := range q.Watch(ctx, stint.WatchOptions{Name: "one", From: "0"}) {
			require.NoError(t, err)
			events = append(events, e.Type)
			if e.Type == stint.EventDeleted {
				break
			}
		}
		require.Equal(t, []stint.EventType{stint.EventSubmitted, stint.EventSuspended, stint.EventResumed, stint.EventDeleted}, events)
	})
}

func TestB214CronNameFitsItsRuns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: strings.Repeat("n", 53), Schedule: "@hourly", Args: work{}})
		var bad *stint.InvalidError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, "metadata.name", bad.Fields[0].Field)
		_, err = q.ApplyCron(ctx, stint.CronJob{Name: strings.Repeat("n", 52), Schedule: "@hourly", Args: work{}})
		require.NoError(t, err)
	})
}

func TestB262CronByTheAPI(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		c, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@yearly", Args: work{}, Job: stint.JobSpec{Suspend: true}})
		require.NoError(t, err)
		require.EqualValues(t, 1, c.Generation)
		_, err = q.SuspendCron(ctx, "c")
		require.NoError(t, err)
		c, err = q.ResumeCron(ctx, "c")
		require.NoError(t, err)
		require.EqualValues(t, 3, c.Generation)
		job, err := q.RunCron(ctx, "c")
		require.NoError(t, err)
		require.True(t, job.Spec.Suspend)
		n := 0
		for c, err := range q.ListCron(ctx) {
			require.NoError(t, err)
			require.Equal(t, "c", c.Name)
			n++
		}
		require.Equal(t, 1, n)
		require.NoError(t, q.DeleteCron(ctx, "c"))
		_, err = q.GetCron(ctx, "c")
		require.ErrorIs(t, err, stint.ErrNotFound)
	})
}
