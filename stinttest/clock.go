package stinttest

import (
	"context"
	"strings"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// Advance moves time: delays, backoffs, deadlines, TTLs and schedules that
// come due meanwhile do so, and workers and schedulers that run take notice.
//
// In a bubble it sleeps, so that all clocks move, and waits until all is
// still again. Outside it moves the clock of Redis alone, which goes on from
// there: what goes by the process's own clock, as leases and timeouts of
// handlers do, does not move. Time goes forward only: d is not negative.
func (s *Server) Advance(d time.Duration) {
	s.t.Helper()
	switch {
	case d < 0:
		s.t.Fatalf("stinttest: Advance(%v): time goes forward only", d)
	case s.bubble:
		<-time.After(d)
		synctest.Wait()
	default:
		s.clock.Lock()
		s.clock.ahead += d
		s.clock.Unlock()
		s.setClock()
		s.pipe.OnRequest(s.setClock)
		s.ringTimers()
	}
}

// Now is the time of the server's clock.
func (s *Server) Now() time.Time {
	s.clock.Lock()
	defer s.clock.Unlock()
	return time.Now().Add(s.clock.ahead)
}

func (s *Server) setClock() { s.pipe.Mini.SetTime(s.Now().UTC()) }

// ringTimers has all that serve timers look at them: they wait by the clock
// of the process, which has not moved.
func (s *Server) ringTimers() {
	s.t.Helper()
	ctx := context.Background()
	for _, key := range s.pipe.Mini.Keys() {
		timers, ok := strings.CutSuffix(key, "}:timers")
		if !ok {
			continue
		}
		err := s.own.XAdd(ctx, &redis.XAddArgs{Stream: timers + "}:ctl", Values: []any{"t", 1}}).Err()
		if err != nil {
			s.t.Fatalf("stinttest: Advance: %v", err)
		}
	}
}
