package stint_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// The map of a job counts each of its indexes once, whatever the tiles.
func TestIndexMap(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		hold := make(chan struct{})
		handle(t, q, stint.WorkerConfig{Concurrency: 8, ShutdownTimeout: -1, CancelTimeout: time.Millisecond}, func(ctx context.Context, task *stint.Task[work]) error {
			switch {
			case task.Index == 41:
				return stint.FailIndex(errors.New("never"))
			case task.Index == 42:
				return stint.RetryAfter(time.Hour, errors.New("later"))
			case task.Index >= 90:
				select {
				case <-hold:
				case <-ctx.Done():
				}
				return context.Cause(ctx)
			}
			return nil
		})
		_, err := q.Submit(ctx, work{}, stint.JobSpec{
			Name: "mapped", CompletionMode: stint.Indexed, Completions: new(1000), Parallelism: new(4), BackoffLimitPerIndex: new(3),
		})
		require.NoError(t, err)
		want := stint.IndexTile{From: 0, To: 999, Succeeded: 88, Failed: 1, Active: 4, Retrying: 1}
		require.Eventually(t, func() bool {
			m, err := q.IndexMap(ctx, "mapped", 0, 5000, 1)
			return err == nil && len(m.Tiles) == 1 && m.Tiles[0] == want
		}, within, 10*time.Millisecond)
		for _, tiles := range []int{1, 3, 7, 999, 1000, 4096} {
			m, err := q.IndexMap(ctx, "mapped", 0, 999, tiles)
			require.NoError(t, err)
			require.LessOrEqual(t, len(m.Tiles), tiles)
			require.False(t, m.Partial)
			sum, next := stint.IndexTile{To: 999}, 0
			for _, one := range m.Tiles {
				require.Equal(t, next, one.From)
				next = one.To + 1
				sum.Succeeded += one.Succeeded
				sum.Failed += one.Failed
				sum.Active += one.Active
				sum.Retrying += one.Retrying
			}
			require.Equal(t, 1000, next)
			require.Equal(t, want, sum)
		}
		m, err := q.IndexMap(ctx, "mapped", 41, 43, 3)
		require.NoError(t, err)
		require.Equal(t, []stint.IndexTile{{From: 41, To: 41, Failed: 1}, {From: 42, To: 42, Retrying: 1}, {From: 43, To: 43, Succeeded: 1}}, m.Tiles)
		m, err = q.IndexMap(ctx, "mapped", 2000, 3000, 10)
		require.NoError(t, err)
		require.Empty(t, m.Tiles)
		close(hold)
	})
}

func TestIndexMapOfPlainJob(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		job, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		m, err := q.IndexMap(ctx, job.Name, 0, 100, 10)
		require.NoError(t, err)
		require.Equal(t, []stint.IndexTile{{Active: 1}}, m.Tiles)
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		_, err = q.Wait(ctx, job.Name)
		require.NoError(t, err)
		m, err = q.IndexMap(ctx, job.Name, 0, 100, 10)
		require.NoError(t, err)
		require.Equal(t, []stint.IndexTile{{Succeeded: 1}}, m.Tiles)

		_, err = q.IndexMap(ctx, "nobody", 0, 100, 10)
		require.ErrorIs(t, err, stint.ErrNotFound)
		var bad *stint.InvalidError
		_, err = q.IndexMap(ctx, job.Name, -1, stint.MaxMapIndexes, 0)
		require.ErrorAs(t, err, &bad)
		require.Len(t, bad.Fields, 3)
	})
}

// What fails alike is told together; the last error is in the status, and
// lists can be searched for it.
func TestErrorGroups(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			switch {
			case task.Index == 30:
				return stint.FailIndex(stint.Code(7, errors.New("<b>Broken</b>")))
			case task.Index%10 == 0 && task.Attempt == 1:
				return fmt.Errorf("cannot read file %d of 0xdeadbeef: %s", task.Index, strings.Repeat("long ", 100))
			}
			return nil
		})
		job, err := q.Submit(ctx, work{}, stint.JobSpec{
			Name: "failing", CompletionMode: stint.Indexed, Completions: new(40), Parallelism: new(1), BackoffLimitPerIndex: new(3), Backoff: quick(),
		})
		require.NoError(t, err)
		job, err = q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.NotEmpty(t, job.Status.LastError)
		require.LessOrEqual(t, len(job.Status.LastError), 200)

		groups, whole, err := q.ErrorGroups(ctx, "failing")
		require.NoError(t, err)
		require.True(t, whole)
		require.Len(t, groups, 2)
		by := map[int]stint.ErrorGroup{}
		for _, g := range groups {
			by[g.Latest.Code] = g
		}
		require.Equal(t, 3, by[1].Count)
		require.Equal(t, "0,10,20", by[1].Indexes)
		require.Equal(t, "30", by[7].Indexes)
		require.Equal(t, "<b>Broken</b>", by[7].Latest.Message)
		require.False(t, by[1].FirstAt.After(by[1].LastAt))
		require.Len(t, by[1].Workers, 1)

		for text, want := range map[string]int{"READ FILE": 0, "broken": 0, "FailedIndexes": 1, "no such": 0, "": 1} {
			n, err := q.Count(ctx, stint.ListOptions{Error: text})
			require.NoError(t, err)
			if strings.Contains(strings.ToLower(job.Status.LastError), strings.ToLower(text)) {
				want = 1
			}
			require.Equal(t, want, n, text)
		}
		for part, want := range map[string]int{"AIL": 1, "fail": 1, "x": 0} {
			n, err := q.Count(ctx, stint.ListOptions{Name: part})
			require.NoError(t, err)
			require.Equal(t, want, n, part)
		}
		n, err := q.Count(ctx, stint.ListOptions{Where: func(j *stint.Job) bool { return j.Name != "failing" }})
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = q.Retry(ctx, "failing", "")
		require.NoError(t, err)
		_, err = q.Wait(ctx, "failing")
		require.NoError(t, err)
		_, _, err = q.ErrorGroups(ctx, "nobody")
		require.ErrorIs(t, err, stint.ErrNotFound)
	})
}

