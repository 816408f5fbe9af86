package stint

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/stint-go/stint/internal/store"
)

// A station is a worker's place at one queue: it claims tasks, keeps their
// leases, hears of orders to stop, and settles results, each in a goroutine
// of its own.
type station struct {
	w     *Worker
	queue *Queue
	store *store.Store
	id    string // of this station, in Redis; never used again
	kinds []string
	turns [][]string // kinds, beginning with each in turn: so none starves another
	log   *slog.Logger
	began time.Time

	beat    atomic.Int64 // grows with every sign of life
	beatAt  atomic.Int64 // when the last successful one was sent, ns since began
	now     atomic.Int64 // Redis's time as last seen, ms
	mu      sync.Mutex   // guards tasks
	tasks   map[*RawTask]struct{}
	running sync.WaitGroup
	hands   *hands
	lanes   lanes
	cache   workCache
	refused refusals
	mounts  mounts
	settler settler

	waits    *backoff.ExponentialBackOff // between waits that fail; the claiming goroutine's
	pulse    pulses
	signs    sync.RWMutex // held while a sign of life is sent, and to set left
	left     bool
	draining atomic.Bool
}

// waitAtMost bounds every wait for Redis to say something: a lost ring costs
// no more than this.
const waitAtMost = 5 * time.Second

func newStation(w *Worker, q *Queue) *station {
	kinds := w.Kinds()
	s := &station{
		w: w, queue: q, store: q.store, id: strings.ToLower(rand.Text()[:10]), kinds: kinds, began: time.Now(),
		tasks: map[*RawTask]struct{}{}, cache: newWorkCache(q), waits: newRetry(),
	}
	for i := range kinds {
		s.turns = append(s.turns, slices.Concat(kinds[i:], kinds[:i]))
	}
	s.log = w.log.With("queue", q.name, "worker", s.id)
	s.hands = newHands(s.perform)
	s.mounts, s.refused = newMounts(q, s.log), refusals{}
	s.settler = settler{station: s, wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	return s
}

// run works until ctx is cancelled, and then drains. What serves running
// tasks goes on until these are through.
func (s *station) run(ctx context.Context) {
	s.log.Info("worker starts", "kinds", s.kinds, "concurrency", s.w.cfg.Concurrency)
	s.queue.checkServer(ctx, s.log)
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var helpers sync.WaitGroup
	helpers.Go(func() { s.settler.run(base) })
	helpers.Go(func() { s.keepLeases(base) })
	helpers.Go(func() { s.watchLeases(base) })
	helpers.Go(func() { s.mounts.keep(base) })
	keeper := newKeeper(s.queue, s.log, s.w.seats, !s.w.cfg.HandlersOnly)
	keeper.heard, keeper.looked, keeper.within = &s.pulse.orders, &s.pulse.timers, s.w.cfg.Lease
	keeper.onOrder = func(job string) { s.check(base, job) }
	keeper.changed = s.mounts.changed
	helpers.Go(func() { keeper.run(base) })
	if !s.w.cfg.HandlersOnly {
		janitor := newJanitor(s.queue, s.w.cfg.Lease, s.log)
		janitor.swept = &s.pulse.sweeps
		helpers.Go(func() { janitor.run(base) })
	}
	claimed := make(chan struct{})
	go func() {
		defer close(claimed)
		select { // tasks whose orders might be missed are not taken
		case <-keeper.ready:
		case <-ctx.Done():
			return
		}
		if len(s.kinds) > 0 {
			s.claim(ctx, base)
		}
	}()
	<-ctx.Done()
	s.draining.Store(true)
	s.overtake(base)
	s.wake(base)
	<-claimed
	wake(base, s.w.room.leave(s))
	s.drain(base)
	stop()
	s.wake(context.WithoutCancel(ctx))
	helpers.Wait()
}

// wake ends this station's waits; at shutdown nobody should wait for them.
func (s *station) wake(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = s.store.WakeAll(ctx, s.id)
}

// newRetry is how long to wait between tries while Redis fails: for ever,
// from 50 ms to 5 s.
func newRetry() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
}

// pause waits; it answers false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// start has claimed tasks run.
func (s *station) start(base context.Context, claimed []store.Task) {
	if len(claimed) == 0 {
		return
	}
	work, err := s.cache.fill(base, s.store, claimed)
	tasks := make([]*RawTask, 0, len(claimed))
	for i := range claimed {
		t := s.task(&claimed[i])
		if e := s.equip(t, work); e != nil {
			s.refuse(base, t, errors.Join(err, e))
			continue
		}
		t.ctx, t.cancel = context.WithCancelCause(base) //nolint:fatcontext // one for each task
		tasks = append(tasks, t)
	}
	tasks = s.mount(base, tasks)
	s.mu.Lock()
	for _, t := range tasks {
		s.tasks[t] = struct{}{}
		delete(s.refused, t.UID)
	}
	s.mu.Unlock()
	s.running.Add(len(tasks))
	s.hands.start(base, tasks)
}

