package stint_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// asks is a spec whose attempts request these.
func asks(name string, requests stint.ResourceList) stint.JobSpec {
	return stint.JobSpec{Name: name, Resources: stint.Resources{Requests: requests}}
}

// No more runs at a time than the worker has room for, of any mix of requests,
// and all of it runs, also what has no requests.
func TestRequestsFit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		sizes := []int64{100, 300, 700, 1000}
		var used, most atomic.Int64
		h := func(_ context.Context, task *stint.Task[work]) error {
			if task.Index == 1 && task.Attempt == 1 {
				panic("room comes back also after a panic")
			}
			size := sizes[task.Args.N]
			if now := used.Add(size); now > most.Load() {
				most.Store(now)
			}
			defer used.Add(-size)
			return nil
		}
		cfg := stint.WorkerConfig{Concurrency: 50, Capacity: stint.ResourceList{"cpu": "1"}}
		handle(t, q, cfg, h)
		names := []string{}
		for n, size := range sizes {
			spec := asks(fmt.Sprint("size-", n), stint.ResourceList{"cpu": stint.Quantity(fmt.Sprint(size, "m"))})
			spec.Completions, spec.Parallelism, spec.CompletionMode, spec.Backoff = new(15), new(15), stint.Indexed, quick()
			_, err := q.Submit(ctx, work{n}, spec)
			require.NoError(t, err)
			names = append(names, spec.Name)
		}
		plain, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		for _, name := range append(names, plain.Name) {
			got, err := q.Wait(ctx, name)
			require.NoError(t, err)
			require.Equal(t, stint.PhaseComplete, got.Phase())
		}
		// The plain job has no requests, and counts 100 here.
		require.LessOrEqual(t, most.Load(), int64(1100))
		require.Empty(t, lanesLeft(ctx, t, rdb), "lanes without unfinished jobs are forgotten")
	})
}

// lanesLeft are the keys of lanes with requests.
func lanesLeft(ctx context.Context, t *testing.T, rdb redis.UniversalClient) []string {
	t.Helper()
	var out []string
	for _, key := range keysOf(t, rdb) {
		if strings.Contains(key, "~") && !strings.HasSuffix(key, ":bell:~") {
			out = append(out, key)
		}
	}
	all, err := rdb.HGetAll(ctx, "stint:{promises}:lanes").Result()
	require.NoError(t, err)
	for lane := range all {
		if lane != "" {
			out = append(out, lane)
		}
	}
	return out
}

// A large task that has waited longer than the small ones gets its room though
// these never end coming.
func TestLargeIsNotStarved(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		var done atomic.Bool
		handle(t, q, stint.WorkerConfig{Concurrency: 20, Capacity: stint.ResourceList{"memory": "1Gi"}}, func(ctx context.Context, task *stint.Task[work]) error {
			if task.Args.N == 1 {
				done.Store(true)
				return nil
			}
			if !done.Load() { // each small one submits its successor before it ends
				_, err := q.Submit(context.WithoutCancel(ctx), work{}, asks("", stint.ResourceList{"memory": "256Mi"}))
				return err
			}
			return nil
		})
		for range 8 {
			_, err := q.Submit(ctx, work{}, asks("", stint.ResourceList{"memory": "256Mi"}))
			require.NoError(t, err)
		}
		_, err := q.Submit(ctx, work{1}, asks("large", stint.ResourceList{"memory": "1Gi"}))
		require.NoError(t, err)
		got, err := q.Wait(ctx, "large")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
	})
}

