// Package redistest gives tests a Redis.
//
//   - [Mini] is miniredis in the test's own process: fast, and no Redis at all.
//   - [Bubble] and [NewPipe] are miniredis inside a testing/synctest bubble,
//     where it goes by the bubble's clock.
//   - [Shared] is a real Redis of which the tests of one binary have a
//     database each.
//   - [Start] is a redis-server process of one test, to be killed, stopped and
//     started again.
//   - [Each] runs a test on miniredis and on every real server there is.
//   - [NewProxy] and [NewPipe] lose, delay and hold what clients and servers
//     say to each other; see [Faults].
//
// All of them end with the test, and leave no goroutine behind.
package redistest

import (
	"os/exec"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Mini is a client of a miniredis of its own, which listens on a loopback
// port. Keys expire in time, as they do on Redis.
func Mini(t testing.TB) redis.UniversalClient {
	t.Helper()
	m := miniredis.RunT(t)
	m.ClockTTL(true)
	return newClient(t, &redis.Options{Addr: m.Addr()}, nil)
}

// Each runs a test on miniredis, on a real Redis, and on a Valkey when
// valkey-server is on the PATH, in parallel. Each has an empty database of a
// server that it may share with other tests: what changes the server itself
// (its scripts, its settings) belongs on [Start].
func Each(t *testing.T, test func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(t, Mini(t))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, Shared(t))
	})
	if bin, err := exec.LookPath("valkey-server"); err == nil {
		t.Run("valkey", func(t *testing.T) {
			t.Parallel()
			test(t, sharedOf(t, bin))
		})
	}
}

// newClient makes a client that is closed at the end of the test. The changes
// are made to its options, in order.
func newClient(t testing.TB, o *redis.Options, changes []func(*redis.Options)) *redis.Client {
	t.Helper()
	for _, change := range changes {
		change(o)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() }) // a test may have closed it already
	return c
}
