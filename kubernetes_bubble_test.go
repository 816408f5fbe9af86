package stint_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// What cannot be read is told of, and does not keep others from their times.
func TestB228UnreadableCronJobs(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "bad", Schedule: "* * * * *", Args: work{}})
		require.NoError(t, err)
		_, err = q.ApplyCron(ctx, stint.CronJob{Name: "good", Schedule: "* * * * *", Args: work{}})
		require.NoError(t, err)
		require.NoError(t, rdb.HSet(ctx, "stint:{bubble}:cron", "bad", "1 {").Err())
		var ran atomic.Int64
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { ran.Add(1); return nil })
		run(w.Run)
		time.Sleep(3*time.Minute + time.Second)
		require.EqualValues(t, 3, ran.Load())
		_, err = q.GetCron(ctx, "bad")
		require.ErrorContains(t, err, `cron job "bad"`)
		require.NoError(t, rdb.HDel(ctx, "stint:{bubble}:cron", "bad").Err()) // or the audit finds it
	})
}

// A job of another's has the name that a run would have.
func TestB241NameOfARunIsTaken(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "* * * * *", Args: work{1}})
		require.NoError(t, err)
		next := time.Now().Truncate(time.Minute).Add(time.Minute)
		taken, err := q.Submit(ctx, work{2}, stint.JobSpec{Name: fmt.Sprint("c-", next.Unix()/60), Suspend: true})
		require.NoError(t, err)
		var ran atomic.Int64
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error { ran.Add(int64(task.Args.N)); return nil })
		run(w.Run)
		time.Sleep(2*time.Minute + time.Second)
		got, err := q.Get(ctx, taken.Name)
		require.NoError(t, err)
		require.Equal(t, taken.UID, got.UID)
		require.EqualValues(t, 1, ran.Load(), "the minute after runs, that one does not")
		c, err := q.GetCron(ctx, "c")
		require.NoError(t, err)
		require.Equal(t, "Normal SuccessfulCreate 1, Warning UnexpectedJob 1, Normal SuccessfulCreate 1, Normal SawCompletedJob 1", events(t, c.Status.Events))
	})
}

// Forbid waits until the last attempt of the run before has ended, also when
// its fate is decided.
func TestB250ForbidAwaitsTheLastAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		_, err := q.ApplyCron(ctx, stint.CronJob{
			Name: "c", Schedule: "* * * * *", ConcurrencyPolicy: stint.ForbidConcurrent, Args: work{},
			Job: stint.JobSpec{CompletionMode: stint.Indexed, Completions: new(2), Parallelism: new(2), BackoffLimit: new(0)},
		})
		require.NoError(t, err)
		w := stint.NewWorker(q, stint.WorkerConfig{})
		free := make(chan struct{})
		stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
			if task.Index == 0 {
				return errors.New("it fails")
			}
			<-free // and heeds no cancellation
			return nil
		})
		run(w.Run)
		time.Sleep(3 * time.Minute)
		c, err := q.GetCron(ctx, "c")
		require.NoError(t, err)
		require.Len(t, c.Status.Active, 1)
		first, err := q.Get(ctx, c.Status.Active[0])
		require.NoError(t, err)
		_, decided := first.Condition(stint.JobFailureTarget)
		require.True(t, decided)
		require.False(t, first.Finished())
		close(free)
		time.Sleep(2 * time.Minute)
		c, err = q.GetCron(ctx, "c")
		require.NoError(t, err)
		require.NotEmpty(t, c.Status.Finished)
		require.Contains(t, events(t, c.Status.Events), "Normal JobAlreadyActive")
		require.Greater(t, c.Status.LastScheduleTime.Sub(first.CreatedAt), time.Minute)
	})
}

// A change of the template is for later runs.
func TestB260RunsKeepTheirTemplate(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		apply := func(n int) {
			_, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "* * * * *", Args: work{n}, Job: stint.JobSpec{Suspend: true}})
			require.NoError(t, err)
		}
		apply(1)
		run(stint.NewScheduler(nil, q).Run)
		time.Sleep(time.Minute + time.Second)
		apply(2)
		time.Sleep(time.Minute)
		var args []string
		for job, err := range q.List(ctx, stint.ListOptions{}) {
			require.NoError(t, err)
			args = append(args, string(job.Args))
		}
		require.ElementsMatch(t, []string{`{"n":1}`, `{"n":2}`}, args)
	})
}

// A run goes by its own time to live, within the history limit or not.
func TestB273RunsGoByTheirTimeToLive(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		_, err := q.ApplyCron(ctx, stint.CronJob{
			Name: "c", Schedule: "0 * * * *", Args: work{}, Job: stint.JobSpec{TTLAfterFinished: new(time.Minute)},
		})
		require.NoError(t, err)
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { return nil })
		run(w.Run)
		count := func() (n int) {
			for _, err := range q.List(ctx, stint.ListOptions{}) {
				require.NoError(t, err)
				n++
			}
			return n
		}
		hour := time.Now().Truncate(time.Hour).Add(time.Hour)
		time.Sleep(time.Until(hour.Add(30 * time.Second)))
		require.Equal(t, 1, count())
		time.Sleep(time.Minute)
		require.Zero(t, count())
	})
}

// The runs of a deleted cron job go with it.
func TestB261DeletedWithItsRuns(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, _ redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "* * * * *", Args: work{}, Job: stint.JobSpec{Suspend: true}})
		require.NoError(t, err)
		other, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "other", Suspend: true})
		require.NoError(t, err)
		run(stint.NewScheduler(nil, q).Run)
		time.Sleep(2*time.Minute + time.Second)
		c, err := q.GetCron(ctx, "c")
		require.NoError(t, err)
		require.Len(t, c.Status.Active, 2)
		require.NoError(t, q.DeleteCron(ctx, "c"))
		for job, err := range q.List(ctx, stint.ListOptions{}) {
			require.NoError(t, err)
			require.Equal(t, other.Name, job.Name)
		}
		time.Sleep(2 * time.Minute)
		_, err = q.GetCron(ctx, "c")
		require.ErrorIs(t, err, stint.ErrNotFound)
	})
}
