package stint

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// settler sends results in batches: while one call is under way the next
// results gather. At low load each goes out alone and at once.
type settler struct {
	station *station
	wake    chan struct{} // holds a token when there is something to send
	room    chan struct{} // holds a token when there is room again
	mu      sync.Mutex    // guards what follows
	waiting []timedResult
	sending int
	spare   []timedResult // empty, with room for the next that gather
	aside   []timedResult // refused in such a way that they would hold up the others

	results []store.Result // as they are sent; of the goroutine that sends
}

type timedResult struct {
	store.Result
	ended time.Time
}

// unsettled is how many results may wait before no more tasks are claimed.
const unsettled = 2 * store.Limit

func (s *settler) add(r store.Result) {
	s.mu.Lock()
	s.waiting = append(s.waiting, timedResult{r, time.Now()})
	s.mu.Unlock()
	signal(s.wake)
}

// signal leaves a token for one who waits, unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *settler) backlog() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting) + s.sending + len(s.aside)
}

// asideFor is how long what was put aside waits for its next try.
const asideFor = waitAtMost

// recall has what was put aside tried again.
func (s *settler) recall() {
	s.mu.Lock()
	s.waiting = append(s.waiting, s.aside...)
	s.aside = nil
	s.mu.Unlock()
	signal(s.wake)
}

// wait waits until there is room for further results.
func (s *settler) wait(ctx context.Context) bool {
	for s.backlog() >= unsettled {
		select {
		case <-s.room:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (s *settler) run(ctx context.Context) {
	later := time.NewTimer(asideFor)
	defer later.Stop()
	for {
		select {
		case <-s.wake:
			if s.send(ctx) {
				later.Reset(asideFor)
			}
		case <-later.C:
			s.recall()
		case <-ctx.Done():
			return
		}
	}
}

// flush waits until everything is sent that Redis takes, or ctx ends.
func (s *settler) flush(ctx context.Context) {
	s.recall()
	for {
		s.mu.Lock()
		n := len(s.waiting) + s.sending
		s.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-s.room:
		case <-ctx.Done():
			return
		}
	}
}

// send sends what has gathered, again and again until Redis has answered: a
// result is refused by its fence, not by a clock. It tells whether anything
// was put aside.
func (s *settler) send(ctx context.Context) bool {
	batch := s.take()
	retry := newRetry()
	for left := batch; len(left) > 0; {
		left = s.try(ctx, left)
		if len(left) > 0 && !pause(ctx, retry.NextBackOff()) {
			break
		}
	}
	clear(batch)
	s.mu.Lock()
	s.sending, s.spare = 0, nil
	if cap(batch) <= unsettled {
		s.spare = batch[:0]
	}
	more, aside := len(s.waiting) > 0, len(s.aside) > 0
	s.mu.Unlock()
	signal(s.room)
	if more {
		signal(s.wake)
	}
	return aside
}

func (s *settler) take() []timedResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.waiting
	n := min(len(all), store.Limit)
	s.waiting = append(s.spare, all[n:]...)
	clear(all[n:])
	s.sending = n
	return all[:n]
}

// try sends a batch and answers what must be sent again.
func (s *settler) try(ctx context.Context, batch []timedResult) (again []timedResult) {
	results := s.results[:0]
	for i := range batch {
		results = append(results, batch[i].Result)
		results[i].Ago = time.Since(batch[i].ended)
	}
	defer clear(results)
	s.results = results
	st := s.station
	st.pulse.results.begin(st.w.cfg.Lease)
	var failed error
	var aside []timedResult
	for i, o := range st.store.Settle(ctx, results, store.Guard{}, st.now.Load()) {
		switch {
		case o.Err != nil && store.Temporary(o.Err):
			again, failed = append(again, batch[i]), o.Err
			if len(again) == 1 {
				st.log.Warn("settling failed", "error", o.Err)
			}
		case o.Err != nil: // of this job alone, perhaps: the others go on
			aside = append(aside, batch[i])
			if !store.Damaged(o.Err) {
				failed = o.Err
			}
			if len(aside) == 1 {
				st.log.Warn("results cannot be stored, and are tried again later", "first", results[i].Task.Job, "error", o.Err)
			}
		case !o.Counted:
			st.log.Debug("result came too late", "job", results[i].Task.Job, "index", results[i].Task.Slot)
		}
	}
	st.pulse.results.end(failed)
	s.mu.Lock()
	s.aside = append(s.aside, aside...)
	s.mu.Unlock()
	return again
}

// failJobMessage says which attempt failed its job, and by which rule.
func failJobMessage(t *store.Task, o outcome, rule int) string {
	if rule < 0 {
		return bounded(fmt.Sprintf("Task at index %d failed the job: %s", t.Slot, o.message), maxNoteBytes)
	}
	return fmt.Sprintf("Task at index %d failed with code %d matching FailJob rule at index %d", t.Slot, o.code, rule)
}
