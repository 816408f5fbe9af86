package stint_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// lateKeys are what is left of plain jobs that start later.
func lateKeys(t *testing.T, rdb redis.UniversalClient) (all []string) {
	t.Helper()
	for _, key := range keysOf(t, rdb) {
		switch key {
		case "stint:{promises}:late:work", "stint:{promises}:later:work":
			all = append(all, key)
		}
	}
	return all
}

// A plain job with a delay or a start has no record, and is found, listed and
// explained wherever it is: while it waits for its start and for a worker,
// while it runs, and when it has finished.
func TestPlainJobThatStartsLater(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]stint.JobSpec{
		"delay": {Delay: time.Second, Labels: map[string]string{"a": "b"}},
		"start": {},
		"past":  {StartAt: time.Unix(5, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
				before, spec := time.Now(), spec
				if name == "start" {
					spec.StartAt = before.Add(3 * time.Second)
				}
				job, err := q.Submit(ctx, work{7}, spec)
				require.NoError(t, err)
				require.Regexp(t, `^work-\d+-\d+$`, job.Name)
				require.Equal(t, job.Name, job.UID)
				got, err := q.Get(ctx, job.Name)
				require.NoError(t, err)
				require.JSONEq(t, `{"n":7}`, string(got.Args))
				require.Equal(t, spec.Labels, got.Spec.Labels)
				require.Equal(t, spec.Delay, got.Spec.Delay)
				require.WithinDuration(t, before, got.CreatedAt, time.Minute)
				if name != "past" {
					require.Zero(t, got.Status.Active)
					require.True(t, got.Status.StartedAt.IsZero())
					require.Equal(t, stint.PhasePending, got.Phase())
					events, err := q.Events(ctx, job.Name)
					require.NoError(t, err)
					require.Empty(t, events)
					require.Len(t, lateKeys(t, rdb), 2)
				}
				require.Zero(t, rdb.Exists(ctx, "stint:{promises}:job:"+job.Name).Val())
				listed := func() (names []string) {
					for j, err := range q.List(ctx, stint.ListOptions{Limit: 1}) {
						require.NoError(t, err)
						names = append(names, j.Name)
					}
					return names
				}
				require.Equal(t, []string{job.Name}, listed())

				begun, end := make(chan struct{}, 1), make(chan struct{})
				w := stint.NewWorker(q, stint.WorkerConfig{})
				stint.HandleResult(w, func(_ context.Context, task *stint.Task[work]) (int, error) {
					if task.Job != job.Name {
						return 0, stint.FailJob(errors.New(task.Job))
					}
					begun <- struct{}{}
					<-end
					return task.Args.N, nil
				})
				startWorker(t, w)
				<-begun
				got, err = q.Get(ctx, job.Name)
				require.NoError(t, err)
				require.Equal(t, 1, got.Status.Active)
				require.Equal(t, 1, got.Status.Ready)
				require.False(t, got.Status.StartedAt.Before(got.CreatedAt.Add(spec.Delay)))
				require.Equal(t, []string{job.Name}, listed())
				tasks, err := q.Tasks(ctx, job.Name)
				require.NoError(t, err)
				require.Equal(t, got.Status.StartedAt, tasks[0].ReadyAt)
				started := got.Status.StartedAt
				close(end)
				n, err := stint.Await[int](ctx, q, job.Name)
				require.NoError(t, err)
				require.Equal(t, 7, n)
				got, err = q.Get(ctx, job.Name)
				require.NoError(t, err)
				require.Equal(t, stint.PhaseComplete, got.Phase())
				require.Equal(t, started, got.Status.StartedAt)
				require.Equal(t, spec.Delay, got.Spec.Delay)
				require.JSONEq(t, `{"n":7}`, string(got.Args))
				require.Equal(t, []string{job.Name}, listed())
				events, err := q.Events(ctx, job.Name)
				require.NoError(t, err)
				require.Len(t, events, 2)
				require.Equal(t, started, events[0].FirstAt)
				require.Empty(t, lateKeys(t, rdb))
			})
		})
	}
}

