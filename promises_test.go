package stint_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// work is the kind of the tests' jobs.
type work struct {
	N int `json:"n"`
}

func (work) Kind() string { return "work" }

// within is how long anything in these tests may take.
const within = 2 * time.Minute

// unhurried is a lease of workers that are to renew soon, and to keep what they have where the machine is busy.
const unhurried = 4 * time.Second

// quick is a backoff for tests.
func quick() *stint.Backoff {
	return &stint.Backoff{Initial: time.Millisecond, Max: 5 * time.Millisecond}
}

func testCtx(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	t.Cleanup(cancel)
	return ctx
}

// startWorker runs a worker until the test ends, or stop is called; stop waits.
func startWorker(t *testing.T, w *stint.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

// handle starts a worker of q with one handler for work. The queue is audited
// at the end of the test.
func handle(t *testing.T, q *stint.Queue, cfg stint.WorkerConfig, h func(context.Context, *stint.Task[work]) error) (stop func()) {
	t.Helper()
	w := stint.NewWorker(audited(t, q), cfg)
	stint.Handle(w, h)
	return startWorker(t, w)
}

// each runs a promise's test on every store, and audits what it leaves.
func each(t *testing.T, test func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient)) {
	t.Helper()
	eachUnaudited(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		test(t, ctx, audited(t, q), rdb)
	})
}

// eachUnaudited is for tests that damage what is stored.
func eachUnaudited(t *testing.T, test func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient)) {
	t.Helper()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		test(t, testCtx(t), stint.NewQueue("promises", rdb), rdb)
	})
}

func TestP1RunsToCompletion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		var n atomic.Int64
		h := func(_ context.Context, task *stint.Task[work]) error {
			switch n.Add(1) % 5 {
			case 0:
				return errors.New("now and then")
			case 1:
				panic("now and then")
			case 2:
				return stint.Snooze(time.Millisecond)
			}
			return nil
		}
		spec := stint.JobSpec{
			CompletionMode: stint.Indexed, Completions: new(60), Parallelism: new(9), BackoffLimit: new(10_000), Backoff: quick(),
		}
		job, err := q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		plain, err := q.Submit(ctx, work{}, stint.JobSpec{BackoffLimit: new(1000), Backoff: quick()})
		require.NoError(t, err)
		stop := handle(t, q, stint.WorkerConfig{ShutdownTimeout: -1}, h)
		require.NoError(t, rdb.ScriptFlush(ctx).Err())
		stop() // a worker goes in the midst of it, and others come
		handle(t, q, stint.WorkerConfig{}, h)
		handle(t, stint.NewQueue("promises", rdb), stint.WorkerConfig{}, h)
		got, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		require.Equal(t, "0-59", got.Status.CompletedIndexes)
		got, err = q.Wait(ctx, plain.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
	})
}

func TestP2B192CountedOnce(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	q, ctx := stint.NewQueue("promises", p.Client()), testCtx(t)
	var runs atomic.Int64
	handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error {
		if runs.Add(1)%10 == 0 {
			p.DropReplies(1, "evalsha") // the settle, or the next claim, is sent twice
		}
		return nil
	})
	direct := stint.NewQueue("promises", s.Client())
	job, err := direct.Submit(ctx, work{}, stint.JobSpec{CompletionMode: stint.Indexed, Completions: new(100), Parallelism: new(5)})
	require.NoError(t, err)
	got, err := direct.Wait(ctx, job.Name)
	require.NoError(t, err)
	require.Equal(t, stint.PhaseComplete, got.Phase())
	require.Equal(t, 100, got.Status.Succeeded)
	require.Zero(t, got.Status.Failed)
	require.NotZero(t, p.Lost(), "no reply was lost: the test tests nothing")
	require.EqualValues(t, 100, runs.Load(), "a repeated claim hands over the same tasks, and none twice")
}

func TestP3NeverMoreThanParallelism(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		var active, most atomic.Int64
		h := func(context.Context, *stint.Task[work]) error {
			most.Store(max(most.Load(), active.Add(1)))
			defer active.Add(-1)
			if time.Now().UnixNano()%3 == 0 {
				return errors.New("again")
			}
			return nil
		}
		for range 3 {
			handle(t, stint.NewQueue("promises", rdb), stint.WorkerConfig{}, h)
		}
		job, err := q.Submit(ctx, work{}, stint.JobSpec{
			CompletionMode: stint.Indexed, Completions: new(200), Parallelism: new(4), BackoffLimit: new(10_000), Backoff: quick(),
		})
		require.NoError(t, err)
		_, err = q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.LessOrEqual(t, most.Load(), int64(4))
	})
}

