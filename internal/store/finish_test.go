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

// plains submits and claims plain jobs.
func plains(t *testing.T, s *store.Store, n int) []store.Task {
	t.Helper()
	subs := make([]store.Submission, n)
	for i := range subs {
		subs[i] = store.Submission{Kind: "k", Plain: true, Args: fmt.Append(nil, i)}
	}
	_, err := s.Submit(t.Context(), "me", "1", true, subs)
	require.NoError(t, err)
	return claimed(t, s, []string{"k"}, n)
}

// A worker whose view of Redis's clock is old has nothing removed too early.
func TestFinishWithAnOldClock(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, now := ticking(rdb, "oldclock")
		r := store.Result{Task: &plains(t, s, 1)[0], Verdict: rules.Succeeded, TTL: time.Hour}
		o := s.Settle(t.Context(), []store.Result{r}, store.Guard{}, *now-2*time.Hour.Milliseconds())[0]
		require.NoError(t, o.Err)
		require.True(t, o.Counted)
		pasts, err := s.Pasts(t.Context())
		require.NoError(t, err)
		require.Len(t, pasts, 1)
		goes := rdb.ZScore(t.Context(), "stint:{oldclock}:pasts", pasts[0]).Val()
		require.GreaterOrEqual(t, int64(goes), *now+time.Hour.Milliseconds())
	})
}

// Of one batch, what has got a record meanwhile is counted there, and the
// others as plain ones.
func TestFinishLeavesRecordsToSettle(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "recorded")
		tasks := plains(t, s, 3)
		r, err := s.GetPlain(ctx, tasks[0].Job)
		require.NoError(t, err)
		require.NoError(t, s.AdoptFor(ctx, &tasks[0], one("", "", "").Rules, r))
		tasks[0].Plain = true // its worker does not know
		spec := func() rules.Spec { return one("", "", "").Rules }
		results := make([]store.Result, len(tasks))
		for i := range tasks {
			results[i] = store.Result{Task: &tasks[i], Verdict: rules.Succeeded, Delay: -1, Spec: spec, TTL: time.Hour}
		}
		for i, o := range s.Settle(ctx, results, store.Guard{}, time.Now().UnixMilli()) {
			require.NoError(t, o.Err)
			require.True(t, o.Counted, i)
		}
		require.Equal(t, "Complete", rdb.HGet(ctx, "stint:{recorded}:job:"+tasks[0].Job, "phase").Val())
		_, err = s.GetPlain(ctx, tasks[0].Job)
		require.ErrorIs(t, err, store.ErrGone)
		for _, task := range tasks[1:] {
			r, err := s.GetPlain(ctx, task.Job)
			require.NoError(t, err)
			require.Equal(t, 1, r.Succeeded)
		}
	})
}

// The end of a plain job is told where somebody waits for it, and only there.
func TestFinishTellsWhoWaits(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "awaited")
		tasks := plains(t, s, 3)
		require.NoError(t, s.Await(ctx, tasks[1].Job))
		settled(t, ctx, s, tasks, rules.Succeeded)
		told := rdb.XRange(ctx, "stint:{awaited}:events", "-", "+").Val()
		require.Len(t, told, 1)
		require.Equal(t, tasks[1].Job, told[0].Values["j"])
	})
}
