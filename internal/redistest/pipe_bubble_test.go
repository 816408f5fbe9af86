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

func TestPipeHoldsAWay(t *testing.T) {
	t.Parallel()
	for way, want := range map[redistest.Way]bool{redistest.Requests: false, redistest.Replies: true} {
		synctest.Test(t, func(t *testing.T) {
			p := redistest.NewPipe(t)
			c := p.Client(once)
			require.NoError(t, c.Ping(t.Context()).Err())
			p.Hold(way)
			p.Hold(way) // does nothing
			ended := make(chan error)
			go func() { ended <- c.Incr(t.Context(), "n").Err() }()
			synctest.Wait()
			require.Equal(t, want, p.Mini.Exists("n"), "whether the server has acted")
			require.Error(t, <-ended, "after its time-out")
			p.Release()
			require.NoError(t, c.Ping(t.Context()).Err())
		})
	}
}

func TestPipePassesWhatWasHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := redistest.NewPipe(t)
		c := p.Client(once)
		require.NoError(t, c.Ping(t.Context()).Err())
		ended := make(chan error)
		p.Hold(redistest.Replies)
		go func() { ended <- c.Ping(t.Context()).Err() }()
		synctest.Wait()
		p.Release()
		require.NoError(t, <-ended)
		p.Hold(redistest.Requests)
		go func() { ended <- c.Ping(t.Context()).Err() }()
		synctest.Wait()
		p.Cut()
		require.Error(t, <-ended, "what is held is lost with its connection")
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