// What no worker can ever meet is Unschedulable, with the reason, until a
// worker comes that can.
func TestUnschedulable(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		ok := func(context.Context, *stint.Task[work]) error { return nil }
		handle(t, q, stint.WorkerConfig{Lease: unhurried, Capacity: stint.ResourceList{"cpu": "2", "memory": "1Gi"}}, ok)
		spec := asks("large", stint.ResourceList{"cpu": "4", "example.com/gpu": "2"})
		_, err := q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		var why stint.Reason
		require.Eventually(t, func() bool {
			e, err := q.Explain(ctx, "large")
			if err != nil || len(e.Reasons) == 0 {
				return false
			}
			why = e.Reasons[0]
			return why.Code == stint.WhyUnschedulable
		}, within, time.Millisecond)
		require.Equal(t, "1 attempt waiting, and no live worker of the kind is large enough: "+
			"4 requested of cpu, of which the largest worker has 2; 2 requested of example.com/gpu, of which the largest worker has 0.", why.Message)
		info, err := q.Workers(ctx)
		require.NoError(t, err)
		require.Equal(t, stint.ResourceList{"cpu": "2", "memory": "1Gi"}, info[0].Capacity)
		kinds, err := q.Kinds(ctx)
		require.NoError(t, err)
		require.Equal(t, []stint.KindInfo{{Kind: "work", Ready: 1}}, kinds)
		handle(t, stint.NewQueue("promises", rdb), stint.WorkerConfig{Capacity: stint.ResourceList{"example.com/gpu": "2"}}, ok)
		_, err = q.Wait(ctx, "large")
		require.NoError(t, err)
		codes, _ := whys(t, ctx, q, "large")
		require.Equal(t, []stint.Why{stint.WhyFinished}, codes)
	})
}

// Room is charged over all the queues of a worker, and it comes back to
// whichever waits for it.
func TestCapacityIsOfTheWorker(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		other := stint.NewQueue("other", rdb)
		running, gate := make(chan string, 10), make(chan struct{})
		cfg := stint.WorkerConfig{Queues: []*stint.Queue{other}, Lease: unhurried, Capacity: stint.ResourceList{"memory": "1Gi"}}
		handle(t, q, cfg, func(_ context.Context, task *stint.Task[work]) error {
			running <- task.Job
			<-gate
			return nil
		})
		_, err := q.Submit(ctx, work{}, asks("first", stint.ResourceList{"memory": "600Mi"}))
		require.NoError(t, err)
		require.Equal(t, "first", <-running)
		_, err = other.Submit(ctx, work{}, asks("second", stint.ResourceList{"memory": "600Mi"}))
		require.NoError(t, err)
		_, err = other.Submit(ctx, work{}, stint.JobSpec{Name: "third"})
		require.NoError(t, err)
		require.Equal(t, "third", <-running, "what requests nothing is not held back")
		require.Eventually(t, func() bool {
			all, err := q.Workers(ctx)
			return err == nil && len(all) == 1 && all[0].InUse["memory"] == "600Mi"
		}, within, time.Millisecond)
		close(gate)
		require.Equal(t, "second", <-running)
		_, err = other.Wait(ctx, "second")
		require.NoError(t, err)
	})
}

// Every verb finds the tasks of a job with requests.
func TestVerbsWithRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		began, causes := make(chan int, 100), make(chan error, 100)
		fail := atomic.Bool{}
		stop := handle(t, q, stint.WorkerConfig{Capacity: stint.ResourceList{"cpu": "8"}}, func(ctx context.Context, task *stint.Task[work]) error {
			if task.Args.N == 1 {
				if fail.Load() {
					return stint.FailJob(errors.New("no"))
				}
				return nil
			}
			require.NoError(t, task.SaveCheckpoint(ctx, 1))
			began <- task.Index
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return context.Cause(ctx)
		})
		spec := asks("job", stint.ResourceList{"cpu": "2"})
		spec.Completions, spec.Parallelism, spec.CompletionMode, spec.Backoff = new(4), new(4), stint.Indexed, quick()
		_, err := q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		for range 4 {
			<-began
		}
		tasks, err := q.Tasks(ctx, "job")
		require.NoError(t, err)
		require.Len(t, tasks, 4)
		for _, task := range tasks {
			require.NotEmpty(t, task.Worker)
		}
		require.NoError(t, q.Evict(ctx, "job", 2))
		require.ErrorIs(t, <-causes, stint.ErrEvicted)
		require.Equal(t, 2, <-began)
		require.NoError(t, q.Reap(ctx, "job", 1))
		require.ErrorIs(t, <-causes, stint.ErrLeaseLost)
		require.Equal(t, 1, <-began)
		_, err = q.Scale(ctx, "job", 3)
		require.NoError(t, err)
		require.ErrorIs(t, <-causes, stint.ErrScaledDown)
		_, err = q.Suspend(ctx, "job")
		require.NoError(t, err)
		for range 3 {
			require.ErrorIs(t, <-causes, stint.ErrJobSuspended)
		}
		_, err = q.Update(ctx, "job", func(s *stint.JobSpec) { s.Resources.Requests["cpu"] = "3" })
		var invalid *stint.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, "spec.template.spec.containers[0].resources", invalid.Fields[0].Field)
		_, err = q.Resume(ctx, "job")
		require.NoError(t, err)
		for range 3 {
			<-began
		}
		require.NoError(t, q.Delete(ctx, "job"))
		for range 3 {
			require.ErrorIs(t, <-causes, stint.ErrJobDeleted)
		}

		fail.Store(true)
		_, err = q.Submit(ctx, work{1}, asks("again", stint.ResourceList{"cpu": "1"}))
		require.NoError(t, err)
		got, err := q.Wait(ctx, "again")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseFailed, got.Phase())
		fail.Store(false)
		_, err = q.Retry(ctx, "again", "")
		require.NoError(t, err)
		got, err = q.Wait(ctx, "again")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		require.Equal(t, stint.ResourceList{"cpu": "1"}, got.Spec.Resources.Requests)
		stop()
		require.Empty(t, lanesLeft(ctx, t, rdb))
		workers, err := q.Workers(ctx)
		require.NoError(t, err)
		require.Empty(t, workers)
	})
}

