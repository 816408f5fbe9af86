package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// underWay submits an Indexed job of n completions and claims tasks 0 to n-1.
func underWay(t *testing.T, s *store.Store, n int) []store.Task {
	t.Helper()
	sub := one("job", "uid", "")
	sub.Rules.Completions, sub.Rules.Parallelism, sub.Rules.Indexed = n, n, true
	_, err := s.Submit(t.Context(), "me", "1", true, []store.Submission{sub})
	require.NoError(t, err)
	var tasks []store.Task
	for op := 1; len(tasks) < n; op++ {
		require.NoError(t, s.Advance(t.Context(), []store.JobKey{{Name: "job", Kind: "k"}}))
		c := store.Claim{Worker: "w", Op: fmt.Sprint(op), Lanes: []string{"k"}, Max: n, Lease: 1e9}
		got, err := s.Claim(t.Context(), c)
		require.NoError(t, err)
		tasks = append(tasks, got.Tasks...)
	}
	slices.SortFunc(tasks, func(a, b store.Task) int { return a.Slot - b.Slot })
	return tasks
}

// succeed settles tasks as succeeded, and answers which of them were counted.
func succeed(t *testing.T, s *store.Store, tasks []store.Task, slots ...int) []bool {
	t.Helper()
	results := make([]store.Result, len(slots))
	for i, slot := range slots {
		results[i] = store.Result{Task: &tasks[slot], Verdict: rules.Succeeded, Delay: -1}
	}
	counted := make([]bool, len(slots))
	for i, o := range s.Settle(t.Context(), results, store.Guard{}, 0) {
		require.NoError(t, o.Err)
		counted[i] = o.Counted
	}
	return counted
}

func upTo(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

// What one call ends is marked done whether it lies close together or far
// apart, in whatever order, and once.
func TestSlotsOfOneCallAreDone(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const n = 400
		s := store.New(rdb, "done")
		tasks := underWay(t, s, n)
		want := make([]byte, 0, n/8)
		seen := map[int]bool{}
		for _, slots := range [][]int{
			{17}, {3, 399}, upTo(40, 90), {16, 18, 15, 8}, {0, 1, 2, 3, 3}, {200, 17, 100, 201}, upTo(250, 300), {398, 399, 397}, upTo(0, 60),
		} {
			for i, counted := range succeed(t, s, tasks, slots...) {
				slot := slots[i]
				require.Equal(t, !seen[slot], counted, "slot %d of %v", slot, slots)
				seen[slot] = true
				for len(want) <= slot/8 {
					want = append(want, 0)
				}
				want[slot/8] |= 0x80 >> (slot % 8)
			}
			require.Equal(t, want, []byte(rdb.Get(t.Context(), "stint:{done}:job:job:done").Val()), "%v", slots)
			require.EqualValues(t, n-len(seen), rdb.HLen(t.Context(), "stint:{done}:job:job:tasks").Val())
		}
		r, err := s.Get(t.Context(), "job")
		require.NoError(t, err)
		require.Equal(t, len(seen), r.Succeeded)
		require.Equal(t, n-len(seen), r.Active)
	})
}

// An attempt that takes long keeps nothing in the stream that was handed out
// after it and has ended, and is not taken for ended itself.
func TestEndedEntriesAreRemoved(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const n = 120
		s := store.New(rdb, "ended")
		tasks := underWay(t, s, n)
		left := map[string]bool{}
		for i := range tasks {
			left[tasks[i].Entry] = true
		}
		for _, slots := range [][]int{upTo(0, 5), upTo(6, 30), {5, 40, 41, 42, 43, 44, 45, 46, 47, 50}, upTo(60, 90), upTo(100, n), {30, 31}} {
			require.NotContains(t, succeed(t, s, tasks, slots...), false)
			for _, slot := range slots {
				delete(left, tasks[slot].Entry)
			}
			entries := rdb.XRange(t.Context(), "stint:{ended}:ready:k", "-", "+").Val()
			require.Len(t, entries, len(left), "%v", slots)
			for _, e := range entries {
				require.True(t, left[e.ID], "%s has ended", e.ID)
			}
		}
		require.NotContains(t, succeed(t, s, tasks, upTo(4, 12)...), true, "they had ended before")
		mixed := succeed(t, s, tasks, upTo(25, 40)...)
		require.Equal(t, upTo(32, 40), indexesOf(mixed, 25), "some had ended before")
	})
}

// indexesOf are those that are true, counted from first.
func indexesOf(all []bool, first int) (out []int) {
	for i, yes := range all {
		if yes {
			out = append(out, first+i)
		}
	}
	return out
}