// startsLater are verbs on a plain job that waits an hour for its start.
var startsLater = map[string]func(ctx context.Context, q *stint.Queue, name string) error{
	"explain": func(ctx context.Context, q *stint.Queue, name string) error {
		why, err := q.Explain(ctx, name)
		if err == nil && why.Reasons[0].Code != stint.WhyNotBefore {
			err = errors.New(string(why.Reasons[0].Code))
		}
		return err
	},
	"suspend and resume": func(ctx context.Context, q *stint.Queue, name string) error {
		_, err := q.Suspend(ctx, name)
		_, err2 := q.Resume(ctx, name)
		return errors.Join(err, err2)
	},
	"update": func(ctx context.Context, q *stint.Queue, name string) error {
		_, err := q.Update(ctx, name, func(s *stint.JobSpec) { s.Labels = map[string]string{"a": "b"} })
		return err
	},
}

// A plain job that waits for its start can be steered: it gets a record, and
// its start and the time of its submission stay. It can be brought forward,
// and deleted.
func TestPlainJobSteeredBeforeItsStart(t *testing.T) {
	t.Parallel()
	for name, verb := range startsLater {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
				job, err := q.Submit(ctx, work{7}, stint.JobSpec{Delay: time.Hour})
				require.NoError(t, err)
				before, err := q.Get(ctx, job.Name)
				require.NoError(t, err)
				require.NoError(t, verb(ctx, q, job.Name))
				got, err := q.Get(ctx, job.Name)
				require.NoError(t, err)
				require.Equal(t, before.CreatedAt, got.CreatedAt)
				require.Equal(t, before.UID, got.UID)
				require.Zero(t, got.Status.Active)
				why, err := q.Explain(ctx, job.Name)
				require.NoError(t, err)
				require.Equal(t, stint.WhyNotBefore, why.Reasons[0].Code)
				require.Equal(t, before.CreatedAt.Add(time.Hour), why.Reasons[0].Until.Local())
				_, err = q.Update(ctx, job.Name, func(s *stint.JobSpec) { s.Delay, s.StartAt = 0, time.Time{} })
				require.NoError(t, err)
				handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
					if task.Args.N != 7 {
						return stint.FailJob(errors.New("other args"))
					}
					return nil
				})
				got, err = q.Wait(ctx, job.Name)
				require.NoError(t, err)
				require.Equal(t, stint.PhaseComplete, got.Phase())
				require.Empty(t, lateKeys(t, rdb))
			})
		})
	}
	t.Run("delete", func(t *testing.T) {
		t.Parallel()
		each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
			for range 3 {
				_, err := q.Submit(ctx, work{}, stint.JobSpec{Delay: time.Hour})
				require.NoError(t, err)
			}
			n := 0
			for o, err := range q.DeleteAll(ctx, stint.ListOptions{}) {
				require.NoError(t, err)
				_, err = q.Get(ctx, o.Job.Name)
				require.ErrorIs(t, err, stint.ErrNotFound)
				n++
			}
			require.Equal(t, 3, n)
			require.Empty(t, lateKeys(t, rdb))
		})
	})
}

