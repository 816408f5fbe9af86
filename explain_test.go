package stint_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// whys explains a job by its codes.
func whys(t *testing.T, ctx context.Context, q *stint.Queue, name string) (codes []stint.Why, first stint.Reason) {
	t.Helper()
	e, err := q.Explain(ctx, name)
	require.NoError(t, err)
	require.Equal(t, name, e.Name)
	require.NotEmpty(t, e.Reasons)
	for _, r := range e.Reasons {
		require.NotEmpty(t, r.Message)
		require.NotContains(t, r.Message, "%!")
		codes = append(codes, r.Code)
	}
	return codes, e.Reasons[0]
}

// blocking starts a worker of which each handler says that it runs and waits
// until release is closed.
func blocking(t *testing.T, q *stint.Queue, cfg stint.WorkerConfig) (running chan string, release func(), stop func()) {
	t.Helper()
	running, gate := make(chan string, 100), make(chan struct{})
	cfg.ShutdownTimeout = -1
	stop = handle(t, q, cfg, func(ctx context.Context, task *stint.Task[work]) error {
		running <- task.Job
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	return running, func() { close(gate) }, stop
}

func TestExplainWithoutAWorker(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		_, err := q.Explain(ctx, "none")
		require.ErrorIs(t, err, stint.ErrNotFound)
		specs := map[string]stint.JobSpec{
			"ready":     {},
			"later":     {Delay: time.Hour},
			"suspended": {Suspend: true},
			"paused":    {Parallelism: new(0), Completions: new(1)},
			"limited":   {Parallelism: new(2), Completions: new(5), ActiveDeadline: new(time.Hour)},
			"shared":    {Parallelism: new(3)},
		}
		for name, spec := range specs {
			spec.Name = name
			_, err := q.Submit(ctx, work{}, spec)
			require.NoError(t, err)
		}
		for name, want := range map[string][]stint.Why{
			"ready":     {stint.WhyNoWorker},
			"later":     {stint.WhyNotBefore, stint.WhyNoWorker},
			"suspended": {stint.WhySuspended, stint.WhyNoWorker},
			"paused":    {stint.WhyPaused, stint.WhyNoWorker},
			"limited":   {stint.WhyParallelism, stint.WhyNoWorker, stint.WhyDeadline},
			"shared":    {stint.WhyNoWorker},
		} {
			got, first := whys(t, ctx, q, name)
			require.Equal(t, want, got, name)
			if name == "later" {
				job, err := q.Get(ctx, name)
				require.NoError(t, err)
				require.Equal(t, job.CreatedAt.Add(time.Hour), first.Until)
			}
		}
		_, err = q.Suspend(ctx, "later")
		require.NoError(t, err)
		got, _ := whys(t, ctx, q, "later")
		require.Equal(t, []stint.Why{stint.WhySuspended, stint.WhyNotBefore, stint.WhyNoWorker}, got)
	})
}

func TestExplainFullWorkers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		running, release, _ := blocking(t, q, stint.WorkerConfig{Concurrency: 2, Lease: unhurried})
		first, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "second"})
		require.NoError(t, err)
		<-running
		<-running
		for range 3 {
			_, err = q.Submit(ctx, work{})
			require.NoError(t, err)
		}
		plain, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "last", Completions: new(2), Parallelism: new(2)})
		require.NoError(t, err)
		for _, name := range []string{first.Name, "second"} {
			got, _ := whys(t, ctx, q, name)
			require.Equal(t, []stint.Why{stint.WhyRunning}, got)
		}
		// What a worker has of slots it says with its first renewal.
		require.Eventually(t, func() bool {
			e, err := q.Explain(ctx, "last")
			return err == nil && len(e.Reasons) == 1 && e.Reasons[0].Code == stint.WhyWorkerSlot &&
				e.Reasons[0].Message == "2 attempts waiting for a worker, with 4 ahead; 1 worker of the kind, all full: 2 of 2 slots taken."
		}, within, time.Millisecond)
		_, why := whys(t, ctx, q, plain.Name)
		require.Equal(t, stint.WhyWorkerSlot, why.Code)
		require.Contains(t, why.Message, "1 attempt waiting for a worker, with 3 ahead;")
		release()
		_, err = q.Wait(ctx, "last")
		require.NoError(t, err)
		got, why := whys(t, ctx, q, "last")
		require.Equal(t, []stint.Why{stint.WhyFinished}, got)
		require.Equal(t, "It is Complete: Reached expected number of succeeded pods.", why.Message)
		got, _ = whys(t, ctx, q, plain.Name)
		require.Equal(t, []stint.Why{stint.WhyFinished}, got)
	})
}

