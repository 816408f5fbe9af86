package stint_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// crash is the death of a process at its n-th call to Redis, before the call
// or after Redis has carried it out. After that nothing of it gets through.
type crash struct {
	at    int64 // 0: it lives
	after bool
	die   context.CancelFunc
	n     atomic.Int64
	dead  atomic.Bool
}

func (c *crash) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *crash) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := c.call(cmd.Name(), func() error { return next(ctx, cmd) })
		cmd.SetErr(err)
		return err
	}
}

func (c *crash) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := c.call(cmds[0].Name(), func() error { return next(ctx, cmds) })
		if errors.Is(err, io.EOF) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

func (c *crash) call(name string, do func() error) error {
	if name == "hello" || name == "client" {
		return do()
	}
	if c.dead.Load() {
		return io.EOF
	}
	if c.n.Add(1) != c.at {
		return do()
	}
	if c.after {
		_ = do()
	}
	c.dead.Store(true)
	c.die()
	return io.EOF
}

// flow is something that a process does, and may not come to the end of.
type flow struct {
	prepare func(ctx context.Context, q *stint.Queue) error
	do      func(ctx context.Context, q *stint.Queue) error
	again   bool // the caller does it once more, as another process
	want    string
}

var errNow = errors.New("the first attempt")

// fails are the labels of plain jobs that fail.
var fails = map[string]string{"fails": "2"}

// worker of the flows: of jobs named fail… the first attempts fail, and of
// plain ones the first two where their args say so.
func flowWorker(q *stint.Queue) *stint.Worker {
	w := stint.NewWorker(q, stint.WorkerConfig{Lease: 3 * time.Second, ShutdownTimeout: time.Second})
	stint.Handle(w, func(_ context.Context, t *stint.Task[work]) error {
		if strings.HasPrefix(t.Job, "fail") && t.Attempt == 1 || t.Attempt <= t.Args.N {
			return errNow
		}
		return nil
	})
	return w
}

// runFor runs a worker, and has it drain.
func runFor(ctx context.Context, q *stint.Queue, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return flowWorker(q).Run(ctx)
}

func submitting(specs ...stint.JobSpec) func(ctx context.Context, q *stint.Queue) error {
	return func(ctx context.Context, q *stint.Queue) error {
		for _, s := range specs {
			if _, err := q.Submit(ctx, work{}, s); err != nil {
				return err
			}
		}
		return nil
	}
}

func nothing(context.Context, *stint.Queue) error { return nil }

func indexed(name string) stint.JobSpec {
	return stint.JobSpec{
		Name: name, CompletionMode: stint.Indexed, Completions: new(4), Parallelism: new(2), Backoff: quick(), TTLAfterFinished: new(24 * time.Hour),
	}
}

