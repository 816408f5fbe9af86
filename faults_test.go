package stint_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/leaktest"
	"github.com/stint-go/stint/internal/redistest"
)

// workerEnv makes of the test binary a worker process on the Redis it names.
const workerEnv = "STINT_TEST_WORKER"

func TestMain(m *testing.M) {
	if addr := os.Getenv(workerEnv); addr != "" {
		runWorkerProcess(addr)
		return
	}
	leaktest.Main(m)
}

// runWorkerProcess works until it is killed. It tells on standard output of
// each task that it begins. A task with N 13 kills its process, one with N 1
// waits to be cancelled, tells why, and succeeds all the same; one from 100 on
// takes a moment.
func runWorkerProcess(addr string) {
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	w := stint.NewWorker(stint.NewQueue("faults", rdb), stint.WorkerConfig{Lease: time.Second})
	stint.Handle(w, func(ctx context.Context, task *stint.Task[work]) error {
		_, _ = fmt.Fprintln(os.Stdout, task.Args.N)
		switch n := task.Args.N; {
		case n == 13:
			os.Exit(137)
		case n == 1:
			<-ctx.Done()
			_, _ = fmt.Fprintln(os.Stdout, context.Cause(ctx))
		case n >= 100:
			<-time.After(10 * time.Millisecond)
		}
		return nil
	})
	_ = w.Run(context.Background())
}

// workerProcess starts one; begun is closed when it has begun a task.
func workerProcess(t *testing.T, addr string) (cmd *exec.Cmd, begun <-chan struct{}) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerEnv+"="+addr)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := make(chan struct{})
	go func() {
		buf := make([]byte, 1)
		if n, _ := out.Read(buf); n == 1 {
			close(c)
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, c
}

// F01: a worker process is killed while its handlers run.
func TestF01KilledWorker(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	q := stint.NewQueue("faults", s.Client())
	job, err := q.Submit(ctx, work{1}, stint.JobSpec{Name: "held", CompletionMode: stint.Indexed, Completions: new(5), Parallelism: new(5)})
	require.NoError(t, err)
	cmd, begun := workerProcess(t, s.Addr())
	<-begun
	require.NoError(t, cmd.Process.Kill())
	handle(t, q, stint.WorkerConfig{Lease: time.Second}, func(context.Context, *stint.Task[work]) error { return nil })
	got, err := q.Wait(ctx, job.Name)
	require.NoError(t, err)
	require.Equal(t, "0-4", got.Status.CompletedIndexes)
	require.Zero(t, got.Status.Failed)
}

// F07: a task that kills its process fails by the lost limit and takes
// nothing else with it.
func TestF07PoisonTask(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	q := stint.NewQueue("faults", s.Client())
	// This one only notices the dead.
	sched, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- stint.NewScheduler(nil, q).Run(sched) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-done) })

	poison, err := q.Submit(ctx, work{13}, stint.JobSpec{Name: "poison", LostLimit: new(1)})
	require.NoError(t, err)
	good, err := q.Submit(ctx, work{2}, stint.JobSpec{Name: "good"})
	require.NoError(t, err)
	for {
		cmd, _ := workerProcess(t, s.Addr())
		exited := make(chan struct{})
		go func() { _, _ = cmd.Process.Wait(); close(exited) }()
		var failed bool
		for waiting := true; waiting; {
			select {
			case <-exited:
				waiting = false
			default:
				j, err := q.Get(ctx, poison.Name)
				require.NoError(t, err)
				if failed = j.Finished(); failed {
					waiting = false
				}
			}
		}
		if failed {
			_ = cmd.Process.Kill()
			break
		}
	}
	got, err := q.Wait(ctx, poison.Name)
	require.NoError(t, err)
	c, _ := got.Condition(stint.JobFailed)
	require.Equal(t, stint.ReasonLostLimitExceeded, c.Reason)
	workerProcess(t, s.Addr())
	got, err = q.Wait(ctx, good.Name)
	require.NoError(t, err)
	require.Equal(t, stint.PhaseComplete, got.Phase())
}

// F52, F57: Redis is killed and comes back with its append-only file, and
// without its scripts.
func TestF52RedisRestart(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always"), testCtx(t)
	q := stint.NewQueue("faults", s.Client())
	var n atomic.Int64
	restart := make(chan struct{}, 1)
	handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error {
		if n.Add(1) == 100 {
			restart <- struct{}{}
		}
		return nil
	})
	_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "big", CompletionMode: stint.Indexed, Completions: new(400), Parallelism: new(20)})
	require.NoError(t, err)
	<-restart
	s.Kill()
	s.Restart()
	require.Eventually(t, func() bool {
		j, err := q.Get(ctx, "big")
		return err == nil && j.Status.Succeeded == 400 && j.Finished()
	}, within, 20*time.Millisecond)
}

