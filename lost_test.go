package stint_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// everyKth loses a reply, or a request, for every k-th call of a client.
type everyKth struct {
	k    int64
	n    atomic.Int64
	lose func(n int, commands ...string)
}

func (h *everyKth) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *everyKth) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.call(cmd)
		return next(ctx, cmd)
	}
}

func (h *everyKth) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.call(cmds[0])
		return next(ctx, cmds)
	}
}

func (h *everyKth) call(first redis.Cmder) {
	switch first.Name() {
	case "hello", "client": // they open a connection, also those of a repetition
		return
	}
	if h.n.Add(1)%h.k == 0 {
		h.lose(1)
	}
}

// F33, F34, F35, F36: of a small workload with all verbs, every k-th reply is
// lost, or every k-th request. Nothing of it is lost, and nothing is doubled.
func TestF33LostReplies(t *testing.T) {
	t.Parallel()
	for _, k := range []int64{2, 3, 5, 8} {
		t.Run(fmt.Sprintf("reply %d", k), func(t *testing.T) {
			t.Parallel()
			lossyWorkload(t, k, func(p *redistest.Proxy) func(int, ...string) { return p.DropReplies })
		})
	}
	t.Run("request 2", func(t *testing.T) {
		t.Parallel()
		lossyWorkload(t, 2, func(p *redistest.Proxy) func(int, ...string) { return p.DropRequests })
	})
}

// runs counts what handlers did, by the number in the args.
type runs struct {
	mu   sync.Mutex
	seen map[string]int
}

func (r *runs) add(t *stint.RawTask, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]int{}
	}
	r.seen[fmt.Sprintf("%d/%d/%d", n, t.Index, t.Attempt)]++
}

// twice lists the attempts that ran more than once.
func (r *runs) twice() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for what, n := range r.seen {
		if n > 1 {
			out = append(out, what)
		}
	}
	return out
}

// again repeats a call as an application would, which for some reads has to be
// done more often than stint does: a connection was cut, and nothing worse.
func again(t *testing.T, call func() error, done ...error) {
	t.Helper()
	var err error
	for i := range 20 {
		if err = call(); err == nil || i > 0 && len(done) > 0 && errors.Is(err, done[0]) {
			return
		}
		require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET), "%v", err)
	}
	require.NoError(t, err)
}

func lossyWorkload(t *testing.T, k int64, lose func(*redistest.Proxy) func(int, ...string)) {
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	direct, ctx := stint.NewQueue("lost", s.Client()), testCtx(t)
	lossy := func() *stint.Queue {
		c := p.Client().(*redis.Client)
		c.AddHook(&everyKth{k: k, lose: lose(p)})
		return stint.NewQueue("lost", c)
	}
	var ran runs
	w := stint.NewWorker(lossy(), stint.WorkerConfig{})
	stint.Handle(w, func(_ context.Context, task *stint.Task[work]) error {
		ran.add(task.RawTask, task.Args.N)
		if task.Args.N == 1000 && task.Attempt == 1 && task.Index%3 == 0 {
			return errors.New("the first attempt of every third index")
		}
		return nil
	})
	audited(t, direct)
	startWorker(t, w)

	q := lossy()
	var names []string
	submit := func(n int, spec ...stint.JobSpec) *stint.Job {
		job, err := q.Submit(ctx, work{n}, spec...)
		require.NoError(t, err)
		names = append(names, job.Name)
		return job
	}
	for i := range 15 {
		submit(i)
	}
	submit(100, stint.JobSpec{Name: "named"})
	submit(1000, stint.JobSpec{
		Name: "indexed", CompletionMode: stint.Indexed, Completions: new(12), Parallelism: new(3), Backoff: quick(), Suspend: true,
	})
	many, err := q.SubmitMany(ctx, []stint.NewJob{{Args: work{200}}, {Args: work{201}, Spec: stint.JobSpec{Name: "of-many"}}})
	require.NoError(t, err)
	names = append(names, many[0].Job.Name, many[1].Job.Name)
	deleted := submit(300, stint.JobSpec{Name: "deleted", Delay: time.Hour})
	names = names[:len(names)-1]
	again(t, func() error { return q.Delete(ctx, deleted.Name) }, stint.ErrNotFound)
	again(t, func() error { _, err := q.Scale(ctx, "indexed", 5); return err })
	again(t, func() error { _, err := q.Resume(ctx, "indexed"); return err })
	again(t, func() error {
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@yearly", Args: work{400}})
		return err
	})

	for _, name := range names {
		got, err := direct.Wait(ctx, name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, got.Phase(), name)
	}
	indexed, err := direct.Get(ctx, "indexed")
	require.NoError(t, err)
	require.Equal(t, "0-11", indexed.Status.CompletedIndexes)
	require.Equal(t, 4, indexed.Status.Failed, "each failure is counted once")
	found := 0
	for job, err := range direct.List(ctx, stint.ListOptions{}) {
		require.NoError(t, err)
		require.Contains(t, names, job.Name)
		found++
	}
	require.Equal(t, len(names), found)
	require.Empty(t, ran.twice())
	require.NotZero(t, p.Lost(), "nothing was lost: the test tests nothing")
}

// What a worker gives back at its end without having known of it keeps the
// rules of its spec, also where it is plain.
func TestGivenBackUnknownKeepsItsRules(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		runs, hold := make(chan struct{}), make(chan struct{})
		stop := handle(t, q, stint.WorkerConfig{Concurrency: 1}, func(context.Context, *stint.Task[work]) error { close(runs); <-hold; return nil })
		_, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		<-runs // and the worker claims no more
		job, err := q.Submit(ctx, work{}, stint.JobSpec{BackoffLimit: new(0)})
		require.NoError(t, err)
		held, err := q.Held(ctx, "")
		require.NoError(t, err)
		require.Len(t, held, 1)
		got, err := rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: "w", Consumer: held[0].Worker, Streams: []string{"stint:{promises}:ready:work", ">"}, Count: 1, Block: -1,
		}).Result()
		require.NoError(t, err)
		require.Len(t, got[0].Messages, 1)
		go close(hold)
		stop()
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return errors.New("no") })
		end, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseFailed, end.Phase())
		require.Equal(t, 1, end.Status.Failed)
	})
}
