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

// resized gives a job other completions, and as many attempts at a time.
func resized(t *testing.T, s *store.Store, generation, n int, change func(*rules.Spec)) {
	t.Helper()
	r := one("", "", "").Rules
	r.Indexed = true
	change(&r)
	r.Completions, r.Parallelism = n, n
	require.NoError(t, s.Update(t.Context(), keyOfA, "", generation, fmt.Append(nil, generation), r))
}

// lookedAt looks at jobs for as long as something is due, and audits a.
func lookedAt(t *testing.T, s *store.Store) *store.Record {
	t.Helper()
	looks(t, s)
	faults, err := s.AuditJobs(t.Context(), []store.JobKey{keyOfA})
	require.NoError(t, err)
	require.Empty(t, faults)
	r, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	return r
}

// An index that waits for its next attempt, is cut off, and comes back before
// its time, starts once.
func TestIndexThatComesBackStartsOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for name, change := range map[string]func(*rules.Spec){
			"by its time": func(r *rules.Spec) { r.Backoff = rules.Backoff{Initial: 10_000, Max: 10_000, Factor: 1} },
			"by its place": func(r *rules.Spec) {
				r.Backoff = rules.Backoff{Initial: 10_000, Max: 10_000, Factor: 1, JobScope: true}
				r.PerIndex = 5
			},
		} {
			t.Run(name, func(t *testing.T) {
				require.NoError(t, rdb.FlushDB(t.Context()).Err())
				s, now := steered(t, rdb, "back", func(r *rules.Spec) { change(r); r.Indexed, r.Completions, r.Parallelism = true, 2, 2 })
				tasks := taken(t, s, "1", 2)
				ended(t, s, store.Result{Task: tasks[1], Verdict: rules.Failed, Delay: -1, Error: []byte("{}")})
				resized(t, s, 1, 1, change)
				lookedAt(t, s)
				resized(t, s, 2, 2, change)
				require.Equal(t, 2, lookedAt(t, s).Active)
				*now += 10_000
				require.Equal(t, 2, lookedAt(t, s).Active)
			})
		}
	})
}

// A job that shrinks stops all of what it has no more, however much that is and
// however much is left; what grows back meanwhile starts anew.
func TestShrinkOfManyActive(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, same := t.Context(), func(*rules.Spec) {}
		s, _ := steered(t, rdb, "many", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism = true, 700, 700 })
		require.Equal(t, 700, lookedAt(t, s).Active)
		resized(t, s, 1, 300, same)
		require.Greater(t, rdb.HLen(ctx, "stint:{many}:job:a:tasks").Val(), int64(300), "not all at once")
		resized(t, s, 2, 400, same)
		for range 10 { // and there is an end to it
			require.NoError(t, s.Advance(ctx, []store.JobKey{keyOfA}))
		}
		require.Zero(t, rdb.ZScore(ctx, "stint:{many}:timers", "a").Val())
		require.Equal(t, 400, lookedAt(t, s).Active)
		require.EqualValues(t, 400, rdb.XLen(ctx, "stint:{many}:ready:k").Val())
		fresh := map[bool]int64{}
		for slot, task := range rdb.HGetAll(ctx, "stint:{many}:job:a:tasks").Val() {
			require.Regexp(t, ` 1 0 0 0$`, task, slot)
			n := 0
			_, err := fmt.Sscan(slot, &n)
			require.NoError(t, err)
			require.Less(t, n, 400)
			fresh[n >= 300]++
		}
		require.Equal(t, map[bool]int64{false: 300, true: 100}, fresh)
	})
}

// The end of an attempt that was cut off counts for nothing, even if its index
// has come back.
func TestEndOfWhatWasCutOff(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for name, is := range map[string][2]bool{"scaled": {false, false}, "evicted": {true, false}, "scaled, last": {false, true}, "evicted, last": {true, true}} {
			evict, last := is[0], is[1]
			t.Run(name, func(t *testing.T) {
				require.NoError(t, rdb.FlushDB(t.Context()).Err())
				after := func(r *rules.Spec) { r.ReplaceFailed = true }
				s, _ := steered(t, rdb, "cut", func(r *rules.Spec) { after(r); r.Indexed, r.Completions, r.Parallelism = true, 3, 3 })
				old := taken(t, s, "1", 3)
				if evict {
					require.NoError(t, s.Evict(t.Context(), keyOfA, "", 1, ""))
					require.NoError(t, s.Evict(t.Context(), keyOfA, "", 2, ""))
				}
				resized(t, s, 1, 1, after)
				resized(t, s, 2, 3, after)
				require.Equal(t, 1, lookedAt(t, s).Active, "the others have not ended")
				ended(t, s, store.Result{Task: old[2], Verdict: rules.Succeeded, Delay: -1})
				fresh := taken(t, s, "2", 1)
				require.Contains(t, fresh, 1, "the lowest that is missing")
				if last {
					ended(t, s, store.Result{Task: fresh[1], Verdict: rules.Succeeded, Delay: -1})
				}
				ended(t, s, store.Result{Task: old[1], Verdict: rules.Succeeded, Delay: -1})
				r := lookedAt(t, s)
				if !last {
					require.Equal(t, []int{0, 3, 0}, []int{r.Succeeded, r.Active, r.Ending})
					ended(t, s, store.Result{Task: fresh[1], Verdict: rules.Succeeded, Delay: -1})
					r = lookedAt(t, s)
				}
				require.Equal(t, []int{1, 2, 0}, []int{r.Succeeded, r.Active, r.Ending})
			})
		}
	})
}

