package stint

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// Defaults of WorkerConfig.
const (
	DefaultConcurrency     = 10
	DefaultLease           = 15 * time.Second
	DefaultShutdownTimeout = 20 * time.Second
	DefaultCancelTimeout   = 5 * time.Second
)

// WorkerConfig changes what NewWorker assumes. The zero value is fine.
type WorkerConfig struct {
	// Concurrency is how many handlers run at a time, over all queues; 10 by
	// default.
	Concurrency int
	// Capacity is what the worker's tasks may request together, over all
	// queues: see [JobSpec.Resources] and [ProcessCapacity]. Cpu and memory
	// that are not named are not limited; of any other resource that is not
	// named there is none. Nothing enforces it beyond that.
	Capacity ResourceList
	// MemoryInUse reads how much memory the process has, in bytes, once in a
	// third of the lease or so; by default what Go counts against GOMEMLIMIT.
	// Set it where memory beyond Go's matters, to read what a container is
	// charged with. It must not wait, and is called by several goroutines.
	MemoryInUse func() int64
	// Queues are further queues to take tasks from. Each is asked as often as
	// the others.
	Queues []*Queue
	// Lease is how long the tasks of a worker stay its own without a sign of
	// life; it is renewed every third of it. 15 s by default, 1 s at least.
	// Attempts of a worker that died end between one and two leases later.
	Lease time.Duration
	// ShutdownTimeout is how long Run waits for its handlers when its ctx is
	// cancelled; then their contexts are cancelled, with cause [ErrShutdown].
	// 20 s by default; negative is not at all.
	ShutdownTimeout time.Duration
	// CancelTimeout is how long Run waits for them after that; then it gives
	// their tasks back, and nothing that they still do counts. 5 s by default.
	CancelTimeout time.Duration
	// Middleware wraps every handler, the first outermost.
	Middleware []Middleware
	// Errors names errors for failure policies to match (OnErrors): an
	// attempt that failed with an error for which errors.Is(err, e) holds
	// has e's name. To match a type, give the name an *ErrorType.
	Errors map[string]error
	// Logger hears of what the worker does; nil discards.
	Logger *slog.Logger
	// HandlersOnly leaves the queue's timers, cron jobs and the janitor to
	// other processes. Some worker or [Scheduler] of the queue must keep them.
	HandlersOnly bool
}

// Worker leases tasks, runs their handlers and settles the results. Register
// handlers, then call Run, once.
type Worker struct {
	cfg      WorkerConfig
	queues   []*Queue
	handlers map[string]Handler
	errs     []error // found at registration, reported by Run
	slots    slots
	room     *room
	seats    *store.Seats
	log      *slog.Logger
	over     atomic.Bool // more memory is in use than all that runs may have
	mu       sync.Mutex  // guards what follows
	ran      bool
	stations []*station // while it runs
}