// More than is counted in one go are ahead.
func TestExplainFarBehind(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		running, release, _ := blocking(t, q, stint.WorkerConfig{Concurrency: 1})
		_, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		<-running
		jobs := slices.Repeat([]stint.NewJob{{Args: work{}}}, 120)
		submit := func(name string) stint.Reason {
			_, err := q.SubmitMany(ctx, jobs)
			require.NoError(t, err)
			_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: name})
			require.NoError(t, err)
			_, why := whys(t, ctx, q, name)
			require.Equal(t, stint.WhyWorkerSlot, why.Code)
			return why
		}
		require.Contains(t, submit("behind").Message, "with 120 ahead; 1 worker of the kind, not all full")
		jobs = slices.Repeat(jobs, 4)
		require.Contains(t, submit("far-behind").Message, "with at least 500 ahead")
		release()
	})
}

// A worker of other kinds does not count.
func TestExplainAnotherKind(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		running, release, _ := blocking(t, q, stint.WorkerConfig{Lease: unhurried})
		_, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		<-running
		job, err := q.SubmitRaw(ctx, stint.Submission{Kind: "other", Args: []byte("{}")})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			e, err := q.Explain(ctx, job.Name)
			return err == nil && e.Reasons[0].Message == `No live worker takes kind "other": the queue has 1 live worker.`
		}, within, time.Millisecond)
		got, _ := whys(t, ctx, q, job.Name)
		require.Equal(t, []stint.Why{stint.WhyNoWorker}, got)
		release()
	})
}

func TestExplainFate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		gate := make(chan struct{})
		running := make(chan int, 10)
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			running <- task.Index
			<-gate // whatever it is told
			return nil
		})
		spec := stint.JobSpec{Name: "stubborn", CompletionMode: stint.Indexed, Completions: new(3), Parallelism: new(2), ReplacementPolicy: stint.Failed}
		_, err := q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		<-running
		<-running
		require.NoError(t, q.Evict(ctx, "stubborn", 0))
		got, _ := whys(t, ctx, q, "stubborn")
		require.Equal(t, []stint.Why{stint.WhyTerminating, stint.WhyRunning}, got)
		_, err = q.Suspend(ctx, "stubborn")
		require.NoError(t, err)
		got, why := whys(t, ctx, q, "stubborn")
		require.Equal(t, []stint.Why{stint.WhySuspended}, got)
		require.Contains(t, why.Message, "2 attempts told to stop")
		_, err = q.Resume(ctx, "stubborn")
		require.NoError(t, err)
		_, err = q.Update(ctx, "stubborn", func(s *stint.JobSpec) { s.ActiveDeadline = new(time.Millisecond) })
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			e, err := q.Explain(ctx, "stubborn")
			return err == nil && e.Reasons[0].Code == stint.WhyFateDecided
		}, within, time.Millisecond)
		_, why = whys(t, ctx, q, "stubborn")
		require.Equal(t, "Its fate is decided, by DeadlineExceeded, and the end of 2 attempts is awaited.", why.Message)
		close(gate)
		_, err = q.Wait(ctx, "stubborn")
		require.NoError(t, err)
		_, why = whys(t, ctx, q, "stubborn")
		require.Equal(t, "It is Failed: Job was active longer than specified deadline.", why.Message)
	})
}

func TestExplainBackoff(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		for _, scope := range []stint.BackoffScope{"", stint.ScopeJob} {
			for _, perIndex := range []*int{nil, new(6)} {
				name := "each" + string(scope)
				if perIndex != nil {
					name += "-index"
				}
				explainBackoff(t, ctx, q, stint.JobSpec{
					Name: strings.ToLower(name), CompletionMode: stint.Indexed, Completions: new(4), Parallelism: new(4), BackoffLimitPerIndex: perIndex,
					Backoff: &stint.Backoff{Initial: time.Hour, Max: time.Hour, Scope: scope},
				})
			}
		}
	})
}

func explainBackoff(t *testing.T, ctx context.Context, q *stint.Queue, spec stint.JobSpec) {
	t.Helper()
	stop := handle(t, q, stint.WorkerConfig{ShutdownTimeout: -1}, func(ctx context.Context, task *stint.Task[work]) error {
		if task.Index < 2 {
			return errors.New("not yet")
		}
		<-ctx.Done()
		return context.Cause(ctx)
	})
	defer stop()
	begin := time.Now()
	_, err := q.Submit(ctx, work{}, spec)
	require.NoError(t, err)
	var e stint.Explanation
	require.Eventually(t, func() bool {
		var codes []stint.Why
		e, err = q.Explain(ctx, spec.Name)
		for _, r := range e.Reasons {
			codes = append(codes, r.Code)
		}
		job, _ := q.Get(ctx, spec.Name)
		return err == nil && job.Status.Active == 2 && slices.Equal(codes, []stint.Why{stint.WhyBackoff, stint.WhyRunning})
	}, within, time.Millisecond, spec.Name)
	require.WithinDuration(t, begin.Add(time.Hour), e.Reasons[0].Until, within, spec.Name)
}
