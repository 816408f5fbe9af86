package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// Two lanes of which a worker holds a task each, and one where none has come.
func crew(t *testing.T, rdb redis.UniversalClient, queue string) (s *store.Store, tasks []store.Task) {
	t.Helper()
	s = store.New(rdb, queue)
	_, err := s.Submit(t.Context(), "me", "1", true, []store.Submission{one("a", "uid-1", ""), one("b", "uid-2", "cpu=1"), one("c", "uid-3", "cpu=1")})
	require.NoError(t, err)
	_, err = s.Submit(t.Context(), "me", "2", true, []store.Submission{{Kind: "nobody", Plain: true, Args: []byte("1")}})
	require.NoError(t, err)
	got, err := s.Claim(t.Context(), store.Claim{Worker: "w", Op: "1", Lanes: []string{"k", "k~cpu=1"}, Most: []int{1, 1}, Max: 2, Lease: time.Second})
	require.NoError(t, err)
	require.Len(t, got.Tasks, 2)
	return s, got.Tasks
}

// A sign of life says for how long it is one, and who the worker is; what a
// worker says of itself goes a day after its last sign.
func TestRenewIsASignOfLife(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "renew")
		_, err := s.Renew(ctx, "w", "7", 3*time.Second, []byte("{}"), nil)
		require.NoError(t, err)
		require.Equal(t, map[string]string{"w": "7 3000"}, rdb.HGetAll(ctx, "stint:{renew}:beats").Val())
		require.Equal(t, map[string]string{"info": "{}"}, rdb.HGetAll(ctx, "stint:{renew}:worker:w").Val())
		left := rdb.PTTL(ctx, "stint:{renew}:worker:w").Val()
		require.Greater(t, left, 23*time.Hour)
		require.LessOrEqual(t, left, 24*time.Hour)
	})
}

// A worker is removed when it holds nothing and has given no sign since.
func TestLeaveHoldsNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, tasks := crew(t, rdb, "leave")
		ctx, lanes := t.Context(), []string{"k", "k~cpu=1", "nobody"}
		_, err := s.Renew(ctx, "w", "2", time.Second, []byte("{}"), nil)
		require.NoError(t, err)
		before := keyspace(t, rdb)
		require.ErrorIs(t, s.Leave(ctx, "w", "2 1000", lanes), store.ErrConflict)
		settled(t, ctx, s, tasks[:1], rules.Succeeded)
		require.ErrorIs(t, s.Leave(ctx, "w", "", lanes), store.ErrConflict)
		settled(t, ctx, s, tasks[1:], rules.Succeeded)
		require.ErrorIs(t, s.Leave(ctx, "w", "1 1000", lanes), store.ErrAlive)
		require.Equal(t, before["stint:{leave}:beats"], keyspace(t, rdb)["stint:{leave}:beats"])
		require.NoError(t, s.Leave(ctx, "w", "2 1000", lanes))
		require.Zero(t, rdb.Exists(ctx, "stint:{leave}:beats", "stint:{leave}:worker:w").Val())
		for _, lane := range []string{"k", "k~cpu=1"} {
			require.Empty(t, rdb.XInfoConsumers(ctx, "stint:{leave}:ready:"+lane, "w").Val())
		}
		require.NoError(t, s.Leave(ctx, "w", "", lanes), "it has left")
	})
}

// What a janitor is told, and who looks at a queue.
func TestSweepHeldAndHeads(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, tasks := crew(t, rdb, "sweep")
		ctx, lanes := t.Context(), []string{"k", "nobody", "k~cpu=1"}
		crew, err := s.Sweep(ctx, nil)
		require.NoError(t, err)
		require.ElementsMatch(t, lanes, crew.Lanes)
		crew.Lanes = nil
		want := store.Crew{Beats: map[string]string{"w": "1 1000"}, Holds: map[string]map[string]int{}}
		require.Equal(t, want, crew)
		crew, err = s.Sweep(ctx, lanes)
		require.NoError(t, err)
		want.Holds["w"] = map[string]int{"k": 1, "k~cpu=1": 1}
		require.Equal(t, want.Holds, crew.Holds)

		for worker, n := range map[string]int{"": 2, "w": 2, "other": 0} {
			held, err := s.Held(ctx, lanes, worker)
			require.NoError(t, err)
			require.Len(t, held, n, worker)
			for i, h := range held {
				require.Equal(t, "w", h.Worker)
				require.Equal(t, tasks[i].Job, h.Job)
				require.Equal(t, tasks[i].Entry, h.Entry)
			}
		}
		heads, err := s.Heads(ctx, append(lanes, "none"))
		require.NoError(t, err)
		first := func(lane string) string { return rdb.XRange(ctx, "stint:{sweep}:ready:"+lane, "-", "+").Val()[0].ID }
		second := rdb.XRange(ctx, "stint:{sweep}:ready:k~cpu=1", "-", "+").Val()[1].ID
		require.Equal(t, []string{"", first("nobody"), second, ""}, heads)
	})
}

// What workers hold is listed up to a limit, over all lanes.
func TestHeldIsBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "held")
		lanes := []string{"x", "y", "z"}
		for i, kind := range lanes {
			subs := make([]store.Submission, 300)
			for j := range subs {
				subs[j] = store.Submission{Kind: kind, Plain: true, Args: []byte("1")}
			}
			_, err := s.Submit(ctx, "me", fmt.Sprint(i+1), true, subs)
			require.NoError(t, err)
			_, err = s.Claim(ctx, store.Claim{Worker: "w", Op: fmt.Sprint(i + 1), Lanes: []string{kind}, Max: 300, Lease: time.Second})
			require.NoError(t, err)
		}
		held, err := s.Held(ctx, lanes, "w")
		require.NoError(t, err)
		require.Len(t, held, store.Limit)
	})
}
