package store_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// ticking is a store with a clock of its own, which stands until it is set.
func ticking(rdb redis.UniversalClient, queue string) (s *store.Store, now *int64) {
	s, now = store.New(rdb, queue), new(int64)
	*now = 1_700_000_000_000
	s.Clock = func() int64 { return *now }
	return s, now
}

// Timers that are due are handed out once in the time that the taker has.
func TestDueTimersAreHeld(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, timers := t.Context(), "stint:{due}:timers"
		s, now := ticking(rdb, "due")
		got, err := s.Due(ctx, time.Second)
		require.NoError(t, err)
		require.Equal(t, store.Due{Now: *now}, got)
		for i, name := range []string{"job", "cron/c", "past/p", "lack/o", "later"} {
			require.NoError(t, rdb.ZAdd(ctx, timers, redis.Z{Score: float64(*now - 3 + int64(i)), Member: name}).Err())
		}
		start := *now
		for _, at := range []int64{start, start + 2000} { // nobody has looked at them
			*now = at
			got, err = s.Due(ctx, 2*time.Second)
			require.NoError(t, err)
			want := store.Due{Now: at, Next: start + 1, Jobs: []string{"job"}, Cron: []string{"c"}, Past: []string{"p"}, Lack: []string{"o"}}
			if at > start {
				want.Jobs, want.Next = append(want.Jobs, "later"), at+2000
			}
			require.ElementsMatch(t, want.Jobs, got.Jobs)
			got.Jobs = want.Jobs
			require.Equal(t, want, got)
			again, err := s.Due(ctx, time.Second)
			require.NoError(t, err)
			require.Equal(t, store.Due{Now: at, Next: want.Next}, again)
		}
	})
}

// Plain jobs that have finished are forgotten in their time, and not before.
func TestForgetInTime(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, prefix := t.Context(), "stint:{forget}:"
		s, now := ticking(rdb, "forget")
		_, err := s.Submit(ctx, "me", "1", true, []store.Submission{{Kind: "k", Plain: true, Args: []byte("1")}})
		require.NoError(t, err)
		task := claimed(t, s, []string{"k"}, 1)[0]
		o := s.Settle(ctx, []store.Result{{Task: &task, Verdict: rules.Succeeded, TTL: time.Hour}}, store.Guard{}, *now)
		require.NoError(t, o[0].Err)
		pasts, err := s.Pasts(ctx)
		require.NoError(t, err)
		require.Len(t, pasts, 1)
		goes := rdb.ZScore(ctx, prefix+"pasts", pasts[0]).Val()
		require.GreaterOrEqual(t, int64(goes), *now+time.Hour.Milliseconds())

		// Somebody has taken the timer, and looks too early.
		require.NoError(t, rdb.ZAdd(ctx, prefix+"timers", redis.Z{Score: 1, Member: "past/" + pasts[0]}).Err())
		before := rdb.HGetAll(ctx, prefix+"past:"+pasts[0]).Val()
		require.Len(t, before, 1)
		require.NoError(t, s.Forget(ctx, pasts[0]))
		require.InDelta(t, goes, rdb.ZScore(ctx, prefix+"timers", "past/"+pasts[0]).Val(), 0)
		require.Equal(t, before, rdb.HGetAll(ctx, prefix+"past:"+pasts[0]).Val())

		*now = int64(goes)
		for range 2 { // a repeated call finds nothing
			require.NoError(t, s.Forget(ctx, pasts[0]))
			require.Zero(t, rdb.Exists(ctx, prefix+"past:"+pasts[0], prefix+"pasts", prefix+"timers").Val())
		}
	})
}
