package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/store"
)

// However many queues a process waits at, its pool has connections left for
// what is to be done.
func TestWaitsLeaveConnections(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const pool, queues = 4, 8
		opts := *rdb.(*redis.Client).Options() //nolint:forcetypeassert // Each has no other
		opts.PoolSize, opts.PoolTimeout = pool, time.Hour
		small := redis.NewClient(&opts)
		defer func() { _ = small.Close() }()
		told := make(chan int, queues)
		seats := store.NewSeats(func(pool int) { told <- pool })
		ctx, cancel := context.WithCancel(t.Context())
		var waits sync.WaitGroup
		begin := func(i int) {
			s := store.New(small, fmt.Sprint("q", i))
			waits.Go(func() {
				for ctx.Err() == nil {
					_ = s.Wait(ctx, seats, "w", []string{"k"}, time.Hour)
					_, _, _ = s.WaitClaim(ctx, seats, wish("1"), time.Hour)
				}
			})
			waits.Go(func() {
				for after := "0-0"; ctx.Err() == nil; {
					_, after, _ = s.Orders(ctx, seats, after, time.Hour)
				}
			})
		}
		for i := range queues {
			begin(i)
		}
		require.Equal(t, pool, <-told)
		for range 10 {
			require.NoError(t, small.Ping(t.Context()).Err(), "or it waits for an hour")
		}
		cancel()
		for i := range queues {
			require.NoError(t, store.New(rdb, fmt.Sprint("q", i)).WakeAll(t.Context(), "w"))
		}
		waits.Wait()
		require.Empty(t, told, "it is told once")
	})
}