// A worker that stops gives back its tasks, and another one takes them.
func TestRequestsAreGivenBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		running, _, stop := blocking(t, q, stint.WorkerConfig{})
		_, err := q.Submit(ctx, work{}, asks("job", stint.ResourceList{"cpu": "1"}))
		require.NoError(t, err)
		<-running
		stop()
		handle(t, stint.NewQueue("promises", rdb), stint.WorkerConfig{Capacity: stint.ResourceList{"cpu": "1"}}, func(context.Context, *stint.Task[work]) error { return nil })
		got, err := q.Wait(ctx, "job")
		require.NoError(t, err)
		require.Zero(t, got.Status.Failed)
	})
}

// The number of different requests is bounded, so that what workers look at is.
func TestTooManyLanes(t *testing.T) {
	t.Parallel()
	ctx, q := testCtx(t), stint.NewQueue("promises", redistest.Shared(t)) // 500 streams are slow in miniredis
	jobs := make([]stint.NewJob, 500)
	for i := range jobs {
		jobs[i] = stint.NewJob{Args: work{}, Spec: asks("", stint.ResourceList{"memory": stint.Quantity(fmt.Sprint(1000 + i))})}
	}
	_, err := q.SubmitMany(ctx, jobs)
	require.NoError(t, err)
	_, err = q.Submit(ctx, work{}, asks("more", stint.ResourceList{"memory": "1"}))
	require.ErrorIs(t, err, stint.ErrTooManyLanes)
	out, err := q.SubmitMany(ctx, []stint.NewJob{
		{Args: work{}}, {Args: work{}, Spec: asks("", stint.ResourceList{"memory": "1"})},
	})
	require.ErrorIs(t, err, stint.ErrTooManyLanes)
	require.ErrorIs(t, out[0].Err, stint.ErrBatchRefused)
	_, err = q.Submit(ctx, work{}, asks("same", stint.ResourceList{"memory": "1k"}))
	require.NoError(t, err, "these are known")
}

