package stint_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// asked counts what a client asks of Redis, but for what go-redis itself says
// when it dials again.
type asked struct{ counter }

func (c *asked) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "hello" {
			c.n.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (c *asked) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != "client" {
			c.n.Add(int64(len(cmds)))
		}
		return next(ctx, cmds)
	}
}

// logLines counts what is logged at Warn and above.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logLines) take() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := strings.Count(l.buf.String(), "\n")
	l.buf.Reset()
	return n
}

// Errors of F42, F43, F57 and F58: what Redis may answer in place of doing
// what it is asked.
var outages = []string{
	"LOADING Redis is loading the dataset in memory", "READONLY You can't write against a read only replica.",
	"ERR READONLY by a proxy", "MASTERDOWN Link with MASTER is down", "CLUSTERDOWN The cluster is down", "TRYAGAIN Multiple keys",
	"BUSY Redis is busy running a script.", "OOM command not allowed when used memory > 'maxmemory'.",
	"MISCONF Redis is configured to save RDB snapshots", "NOREPLICAS Not enough good replicas to write.", "NOAUTH Authentication required.",
	"WRONGPASS invalid username-password pair", "NOPERM this user has no permissions", "UNBLOCKED the stream key no longer exists",
	"NOGROUP No such key", "WRONGTYPE Operation against a key", "CROSSSLOT Keys in request", "ERR max number of clients reached",
	"ERR unknown command",
}

// F43, F44, L3: whatever Redis says, for however long, a worker asks it only
// now and then, tells of it now and then, says itself that it is not well,
// and goes on when Redis does.
func TestF44OutagesAreWaitedOut(t *testing.T) {
	inOutage(t, func(p *redistest.Pipe, strike func(name string, begin, end func())) {
		for _, text := range outages {
			strike(text, func() { p.Mini.SetError(text) }, func() { p.Mini.SetError("") })
		}
	})
}

// F39, F40: connections stay, and nothing comes through them any more, to
// Redis or from it.
func TestF39NothingComesThrough(t *testing.T) {
	inOutage(t, func(p *redistest.Pipe, strike func(name string, begin, end func())) {
		strike("requests are lost", func() { p.Hold(redistest.Requests) }, p.Release)
		strike("replies are lost", func() { p.Hold(redistest.Replies) }, p.Release)
		strike("connections are cut again and again", func() { p.DropRequests(1 << 30) }, func() { p.DropRequests(0) })
		strike("replies are cut again and again", func() { p.DropReplies(1 << 30) }, func() { p.DropReplies(0) })
	})
}

// inOutage runs a busy and an idle worker through hours of outages.
func inOutage(t *testing.T, outages func(p *redistest.Pipe, strike func(name string, begin, end func()))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := redistest.NewPipe(t)
		rdb := p.Client()
		var c asked
		rdb.AddHook(&c)
		q := stint.NewQueue("outage", rdb)
		var log logLines
		worker := func(name string) *stint.Worker {
			w := stint.NewWorker(stint.NewQueue(name, rdb), stint.WorkerConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			stint.Handle(w, func(ctx context.Context, _ *stint.Task[work]) error { <-ctx.Done(); return context.Cause(ctx) })
			return w
		}
		busy, idle := worker("outage"), worker("idle")
		_, err := busy.Health(t.Context())
		require.Error(t, err, "it does not run")
		_, err = q.Submit(t.Context(), work{}, stint.JobSpec{CompletionMode: stint.Indexed, Completions: new(5), Parallelism: new(5)})
		require.NoError(t, err)
		stopBusy, stopIdle := startWorker(t, busy), startWorker(t, idle)
		healthy := func(what string) {
			t.Helper()
			for _, w := range []*stint.Worker{busy, idle} {
				h, err := w.Health(t.Context())
				require.NoError(t, err, what)
				require.Len(t, h, 1)
				for name, at := range map[string]time.Time{"claim": h[0].ClaimedAt, "orders": h[0].HeardAt, "timers": h[0].TimersAt, "sweep": h[0].SweptAt} {
					require.Less(t, time.Since(at), time.Minute, "%s: %s", what, name)
				}
				require.Less(t, time.Since(h[0].RenewedAt), 25*time.Second, what)
			}
		}
		time.Sleep(time.Minute)
		healthy("at first")
		outages(p, func(name string, begin, end func()) {
			begin()
			before := time.Now().Add(6 * time.Second) // what was asked before may be answered
			time.Sleep(time.Minute)
			for _, w := range []*stint.Worker{busy, idle} {
				h, err := w.Health(t.Context())
				require.ErrorContains(t, err, "claims: late by", name)
				require.ErrorContains(t, err, "timers: late by", name)
				require.False(t, h[0].RenewedAt.After(before), name)
				require.False(t, h[0].ClaimedAt.After(before), name)
			}
			soFar := c.n.Load()
			log.take()
			const long = 10 * time.Minute
			time.Sleep(long)
			require.LessOrEqual(t, float64(c.n.Load()-soFar)/long.Seconds(), 2.0, "%s: commands per second of two workers", name)
			require.LessOrEqual(t, float64(log.take())/long.Seconds(), 2.0, "%s: lines of log per second of two workers", name)
			end()
			time.Sleep(time.Minute)
			healthy("after " + name)
		})
		stopBusy()
		stopIdle()
		_, err = idle.Health(t.Context())
		require.Error(t, err, "it does not run any more")
		_ = rdb.Close()
		p.Close()
	})
}

// A queue that gets a newer layout under a running worker: it takes nothing
// more, and says why; and goes on when the layout is what it knows again.
func TestLayoutChangesUnderAWorker(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		w := stint.NewWorker(q, stint.WorkerConfig{})
		done := make(chan struct{}, 1)
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { done <- struct{}{}; return nil })
		run(w.Run)
		time.Sleep(time.Minute)
		require.NoError(t, rdb.Set(t.Context(), "stint:{bubble}:layout", "3", 0).Err())
		time.Sleep(time.Minute)
		_, err := w.Health(t.Context())
		require.ErrorIs(t, err, stint.ErrLayout)
		require.NoError(t, rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "stint:{bubble}:ready:work", Values: []any{"t", "P", "a", "{}"}}).Err())
		time.Sleep(time.Minute)
		require.Empty(t, done)
		require.NoError(t, rdb.Set(t.Context(), "stint:{bubble}:layout", "1", 0).Err())
		<-done
		time.Sleep(time.Minute)
		_, err = w.Health(t.Context())
		require.NoError(t, err)
	})
}

// A worker that shuts down says so, and a queue tells how late its timers are.
func TestHealthAtShutdown(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, _ func(func(context.Context) error)) {
		w := stint.NewWorker(q, stint.WorkerConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan struct{})
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { close(begun); time.Sleep(10 * time.Second); return nil })
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		_, err := q.Submit(t.Context(), work{})
		require.NoError(t, err)
		<-begun
		h, err := q.Health(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, h.Workers)
		require.Zero(t, h.TimersLate)
		cancel()
		time.Sleep(time.Second)
		_, err = w.Health(t.Context())
		require.ErrorIs(t, err, stint.ErrShutdown)
		require.NoError(t, <-done)

		_, err = q.Submit(t.Context(), work{}, stint.JobSpec{Delay: time.Minute})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		h, err = q.Health(t.Context())
		require.NoError(t, err)
		require.Zero(t, h.Workers)
		require.Equal(t, time.Minute, h.TimersLate.Round(time.Second))
		_, err = stint.NewQueue("bad name", rdb).Health(t.Context())
		require.Error(t, err)
	})
}