// An attempt of a plain job that started later ends in any way, and what was
// kept of the start goes with it.
func TestPlainJobThatStartedLaterEnds(t *testing.T) {
	t.Parallel()
	type handler func(context.Context, *stint.Task[work]) error
	first := func(then error) func() handler {
		return func() handler {
			var n atomic.Int64
			return func(context.Context, *stint.Task[work]) error {
				if n.Add(1) == 1 {
					return then
				}
				return nil
			}
		}
	}
	checkpoint := func() handler {
		return func(ctx context.Context, task *stint.Task[work]) error { return task.SaveCheckpoint(ctx, 1) }
	}
	for name, c := range map[string]struct {
		do     func() handler
		failed int
		phase  stint.Phase
	}{
		"succeeds":   {first(nil), 0, stint.PhaseComplete},
		"fails once": {first(errors.New("once")), 1, stint.PhaseComplete},
		"snoozes":    {first(stint.Snooze(time.Millisecond)), 0, stint.PhaseComplete},
		"fails":      {first(stint.FailJob(errors.New("for good"))), 1, stint.PhaseFailed},
		"checkpoint": {checkpoint, 0, stint.PhaseComplete},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, ttl := range []time.Duration{0, time.Hour} {
				each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
					job, err := q.Submit(ctx, work{}, stint.JobSpec{Delay: 20 * time.Millisecond, Backoff: quick(), TTLAfterFinished: &ttl})
					require.NoError(t, err)
					ended := make(chan *stint.Job, 1)
					go func() {
						j, err := q.Wait(ctx, job.Name)
						assert.NoError(t, err)
						ended <- j
					}()
					require.Eventually(t, func() bool { return rdb.Exists(ctx, "stint:{promises}:waits").Val() == 1 }, within, time.Millisecond)
					handle(t, q, stint.WorkerConfig{}, c.do())
					got := <-ended
					require.NotNil(t, got)
					require.Equal(t, c.phase, got.Phase())
					if ttl > 0 {
						require.Equal(t, c.failed, got.Status.Failed)
						require.WithinDuration(t, got.CreatedAt.Add(20*time.Millisecond), got.Status.StartedAt, time.Minute)
						require.True(t, got.Status.StartedAt.After(got.CreatedAt))
					}
					require.Empty(t, lateKeys(t, rdb))
				})
			}
		})
	}
}

// P10, F39: replies are lost while plain jobs that start later are submitted,
// started, claimed and settled: each is there once and runs once.
func TestP10PlainJobsThatStartLater(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	p := redistest.NewProxy(t, s.Addr())
	q := stint.NewQueue("promises", p.Client())
	const jobs = 60
	var runs [jobs]atomic.Int64
	for range 2 { // and two that keep the timers
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			if runs[task.Args.N].Add(1); task.Args.N%5 == 0 {
				p.DropReplies(1, "evalsha")
			}
			return nil
		})
	}
	var names []string
	for i := range jobs {
		if i%4 == 0 {
			p.DropReplies(1, "evalsha")
		}
		job, err := q.Submit(ctx, work{i}, stint.JobSpec{Delay: time.Duration(1+i%3) * 20 * time.Millisecond})
		require.NoError(t, err)
		names = append(names, job.Name)
	}
	for i, name := range names {
		j, err := q.Wait(ctx, name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, j.Phase())
		require.EqualValues(t, 1, runs[i].Load())
	}
	n, err := q.Count(ctx, stint.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, jobs, n)
	require.NotZero(t, p.Lost(), "no reply was lost: the test tests nothing")
	require.Empty(t, lateKeys(t, s.Client()))
}

// Jobs of one call and one start begin in their order, those of an earlier
// start before; lists show them so, in pages of any size and both ways round.
func TestOrderOfPlainJobsThatStartLater(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		start := time.Now().Add(time.Hour)
		jobs := []stint.NewJob{{Args: work{9}, Spec: stint.JobSpec{StartAt: start.Add(time.Second)}}}
		for i := range 9 {
			jobs = append(jobs, stint.NewJob{Args: work{i}, Spec: stint.JobSpec{StartAt: start, Labels: map[string]string{"odd": strconv.Itoa(i % 2)}}})
		}
		out, err := q.SubmitMany(ctx, jobs)
		require.NoError(t, err)
		_, err = q.SubmitRaw(ctx, stint.Submission{Kind: "other", Args: []byte(`{"n":10}`), Spec: stint.JobSpec{Delay: time.Hour}})
		require.NoError(t, err)
		list := func(o stint.ListOptions) (all []string) {
			for j, err := range q.List(ctx, o) {
				require.NoError(t, err)
				all = append(all, string(j.Args))
			}
			return all
		}
		var want []string
		for i := range 10 {
			want = append(want, fmt.Sprintf(`{"n":%d}`, i))
		}
		for _, limit := range []int{1, 3, 9, 10, 500} {
			o := stint.ListOptions{Kind: "work", Limit: limit}
			require.Equal(t, want, list(o), limit)
			o.Newest = true
			newest := list(o)
			slices.Reverse(newest)
			require.Equal(t, want, newest, limit)
		}
		require.Len(t, list(stint.ListOptions{Limit: 2}), 11)
		require.Equal(t, []string{want[1], want[3], want[5], want[7]}, list(stint.ListOptions{Selector: "odd=1", Phase: stint.PhasePending}))
		require.Empty(t, list(stint.ListOptions{Phase: stint.PhaseRunning}))
		for _, o := range out { // an hour has passed
			_, err := q.Update(ctx, o.Job.Name, func(s *stint.JobSpec) { s.StartAt = time.Now().Add(-time.Second) })
			require.NoError(t, err)
		}
		require.Len(t, list(stint.ListOptions{Phase: stint.PhaseRunning}), 10)
	})
}

