package embedded_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/embedded"
)

func TestRedisKeepsAndExpires(t *testing.T) {
	t.Parallel()
	rdb, stop := embedded.Redis()
	defer stop()
	ctx := t.Context()
	require.NoError(t, rdb.Set(ctx, "kept", "1", 0).Err())
	require.NoError(t, rdb.Set(ctx, "gone", "1", 10*time.Millisecond).Err())
	require.Equal(t, "1", rdb.Get(ctx, "kept").Val())
	require.Eventually(t, func() bool { return rdb.Exists(ctx, "gone").Val() == 0 }, time.Minute, time.Millisecond)
	require.Equal(t, "1", rdb.Get(ctx, "kept").Val())
}

// Commands and answers may be more than fits any buffer on the way.
func TestLongPipeline(t *testing.T) {
	t.Parallel()
	rdb, stop := embedded.Redis()
	defer stop()
	value := strings.Repeat("x", 300)
	var got []*redis.StringCmd
	_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range 1000 {
			p.Set(t.Context(), strconv.Itoa(i), value, 0)
			got = append(got, p.Get(t.Context(), strconv.Itoa(i)))
		}
		return nil
	})
	require.NoError(t, err)
	for _, c := range got {
		require.Equal(t, value, c.Val())
	}
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	one, stopOne := embedded.Redis()
	defer stopOne()
	two, stopTwo := embedded.Redis()
	defer stopTwo()
	require.NoError(t, one.Set(t.Context(), "k", "1", 0).Err())
	require.ErrorIs(t, two.Get(t.Context(), "k").Err(), redis.Nil)
}

func TestListenIsReachedByURL(t *testing.T) {
	address, stop, err := embedded.Listen()
	require.NoError(t, err)
	defer stop()
	t.Setenv("REDIS_URL", address)
	rdb, closeClient, err := embedded.FromEnv()
	require.NoError(t, err)
	defer closeClient()
	require.NoError(t, rdb.Set(t.Context(), "k", "1", 0).Err())
	again, closeAgain, err := embedded.FromEnv()
	require.NoError(t, err)
	defer closeAgain()
	require.Equal(t, "1", again.Get(t.Context(), "k").Val(), "both are clients of one server")
}

func TestFromEnvKnowsSchemes(t *testing.T) { //nolint:paralleltest // it sets a variable
	for address, want := range map[string]any{
		"":                          (*redis.Client)(nil),
		"redis://127.0.0.1:1/2":     (*redis.Client)(nil),
		"rediss://127.0.0.1:1":      (*redis.Client)(nil),
		"redis+cluster://127.0.0.1": (*redis.ClusterClient)(nil),
		"redis+sentinel://127.0.0.1:26379?master_name=m": (*redis.Client)(nil),
	} {
		t.Setenv("REDIS_URL", address)
		rdb, stop, err := embedded.FromEnv()
		require.NoError(t, err, address)
		require.IsType(t, want, rdb, address)
		stop()
	}
}

func TestFromEnvRefuses(t *testing.T) { //nolint:paralleltest // it sets a variable
	for _, address := range []string{"http://127.0.0.1", "redis://127.0.0.1/no-number", "redis+cluster://127.0.0.1/?dial_timeout=soon", "::"} {
		t.Setenv("REDIS_URL", address)
		_, _, err := embedded.FromEnv()
		require.ErrorContains(t, err, "REDIS_URL", address)
	}
}

func TestFromEnvKeepsThePassword(t *testing.T) { //nolint:paralleltest // it sets a variable
	for _, address := range []string{"redis://u:secret@127.0.0.1:port", "redis+cluster://u:secret@127.0.0.1:port"} {
		t.Setenv("REDIS_URL", address)
		_, _, err := embedded.FromEnv()
		require.ErrorContains(t, err, "REDIS_URL")
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestClosingAgainDoesNothing(t *testing.T) {
	t.Parallel()
	rdb, stop := embedded.Redis()
	require.NoError(t, rdb.Ping(t.Context()).Err())
	stop()
	stop()
	require.Error(t, rdb.Ping(t.Context()).Err())
}