func TestP4FinishedIsFinal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		running := make(chan struct{}, 2)
		var after atomic.Int64
		finished := make(chan struct{})
		handle(t, q, stint.WorkerConfig{}, func(ctx context.Context, task *stint.Task[work]) error {
			running <- struct{}{}
			if task.Index == 0 {
				<-running
				<-running
				return stint.FailJob(errors.New("no use"))
			}
			<-ctx.Done()
			select {
			case <-finished:
				after.Add(1)
			default:
			}
			return context.Cause(ctx)
		})
		job, err := q.Submit(ctx, work{}, stint.JobSpec{CompletionMode: stint.Indexed, Completions: new(5), Parallelism: new(2)})
		require.NoError(t, err)
		failed, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		close(finished)
		require.Equal(t, stint.PhaseFailed, failed.Phase())
		require.Zero(t, failed.Status.Active+failed.Status.Terminating)
		require.Zero(t, after.Load(), "a handler still ran when the job had failed")

		_, err = q.Suspend(ctx, job.Name)
		require.NoError(t, err)
		_, err = q.Scale(ctx, job.Name, 5)
		require.NoError(t, err)
		again, err := q.Get(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, failed.Status, again.Status)
	})
}

func TestP5LeaseLostCancelsHandlers(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	ctx := testCtx(t)
	direct := stint.NewQueue("promises", s.Client())
	cut := stint.NewQueue("promises", p.Client())
	running, cause := make(chan struct{}, 100), make(chan error, 100) // more than one where this process is kept waiting
	w := stint.NewWorker(cut, stint.WorkerConfig{Lease: time.Second, ShutdownTimeout: -1})
	stint.Handle(w, func(ctx context.Context, _ *stint.Task[work]) error {
		running <- struct{}{}
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil // too late: it must not count
	})
	startWorker(t, w)
	job, err := direct.Submit(ctx, work{}, stint.JobSpec{Name: "cut"})
	require.NoError(t, err)
	<-running
	p.Hold(redistest.Requests)
	t.Cleanup(p.Release)
	require.ErrorIs(t, <-cause, stint.ErrLeaseLost)

	var attempts atomic.Int64
	handle(t, direct, stint.WorkerConfig{Lease: time.Second}, func(_ context.Context, task *stint.Task[work]) error {
		attempts.Store(int64(task.Attempt))
		return nil
	})
	got, err := direct.Wait(ctx, job.Name)
	require.NoError(t, err)
	require.Equal(t, stint.PhaseComplete, got.Phase())
	require.GreaterOrEqual(t, attempts.Load(), int64(2))
	require.Zero(t, got.Status.Failed, "a lost attempt is no failure")
	for e, err := range direct.Errors(ctx, job.Name) {
		require.NoError(t, err)
		require.Equal(t, "Lost", e.Outcome)
	}
}

func TestP8BoundedWorkAndDeclaredKeys(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	rdb, ctx := s.Client(), testCtx(t)
	q := stint.NewQueue("promises", rdb)
	before := commands(t, rdb)
	_, err := q.Submit(ctx, work{}, stint.JobSpec{
		Name: "million", CompletionMode: stint.Indexed, Completions: new(1_000_000), Parallelism: new(100_000),
	})
	require.NoError(t, err)
	require.Less(t, commands(t, rdb)-before, 600, "one call starts no more than 500 tasks")
	used, err := rdb.MemoryUsage(ctx, "stint:{promises}:job:million").Result()
	require.NoError(t, err)
	require.Less(t, used, int64(4096))
	for _, key := range keysOf(t, rdb) {
		require.True(t, strings.HasPrefix(key, "stint:{promises}:"), key)
	}
}

// commands counts what the server has done, scripts' calls included.
func commands(t *testing.T, rdb redis.UniversalClient) int {
	t.Helper()
	info, err := rdb.Info(context.Background(), "stats").Result()
	require.NoError(t, err)
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "total_commands_processed:"); ok {
			n, err := strconv.Atoi(v)
			require.NoError(t, err)
			return n
		}
	}
	t.Fatal("no count of commands")
	return 0
}

