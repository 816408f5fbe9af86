package store

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// Health counts the workers that have signed on and not left, and tells how
// long the first timer is overdue.
func (s *Store) Health(ctx context.Context) (workers int, late time.Duration, err error) {
	now, err := s.Now(ctx)
	if err != nil {
		return 0, 0, err
	}
	var beats *redis.IntCmd
	var first *redis.ZSliceCmd
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		beats = p.HLen(ctx, s.keys.beats())
		first = p.ZRangeWithScores(ctx, s.keys.timers(), 0, 0)
		return nil
	})
	if err != nil {
		return 0, 0, s.seen(ctx, err)
	}
	if due := first.Val(); len(due) == 1 {
		late = time.Duration(max(0, now-int64(due[0].Score))) * time.Millisecond
	}
	return int(beats.Val()), late, nil
}

// reloadEvery bounds how often a cluster client is told to look again.
const reloadEvery = time.Second

// seen looks at an error on its way out. A cluster client goes on asking a
// node that has died for up to a minute, unless it is told to look again: so
// it is, on errors of the connection and on a cluster that says it is down.
func (s *Store) seen(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, context.Canceled) {
		return err
	}
	if !isReply(err) || redis.HasErrorPrefix(err, "CLUSTERDOWN") {
		s.lookAgain(ctx)
	}
	return err
}

// lookAgain has a cluster client read who has which slots, now and then.
func (s *Store) lookAgain(ctx context.Context) {
	c, ok := s.rdb.(*redis.ClusterClient)
	if !ok {
		return
	}
	s.reload.mu.Lock()
	defer s.reload.mu.Unlock()
	if time.Since(s.reload.at) >= reloadEvery {
		s.reload.at = time.Now()
		c.ReloadState(context.WithoutCancel(ctx))
	}
}