// release frees what a task takes of the worker: a slot, and its requests.
func (s *station) release(ctx context.Context, t *RawTask) {
	s.w.slots.give(1)
	wake(ctx, s.w.room.give(t.task.Requests, 1, nil))
}

// equip gives the task what the handler needs of its job.
func (s *station) equip(t *RawTask, work map[string]*cachedWork) (err error) {
	if t.task.Plain {
		if t.spec, err = s.cache.decode(t.task.Spec); err != nil {
			return err
		}
		return s.openArgs(t)
	}
	w := work[t.UID]
	switch {
	case w.err != nil:
		return w.err
	case w.spec == nil:
		return errors.New("it was not read")
	}
	t.spec, t.RawArgs, t.work = w.spec, w.args, w
	return s.openArgs(t)
}

// openArgs decrypts the args of a task. Without the key it is given back, for
// a worker that has it; what does not open fails the attempt.
func (s *station) openArgs(t *RawTask) error {
	if s.queue.isOpen(t.RawArgs) {
		return nil
	}
	args, err := s.queue.openJob(t.RawArgs, s.queue.argsPlace(t.Kind, t.Job)...)
	if errors.Is(err, ErrUnknownKey) {
		return err
	}
	t.RawArgs, t.badArgs = args, err
	return nil
}

func (s *station) task(t *store.Task) *RawTask {
	return &RawTask{
		Queue: s.queue.name, Kind: t.Kind, Job: t.Job, UID: t.UID, Index: t.Slot, Attempt: t.Attempt,
		RawArgs: t.Args, task: t, station: s, started: time.Now(), waited: t.Waited(s.now.Load()),
	}
}

// drop forgets a task and frees its slot.
func (s *station) drop(t *RawTask) {
	if len(t.spec.Mounts) > 0 {
		s.mounts.detach(t)
	}
	s.mu.Lock()
	delete(s.tasks, t)
	s.mu.Unlock()
	s.release(t.ctx, t)
	s.running.Done()
}

// held lists the tasks that are in hand.
func (s *station) held() []*RawTask {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*RawTask, 0, len(s.tasks))
	for t := range s.tasks {
		out = append(out, t)
	}
	return out
}

// drain waits for running handlers, then cancels them, and at last gives back
// the tasks of those that still run.
func (s *station) drain(base context.Context) {
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	if !waitFor(done, s.w.cfg.ShutdownTimeout) {
		for _, t := range s.held() {
			t.stop(ErrShutdown)
		}
		if !waitFor(done, s.w.cfg.CancelTimeout) {
			for _, t := range s.held() {
				t.Logger().Warn("handler does not return at shutdown: its task is given back")
				s.settle(t, outcome{verb: verbSnooze})
			}
		}
	}
	flush, cancel := context.WithTimeout(base, waitAtMost)
	defer cancel()
	s.settler.flush(flush)
	if err := s.leave(base); err != nil {
		s.log.Warn("leaving failed: the janitor will see to it", "error", err)
	}
	s.log.Info("worker has stopped")
}

// leave gives back what Redis still holds for this station, which a claim
// whose answer never came may have left, and signs off.
func (s *station) leave(base context.Context) error {
	ctx, cancel := context.WithTimeout(base, waitAtMost)
	defer cancel()
	lanes, err := s.store.Lanes(ctx)
	if err != nil {
		return err
	}
	lanes = slices.DeleteFunc(lanes, func(lane string) bool { return !slices.Contains(s.kinds, store.KindOf(lane)) })
	for _, lane := range lanes {
		tasks, err := s.store.HeldBy(ctx, s.id, lane, store.Limit)
		if err != nil {
			continue // the group may not exist yet
		}
		for i := range tasks {
			t := s.task(&tasks[i])
			if t.task.Plain {
				t.spec, _ = s.cache.decode(t.task.Spec) // it gets its record by this
			}
			s.settle(t, outcome{verb: verbSnooze})
		}
	}
	s.settler.flush(ctx)
	s.signs.Lock() // a sign of life must not come after
	s.left = true
	s.signs.Unlock()
	return s.store.Leave(ctx, s.id, "", lanes)
}

func waitFor(done <-chan struct{}, atMost time.Duration) bool {
	t := time.NewTimer(max(atMost, 0))
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// workerInfo is what a station says of itself in Redis, for people.
func (s *station) workerInfo() []byte {
	host, _ := os.Hostname()
	s.mu.Lock()
	n, stuck := len(s.tasks), 0
	for t := range s.tasks {
		if t.warned.Load() {
			stuck++
		}
	}
	s.mu.Unlock()
	whole, inUse := s.w.room.whole, s.w.room.inUse()
	data, _ := json.Marshal(map[string]any{
		"host": host, "pid": os.Getpid(), "kinds": s.kinds, "concurrency": s.w.cfg.Concurrency, "running": n, "stuck": stuck, "memory": s.w.cfg.MemoryInUse(), "memoryPressure": s.w.over.Load(),
		"startedAt": s.began.UnixMilli(), "capacity": resourceList(whole), "inUse": resourceList(inUse),
	})
	return data
}