func flows() map[string]flow {
	crons := func(ctx context.Context, q *stint.Queue) error {
		_, err := q.ApplyCron(ctx, stint.CronJob{
			Name: "c", Schedule: "@every 20s", Args: work{}, SuccessfulJobsHistoryLimit: new(1), StartingDeadline: new(time.Minute),
		})
		return err
	}
	suspended := indexed("later")
	suspended.Suspend = true
	const four = " Complete succeeded 4 failed 0 indexes 0-3"
	return map[string]flow{
		"submit": {nothing, submitting(indexed("a")), true, "a" + four},
		"submit many": {nothing, func(ctx context.Context, q *stint.Queue) error {
			_, err := q.SubmitMany(ctx, []stint.NewJob{{Args: work{}, Spec: indexed("a")}, {Args: work{}, Spec: indexed("b")}})
			return err
		}, true, "a" + four + "; b" + four},
		"work": {submitting(indexed("a"), stint.JobSpec{Name: "one"}, indexed("fail-b")), func(ctx context.Context, q *stint.Queue) error {
			return runFor(ctx, q, 4*time.Second)
		}, false, "a" + four + "; fail-b Complete succeeded 4 failed 4 indexes 0-3; one Complete succeeded 1 failed 0 indexes "},
		"work on plain jobs": {func(ctx context.Context, q *stint.Queue) error {
			_, err := q.Submit(ctx, work{}, stint.JobSpec{TTLAfterFinished: new(24 * time.Hour)})
			return err
		}, func(ctx context.Context, q *stint.Queue) error { return runFor(ctx, q, 4*time.Second) }, false, "plain Complete succeeded 1 failed 0 indexes "},
		"work on plain jobs that start later": {func(ctx context.Context, q *stint.Queue) error {
			_, err := q.Submit(ctx, work{}, stint.JobSpec{Delay: time.Second, TTLAfterFinished: new(24 * time.Hour)})
			return err
		}, func(ctx context.Context, q *stint.Queue) error { return runFor(ctx, q, 4*time.Second) }, false, "plain Complete succeeded 1 failed 0 indexes "},
		"work on plain jobs that fail": {func(ctx context.Context, q *stint.Queue) error {
			_, err := q.Submit(ctx, work{2}, stint.JobSpec{Labels: fails, Backoff: quick(), TTLAfterFinished: new(24 * time.Hour)})
			return err
		}, func(ctx context.Context, q *stint.Queue) error { return runFor(ctx, q, 4*time.Second) }, false, "plain Complete succeeded 1 failed 2 indexes "},
		"suspend and resume a plain job that failed": {func(ctx context.Context, q *stint.Queue) error {
			backoff := &stint.Backoff{Initial: 20 * time.Second}
			_, err := q.Submit(ctx, work{2}, stint.JobSpec{Labels: fails, Backoff: backoff, TTLAfterFinished: new(24 * time.Hour)})
			return errors.Join(err, runFor(ctx, q, 4*time.Second))
		}, func(ctx context.Context, q *stint.Queue) error {
			for _, err := range q.SuspendAll(ctx, stint.ListOptions{}) {
				if err != nil {
					return err
				}
			}
			for _, err := range q.ResumeAll(ctx, stint.ListOptions{}) {
				if err != nil {
					return err
				}
			}
			return nil
		}, true, "plain Complete succeeded 1 failed 2 indexes "},
		"delete a job that starts later": {func(ctx context.Context, q *stint.Queue) error {
			_, err := q.Submit(ctx, work{}, stint.JobSpec{Delay: time.Hour})
			return errors.Join(err, submitting(indexed("a"))(ctx, q))
		}, func(ctx context.Context, q *stint.Queue) error {
			for o, err := range q.DeleteAll(ctx, stint.ListOptions{Where: func(j *stint.Job) bool { return j.Name != "a" }}) {
				if err != nil {
					return fmt.Errorf("%v: %w", o.Job, err)
				}
			}
			return nil
		}, true, "a" + four},
		"drain": {submitting(indexed("a"), stint.JobSpec{Name: "one", TTLAfterFinished: new(24 * time.Hour)}), func(ctx context.Context, q *stint.Queue) error {
			return runFor(ctx, q, 3*time.Millisecond)
		}, false, "a" + four + "; one Complete succeeded 1 failed 0 indexes "},
		"delete": {submitting(indexed("a"), indexed("b")), func(ctx context.Context, q *stint.Queue) error { return q.Delete(ctx, "a") }, true, "b" + four},
		"resume": {submitting(suspended), func(ctx context.Context, q *stint.Queue) error { _, err := q.Resume(ctx, "later"); return err }, true, "later" + four},
		"scale": {submitting(suspended), func(ctx context.Context, q *stint.Queue) error {
			if _, err := q.Scale(ctx, "later", 3); err != nil {
				return err
			}
			_, err := q.Resume(ctx, "later")
			return err
		}, true, "later" + four},
		"retry": {func(ctx context.Context, q *stint.Queue) error {
			return errors.Join(submitting(indexed("a"))(ctx, q), runFor(ctx, q, 4*time.Second))
		}, func(ctx context.Context, q *stint.Queue) error { _, err := q.Retry(ctx, "a", "1"); return err }, true, "a" + four},
		"apply cron": {nothing, crons, true, "cron c; run Complete succeeded 1 failed 0 indexes "},
		"fire": {crons, func(ctx context.Context, q *stint.Queue) error {
			return runFor(ctx, q, 90*time.Second)
		}, false, "cron c; run Complete succeeded 1 failed 0 indexes "},
		"delete cron": {func(ctx context.Context, q *stint.Queue) error {
			return errors.Join(crons(ctx, q), runFor(ctx, q, 50*time.Second))
		}, func(ctx context.Context, q *stint.Queue) error { return q.DeleteCron(ctx, "c") }, true, ""},
	}
}

