//go:build unix

package stint_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// talkingWorker starts a worker process and answers what it says, line by
// line.
func talkingWorker(t *testing.T, addr string) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerEnv+"="+addr)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := make(chan string, 10_000)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, lines
}

// told waits for a line of a worker process.
func told(t *testing.T, ctx context.Context, lines <-chan string, want string) {
	t.Helper()
	for {
		select {
		case line, open := <-lines:
			require.True(t, open, "the process has ended before it said %q", want)
			if line == want {
				return
			}
		case <-ctx.Done():
			t.Fatalf("the process does not say %q", want)
		}
	}
}

// F01, F02: worker processes are killed again and again in the midst of their
// tasks; P1, P2: all is done, and counted once.
func TestF01KilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	q := stint.NewQueue("faults", s.Client())
	_, err := q.Submit(ctx, work{100}, stint.JobSpec{
		Name: "big", CompletionMode: stint.Indexed, Completions: new(300), Parallelism: new(20), LostLimit: new(1000),
	})
	require.NoError(t, err)
	plain := make([]stint.NewJob, 300)
	for i := range plain {
		plain[i] = stint.NewJob{Args: work{1000 + i}, Spec: stint.JobSpec{LostLimit: new(1000)}}
	}
	jobs, err := q.SubmitMany(ctx, plain)
	require.NoError(t, err)

	const kills = 6
	for i := range kills {
		cmd, lines := talkingWorker(t, s.Addr())
		for range 40 {
			select {
			case _, open := <-lines:
				require.True(t, open)
			case <-ctx.Done():
				t.Fatal("a worker stands still")
			}
		}
		require.NoError(t, cmd.Process.Kill(), "kill %d", i)
	}
	var late atomic.Int64
	handle(t, q, stint.WorkerConfig{Lease: time.Second}, func(_ context.Context, task *stint.Task[work]) error {
		late.Add(1)
		return nil
	})
	got, err := q.Wait(ctx, "big")
	require.NoError(t, err)
	require.Equal(t, stint.PhaseComplete, got.Phase())
	require.Equal(t, "0-299", got.Status.CompletedIndexes)
	require.Equal(t, 300, got.Status.Succeeded)
	require.Zero(t, got.Status.Failed, "lost attempts are no failures")
	for _, j := range jobs {
		got, err := q.Wait(ctx, j.Job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase())
		require.Equal(t, 1, got.Status.Succeeded)
		require.Zero(t, got.Status.Failed)
	}
	require.NotZero(t, late.Load())
	require.Eventually(t, func() bool {
		workers, err := q.Workers(ctx)
		return err == nil && len(workers) == 1
	}, within, 20*time.Millisecond, "the dead are removed when they hold nothing: a lease 20 times over")
}

// F03: a worker process that was stopped for more than two leases goes on. Its
// tasks were done elsewhere meanwhile: its handlers hear that, what they
// return changes nothing, and it works on.
func TestF03StoppedWorkerGoesOn(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	q := stint.NewQueue("faults", s.Client())
	_, err := q.Submit(ctx, work{1}, stint.JobSpec{
		Name: "held", CompletionMode: stint.Indexed, Completions: new(3), Parallelism: new(3), BackoffLimit: new(0),
	})
	require.NoError(t, err)
	plain, err := q.Submit(ctx, work{1}, stint.JobSpec{BackoffLimit: new(0)})
	require.NoError(t, err)
	cmd, lines := talkingWorker(t, s.Addr())
	for range 4 {
		told(t, ctx, lines, "1")
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))

	w := stint.NewWorker(q, stint.WorkerConfig{Lease: time.Second})
	stint.HandleResult(w, func(_ context.Context, task *stint.Task[work]) (string, error) {
		return fmt.Sprint("attempt ", task.Attempt), nil
	})
	stop := startWorker(t, w)
	done, err := q.Wait(ctx, "held")
	require.NoError(t, err)
	require.Equal(t, "0-2", done.Status.CompletedIndexes)
	result, err := stint.Await[string](ctx, q, plain.Name)
	require.NoError(t, err)
	require.Contains(t, result, "attempt", "it was done here; a process that was kept waiting may have lost others before")
	donePlain, err := q.Get(ctx, plain.Name)
	require.NoError(t, err)
	stop()

	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	for range 4 {
		told(t, ctx, lines, stint.ErrLeaseLost.Error())
	}
	next, err := q.Submit(ctx, work{2})
	require.NoError(t, err)
	got, err := q.Wait(ctx, next.Name)
	require.NoError(t, err)
	require.Equal(t, stint.PhaseComplete, got.Phase(), "the process works on")
	for _, before := range []*stint.Job{done, donePlain} {
		after, err := q.Get(ctx, before.Name)
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
	for r, err := range stint.Results[string](ctx, q, "held") {
		require.NoError(t, err)
		require.Equal(t, "attempt 2", r.Value)
	}
}

// F07: a task that kills its process takes others of that process down with
// it. These are done in the end; only the poison fails.
func TestF07PoisonAmongOthers(t *testing.T) {
	t.Parallel()
	s, ctx := redistest.Start(t), testCtx(t)
	q := stint.NewQueue("faults", s.Client())
	poison, err := q.Submit(ctx, work{13}, stint.JobSpec{LostLimit: new(1)})
	require.NoError(t, err)
	_, err = q.Submit(ctx, work{100}, stint.JobSpec{
		Name: "others", CompletionMode: stint.Indexed, Completions: new(200), Parallelism: new(10), LostLimit: new(10),
	})
	require.NoError(t, err)
	sched, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- stint.NewScheduler(nil, q).Run(sched) }() // it notices the dead
	t.Cleanup(func() { stop(); require.NoError(t, <-done) })
	deaths := 0
	for {
		_, lines := talkingWorker(t, s.Addr())
		alive := true
		require.Eventually(t, func() bool {
			for {
				select {
				case _, alive = <-lines:
					if !alive {
						return true
					}
					continue
				default:
				}
				break
			}
			others, err := q.Get(ctx, "others")
			if err != nil || !others.Finished() {
				return false
			}
			j, err := q.Get(ctx, poison.Name)
			return err == nil && j.Finished()
		}, within, 20*time.Millisecond)
		if alive {
			break
		}
		deaths++
	}
	got, err := q.Get(ctx, poison.Name)
	require.NoError(t, err)
	c, failed := got.Condition(stint.JobFailed)
	require.True(t, failed)
	require.Equal(t, stint.ReasonLostLimitExceeded, c.Reason)
	require.Equal(t, 2, deaths, "LostLimit 1 is two lost attempts")
	others, err := q.Get(ctx, "others")
	require.NoError(t, err)
	require.Equal(t, "0-199", others.Status.CompletedIndexes)
	require.Zero(t, others.Status.Failed)
}