func keysOf(t *testing.T, rdb redis.UniversalClient) []string {
	t.Helper()
	keys, err := rdb.Keys(context.Background(), "*").Result()
	require.NoError(t, err)
	return keys
}

func TestP10CallsMayBeRepeated(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	ctx, q := testCtx(t), stint.NewQueue("promises", p.Client())
	_, err := q.Submit(ctx, work{}) // loads the scripts
	require.NoError(t, err)
	twice := func(what string, call func() error) {
		p.DropReplies(1, "evalsha")
		require.NoError(t, call(), what)
	}
	for i := range 20 {
		twice("submit", func() error { _, err := q.Submit(ctx, work{i}); return err })
	}
	twice("submit by name", func() error { _, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "named"}); return err })
	twice("submit many", func() error {
		_, err := q.SubmitMany(ctx, []stint.NewJob{{Args: work{}}, {Args: work{}, Spec: stint.JobSpec{Name: "of-many"}}})
		return err
	})
	twice("suspend", func() error { _, err := q.Suspend(ctx, "named"); return err })
	twice("cron", func() error {
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@daily", Args: work{}})
		return err
	})
	require.GreaterOrEqual(t, p.Lost(), 23)
	for _, name := range []string{"other", "evicted"} {
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: name})
		require.NoError(t, err)
	}
	require.ErrorIs(t, q.Evict(ctx, "other", 1), stint.ErrNotFound)
	require.NoError(t, q.Evict(ctx, "other", 0)) // loads the script
	lost := p.Lost()
	twice("evict", func() error { return q.Evict(ctx, "evicted", 0) })
	evicted, err := q.Get(ctx, "evicted")
	require.NoError(t, err)
	require.Equal(t, 1, evicted.Status.Failed)
	require.Greater(t, p.Lost(), lost)
	require.NoError(t, q.Delete(ctx, "evicted"))
	require.NoError(t, q.Delete(ctx, "other"))

	n := 0
	for _, err := range q.List(ctx, stint.ListOptions{}) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 1+20+1+2, n, "each was stored once")
	named, err := q.Get(ctx, "named")
	require.NoError(t, err)
	require.EqualValues(t, 2, named.Generation)
}

func TestP11BadInputIsRefusedWhole(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		_, err := q.Submit(ctx, work{}, stint.JobSpec{
			Name: "Not A Name", Completions: new(-1), BackoffLimit: new(-1), Labels: map[string]string{"a b": "c"},
		})
		var bad *stint.InvalidError
		require.ErrorAs(t, err, &bad)
		fields := fmt.Sprint(bad)
		for _, f := range []string{"metadata.name", "spec.completions", "spec.backoffLimit", "metadata.labels"} {
			require.Contains(t, fields, f)
		}
		_, err = q.SubmitMany(ctx, []stint.NewJob{{Args: work{}}, {Args: work{}, Spec: stint.JobSpec{Parallelism: new(-1)}}})
		require.ErrorAs(t, err, &bad)
		_, err = q.ApplyCron(ctx, stint.CronJob{Name: "x", Schedule: "TZ=UTC", Args: work{}})
		require.ErrorAs(t, err, &bad)
		_, err = stint.NewQueue("{x}", rdb).Submit(ctx, work{})
		require.ErrorAs(t, err, &bad)
		require.Empty(t, keysOf(t, rdb))
	})
}

func TestP12LevelTriggered(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		job, err := q.Submit(ctx, work{}, stint.JobSpec{
			CompletionMode: stint.Indexed, Completions: new(1200), Parallelism: new(1200), Backoff: quick(), BackoffLimit: new(100),
		})
		require.NoError(t, err)
		// Everything that only tells of work is taken away.
		require.NoError(t, rdb.Del(ctx, "stint:{promises}:bell:work", "stint:{promises}:ctl", "stint:{promises}:events").Err())
		var n atomic.Int64
		handle(t, q, stint.WorkerConfig{Concurrency: 200}, func(context.Context, *stint.Task[work]) error {
			if n.Add(1)%100 == 0 {
				_ = rdb.Del(ctx, "stint:{promises}:bell:work", "stint:{promises}:ctl").Err()
				if n.Load()%200 == 0 {
					return errors.New("again")
				}
			}
			return nil
		})
		got, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, "0-1199", got.Status.CompletedIndexes)
	})
}