func TestResourcesAreChecked(t *testing.T) {
	t.Parallel()
	ctx := testCtx(t)
	q := stint.NewQueue("promises", redistest.Mini(t))
	_, err := q.Submit(ctx, work{}, stint.JobSpec{Resources: stint.Resources{
		Requests: stint.ResourceList{"cpu": "2", "memory": "-1", "gpu": "1", "example.com/gpu": "1", "example.com/half": "500m"},
		Limits:   stint.ResourceList{"cpu": "1500m", "memory": "1Gig", "example.com/gpu": "2"},
	}})
	var invalid *stint.InvalidError
	require.ErrorAs(t, err, &invalid)
	const path = "spec.template.spec.containers[0].resources"
	var got []string
	for _, f := range invalid.Fields {
		got = append(got, f.Field+": "+f.Detail)
	}
	require.Equal(t, []string{
		path + ".limits[memory]: must be a quantity such as 1, 0.5, 500m, 64Mi, 2G or 1e3, at most 9223372036854775807",
		path + ".requests[example.com/half]: must be an integer",
		path + ".requests[gpu]: must be cpu, memory, or a qualified name with a domain, such as example.com/gpu",
		path + ".requests[memory]: must be greater than or equal to 0",
		path + ".requests: must be less than or equal to cpu limit of 1500m",
		path + ".requests: must be equal to example.com/gpu limit of 2",
	}, got)

	spec := asks("ok", nil)
	spec.Resources.Limits = stint.ResourceList{"cpu": "0.5", "memory": "1024Mi"}
	job, err := q.Submit(ctx, work{}, spec)
	require.NoError(t, err)
	require.Equal(t, stint.ResourceList{"cpu": "500m", "memory": "1Gi"}, job.Spec.Resources.Requests, "limits are requested, canonically")
	require.Nil(t, spec.Resources.Requests, "the caller's is left alone")
	back, err := q.Get(ctx, "ok")
	require.NoError(t, err)
	require.Equal(t, job.Spec.Resources, back.Spec.Resources)
	plain, err := q.Submit(ctx, work{}, asks("", stint.ResourceList{"cpu": "0"}))
	require.NoError(t, err)
	require.Equal(t, plain.Name, plain.UID, "what requests nothing is plain")

	err = stint.NewWorker(q, stint.WorkerConfig{Capacity: stint.ResourceList{"cpu": "many"}}).Run(ctx)
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "capacity[cpu]", invalid.Fields[0].Field)
	require.NotEmpty(t, stint.ProcessCapacity()["cpu"])
}

// Attempts of jobs with other requests, and with none, end in one call: each is
// counted, the next ones wait where they belong, and no lane is left behind.
func TestOneSettleOfManyLanes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		requests := []stint.ResourceList{nil, {"cpu": "1"}, {"cpu": "2"}, {"cpu": "1", "example.com/gpu": "1"}, {"cpu": "1"}}
		lanes := []string{"work", "work~cpu=1000", "work~cpu=2000", "work~cpu=1000,example.com/gpu=1"}
		for i, r := range requests {
			spec := asks(fmt.Sprint("job-", i), r)
			spec.Completions, spec.Parallelism = new(4), new(2)
			_, err := q.Submit(ctx, work{i}, spec)
			require.NoError(t, err)
		}
		s := store.New(rdb, q.Name())
		settle := func(n int) *callLog {
			t.Helper()
			most := make([]int, len(lanes))
			for i := range most {
				most[i] = 10
			}
			claim := store.Claim{Worker: "w", Op: fmt.Sprint(n), Lanes: lanes, Most: most, Max: 100, Lease: time.Minute}
			claimed, err := s.Claim(ctx, claim)
			require.NoError(t, err)
			require.Len(t, claimed.Tasks, 10)
			results := make([]store.Result, 10)
			for i := range results {
				results[i] = store.Result{Task: &claimed.Tasks[i], Verdict: rules.Succeeded, Delay: -1}
			}
			calls := &callLog{}
			rdb.AddHook(calls)
			for _, o := range s.Settle(ctx, results, store.Guard{}, 0) {
				require.NoError(t, o.Err)
				require.True(t, o.Counted)
			}
			return calls
		}
		settle(1)
		for i := range requests {
			got, err := q.Get(ctx, fmt.Sprint("job-", i))
			require.NoError(t, err)
			require.Equal(t, 2, got.Status.Succeeded)
			require.Equal(t, 2, got.Status.Active)
		}
		for lane, n := range map[string]int64{lanes[0]: 2, lanes[1]: 4, lanes[2]: 2, lanes[3]: 2} {
			require.Equal(t, n, rdb.XLen(ctx, "stint:{promises}:ready:"+lane).Val(), lane)
		}
		require.Len(t, settle(2).words, 1, "one call for all of them")
		for i := range requests {
			got, err := q.Get(ctx, fmt.Sprint("job-", i))
			require.NoError(t, err)
			require.Equal(t, stint.PhaseComplete, got.Phase())
		}
		require.Empty(t, lanesLeft(ctx, t, rdb))
		require.NoError(t, s.Leave(ctx, "w", "", lanes[:1]))
	})
}