// Whatever others have put where plain jobs wait for their start, readers say
// so, and the jobs beside it start.
func TestDamagedLateJobHarmsNoOther(t *testing.T) {
	t.Parallel()
	eachUnaudited(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		const late = "stint:{promises}:late:work"
		harms := []string{
			"", "x", "@", "@x", "@1-1", "7", "7 ", "7 P{}", "-1 P", "0 P", "1 x", "99999999999999999999 P", "3 P{}", "2 P{", " ", "\x00", "2 P\xff",
			`21 P{"completions": "x"}`,
		}
		for _, tries := range []string{"R", "R 1 0 1 1 1:1 x", "R 1 0 1 1 9:1 x", "R 1 0 1 1 1:-1 x", "R -1 0 1 1 1:1 x", "R 1 0 1 1 1,1,1,1,1,1:", "R 1 0 1 1 2:1 {}"} {
			harms = append(harms, fmt.Sprintf("%d %sP{}", len(tries)+3, tries))
		}
		var victims []string
		for range harms {
			job, err := q.Submit(ctx, work{}, stint.JobSpec{Delay: 200 * time.Millisecond})
			require.NoError(t, err)
			victims = append(victims, job.Name)
		}
		good, err := q.Submit(ctx, work{}, stint.JobSpec{Delay: 200 * time.Millisecond})
		require.NoError(t, err)
		for i, harm := range harms {
			require.NoError(t, rdb.HSet(ctx, late, strings.TrimPrefix(victims[i], "work-"), harm).Err())
			readEverything(t, ctx, q, victims[i])
		}
		_, err = q.Get(ctx, victims[1])
		require.ErrorIs(t, err, stint.ErrUnreadable)
		require.ErrorContains(t, err, victims[1])
		handleUnaudited(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		j, err := q.Wait(ctx, good.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, j.Phase())
		for i, name := range victims {
			readEverything(t, ctx, q, name)
			_, err := q.Suspend(ctx, name)
			_ = errors.Join(err, q.Delete(ctx, name), rdb.HDel(ctx, late, strings.TrimPrefix(victims[i], "work-")).Err())
		}
		// A key of another type is an error, and no other kind's.
		require.NoError(t, rdb.Del(ctx, late).Err())
		require.NoError(t, rdb.Set(ctx, late, "x", 0).Err())
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Delay: time.Millisecond})
		require.ErrorIs(t, err, stint.ErrUnreadable)
		_, err = q.SubmitRaw(ctx, stint.Submission{Kind: "other", Args: []byte("{}"), Spec: stint.JobSpec{Delay: time.Hour}})
		require.NoError(t, err)
		plain, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		_, err = q.Wait(ctx, plain.Name)
		require.NoError(t, err)
	})
}

// F62: at maxmemory what waits for its start starts, and goes when it is done.
func TestF62PlainJobsStartWithoutMemory(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	rdb := s.Client()
	q := stint.NewQueue("promises", rdb)
	ttl := time.Duration(0)
	spec := stint.JobSpec{Delay: time.Second, TTLAfterFinished: &ttl}
	for i := range 20 {
		_, err := q.Submit(ctx, work{i}, spec)
		require.NoError(t, err)
	}
	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "1mb").Err())
	_, err := q.Submit(ctx, work{}, spec)
	require.ErrorContains(t, err, "OOM")
	var done atomic.Int64
	handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { done.Add(1); return nil })
	require.Eventually(t, func() bool { return done.Load() == 20 }, within, time.Millisecond)
	require.Eventually(t, func() bool { return len(lateKeys(t, rdb)) == 0 }, within, time.Millisecond)
	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "0").Err())
}
