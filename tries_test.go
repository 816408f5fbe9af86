package stint_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// shown is all that readers say of a job.
type shown struct {
	Job     *stint.Job
	Errors  []stint.AttemptError
	Groups  []stint.ErrorGroup
	Events  []stint.JobEvent
	Explain stint.Explanation
	Index   stint.IndexInfo
	Map     stint.IndexMap
	Tasks   []stint.TaskInfo
	Listed  []*stint.Job
}

func show(t *testing.T, ctx context.Context, q *stint.Queue, name string) (s shown) {
	t.Helper()
	read := func(err error) { require.NoError(t, err) }
	var err error
	s.Job, err = q.Get(ctx, name)
	read(err)
	forget := func(j *stint.Job) { // what steering changes
		j.Generation, j.Spec.Delay, j.Spec.StartAt = 0, 0, time.Time{}
	}
	forget(s.Job)
	for e, err := range q.Errors(ctx, name) {
		read(err)
		s.Errors = append(s.Errors, e)
	}
	slices.SortFunc(s.Errors, func(a, b stint.AttemptError) int { return a.Attempt - b.Attempt })
	s.Groups, _, err = q.ErrorGroups(ctx, name)
	read(err)
	s.Events, err = q.Events(ctx, name)
	read(err)
	s.Explain, err = q.Explain(ctx, name)
	read(err)
	s.Explain.Reasons = s.Explain.Reasons[:1] // the others depend on what workers say of themselves
	s.Index, err = q.Index(ctx, name, 0)
	read(err)
	s.Map, err = q.IndexMap(ctx, name, 0, 10, 10)
	read(err)
	tasks, err := q.Tasks(ctx, name)
	read(err)
	s.Tasks = append(s.Tasks, tasks...)
	for j, err := range q.List(ctx, stint.ListOptions{Limit: 1}) {
		read(err)
		forget(j)
		j.Status.Ready = 0 // a list does not look who has the tasks
		s.Listed = append(s.Listed, j)
	}
	return s
}

// recordOf gives a job a record, which is a change of nothing.
func recordOf(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient, name string) {
	t.Helper()
	key := "stint:{promises}:job:" + name
	require.Zero(t, rdb.Exists(ctx, key).Val(), "it has a record already")
	_, err := q.Update(ctx, name, func(*stint.JobSpec) {})
	require.NoError(t, err)
	require.EqualValues(t, 1, rdb.Exists(ctx, key).Val())
}

// hasten has a job's next attempt start now.
func hasten(t *testing.T, ctx context.Context, rdb redis.UniversalClient, name string) {
	t.Helper()
	const queue = "stint:{promises}:"
	waits, slot, timer := queue+"job:"+name+":wait", "0", name
	if rdb.Exists(ctx, waits).Val() == 0 {
		waits, slot, timer = queue+"later:work", strings.TrimPrefix(name, "work-"), "late/work"
	}
	require.NoError(t, rdb.ZAdd(ctx, waits, redis.Z{Member: slot}).Err())
	require.NoError(t, rdb.ZAdd(ctx, queue+"timers", redis.Z{Score: 1, Member: timer}).Err())
	require.NoError(t, rdb.XAdd(ctx, &redis.XAddArgs{Stream: queue + "ctl", Values: []any{"t", 1}}).Err())
}

// A plain job that fails has no record as long as nobody steers it: readers
// say the same of it as when it has one, while it waits for its next attempt,
// while that runs, and when it has succeeded.
func TestFailedPlainJobsNeedNoRecord(t *testing.T) {
	t.Parallel()
	const failures = 7
	for name, late := range map[string]bool{"at once": false, "later": true} {
		for _, steered := range []string{"waiting", "running", "succeeded", "never"} {
			t.Run(name+" "+steered, func(t *testing.T) {
				t.Parallel()
				each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
					spec := stint.JobSpec{BackoffLimit: new(failures), Labels: map[string]string{"a": "b"}, TTLAfterFinished: new(time.Hour)}
					if late {
						spec.Delay = time.Millisecond
					}
					job, err := q.Submit(ctx, work{7}, spec)
					require.NoError(t, err)
					begun, end := make(chan struct{}, 1), make(chan error)
					w := stint.NewWorker(q, stint.WorkerConfig{})
					stint.HandleResult(w, func(_ context.Context, task *stint.Task[work]) (int, error) {
						if task.Job != job.Name || task.Attempt > failures+1 {
							return 0, stint.FailJob(fmt.Errorf("%s: attempt %d", task.Job, task.Attempt))
						}
						begun <- struct{}{}
						return task.Args.N, <-end
					})
					startWorker(t, w)
					same := func(when string) {
						t.Helper()
						before := show(t, ctx, q, job.Name)
						if when == steered {
							recordOf(t, ctx, q, rdb, job.Name)
							after := show(t, ctx, q, job.Name)
							require.Equal(t, before, after, when)
						}
					}
					for i := range failures {
						<-begun
						again := time.Millisecond
						if i == failures-1 {
							again = time.Hour
						}
						end <- stint.RetryAfter(again, fmt.Errorf("failure \"%d\" é%s", i+1, strings.Repeat("\x00", 90)))
					}
					require.Eventually(t, func() bool {
						j, err := q.Get(ctx, job.Name)
						return err == nil && j.Status.Failed == failures
					}, within, time.Millisecond)
					same("waiting")
					waiting := show(t, ctx, q, job.Name)
					require.Contains(t, waiting.Job.Status.LastError, `failure "7" é`)
					require.Len(t, waiting.Errors, 5)
					require.Equal(t, stint.IndexRetrying, waiting.Index.State)
					require.Equal(t, failures, waiting.Events[0].Count)
					require.Equal(t, stint.WhyBackoff, waiting.Explain.Reasons[0].Code)
					require.Equal(t, waiting.Explain.Reasons[0].Until, waiting.Job.Status.NextRetryAt)
					hasten(t, ctx, rdb, job.Name)
					<-begun
					same("running")
					running := show(t, ctx, q, job.Name)
					require.Equal(t, failures+1, running.Index.Task.Attempt)
					require.Equal(t, waiting.Errors, running.Errors)
					require.Equal(t, waiting.Job.Status.StartedAt, running.Job.Status.StartedAt)
					end <- nil
					n, err := stint.Await[int](ctx, q, job.Name)
					require.NoError(t, err)
					require.Equal(t, 7, n)
					same("succeeded")
					succeeded := show(t, ctx, q, job.Name)
					require.Equal(t, failures, succeeded.Job.Status.Failed)
					require.Equal(t, 1, succeeded.Job.Status.Succeeded)
					require.Equal(t, waiting.Errors, succeeded.Errors)
					require.Empty(t, lateKeys(t, rdb))
					require.Equal(t, steered != "never", rdb.Exists(ctx, "stint:{promises}:job:"+job.Name).Val() == 1)
				})
			})
		}
	}
}

