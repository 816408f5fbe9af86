package stint

import (
	"context"
	"runtime"
	"strconv"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// overtake has a claim that waits get nothing: Redis refuses one that comes
// after a later one.
func (s *station) overtake(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	op := strconv.FormatInt(s.beat.Add(1), 10)
	if _, err := s.store.Claim(ctx, store.Claim{Worker: s.id, Op: op, Lease: s.w.cfg.Lease}); err != nil {
		s.log.Debug("a claim that waits is not overtaken", "error", err)
	}
}

// claim takes tasks while there are free slots, until ctx is cancelled. Calls
// to Redis go by base, so that a claim under way is heard to its end.
func (s *station) claim(ctx, base context.Context) {
	sated := false
	for ctx.Err() == nil {
		if sated && !s.alone() {
			s.wait(ctx, base)
			sated = false
		}
		n := s.w.slots.take(ctx, min((s.w.cfg.Concurrency+1)/2, store.Limit))
		if n == 0 {
			return
		}
		if !s.settler.wait(ctx) {
			s.w.slots.give(n)
			return
		}
		tasks, again := s.claimSurely(ctx, base, n, sated)
		s.start(base, tasks)
		if sated && len(tasks) > 0 {
			runtime.Gosched() // the handler goes first, and what comes next here after it
		}
		s.w.slots.give(n - len(tasks))
		sated = s.sated(len(tasks), n, again)
	}
}

// alone tells that nobody else needs the slots which the station keeps while
// it waits, and that it knows by then what it will claim. It does not wait with
// a claim for more than a third of its lease: or, should its process be stopped,
// that might take what the janitor has just taken from it.
func (s *station) alone() bool {
	return len(s.w.queues) == 1 && len(s.lanes.known) == 0 && waitAtMost <= s.w.cfg.Lease/3
}

// wait waits until there may be something to claim.
func (s *station) wait(ctx, base context.Context) {
	s.pulse.claims.begin(waitAtMost + s.w.cfg.Lease)
	err := s.store.Wait(base, s.w.seats, s.id, s.lanes.wait, waitAtMost)
	if s.pulse.claims.end(err); err != nil {
		s.log.Debug("wait failed", "error", err)
		pause(ctx, s.waits.NextBackOff())
	} else {
		s.waits.Reset()
	}
}

// claimSurely repeats one claim until Redis has answered it, since an answer
// that was lost may have handed over tasks; the first time after a wait, if
// that is asked. again tells that there may be more at once.
func (s *station) claimSurely(ctx, base context.Context, n int, wait bool) (tasks []store.Task, again bool) {
	op := s.beat.Add(1)
	turn := s.turn(base, op, n)
	c := store.Claim{
		Worker: s.id, Op: strconv.FormatInt(op, 10), Lanes: turn.lanes, Most: turn.most, Max: n, Lease: s.w.cfg.Lease,
	}
	defer func() { s.done(base, turn, tasks) }()
	retry := newRetry()
	for ; ; wait = false {
		got, err := s.claimOnce(base, c, wait)
		if err == nil {
			changed := s.learn(base, got.Lanes)
			return got.Tasks, changed || len(turn.charged) > 0
		}
		after := retry
		if wait {
			after = s.waits
		}
		s.log.Warn("claim failed", "waited", wait, "error", err)
		if !pause(ctx, after.NextBackOff()) {
			return nil, false
		}
	}
}

// claimOnce claims, after a wait or at once.
func (s *station) claimOnce(base context.Context, c store.Claim, wait bool) (got store.Claimed, err error) {
	sent := time.Since(s.began)
	if wait {
		s.pulse.claims.begin(waitAtMost + s.w.cfg.Lease)
		got, wait, err = s.store.WaitClaim(base, s.w.seats, c, waitAtMost)
	}
	if !wait {
		s.pulse.claims.begin(s.w.cfg.Lease)
		got, err = s.store.Claim(base, c)
	}
	if s.pulse.claims.end(err); err != nil {
		return got, err
	}
	if wait {
		s.waits.Reset()
	}
	s.now.Store(got.Now)
	s.alive(sent)
	if len(got.Tasks) > 0 && time.Since(s.began)-sent > s.w.cfg.Lease/10 {
		// When in the wait Redis claimed nobody knows: so the lease counts from now.
		if err := s.renew(base, nil); err != nil {
			s.log.Warn("renewal failed", "error", err)
		}
	}
	return got, nil
}

// alive notes when a sign of life was sent that Redis has got.
func (s *station) alive(sent time.Duration) {
	for {
		last := s.beatAt.Load()
		if last >= int64(sent) || s.beatAt.CompareAndSwap(last, int64(sent)) {
			return
		}
	}
}