// NewWorker makes a worker for q and the queues of cfg. It does nothing until
// Run.
func NewWorker(q *Queue, cfg WorkerConfig) *Worker {
	cfg.Concurrency = cmp.Or(cfg.Concurrency, DefaultConcurrency)
	cfg.Lease = cmp.Or(cfg.Lease, DefaultLease)
	cfg.ShutdownTimeout = cmp.Or(cfg.ShutdownTimeout, DefaultShutdownTimeout)
	cfg.CancelTimeout = cmp.Or(cfg.CancelTimeout, DefaultCancelTimeout)
	if cfg.MemoryInUse == nil {
		cfg.MemoryInUse = processMemory
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Worker{
		cfg: cfg, queues: append([]*Queue{q}, cfg.Queues...), handlers: map[string]Handler{}, log: cfg.Logger,
		slots: newSlots(cfg.Concurrency), room: newRoom(cfg.Capacity), seats: newSeats(cfg.Logger),
	}
}

// HandleRaw registers a handler for a kind that decodes its args itself.
func (w *Worker) HandleRaw(kind string, h Handler) {
	if err := validateKind(kind); err != nil {
		w.errs = append(w.errs, err)
	}
	if _, twice := w.handlers[kind]; twice {
		w.errs = append(w.errs, &InvalidError{Fields: []FieldError{{Field: "kind", Cause: FieldDuplicate, Value: kind, Detail: "has a handler already"}}})
	}
	for i := len(w.cfg.Middleware) - 1; i >= 0; i-- {
		h = w.cfg.Middleware[i](h)
	}
	w.handlers[kind] = h
}

// Kinds are the kinds that have a handler, in order.
func (w *Worker) Kinds() []string { return slices.Sorted(maps.Keys(w.handlers)) }

// validate lists all that is wrong with the worker.
func (w *Worker) validate() error {
	var v validation
	if w.cfg.Concurrency < 0 || w.cfg.Concurrency > 100_000 {
		v.add("concurrency", FieldInvalid, w.cfg.Concurrency, "must be between 1 and 100000")
	}
	if w.cfg.Lease < time.Second || w.cfg.Lease > time.Hour {
		v.add("lease", FieldInvalid, w.cfg.Lease, "must be between 1s and 1h")
	}
	v.resourceList("capacity", w.cfg.Capacity)
	for name := range w.cfg.Errors {
		if !isErrorName(name) {
			v.add("errors", FieldInvalid, name, labelValueRule)
		}
	}
	errs := append(slices.Clone(w.errs), v.err())
	for _, q := range w.queues {
		errs = append(errs, q.err)
	}
	return errors.Join(errs...)
}

// Run takes tasks and runs them until ctx is cancelled. Then it takes no more,
// waits for its handlers, and returns nil: see ShutdownTimeout. It goes on by
// itself through every failure of Redis; it returns an error only at once,
// for a worker that can't run. It takes no signals: use
// [signal.NotifyContext].
func (w *Worker) Run(ctx context.Context) error {
	w.mu.Lock()
	again := w.ran
	w.ran = true
	w.mu.Unlock()
	if again {
		return errors.New("stint: Run was called twice")
	}
	if err := w.validate(); err != nil {
		return err
	}
	if err := refuseLayout(ctx, w.queues); err != nil {
		return err
	}
	stations, stores := make([]*station, len(w.queues)), make([]*store.Store, len(w.queues))
	for i, q := range w.queues {
		stations[i], stores[i] = newStation(w, q), q.store
	}
	w.stand(stations)
	defer w.stand(nil)
	var all sync.WaitGroup
	all.Go(func() {
		if err := store.LoadScripts(ctx, stores...); err != nil {
			w.log.Debug("scripts cannot be loaded ahead", "error", err)
		}
	})
	for _, s := range stations {
		all.Go(func() { s.run(ctx) })
	}
	all.Wait()
	return nil
}

// refuseLayout refuses queues of a layout that is not known. One that cannot
// be asked now is asked again later.
func refuseLayout(ctx context.Context, queues []*Queue) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for _, q := range queues {
		if err := q.store.Guard(ctx); errors.Is(err, ErrLayout) {
			return err
		}
	}
	return nil
}

// stand notes where the worker works, for Health.
func (w *Worker) stand(stations []*station) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stations = stations
}

// slots are the places for running handlers.
type slots struct{ free chan struct{} }

func newSlots(n int) slots {
	s := slots{make(chan struct{}, max(n, 0))}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

// take waits for a slot and takes up to n that are free.
func (s slots) take(ctx context.Context, n int) int {
	if ctx.Err() != nil {
		return 0
	}
	select {
	case <-s.free:
	case <-ctx.Done():
		return 0
	}
	got := 1
	for got < n {
		select {
		case <-s.free:
			got++
		default:
			return got
		}
	}
	return got
}

func (s slots) give(n int) {
	for range n {
		s.free <- struct{}{}
	}
}
