package stinttest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// Server is a Redis in the process of the test (miniredis), that listens
// nowhere. Its methods may be called from several goroutines, but those which
// end the test only in the test's own.
type Server struct {
	t      testing.TB
	pipe   *redistest.Pipe
	rdb    redis.UniversalClient // of the application under test: faults stand before it
	own    redis.UniversalClient // of the test: none does
	bubble bool
	queues atomic.Int64 // made for single runs
	clock  struct {
		sync.Mutex
		ahead time.Duration // of Redis's clock before the real one, outside a bubble
	}
}

// New starts a Server that ends with the test. In a testing/synctest bubble
// it is to be made there, and goes by the bubble's clock.
func New(t testing.TB) *Server {
	t.Helper()
	pipe := redistest.NewPipe(t)
	s := &Server{t: t, pipe: pipe, bubble: inBubble()}
	s.rdb = pipe.Client()
	s.own = pipe.Client(func(o *redis.Options) { o.Dialer = pipe.DialDirect })
	return s
}

// inBubble tells whether the caller is in a bubble.
func inBubble() (yes bool) {
	defer func() { yes = recover() == nil }()
	synctest.Wait() // panics outside
	return yes
}

// Client is a client of the server, for what the application makes itself. It
// is closed with the test.
func (s *Server) Client() redis.UniversalClient { return s.rdb }

// Queue makes the handle of a queue at the server.
func (s *Server) Queue(name string, cfg ...stint.QueueConfig) *stint.Queue {
	return stint.NewQueue(name, s.rdb, cfg...)
}

// Start runs a worker beside the test, until stop is called or the test ends.
// stop waits until the worker has returned; calling it again does nothing. A
// worker that cannot run is an error of the test, told by stop.
func (s *Server) Start(w *stint.Worker) (stop func()) {
	s.t.Helper()
	_, stop = s.start(w)
	return stop
}

// start also tells, by closing ended, when the worker has returned.
func (s *Server) start(w *stint.Worker) (ended <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		err = w.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if <-done; err != nil {
			s.t.Errorf("stinttest: the worker cannot run: %v", err)
		}
	})
	s.t.Cleanup(stop)
	return done, stop
}

// Handlers registers handlers at a worker: a func of the application that
// does so, [Handle] or [HandleResult].
type Handlers func(w *stint.Worker)

// Handle is Handlers of one handler, as [stint.Handle] registers it.
func Handle[A stint.Args](h func(ctx context.Context, t *stint.Task[A]) error) Handlers {
	return func(w *stint.Worker) { stint.Handle(w, h) }
}

// HandleResult is Handlers of one handler, as [stint.HandleResult] registers
// it.
func HandleResult[A stint.Args, R any](h func(ctx context.Context, t *stint.Task[A]) (R, error)) Handlers {
	return func(w *stint.Worker) { stint.HandleResult(w, h) }
}
