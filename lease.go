package stint

import (
	"context"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// causes are the store's words for why a task was told to stop.
var causes = map[string]error{
	"deleted": ErrJobDeleted, "suspended": ErrJobSuspended, "scaled": ErrScaledDown, "failed": ErrJobFailed,
	"deadline": ErrDeadlineExceeded, "complete": ErrJobComplete, "evicted": ErrEvicted, "counted": ErrEvicted,
}

// stop cancels a task's handler, with a cause, the first time it is called.
func (t *RawTask) stop(cause error) {
	if t.told.CompareAndSwap(0, int64(time.Since(t.station.began))+1) {
		t.cancel(cause)
	}
}

// keepLeases renews the station's lease every third of it; while it holds
// nothing a sign of life now and then is enough.
func (s *station) keepLeases(ctx context.Context) {
	third := s.w.cfg.Lease / 3
	idle := 0
	for pause(ctx, third) {
		tasks := s.held()
		if len(tasks) == 0 && idle < 3 {
			idle++
			continue
		}
		idle = 0
		s.w.watchMemory()
		if err := s.renew(ctx, tasks); err != nil && ctx.Err() == nil {
			s.log.Warn("renewal failed", "error", err)
		}
		s.noteStuck(tasks)
		s.markMemory(ctx, tasks)
	}
}

// renew sends a sign of life and looks whether the tasks are still its own.
func (s *station) renew(ctx context.Context, tasks []*RawTask) error {
	ctx, cancel := context.WithTimeout(ctx, s.w.cfg.Lease/3)
	defer cancel()
	s.signs.RLock()
	defer s.signs.RUnlock()
	if s.left {
		return nil
	}
	sent := time.Since(s.began)
	s.pulse.renewals.begin(s.w.cfg.Lease)
	states, err := s.store.Renew(ctx, s.id, strconv.FormatInt(s.beat.Add(1), 10), s.w.cfg.Lease, s.workerInfo(), storeTasks(tasks))
	if s.pulse.renewals.end(err); err != nil {
		return err
	}
	s.alive(sent)
	s.obey(tasks, states)
	return nil
}

func storeTasks(tasks []*RawTask) []*store.Task {
	out := make([]*store.Task, len(tasks))
	for i, t := range tasks {
		out[i] = t.snapshot()
	}
	return out
}

// snapshot is the task as it is now: a plain one can get its record any time.
func (t *RawTask) snapshot() *store.Task {
	t.progress.mu.Lock()
	defer t.progress.mu.Unlock()
	c := *t.task
	return &c
}

// check looks at the tasks of one job, because something was ordered.
func (s *station) check(ctx context.Context, job string) {
	var tasks []*RawTask
	for _, t := range s.held() {
		if t.Job == job {
			tasks = append(tasks, t)
		}
	}
	if len(tasks) > 0 {
		if err := s.renew(ctx, tasks); err != nil && ctx.Err() == nil {
			s.log.Warn("looking after an order failed", "job", job, "error", err)
		}
	}
}

// obey cancels the handlers of tasks that were lost or told to stop.
func (s *station) obey(tasks []*RawTask, states []string) {
	for i, t := range tasks {
		switch {
		case states[i] == "" || t.settled.Load():
		case states[i] == store.StateLost:
			t.stop(ErrLeaseLost)
		default:
			t.stop(causes[states[i]])
		}
	}
}

// watchLeases cancels all handlers before the lease can have ended, when no
// sign of life got through. It goes by this process's monotonic clock, and
// asks nothing of Redis.
func (s *station) watchLeases(ctx context.Context) {
	lease := s.w.cfg.Lease
	for pause(ctx, lease/10) {
		silent := time.Since(s.began) - time.Duration(s.beatAt.Load())
		if silent < lease*3/4 {
			continue
		}
		for _, t := range s.held() {
			t.stop(ErrLeaseLost)
		}
	}
}

// stuckAfter is how long a handler may take to heed its cancelled context
// before it is called stuck.
const stuckAfter = 10 * time.Second

// noteStuck tells of handlers that ignore their contexts. They keep their
// slots: Go can't end them. One whose attempt has timed out is settled as
// failed, so that its job goes on.
func (s *station) noteStuck(tasks []*RawTask) {
	for _, t := range tasks {
		told := time.Duration(t.told.Load())
		over := told > 0 && time.Since(s.began)-told > stuckAfter
		timedOut := t.spec.AttemptTimeout > 0 && time.Since(t.started) > t.spec.AttemptTimeout+stuckAfter
		if !over && !timedOut {
			continue
		}
		if !t.warned.Swap(true) {
			t.Logger().Error("handler ignores its cancelled context and keeps its slot", "goroutines", goroutines())
		}
		if timedOut {
			s.settle(t, outcome{verb: verbFail, code: 1, delay: -1, message: ErrAttemptTimeout.Error() + ", and the handler has not returned"})
		}
	}
}

// goroutines is a bounded dump of what runs, to find the stuck handler in.
func goroutines() string {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	return bounded(b.String(), maxStackBytes)
}
