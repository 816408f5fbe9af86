package redistest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
)

// once has a client try everything just once.
func once(o *redis.Options) { o.MaxRetries = -1 }

func TestEachGivesAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
				require.Zero(t, rdb.DBSize(t.Context()).Val())
				require.NoError(t, rdb.Set(t.Context(), "k", name, 0).Err())
				require.EqualValues(t, 1, rdb.DBSize(t.Context()).Val())
			})
		})
	}
}

func TestSharedGivesEachTestADatabaseOfOneServer(t *testing.T) {
	t.Parallel()
	a, b := redistest.Shared(t).(*redis.Client), redistest.Shared(t).(*redis.Client)
	require.Equal(t, a.Options().Addr, b.Options().Addr)
	require.NotEqual(t, a.Options().DB, b.Options().DB)
	require.NoError(t, a.Set(t.Context(), "k", 1, 0).Err())
	require.ErrorIs(t, b.Get(t.Context(), "k").Err(), redis.Nil)
}

func TestKilledServerLosesWhatItDoesNotKeep(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := s.Client()
	require.NoError(t, c.Set(t.Context(), "k", 1, 0).Err())
	s.Kill()
	s.Kill() // does nothing
	require.Error(t, s.Client(once).Ping(t.Context()).Err())
	s.Restart()
	require.ErrorIs(t, c.Get(t.Context(), "k").Err(), redis.Nil)
}

func TestKilledServerKeepsItsAppendOnlyFile(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	c := s.Client()
	require.NoError(t, c.Set(t.Context(), "k", "kept", 0).Err())
	s.Restart()
	require.Equal(t, "kept", c.Get(t.Context(), "k").Val())
}

func TestServerTakesSettings(t *testing.T) {
	t.Parallel()
	c := redistest.Start(t, "--maxmemory", "1").Client()
	require.ErrorContains(t, c.Set(t.Context(), "k", 1, 0).Err(), "OOM")
}

func TestPausedServerAnswersLater(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Pause()
	impatient := func(o *redis.Options) { o.ReadTimeout = 50 * time.Millisecond }
	require.Error(t, s.Client(once, impatient).Ping(t.Context()).Err())
	s.Continue()
	require.NoError(t, s.Client().Ping(t.Context()).Err())
	s.Pause() // a paused one can be killed
}

// incr adds one and answers what then is stored, past the faults.
func incr(t *testing.T, through, direct redis.UniversalClient) (int, error) {
	t.Helper()
	err := through.Incr(t.Context(), "n").Err()
	n, gerr := direct.Get(t.Context(), "n").Int()
	if !errors.Is(gerr, redis.Nil) {
		require.NoError(t, gerr)
	}
	return n, err
}

func TestProxyDropsReplies(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())

	p.DropReplies(1) // none of those with which the connection begins
	n, err := incr(t, p.Client(once), s.Client())
	require.Error(t, err)
	require.Equal(t, 1, n, "the server has acted")
	require.Equal(t, 1, p.Lost())

	p.DropReplies(1)
	n, err = incr(t, p.Client(), s.Client())
	require.NoError(t, err)
	require.Equal(t, 3, n, "go-redis has tried again, and it was done twice")
	require.Equal(t, 2, p.Lost())
}

func TestProxyDropsRequests(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	p.DropRequests(1)
	n, err := incr(t, p.Client(once), s.Client())
	require.Error(t, err)
	require.Zero(t, n, "the server knows nothing")
	require.Equal(t, 1, p.Lost())
	n, err = incr(t, p.Client(once), s.Client())
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestProxyDropsByCommand(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	c := p.Client(once)
	p.DropReplies(1, "incr")
	p.DropRequests(1, "get")
	require.NoError(t, c.Set(t.Context(), "n", 5, 0).Err())
	require.Error(t, c.Get(t.Context(), "n").Err())
	n, err := incr(t, c, s.Client())
	require.Error(t, err)
	require.Equal(t, 6, n)
	require.Equal(t, 2, p.Lost())

	p.DropRequests(1, "hello")
	require.Error(t, p.Client(once).Ping(t.Context()).Err(), "the connection cannot begin")
}

func TestProxyPassesWhatIsLong(t *testing.T) {
	t.Parallel()
	p := redistest.NewProxy(t, redistest.Start(t).Addr())
	long := string(make([]byte, 1<<20))
	c := p.Client(once)
	require.NoError(t, c.Set(t.Context(), "k", long, 0).Err())
	require.Equal(t, long, c.Get(t.Context(), "k").Val())

	p.DropReplies(1)
	require.Error(t, c.Set(t.Context(), "k", long, 0).Err())
	require.Equal(t, 1, p.Lost())
}

func TestProxyCutsConnections(t *testing.T) {
	t.Parallel()
	p := redistest.NewProxy(t, redistest.Start(t).Addr())
	sub := p.Client().Subscribe(t.Context(), "c")
	t.Cleanup(func() { _ = sub.Close() })
	_, err := sub.Receive(t.Context())
	require.NoError(t, err)
	p.Cut()
	_, err = sub.Receive(t.Context())
	require.Error(t, err)
}

func TestProxyOfADeadServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	s.Kill()
	require.Error(t, p.Client(once).Ping(t.Context()).Err())
	s.Restart()
	require.NoError(t, p.Client(once).Ping(t.Context()).Err())
}

func TestMiniExpiresInTime(t *testing.T) {
	t.Parallel()
	c := redistest.Mini(t)
	require.NoError(t, c.Set(t.Context(), "k", 1, time.Millisecond).Err())
	require.Eventually(t, func() bool { return c.Exists(context.Background(), "k").Val() == 0 }, time.Minute, time.Millisecond)
}
