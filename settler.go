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
	return len(s.waiting) + s.sending
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
	for {
		select {
		case <-s.wake:
			s.send(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// flush waits until everything is sent, or ctx ends.
func (s *settler) flush(ctx context.Context) {
	for s.backlog() > 0 {
		select {
		case <-s.room:
		case <-ctx.Done():
			return
		}
	}
}

// send sends what has gathered, again and again until Redis has answered: a
// result is refused by its fence, not by a clock.
func (s *settler) send(ctx context.Context) {
	batch := s.take()
	retry := newRetry()
	for len(batch) > 0 {
		batch = s.try(ctx, batch)
		if len(batch) > 0 && !pause(ctx, retry.NextBackOff()) {
			break
		}
	}
	s.mu.Lock()
	s.sending = 0
	more := len(s.waiting) > 0
	s.mu.Unlock()
	signal(s.room)
	if more {
		signal(s.wake)
	}
}

func (s *settler) take() []timedResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.waiting), store.Limit)
	batch := s.waiting[:n:n]
	s.waiting = s.waiting[n:]
	s.sending = n
	return batch
}

// try sends a batch and answers what must be sent again.
func (s *settler) try(ctx context.Context, batch []timedResult) (again []timedResult) {
	results := make([]store.Result, len(batch))
	for i, r := range batch {
		results[i] = r.Result
		results[i].Ago = time.Since(r.ended)
	}
	st := s.station
	st.pulse.results.begin(st.w.cfg.Lease)
	var failed error
	for i, o := range st.store.Settle(ctx, results, store.Guard{}, st.now.Load()) {
		switch {
		case o.Err != nil:
			again, failed = append(again, batch[i]), o.Err
			if len(again) == 1 {
				st.log.Warn("settling failed", "error", o.Err)
			}
		case !o.Counted:
			st.log.Debug("result came too late", "job", results[i].Task.Job, "index", results[i].Task.Slot)
		}
	}
	st.pulse.results.end(failed)
	return again
}

// failJobMessage says which attempt failed its job, and by which rule.
func failJobMessage(t *store.Task, o outcome, rule int) string {
	if rule < 0 {
		return bounded(fmt.Sprintf("Task at index %d failed the job: %s", t.Slot, o.message), maxNoteBytes)
	}
	return fmt.Sprintf("Task at index %d failed with code %d matching FailJob rule at index %d", t.Slot, o.code, rule)
}
