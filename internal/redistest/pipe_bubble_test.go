package redistest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
)

// Bubbles report what is left behind, so these are leak tests too.

func TestBubbleGoesByItsClock(t *testing.T) {
	t.Parallel()
	for range 3 { // go-redis keeps things from one bubble to the next
		synctest.Test(t, func(t *testing.T) {
			rdb, done := redistest.Bubble(t)
			defer done()
			require.NoError(t, rdb.Set(t.Context(), "k", 1, time.Hour).Err())
			require.Equal(t, time.Hour, rdb.TTL(t.Context(), "k").Val())
			require.Equal(t, time.Now(), rdb.Time(t.Context()).Val().In(time.Local))
			time.Sleep(time.Hour)
			require.ErrorIs(t, rdb.Get(t.Context(), "k").Err(), redis.Nil)
		})
	}
}

func TestBubbleEndsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rdb, _ := redistest.Bubble(t)
		require.NoError(t, rdb.Ping(t.Context()).Err())
	})
}

func TestPipeBlocksForAsLongAsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := redistest.NewPipe(t).Client()
		start := time.Now()
		require.ErrorIs(t, c.BLPop(t.Context(), time.Minute, "k").Err(), redis.Nil)
		require.GreaterOrEqual(t, time.Since(start), time.Minute)
	})
}

func TestPipeDropsRepliesAndRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := redistest.NewPipe(t)
		p.DropReplies(1)
		n, err := incr(t, p.Client(once), p.Client())
		require.Error(t, err)
		require.Equal(t, 1, n, "the server has acted")
		p.DropRequests(1)
		n, err = incr(t, p.Client(once), p.Client())
		require.Error(t, err)
		require.Equal(t, 1, n, "the server knows nothing")
		require.Equal(t, 2, p.Lost())
	})
}

func TestPipeDelaysReplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := redistest.NewPipe(t)
		c := p.Client()
		require.NoError(t, c.Ping(t.Context()).Err())
		start := time.Now()
		p.Delay(time.Second)
		require.NoError(t, c.Ping(t.Context()).Err())
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestPipeHoldsAndCuts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := redistest.NewPipe(t)
		c := p.Client(once)
		require.NoError(t, c.Ping(t.Context()).Err())
		p.Hold(redistest.Replies)
		got := make(chan error)
		go func() { got <- c.Ping(t.Context()).Err() }()
		synctest.Wait()
		p.Release()
		require.NoError(t, <-got)
		p.Hold(redistest.Requests)
		go func() { got <- c.Ping(t.Context()).Err() }()
		synctest.Wait()
		p.Cut()
		require.Error(t, <-got)
	})
}

func TestClosedPipeRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := redistest.NewPipe(t)
		c := p.Client(once)
		require.NoError(t, c.Ping(t.Context()).Err())
		p.Close()
		p.Close()
		require.Error(t, c.Ping(t.Context()).Err())
	})
}
