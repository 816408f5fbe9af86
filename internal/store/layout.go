package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Layout is the version of the keys, records and scripts: to be raised by a
// change that a worker of the version before cannot work beside. A queue of
// layout 1 has no plain jobs that start later; the first of them raises it.
const Layout = 2

// ErrLayout is the answer about a queue of a layout that is not known here.
var ErrLayout = errors.New("stint: the queue has a layout that this version does not know")

// layoutEvery is how long it may go unnoticed that a queue got a newer layout.
const layoutEvery = 30 * time.Second

// Guard refuses to work on a queue whose layout is not known here.
func (s *Store) Guard(ctx context.Context) error { return s.guard(ctx, true) }

// guard looks at the layout now and then; whoever may write notes it in a new
// queue.
func (s *Store) guard(ctx context.Context, writes bool) error {
	now := time.Now()
	if at := s.guarded.Load(); at != nil {
		if now.Sub(*at) < layoutEvery || !s.guarding.CompareAndSwap(false, true) {
			return nil // another call looks
		}
		defer s.guarding.Store(false)
	}
	text, err := s.rdb.Get(ctx, s.keys.layout()).Result()
	if errors.Is(err, redis.Nil) && writes {
		// Refused when memory is out; then the next one notes it.
		_ = s.rdb.SetNX(ctx, s.keys.layout(), Layout, 0).Err()
		text, err = s.rdb.Get(ctx, s.keys.layout()).Result()
	}
	if errors.Is(err, redis.Nil) {
		text, err = strconv.Itoa(Layout), nil
	}
	if err != nil {
		return s.seen(ctx, err)
	}
	if n, err := strconv.Atoi(text); err != nil || n < 1 || n > Layout {
		s.guarded.Store(nil)
		return fmt.Errorf("%w: %s is %.20q, and this version knows 1 to %d: update this program", ErrLayout, s.keys.layout(), text, Layout)
	}
	s.guarded.Store(new(now))
	return nil
}
