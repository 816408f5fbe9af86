package stint

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strconv"
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
	rest    chan *RawTask // to hands that have nothing to do
	resting atomic.Int64
	lanes   lanes
	cache   workCache
	refused refusals
	mounts  mounts
	settler settler

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
		tasks: map[*RawTask]struct{}{}, rest: make(chan *RawTask), cache: newWorkCache(q),
	}
	for i := range kinds {
		s.turns = append(s.turns, slices.Concat(kinds[i:], kinds[:i]))
	}
	s.log = w.log.With("queue", q.name, "worker", s.id)
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
	keeper := newKeeper(s.queue, s.log, !s.w.cfg.HandlersOnly)
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

// claim takes tasks while there are free slots, until ctx is cancelled. Calls
// to Redis go by base, so that a claim under way is heard to its end.
func (s *station) claim(ctx, base context.Context) {
	retry := newRetry()
	for ctx.Err() == nil {
		n := s.w.slots.take(ctx, min((s.w.cfg.Concurrency+1)/2, store.Limit))
		if n == 0 {
			return
		}
		if !s.settler.wait(ctx) {
			s.w.slots.give(n)
			return
		}
		tasks, again := s.claimSurely(ctx, base, n)
		s.start(base, tasks)
		s.w.slots.give(n - len(tasks))
		if s.sated(len(tasks), again) && ctx.Err() == nil {
			s.pulse.claims.begin(waitAtMost + s.w.cfg.Lease)
			err := s.store.Wait(base, s.id, s.lanes.wait, waitAtMost)
			if s.pulse.claims.end(err); err != nil {
				s.log.Debug("wait failed", "error", err)
				pause(ctx, retry.NextBackOff())
			} else {
				retry.Reset()
			}
		}
	}
}

// claimSurely repeats one claim until Redis has answered it, since an answer
// that was lost may have handed over tasks. again tells that there may be more
// at once.
func (s *station) claimSurely(ctx, base context.Context, n int) (tasks []store.Task, again bool) {
	op := s.beat.Add(1)
	turn := s.turn(base, op, n)
	c := store.Claim{
		Worker: s.id, Op: strconv.FormatInt(op, 10), Lanes: turn.lanes, Most: turn.most, Max: n, Lease: s.w.cfg.Lease,
	}
	defer func() { s.done(base, turn, tasks) }()
	retry := newRetry()
	for {
		sent := time.Since(s.began)
		s.pulse.claims.begin(s.w.cfg.Lease)
		got, err := s.store.Claim(base, c)
		if s.pulse.claims.end(err); err == nil {
			s.beatAt.Store(int64(sent))
			s.now.Store(got.Now)
			changed := s.learn(base, got.Lanes)
			return got.Tasks, changed || len(turn.charged) > 0
		}
		s.log.Warn("claim failed", "error", err)
		if !pause(ctx, retry.NextBackOff()) {
			return nil, false
		}
	}
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

// start runs claimed tasks, each in a goroutine.
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
	for _, t := range tasks {
		s.running.Add(1)
		select {
		case s.rest <- t:
		default:
			go s.hand(base, t)
		}
	}
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

// workCache keeps spec and args of the jobs whose tasks were claimed lately.
type workCache struct {
	queue   *Queue
	entries map[string]*cachedWork // by UID; used by the claiming goroutine alone
	plain   *JobSpec               // of a plain job with no spec of its own
	specs   map[string]*JobSpec    // of plain jobs, by their text: many are alike
}

type cachedWork struct {
	read time.Time
	args []byte
	spec *JobSpec
	gen  int
	err  error

	stale atomic.Bool
}

// cacheFor bounds how long a changed spec goes unnoticed.
const cacheFor = 5 * time.Second

func newWorkCache(q *Queue) workCache {
	plain := JobSpec{}.withDefaults(DefaultTTL)
	return workCache{queue: q, entries: map[string]*cachedWork{}, plain: &plain, specs: map[string]*JobSpec{}}
}

// fill reads what is missing for the tasks, in one round trip, and answers
// what the cache then holds.
func (c *workCache) fill(ctx context.Context, st *store.Store, tasks []store.Task) (map[string]*cachedWork, error) {
	var names, uids []string
	found := map[string]*cachedWork{}
	for i := range tasks {
		t := &tasks[i]
		if t.Plain || found[t.UID] != nil {
			continue
		}
		if e := c.entries[t.UID]; e != nil && time.Since(e.read) < cacheFor && !e.stale.Load() {
			found[t.UID] = e
			continue
		}
		found[t.UID] = &cachedWork{}
		names, uids = append(names, t.Job), append(uids, t.UID)
	}
	if len(names) == 0 {
		return found, nil
	}
	if len(c.entries) > 1000 {
		clear(c.entries)
	}
	work, err := st.Work(ctx, names)
	if err != nil {
		return found, err
	}
	for i, w := range work {
		e := &cachedWork{read: time.Now(), args: w.Args, gen: w.Generation}
		if w.UID != uids[i] {
			e.err = ErrJobDeleted
		} else {
			e.spec, e.err = c.decode(w.Spec)
		}
		found[uids[i]], c.entries[uids[i]] = e, e
	}
	return found, nil
}

// decode reads a stored spec.
func (c *workCache) decode(data []byte) (*JobSpec, error) {
	if len(data) == 0 {
		return c.plain, nil
	}
	if known := c.specs[string(data)]; known != nil {
		return known, nil
	}
	var spec JobSpec
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, err
	}
	spec = spec.withDefaults(DefaultTTL)
	if len(c.specs) > 100 {
		clear(c.specs)
	}
	if len(data) < 1<<10 {
		c.specs[string(data)] = &spec
	}
	return &spec, nil
}