func TestPace(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			if task.Index == 3 && task.Attempt < 3 {
				return errors.New("at first")
			}
			return nil
		})
		for name, n := range map[string]int{"paced": 50, "small": 15} {
			_, err := q.Submit(ctx, work{}, stint.JobSpec{
				Name: name, CompletionMode: stint.Indexed, Completions: new(n), Parallelism: new(5), Backoff: quick(),
			})
			require.NoError(t, err)
			_, err = q.Wait(ctx, name)
			require.NoError(t, err)
		}
		all, err := q.Pace(ctx, "paced")
		require.NoError(t, err)
		good, bad := 0, 0
		for i, p := range all {
			require.Positive(t, p.For)
			require.True(t, i == 0 || !p.At.Before(all[i-1].At.Add(all[i-1].For)))
			good += p.Succeeded
			bad += p.Failed
		}
		require.Equal(t, 50, good)
		require.Equal(t, 2, bad)
		all, err = q.Pace(ctx, "small")
		require.NoError(t, err)
		require.Empty(t, all, "not worth it")
		_, err = q.Pace(ctx, "nobody")
		require.ErrorIs(t, err, stint.ErrNotFound)
	})
}

func TestHeldAndRecentEvents(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		none, err := q.Held(ctx, "")
		require.NoError(t, err)
		require.Empty(t, none)
		hold := make(chan struct{})
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { <-hold; return nil })
		defer close(hold)
		plain, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "wide", CompletionMode: stint.Indexed, Completions: new(3), Parallelism: new(3)})
		require.NoError(t, err)
		_, err = q.Submit(ctx, other{}, stint.JobSpec{Name: "waits"})
		require.NoError(t, err)
		var held []stint.HeldTask
		require.Eventually(t, func() bool {
			held, err = q.Held(ctx, "")
			return err == nil && len(held) == 4
		}, within, 10*time.Millisecond)
		jobs := map[string]int{}
		for _, h := range held {
			jobs[h.Job]++
			require.Equal(t, "work", h.Kind)
			require.Equal(t, 1, h.Attempt)
			require.WithinDuration(t, time.Now(), h.ReadyAt, time.Hour)
		}
		require.Equal(t, map[string]int{plain.Name: 1, "wide": 3}, jobs)
		same, err := q.Held(ctx, held[0].Worker)
		require.NoError(t, err)
		require.Len(t, same, 4)
		none, err = q.Held(ctx, "nobody")
		require.NoError(t, err)
		require.Empty(t, none)

		events, err := q.RecentEvents(ctx, 1)
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Equal(t, stint.EventSubmitted, events[0].Type)
		require.Equal(t, "waits", events[0].Name)
		var bad *stint.InvalidError
		_, err = q.RecentEvents(ctx, 501)
		require.ErrorAs(t, err, &bad)
	})
}

func TestUpcoming(t *testing.T) {
	t.Parallel()
	after := time.Date(2026, 11, 1, 5, 0, 30, 0, time.UTC)
	c := stint.CronJob{Schedule: "30 1 * * *", TimeZone: "America/New_York"}
	got, err := c.Upcoming(after, 3)
	require.NoError(t, err)
	var texts []string
	for _, at := range got {
		texts = append(texts, at.Format(time.RFC3339))
	}
	require.Equal(t, []string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-05:00"}, texts, "the clocks go back")

	c = stint.CronJob{Schedule: "@every 90m", Status: stint.CronJobStatus{LastScheduleTime: after.Add(-10 * time.Minute)}}
	got, err = c.Upcoming(after, 1)
	require.NoError(t, err)
	require.Equal(t, after.Add(80*time.Minute), got[0].UTC(), "it counts from the last run")

	c.Status = stint.CronJobStatus{ScheduledFrom: after.Add(-100 * time.Minute)}
	got, err = c.Upcoming(after, 1)
	require.NoError(t, err)
	require.Equal(t, after.Add(80*time.Minute), got[0].UTC())

	var bad *stint.InvalidError
	_, err = (&stint.CronJob{Schedule: "nonsense", TimeZone: "Mars"}).Upcoming(after, 1001)
	require.ErrorAs(t, err, &bad)
	require.Len(t, bad.Fields, 2)
}

// Newest first and page by page, every job is seen once.
func TestListNewest(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		var want []string
		jobs := make([]stint.NewJob, 40)
		for i := range jobs {
			jobs[i] = stint.NewJob{Args: work{i}}
			if i < 30 {
				jobs[i].Spec.Name = fmt.Sprintf("job-%02d", i)
			}
		}
		out, err := q.SubmitMany(ctx, jobs)
		require.NoError(t, err)
		for _, s := range out {
			want = append(want, s.Job.Name)
		}
		for _, limit := range []int{1, 7, 30, 500} {
			var got []string
			o := stint.ListOptions{Newest: true, Limit: limit}
			for {
				page, next, err := q.ListPage(ctx, o)
				require.NoError(t, err)
				require.LessOrEqual(t, len(page), limit)
				for i, j := range page {
					got = append(got, j.Name)
					require.True(t, i == 0 || !j.CreatedAt.After(page[i-1].CreatedAt))
				}
				if o.Continue = next; next == "" {
					break
				}
			}
			require.ElementsMatch(t, want, got)
		}
		var bad *stint.InvalidError
		_, _, err = q.ListPage(ctx, stint.ListOptions{Limit: 501})
		require.ErrorAs(t, err, &bad)
	})
}
