package stinttest

import (
	"context"
	"errors"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// LoseLease takes the lease of the running attempt at one index of a job away,
// as if its worker were dead: the attempt is counted as lost, the handler is
// cancelled with cause [stint.ErrLeaseLost], and whatever it returns changes
// nothing. By the job's LostLimit the index is delivered again, at once: the
// two handlers may run side by side. A job of one completion has index 0.
func (s *Server) LoseLease(q *stint.Queue, job string, index int) {
	s.t.Helper()
	if err := s.direct(q.Name()).Reap(context.Background(), job, index); err != nil {
		s.t.Fatalf("stinttest: the lease of index %d of job %s cannot be taken away: %v", index, job, err)
	}
}

// direct is the test's own handle of a queue.
func (s *Server) direct(queue string) *stint.Queue { return stint.NewQueue(queue, s.own) }

// FailAttempt is middleware which fails the n-th attempt at every index, from
// 1, with err, in place of the handler. The error may have a verb, as
// [stint.FailJob]; nil is an error that says which attempt it was.
func FailAttempt(n int, err error) stint.Middleware {
	if err == nil {
		err = errors.New("stinttest: this attempt was to fail")
	}
	return func(next stint.Handler) stint.Handler {
		return func(ctx context.Context, t *stint.RawTask) error {
			if t.Attempt == n {
				return err
			}
			return next(ctx, t)
		}
	}
}

// DeliverTwice is middleware which delivers every index twice: what the
// handler has returned from its first attempt is lost, as if the worker had
// died just then, and the index is delivered again. It needs a job that bears
// one lost attempt at an index, as all do by default.
func (s *Server) DeliverTwice() stint.Middleware {
	return func(next stint.Handler) stint.Handler {
		return func(ctx context.Context, t *stint.RawTask) error {
			err := next(ctx, t)
			if t.Attempt > 1 {
				return err
			}
			return errors.Join(err, s.direct(t.Queue).Reap(context.WithoutCancel(ctx), t.Job, t.Index))
		}
	}
}

// DropReplies cuts the connection in place of passing on each of the next n
// replies to the application: Redis has acted, and the application does not
// know. With names of commands, only replies to these are meant; scripts are
// called by EVALSHA.
func (s *Server) DropReplies(n int, commands ...string) { s.pipe.DropReplies(n, commands...) }

// DropRequests cuts the connection in place of passing on each of the next n
// requests: Redis has not acted, and the application does not know.
func (s *Server) DropRequests(n int, commands ...string) { s.pipe.DropRequests(n, commands...) }

// Dropped is how many replies and requests were dropped so far.
func (s *Server) Dropped() int { return s.pipe.Lost() }

// Cut cuts all connections of the application. It may connect again.
func (s *Server) Cut() { s.pipe.Cut() }

// Delay has each reply reach the application d later; 0 is at once.
func (s *Server) Delay(d time.Duration) { s.pipe.Delay(d) }

// Partition has nothing pass between application and Redis any more, though
// connections stay, until Heal.
func (s *Server) Partition() {
	s.pipe.Hold(redistest.Requests)
	s.pipe.Hold(redistest.Replies)
}

// Heal lets pass what Partition held up.
func (s *Server) Heal() { s.pipe.Release() }
