//go:build unix

package stint_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// F34, F52, F53, F57: Redis is killed and comes back with its append-only file
// while jobs are submitted and done. What was acknowledged finishes; nothing
// is there twice; neither producers nor workers need help.
func TestF52RestartsUnderLoad(t *testing.T) {
	t.Parallel()
	// With everysec Redis puts off writing, and not answering, while a sync takes
	// long; what is written a process that is killed does not lose.
	s, ctx := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "no"), testCtx(t)
	q := stint.NewQueue("outage", s.Client())
	var done atomic.Int64
	for range 2 {
		handle(t, stint.NewQueue("outage", s.Client()), stint.WorkerConfig{Lease: time.Second},
			func(context.Context, *stint.Task[work]) error { done.Add(1); return nil })
	}
	var acked sync.Map // name -> N
	var submitted, uncertain atomic.Int64
	stop := make(chan struct{})
	var producers sync.WaitGroup
	for p := range 4 {
		own := stint.NewQueue("outage", s.Client())
		producers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				n := 1_000_000*p + i
				spec := stint.JobSpec{}
				switch {
				case i%2 == 1:
					spec.Name = fmt.Sprint("named-", n)
				case i%8 == 0:
					spec.Delay = 50 * time.Millisecond
				}
				job, err := own.Submit(ctx, work{n}, spec)
				if err != nil {
					uncertain.Add(1)
					continue
				}
				acked.Store(job.Name, n)
				submitted.Add(1)
			}
		})
	}
	for range 3 {
		want := submitted.Load() + 100
		require.Eventually(t, func() bool { return submitted.Load() >= want }, within, time.Millisecond)
		s.Kill()
		s.Restart()
	}
	want := done.Load() + 100
	require.Eventually(t, func() bool { return done.Load() >= want }, within, time.Millisecond, "workers do not go on")
	close(stop)
	producers.Wait()
	acked.Range(func(name, _ any) bool {
		got, err := q.Wait(ctx, name.(string))
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		require.Zero(t, got.Status.Failed)
		return true
	})
	stored, times := 0, map[string]int{}
	for job, err := range q.List(ctx, stint.ListOptions{}) {
		require.NoError(t, err)
		stored++
		times[string(job.Args)]++
		require.Equal(t, 1, times[string(job.Args)], "%s was stored twice", job.Args)
	}
	require.LessOrEqual(t, stored, int(submitted.Load()+uncertain.Load()))
	require.GreaterOrEqual(t, stored, int(submitted.Load()))
}

// F57: the scripts are gone at any time.
func TestF57ScriptFlushes(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	rdb := s.Client()
	q := stint.NewQueue("outage", rdb)
	var n atomic.Int64
	handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
		if n.Add(1)%10 == 0 {
			_ = rdb.ScriptFlush(ctx).Err()
		}
		if task.Attempt == 1 && task.Args.N%7 == 0 {
			return errors.New("again")
		}
		return nil
	})
	jobs := make([]stint.NewJob, 200)
	for i := range jobs {
		jobs[i] = stint.NewJob{Args: work{i}, Spec: stint.JobSpec{Backoff: quick()}}
		if i%3 == 0 {
			jobs[i].Spec.Name = fmt.Sprint("named-", i)
		}
	}
	out, err := q.SubmitMany(ctx, jobs)
	require.NoError(t, err)
	for i, o := range out {
		got, err := q.Wait(ctx, o.Job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		require.Equal(t, i%7 == 0, got.Status.Failed == 1)
	}
}

// F39: Redis hangs for longer than a lease, as a machine that swaps. Handlers
// are cancelled before others could take their tasks; when Redis goes on,
// nobody is lost, nothing counts as failed, and all is done.
func TestF39RedisHangs(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	q := stint.NewQueue("outage", s.Client())
	running, causes := make(chan struct{}, 100), make(chan error, 100)
	var resumed atomic.Bool
	for range 2 {
		handle(t, q, stint.WorkerConfig{Lease: time.Second}, func(ctx context.Context, _ *stint.Task[work]) error {
			if resumed.Load() {
				return nil
			}
			running <- struct{}{}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return context.Cause(ctx)
		})
	}
	_, err := q.Submit(ctx, work{}, stint.JobSpec{
		Name: "held", CompletionMode: stint.Indexed, Completions: new(4), Parallelism: new(4), BackoffLimit: new(0),
	})
	require.NoError(t, err)
	plain, err := q.Submit(ctx, work{}, stint.JobSpec{BackoffLimit: new(0)})
	require.NoError(t, err)
	for range 5 {
		<-running
	}
	s.Pause()
	for range 5 {
		require.ErrorIs(t, <-causes, stint.ErrLeaseLost)
	}
	resumed.Store(true)
	s.Continue()
	for _, name := range []string{"held", plain.Name} {
		got, err := q.Wait(ctx, name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase(), "%+v", got.Status)
		require.Zero(t, got.Status.Failed)
	}
}

// fill has Redis take no more: whatever it stores is refused.
func fill(t *testing.T, ctx context.Context, rdb redis.UniversalClient) {
	t.Helper()
	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "1mb").Err())
}

// F62: memory is out while jobs with records run. They are finished, new ones
// are refused, and what makes room goes on: Delete, and the removal of
// finished jobs.
func TestF62FullMemoryDrainsAndRecovers(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	rdb := s.Client()
	q := stint.NewQueue("outage", rdb)
	submit := func(name string, ttl time.Duration) {
		_, err := q.Submit(ctx, work{}, stint.JobSpec{
			Name: name, CompletionMode: stint.Indexed, Completions: new(30), Parallelism: new(3), TTLAfterFinished: new(ttl),
		})
		require.NoError(t, err)
	}
	submit("kept", time.Hour)
	submit("expires", time.Second)
	_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "waits", Delay: time.Hour})
	require.NoError(t, err)
	fill(t, ctx, rdb)
	_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "refused"})
	require.ErrorContains(t, err, "OOM")
	require.NotErrorIs(t, err, stint.ErrUncertain)
	handle(t, q, stint.WorkerConfig{Lease: time.Second}, func(context.Context, *stint.Task[work]) error { return nil })
	got, err := q.Wait(ctx, "kept")
	require.NoError(t, err)
	require.Equal(t, "0-29", got.Status.CompletedIndexes)

	require.Eventually(t, func() bool {
		_, err := q.Get(ctx, "expires")
		return errors.Is(err, stint.ErrNotFound)
	}, within, 10*time.Millisecond, "a finished job is not removed while memory is out")
	require.NoError(t, q.Delete(ctx, "kept"))
	require.NoError(t, q.Delete(ctx, "waits"))
	for _, key := range keysOf(t, rdb) {
		require.NotContains(t, key, ":job:")
	}
	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "0").Err())
	submit("after", time.Hour)
	got, err = q.Wait(ctx, "after")
	require.NoError(t, err)
	require.Equal(t, stint.PhaseComplete, got.Phase())
}