// F62: at maxmemory submissions are refused, and what is there is finished.
func TestF62OutOfMemory(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	rdb := s.Client()
	q := stint.NewQueue("faults", rdb)
	jobs := make([]stint.NewJob, 200)
	for i := range jobs {
		jobs[i] = stint.NewJob{Args: work{}, Spec: stint.JobSpec{TTLAfterFinished: new(time.Duration(0))}}
	}
	_, err := q.SubmitMany(ctx, jobs)
	require.NoError(t, err)
	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "1mb").Err())
	_, err = q.Submit(ctx, work{})
	require.Error(t, err)
	require.NotErrorIs(t, err, stint.ErrUncertain, "nothing was stored, and that is known")
	var n atomic.Int64
	handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { n.Add(1); return nil })
	require.Eventually(t, func() bool { return n.Load() == 200 }, within, 5*time.Millisecond)
	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "0").Err())
	job, err := q.Submit(ctx, work{})
	require.NoError(t, err)
	got, err := q.Wait(ctx, job.Name)
	require.NoError(t, err)
	require.Equal(t, stint.PhaseComplete, got.Phase())
}

// F63, F64: queues on three primaries, every verb of them.
func TestF63Cluster(t *testing.T) {
	t.Parallel()
	rdb, ctx := redistest.Cluster(t, 3), testCtx(t)
	for _, name := range []string{"alpha", "beta", "gamma", "delta"} {
		q := stint.NewQueue(name, rdb)
		var n atomic.Int64
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.HandleResult(w, func(ctx context.Context, task *stint.Task[work]) (int, error) {
			if err := task.SaveCheckpoint(ctx, 1); err != nil {
				return 0, err
			}
			if n.Add(1)%4 == 0 {
				return 0, errors.New("again")
			}
			return task.Index, nil
		})
		startWorker(t, w)
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@every 1s", Args: work{}})
		require.NoError(t, err)
		plain, err := q.Submit(ctx, work{}, stint.JobSpec{Backoff: quick()})
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{}, stint.JobSpec{
			Name: "big", CompletionMode: stint.Indexed, Completions: new(50), Parallelism: new(5), BackoffLimit: new(1000), Backoff: quick(), Suspend: true,
		})
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{}, asks("requests", stint.ResourceList{"cpu": "1"}))
		require.NoError(t, err)
		_, err = q.Resume(ctx, "big")
		require.NoError(t, err)
		_, err = q.Wait(ctx, "requests")
		require.NoError(t, err)
		_, err = q.Scale(ctx, "big", 10)
		require.NoError(t, err)
		got, err := q.Wait(ctx, "big")
		require.NoError(t, err)
		require.Equal(t, "0-49", got.Status.CompletedIndexes)
		_, err = q.Wait(ctx, plain.Name)
		require.NoError(t, err)
		_, err = q.Retry(ctx, "big", "3-5")
		require.NoError(t, err)
		_, err = q.Wait(ctx, "big")
		require.NoError(t, err)
		require.NoError(t, q.Delete(ctx, "big"))
		_, err = q.Workers(ctx)
		require.NoError(t, err)
		require.NoError(t, q.DeleteCron(ctx, "c"))
	}
}

// F42: a Sentinel promotes the replica; workers go on by themselves.
func TestF42SentinelFailover(t *testing.T) {
	t.Parallel()
	rdb, primary := redistest.Sentinel(t)
	ctx := testCtx(t)
	q := stint.NewQueue("faults", rdb)
	var n atomic.Int64
	half, release := make(chan struct{}), make(chan struct{})
	handle(t, q, stint.WorkerConfig{Lease: 2 * time.Second}, func(context.Context, *stint.Task[work]) error {
		if n.Add(1) == 50 {
			close(half)
		}
		if n.Load() >= 50 {
			<-release
		}
		return nil
	})
	_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "big", CompletionMode: stint.Indexed, Completions: new(200), Parallelism: new(10)})
	require.NoError(t, err)
	<-half
	require.NoError(t, rdb.Do(ctx, "WAIT", 1, 1000).Err()) // what is asked here is not what replication may lose
	primary.Kill()
	close(release)
	require.Eventually(t, func() bool {
		j, err := q.Get(ctx, "big")
		return err == nil && j.Finished() && j.Status.Succeeded == 200
	}, within, 50*time.Millisecond)
}
