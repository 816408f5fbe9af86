package store

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Seats bounds how many calls wait at a time for Redis to say something: so
// that the pool of a client keeps connections for all the other calls. Who gets
// no seat looks often instead of waiting. A nil one has no bound.
type Seats struct {
	crowded func(pool int)
	told    sync.Once
	mu      sync.Mutex // guards taken
	taken   map[*redis.Client]int
}

// NewSeats makes seats of which crowded hears, once, when there are too few:
// how many connections the pool has.
func NewSeats(crowded func(pool int)) *Seats {
	return &Seats{crowded: crowded, taken: map[*redis.Client]int{}}
}

// standFor is how long who gets no seat does nothing.
const standFor = 100 * time.Millisecond

// seatsOf leaves a quarter of a pool to other calls.
func seatsOf(pool int) int { return pool - max(1, pool/4) }

// sit takes a seat at the node that has the queue. leave is nil where there is
// none.
func (s *Store) sit(ctx context.Context, seats *Seats) (leave func()) {
	node, _ := s.node(ctx) // what is wrong shows in the call
	if seats == nil || node == nil {
		return func() {}
	}
	pool := node.Options().PoolSize
	seats.mu.Lock()
	defer seats.mu.Unlock()
	if seats.taken[node] >= seatsOf(pool) {
		seats.told.Do(func() { seats.crowded(pool) })
		return nil
	}
	seats.taken[node]++
	return func() {
		seats.mu.Lock()
		defer seats.mu.Unlock()
		if seats.taken[node]--; seats.taken[node] == 0 {
			delete(seats.taken, node) // it may be of a node that is gone
		}
	}
}

// node is the client of the node that has the queue, nil for a client that has
// none such.
func (s *Store) node(ctx context.Context) (*redis.Client, error) {
	switch c := s.rdb.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, s.keys.timers())
	}
	return nil, nil
}

// stand is what is done where there is no seat.
func stand(ctx context.Context) {
	t := time.NewTimer(standFor)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