// What lies beyond the completions is forgotten: what was done there, what was
// given up, and failures that were not shown yet.
func TestShrinkForgets(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		after := func(r *rules.Spec) { r.PerIndex, r.Backoff.JobScope = 1, true }
		s, _ := steered(t, rdb, "forget", func(r *rules.Spec) { after(r); r.Indexed, r.Completions, r.Parallelism = true, 30, 30 })
		tasks := taken(t, s, "1", 30)
		for slot, v := range map[int]rules.Verdict{1: rules.Succeeded, 9: rules.Succeeded, 17: rules.Succeeded, 2: rules.IndexFailed, 10: rules.IndexFailed, 18: rules.IndexFailed, 20: rules.Failed} {
			ended(t, s, store.Result{Task: tasks[slot], Verdict: v, Delay: -1, Error: []byte("{}")})
		}
		for i, want := range []struct {
			n, failed int
			done, bad string
		}{{30, 3, "1,9,17", "2,10,18"}, {19, 3, "1,9,17", "2,10,18"}, {10, 3, "1,9", "2"}, {9, 3, "1", "2"}, {2, 3, "1", ""}} {
			resized(t, s, i+1, want.n, after)
			r := lookedAt(t, s)
			require.Equal(t, []any{want.done, want.bad, want.failed}, []any{r.Done.String(), r.Bad.String(), r.Failed}, want.n)
		}
	})
}

// What still waits beyond the completions, in whatever numbers, takes nobody's place.
func TestWhatWaitsBeyondTakesNoPlace(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, now := steered(t, rdb, "place", func(r *rules.Spec) { r.Indexed = true })
		ended(t, s, store.Result{Task: taken(t, s, "1", 1)[0], Verdict: rules.Failed, Delay: 10 * time.Second, Error: []byte("{}")})
		waits := make([]redis.Z, 0, 600)
		for slot := range 600 {
			waits = append(waits, redis.Z{Score: float64(*now + 5000), Member: slot + 1})
		}
		require.NoError(t, rdb.ZAdd(t.Context(), "stint:{place}:job:a:wait", waits...).Err())
		*now += 10_000
		require.Equal(t, 1, lookedAt(t, s).Active)
	})
}

// Of a job that shrinks by thousands what stays goes on, however long it takes
// to find what does not.
func TestShrinkKeepsWhatStays(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, same := t.Context(), func(*rules.Spec) {}
		s, _ := holed(t, rdb, "stays", 6000, 6000, indexes(5, 5994))
		require.Equal(t, 10, lookedAt(t, s).Active)
		entry := rdb.HGet(ctx, "stint:{stays}:job:a:tasks", "0").Val()
		resized(t, s, 1, 1, same)
		require.EqualValues(t, 5, rdb.HLen(ctx, "stint:{stays}:job:a:tasks").Val(), "not all are looked for at once")
		require.Equal(t, 1, lookedAt(t, s).Active)
		require.Equal(t, map[string]string{"0": entry}, rdb.HGetAll(ctx, "stint:{stays}:job:a:tasks").Val())
	})
}

// What succeeds beyond the completions before it was told to stop is not done.
func TestSuccessBeyondTheCompletions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, _ := steered(t, rdb, "won", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism = true, 400, 400 })
		require.Equal(t, 400, lookedAt(t, s).Active)
		tasks := taken(t, s, "1", 100) // the first of them
		resized(t, s, 1, 2, func(*rules.Spec) {})
		results := []store.Result{{Task: tasks[0], Verdict: rules.Succeeded, Delay: -1}, {Task: tasks[5], Verdict: rules.Succeeded, Delay: -1}}
		for _, o := range s.Settle(t.Context(), results, store.Guard{}, 0) {
			require.NoError(t, o.Err)
			require.True(t, o.Counted)
		}
		r := lookedAt(t, s)
		require.Equal(t, []any{1, "0"}, []any{r.Succeeded, r.Done.String()})
		require.Equal(t, 1, r.Active)
	})
}