// Outcomes belong to their results, however these are mixed.
func TestMixedResultsKeepTheirOutcomes(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := store.New(rdb, "mixed")
		tasks := underWay(t, s, 12)
		succeed(t, s, tasks, 1, 6, 7)
		var results []store.Result
		for i := range tasks {
			r := store.Result{Task: &tasks[i], Verdict: rules.Succeeded, Delay: -1}
			switch i % 4 {
			case 1:
				r.Result = []byte("{}")
			case 2:
				r.Verdict, r.Error, r.Message = rules.Failed, []byte(`{"message":"x"}`), "x"
			}
			results = append(results, r)
		}
		for i, o := range s.Settle(t.Context(), results, store.Guard{}, 0) {
			require.NoError(t, o.Err)
			require.Equal(t, i != 1 && i != 6 && i != 7, o.Counted, "task %d", i)
		}
		r, err := s.Get(t.Context(), "job")
		require.NoError(t, err)
		require.Equal(t, 10, r.Succeeded)
		require.Equal(t, 2, r.Failed)
	})
}

// Tasks of a worker are given up for it only while it is silent.
func TestNothingIsGivenUpOfWhoBeats(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "silent")
		_, err := s.Submit(ctx, "me", "1", true, []store.Submission{one("a", "uid-1", ""), {Kind: "k", Plain: true, Args: []byte("1")}})
		require.NoError(t, err)
		tasks := claimed(t, s, []string{"k"}, 2)
		beat := rdb.HGet(ctx, "stint:{silent}:beats", "w").Val()
		require.NotEmpty(t, beat)
		lost := make([]store.Result, 2)
		for i := range tasks {
			lost[i] = store.Result{Task: &tasks[i], Verdict: rules.Lost, Delay: -1, Error: []byte("{}"), Spec: func() rules.Spec { return one("", "", "").Rules }}
		}
		before := keyspace(t, rdb)
		for _, g := range []store.Guard{{Worker: "w", Beat: "0 1000"}, {Worker: "other", Beat: beat}} {
			for _, o := range s.Settle(ctx, lost, g, 0) {
				require.ErrorIs(t, o.Err, store.ErrAlive)
				require.False(t, o.Counted)
			}
			require.Equal(t, before, keyspace(t, rdb))
		}
		for _, o := range s.Settle(ctx, lost, store.Guard{Worker: "w", Beat: beat}, 0) {
			require.NoError(t, o.Err)
			require.True(t, o.Counted)
		}
	})
}

// What fails a whole job says why.
func TestVerdictOnTheJobIsKept(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, _ := steered(t, rdb, "verdict", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism = true, 2, 2 })
		task := taken(t, s, "1", 2)[1]
		ended(t, s, store.Result{Task: task, Verdict: rules.JobFailed, Delay: -1, Error: []byte(`{"message":"x"}`), Message: "no more of this"})
		r, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, []any{rules.FailureTarget, "PodFailurePolicy", "no more of this", 2}, []any{r.Phase, r.Reason, r.Message, r.Failed})
	})
}

// Slots of one call may lie as far apart as they like.
func TestSlotsFarApartAreDone(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, _ := holed(t, rdb, "far", 80_001, 2, indexes(1, 79_999))
		looks(t, s)
		tasks := taken(t, s, "2", 2)
		results := []store.Result{{Task: tasks[0], Verdict: rules.Succeeded, Delay: -1}, {Task: tasks[80_000], Verdict: rules.Succeeded, Delay: -1}}
		for _, o := range s.Settle(t.Context(), results, store.Guard{}, 0) {
			require.NoError(t, o.Err)
			require.True(t, o.Counted)
		}
		r, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, []any{rules.JobIsComplete, "0-80000"}, []any{r.Phase, r.Done.String()})
	})
}

// The notes of a slot go with its success.
func TestNotesGoWithTheSuccess(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, _ := steered(t, rdb, "notes", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism = true, 2, 2 })
		tasks := taken(t, s, "1", 2)
		for _, task := range tasks {
			require.NoError(t, s.Note(t.Context(), task, 'c', []byte("x")))
			require.NoError(t, s.Note(t.Context(), task, 'p', []byte("y")))
		}
		ended(t, s, store.Result{Task: tasks[1], Verdict: rules.Succeeded, Delay: -1, Notes: true})
		data := rdb.HGetAll(t.Context(), "stint:{notes}:job:a:data").Val()
		for _, field := range []string{"c:0", "p:0"} {
			require.Contains(t, data, field)
		}
		for _, field := range []string{"c:1", "p:1"} {
			require.NotContains(t, data, field)
		}
	})
}

// An evicted attempt that ends when its job has failed is one of those that
// failed with it.
func TestEvictedEndsWhenItsJobHasFailed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, _ := steered(t, rdb, "evicted", func(r *rules.Spec) {
			r.Indexed, r.Completions, r.Parallelism, r.BackoffLimit, r.ReplaceFailed = true, 3, 3, 0, true
		})
		tasks := taken(t, s, "1", 3)
		require.NoError(t, s.Evict(t.Context(), keyOfA, "", 1, ""))
		for i, failed := range []int{2, 3, 3} { // the other is told to stop, and counted at once
			ended(t, s, store.Result{Task: tasks[i], Verdict: rules.Failed, Delay: -1, Error: []byte("{}")})
			r, err := s.Get(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, failed, r.Failed, i)
			require.Equal(t, 2-i, r.Ending)
		}
	})
}