// The limit of failures is that of a job with a record, which a plain job gets
// with the last one; so does one that is failed by its handler, or given back.
func TestPlainJobsFailForGood(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec   stint.JobSpec
		last   error
		failed int
		reason string
	}{
		"limit":     {stint.JobSpec{BackoffLimit: new(3), Backoff: quick()}, errors.New("no"), 4, "BackoffLimitExceeded"},
		"at once":   {stint.JobSpec{BackoffLimit: new(0)}, errors.New("no"), 1, "BackoffLimitExceeded"},
		"fail job":  {stint.JobSpec{BackoffLimit: new(9), Backoff: quick()}, stint.FailJob(errors.New("no")), 4, "PodFailurePolicy"},
		"long text": {stint.JobSpec{BackoffLimit: new(3), Backoff: quick(), Labels: map[string]string{"a": strings.Repeat("x", 63)}}, errors.New("no"), 4, "BackoffLimitExceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
				job, err := q.Submit(ctx, work{}, c.spec)
				require.NoError(t, err)
				handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
					if task.Attempt >= c.failed {
						return c.last
					}
					return errors.New(strings.Repeat("x", 4000*len(c.spec.Labels)) + "not yet")
				})
				got, err := q.Wait(ctx, job.Name)
				require.NoError(t, err)
				require.Equal(t, stint.PhaseFailed, got.Phase())
				require.Equal(t, c.reason, got.Status.Conditions[0].Reason)
				require.Equal(t, c.failed, got.Status.Failed)
				all := show(t, ctx, q, job.Name)
				require.Len(t, all.Errors, min(5, c.failed))
				require.Equal(t, c.failed, all.Errors[len(all.Errors)-1].Attempt)
				require.Equal(t, c.failed, all.Events[0].Count)
				require.Empty(t, lateKeys(t, rdb))
			})
		})
	}
}

// Whatever becomes of a plain job between its attempts, it is the one job.
func TestPlainJobsAreSteeredBetweenAttempts(t *testing.T) {
	t.Parallel()
	for name, steer := range startsLater {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
				job, err := q.Submit(ctx, work{}, stint.JobSpec{Backoff: &stint.Backoff{Initial: time.Hour, Max: time.Hour}})
				require.NoError(t, err)
				handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return errors.New("no") })
				require.Eventually(t, func() bool { return len(lateKeys(t, rdb)) == 2 }, within, time.Millisecond)
				err = steer(ctx, q, job.Name)
				if name == "explain" { // which is no verb: it wants another reason
					require.EqualError(t, err, string(stint.WhyBackoff))
					return
				}
				require.NoError(t, err)
				got, err := q.Get(ctx, job.Name)
				if errors.Is(err, stint.ErrNotFound) {
					return
				}
				require.NoError(t, err)
				require.Equal(t, 1, got.Status.Failed)
			})
		})
	}
}

// F62: when memory is out, a plain job that fails is told so, and goes on.
func TestF62PlainJobsFailWithoutMemory(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	rdb := s.Client()
	q := audited(t, stint.NewQueue("promises", rdb))
	var names []string
	for i := range 20 {
		job, err := q.Submit(ctx, work{i}, stint.JobSpec{Backoff: quick()})
		require.NoError(t, err)
		names = append(names, job.Name)
	}
	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "1mb").Err())
	_, err := q.Submit(ctx, work{})
	require.ErrorContains(t, err, "OOM")
	handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
		if task.Attempt < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	for _, name := range names {
		require.Eventually(t, func() bool {
			j, err := q.Get(ctx, name)
			return err == nil && j.Finished() && j.Status.Failed == 2
		}, within, time.Millisecond)
	}
	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "0").Err())
}