// state is what is left, in a form in which runs of a flow can be compared.
func state(ctx context.Context, q *stint.Queue) (string, error) {
	var out []string
	for c, err := range q.ListCron(ctx) {
		if err != nil {
			return "", err
		}
		out = append(out, "cron "+c.Name)
	}
	for j, err := range q.List(ctx, stint.ListOptions{}) {
		if err != nil {
			return "", err
		}
		name := j.Name
		switch {
		case j.Owner != "":
			name = "run"
		case strings.HasPrefix(name, "work-"):
			name = "plain"
		}
		failed := j.Status.Failed
		if strings.HasPrefix(name, "fail") && failed < 4 {
			failed = 4 // a first attempt that was lost with its worker is no failure
		}
		if j.Spec.Labels["fails"] != "" && failed < 2 {
			failed = 2 // as above
		}
		out = append(out, fmt.Sprintf("%s %s succeeded %d failed %d indexes %s", name, j.Phase(), j.Status.Succeeded, failed, j.Status.CompletedIndexes))
	}
	slices.Sort(out)
	found, err := findings(ctx, q)
	return strings.Join(append(out, found...), "; "), err
}

// crashed runs a flow in a process that dies, and then others go on. It tells
// how many calls the process made.
func crashed(t *testing.T, f flow, at int64, after bool) (calls int64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := redistest.NewPipe(t)
		rdb, dying := p.Client(), p.Client().(*redis.Client)
		ctx := context.Background()
		q := stint.NewQueue("crash", rdb)
		require.NoError(t, f.prepare(ctx, q))
		mortal, die := context.WithCancel(ctx)
		c := &crash{at: at, after: after, die: die}
		dying.AddHook(c)
		err := f.do(mortal, stint.NewQueue("crash", dying))
		die()
		calls = c.n.Load()
		if at == 0 {
			require.NoError(t, err)
		} else if f.again {
			if err := f.do(ctx, q); !errors.Is(err, stint.ErrNotFound) && !errors.Is(err, stint.ErrConflict) {
				require.NoError(t, err) // or it was done: what was to be deleted is gone, what was to be retried runs
			}
		}
		on, stop := context.WithCancel(ctx)
		var all sync.WaitGroup
		all.Go(func() { _ = flowWorker(q).Run(on) })
		time.Sleep(75 * time.Second) // leases of the dead, timers that were taken, and some more runs
		for c, err := range q.ListCron(ctx) {
			require.NoError(t, err)
			_, err = q.SuspendCron(ctx, c.Name)
			require.NoError(t, err)
		}
		time.Sleep(15 * time.Second)
		stop()
		all.Wait()
		got, err := state(ctx, q)
		require.NoError(t, err)
		require.Equal(t, f.want, got, "call %d, after it: %v", at, after)
		_ = rdb.Close()
		_ = dying.Close()
		p.Close()
	})
	return calls
}

// Crash points: a process dies before and after each call to Redis of each of
// its flows, and another goes on: the result is the same. It dies at every
// call of a flow of up to sixty.
func TestCrashPoints(t *testing.T) {
	for name, f := range flows() {
		t.Run(name, func(t *testing.T) {
			calls := crashed(t, f, 0, false)
			t.Logf("%d calls", calls)
			require.NotZero(t, calls)
			for at := int64(1); at <= calls; at += 1 + calls/61 { // of a long flow about sixty
				for _, after := range []bool{false, true} {
					crashed(t, f, at, after)
					if t.Failed() {
						return
					}
				}
			}
		})
	}
}
