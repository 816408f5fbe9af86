package stinttest

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stint-go/stint"
)

// maxPoints bounds at how many points AssertIdempotent takes the lease away.
const maxPoints = 50

// AssertIdempotent shows whether it does no harm that a task is run again,
// which stint cannot always avoid: a worker may die, or lose its lease, when a
// handler has done part of its work or all of it.
//
// world makes all anew: the handlers, and what they act upon. The state that
// it tells is what counts: balances, mails that were sent, rows. First the
// task runs undisturbed. Then, in a new world each time, its lease is taken
// away at one point, and when the handler has returned it is run again, to the
// end: the state and the result must be what they were. A point is each time
// that the handler looks at its context, or hands it to something that does,
// such as a database or [stint.RawTask.SaveCheckpoint]: there the context is
// cancelled with cause [stint.ErrLeaseLost], as at a real loss. The last point
// is the return: all is done, and nobody knows.
//
// Of more than 50 points it takes 50, evenly. States are compared by
// reflect.DeepEqual. Differences are errors of the test, each with the place
// in the code where the lease was lost; the test goes on.
func (s *Server) AssertIdempotent(args stint.Args, world func() (h Handlers, state func() any), o ...TaskOptions) bool {
	s.t.Helper()
	want := s.try(args, world, 0, first(o))
	if want.err != nil {
		s.t.Fatalf("stinttest: the handler does not succeed, though nobody disturbs it: %v", want.err)
	}
	same := true
	points := want.looks + 1 // the return
	for i := range min(points, maxPoints) {
		at := points - i*points/min(points, maxPoints)
		if at == points {
			at = atReturn
		}
		got := s.try(args, world, at, first(o))
		if text := got.differs(want); text != "" {
			same = false
			s.t.Errorf("stinttest: not idempotent: the lease was lost %s, and the task run again: %s", got.where, text)
		}
	}
	return same
}

// atReturn is the point at which a handler has returned.
const atReturn = -1

// trial is one run of a task, with its lease lost at a point.
type trial struct {
	*run
	at    int // the point; 0: none
	lost  sync.Once
	ready chan struct{} // closed when the first attempt has returned

	looked atomic.Int64
	looks  int
	where  string
	err    error // of the last attempt
	state  any
	result string
}

func (s *Server) try(args stint.Args, world func() (Handlers, func() any), at int, o TaskOptions) *trial {
	s.t.Helper()
	h, state := world()
	o.Spec.LostLimit, o.Spec.LostCounts = nil, false
	r := &trial{run: s.newRun(args, o), at: at, ready: make(chan struct{}), where: "nowhere"}
	r.from = r.attempt
	r.work(h)
	r.state = state()
	job, err := s.direct(r.queue.Name()).Get(context.Background(), r.job.Name)
	if err != nil {
		s.t.Fatalf("stinttest: job %s cannot be read: %v", r.job.Name, err)
	}
	if r.err == nil && job.Status.Succeeded == 0 {
		s.t.Fatalf("stinttest: job %s is %s after its last attempt: %+v", job.Name, job.Phase(), job.Status.Conditions)
	}
	for res, err := range stint.Results[rawResult](context.Background(), stint.NewQueue(r.queue.Name(), s.own, stint.QueueConfig{Codec: rawCodec{}}), job.Name) {
		if err == nil && res.Index == r.o.Index {
			r.result = string(res.Value)
		}
	}
	return r
}

// attempt lets the first attempt lose its lease, and the second one go to its
// end.
func (r *trial) attempt(ctx context.Context, t *stint.RawTask, next stint.Handler) error {
	if t.Attempt > r.o.Attempt {
		<-r.ready
		return r.finish(ctx, t, next)
	}
	if r.at == 0 {
		defer func() { r.looks = int(r.looked.Load()) }()
		return r.finish(r.watch(ctx, func(int) {}), t, next)
	}
	defer close(r.ready)
	unseen := context.WithoutCancel(ctx)
	defer r.lose(unseen, t, "when the handler had returned") // unless it was lost before
	lost, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return next(r.watch(lost, func(n int) {
		if n == r.at {
			r.lose(unseen, t, "at "+caller())
			cancel(stint.ErrLeaseLost)
		}
	}), t)
}

// lose takes the lease away, once.
func (r *trial) lose(ctx context.Context, t *stint.RawTask, where string) {
	r.lost.Do(func() {
		r.where = where
		if err := r.s.direct(t.Queue).Reap(ctx, t.Job, t.Index); err != nil {
			r.s.t.Errorf("stinttest: the lease cannot be taken away: %v", err)
		}
	})
}

// finish runs the last attempt.
func (r *trial) finish(ctx context.Context, t *stint.RawTask, next stint.Handler) error {
	r.over.Store(true)
	defer close(r.done)
	r.err = errors.New("the handler panicked, or called runtime.Goexit")
	r.err = next(ctx, t)
	return r.err
}

// differs says in which way a trial went otherwise than the undisturbed one.
func (r *trial) differs(want *trial) string {
	switch {
	case r.err != nil:
		return fmt.Sprintf("then it failed: %v", r.err)
	case !reflect.DeepEqual(r.state, want.state):
		return fmt.Sprintf("the state is %+v, and %+v if nothing is lost", r.state, want.state)
	case r.result != want.result:
		return fmt.Sprintf("the result is %q, and %q if nothing is lost", r.result, want.result)
	}
	return ""
}

// watch is a context that calls look with how often it was looked at.
func (r *trial) watch(ctx context.Context, look func(n int)) context.Context {
	return watchedContext{ctx, func() { look(int(r.looked.Add(1))) }}
}

// watchedContext sees when it is looked at.
type watchedContext struct {
	context.Context //nolint:containedctx // it is one
	look            func()
}

func (c watchedContext) Done() <-chan struct{} {
	c.look()
	return c.Context.Done()
}

func (c watchedContext) Err() error {
	c.look()
	return c.Context.Err()
}

// caller is the place in the handler's code that looked at its context: the
// last one on the way that is neither stint's nor of the standard library.
func caller() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if !isLibrary(f) {
			return fmt.Sprintf("%s:%d", path.Base(f.File), f.Line)
		}
		if !more {
			return "a place outside the handler"
		}
	}
}

// isLibrary tells stint, its client and the standard library from handlers.
func isLibrary(f runtime.Frame) bool {
	const stints, clients = "github.com/stint-go/stint", "github.com/redis/go-redis/"
	slash := strings.LastIndexByte(f.Function, '/') + 1
	name, _, _ := strings.Cut(f.Function[slash:], ".")
	pkg := f.Function[:slash] + name
	return pkg == stints || pkg == stints+"/stinttest" || strings.HasPrefix(pkg, stints+"/internal/") || strings.HasPrefix(pkg, clients) ||
		strings.HasSuffix(path.Dir(f.File), "/src/"+pkg)
}

// rawCodec leaves results as they are stored.
type rawCodec struct{}

type rawResult []byte

func (rawCodec) Marshal(any) ([]byte, error) {
	return nil, errors.New("stinttest: this codec only reads")
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*rawResult) = rawResult(strings.Clone(string(data)))
	return nil
}
