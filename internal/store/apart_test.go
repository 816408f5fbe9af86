package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

func one(name, uid, requests string) store.Submission {
	return store.Submission{
		Kind: "k", Name: name, UID: uid, Sums: name + uid, Requests: requests, Args: []byte("1"), Spec: []byte("{}"),
		Rules: rules.Spec{Completions: 1, Parallelism: 1, BackoffLimit: 6, TTL: time.Hour.Milliseconds(), Deadline: rules.Unset, PerIndex: rules.Unset, MaxFailed: rules.Unset},
	}
}

func claimed(t *testing.T, s *store.Store, lanes []string, n int) []store.Task {
	t.Helper()
	got, err := s.Claim(t.Context(), store.Claim{Worker: "w", Op: "1", Lanes: lanes, Max: n, Lease: time.Second})
	require.NoError(t, err)
	require.Len(t, got.Tasks, n)
	return got.Tasks
}

// A job whose record is of another type keeps no others of its call from being
// settled, and its own tasks are not ended.
func TestDamagedRecordIsSettledApart(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "apart")
		var subs []store.Submission
		for i := range 5 {
			subs = append(subs, one(fmt.Sprint("job-", i), fmt.Sprint("uid-", i), ""))
		}
		_, err := s.Submit(ctx, "me", "1", true, subs)
		require.NoError(t, err)
		tasks := claimed(t, s, []string{"k"}, 5)
		bad := "stint:{apart}:job:job-2"
		saved := rdb.HGetAll(ctx, bad).Val()
		require.NoError(t, rdb.Del(ctx, bad).Err())
		require.NoError(t, rdb.SAdd(ctx, bad, "x").Err())
		results := make([]store.Result, len(tasks))
		for i := range tasks {
			results[i] = store.Result{Task: &tasks[i], Verdict: rules.Succeeded, Delay: -1}
		}
		for i, o := range s.Settle(ctx, results, store.Guard{}, 0) {
			if i == 2 {
				require.True(t, store.Damaged(o.Err), "%v", o.Err)
				require.False(t, store.Temporary(o.Err))
				continue
			}
			require.NoError(t, o.Err)
			require.True(t, o.Counted)
		}
		require.ErrorContains(t, s.Settle(ctx, results[2:3], store.Guard{}, 0)[0].Err, "the job's record", "alone too")
		require.NoError(t, rdb.Del(ctx, bad).Err())
		require.NoError(t, rdb.HSet(ctx, bad, saved).Err())
		o := s.Settle(ctx, results, store.Guard{}, 0)[2]
		require.NoError(t, o.Err)
		require.True(t, o.Counted, "when it is mended, its result is taken")
		for _, sub := range subs {
			r, err := s.Get(ctx, sub.Name)
			require.NoError(t, err)
			require.Equal(t, rules.JobIsComplete, r.Phase)
		}
	})
}

// Two jobs of one name in one call are one, or in conflict.
func TestSameNameInOneCall(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "apart")
		same := one("a", "uid-2", "cpu=1")
		same.Sums = "auid-1"
		got, err := s.Submit(ctx, "me", "1", false, []store.Submission{one("a", "uid-1", "cpu=1"), same, one("a", "uid-3", "cpu=2"), one("b", "uid-4", "")})
		require.NoError(t, err)
		require.Equal(t, []store.Answer{{}, {Existing: "uid-1"}, {Conflict: "uid-1"}, {}}, got)
		require.EqualValues(t, 1, rdb.XLen(ctx, "stint:{apart}:ready:k~cpu=1").Val())
		require.Equal(t, "1", rdb.HGet(ctx, "stint:{apart}:lanes", "k~cpu=1").Val())
		require.False(t, rdb.HExists(ctx, "stint:{apart}:lanes", "k~cpu=2").Val())

		got, err = s.Submit(ctx, "me", "2", true, []store.Submission{one("c", "uid-1", ""), one("c", "uid-2", "")})
		require.NoError(t, err)
		require.Equal(t, []store.Answer{{Refused: true}, {Conflict: "uid-1"}}, got)
		require.Zero(t, rdb.Exists(ctx, "stint:{apart}:job:c").Val(), "all or none")
	})
}

// A parked job that was deleted, and has come back as another kind, starts
// nothing among the tasks of the first.
func TestLiftOfAnotherOfThatName(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "apart")
		park := func(op, uid, requests string) {
			_, err := s.Submit(ctx, "me", op, true, []store.Submission{one("a", uid, requests)})
			require.NoError(t, err)
			lane := store.Lane("k", requests)
			got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: op, Lanes: []string{lane}, Max: 1, Lease: time.Second})
			require.NoError(t, err)
			ok, err := s.Park(ctx, store.JobKey{Name: "a", Kind: "k", Requests: requests}, uid, store.Lack{Object: "config/c", Reason: "missing", AtMost: 60_000, Generation: 1})
			require.NoError(t, err)
			require.True(t, ok)
			settled(t, ctx, s, got.Tasks, rules.Released)
			require.Zero(t, rdb.XLen(ctx, "stint:{apart}:ready:"+lane).Val())
		}
		park("1", "uid-1", "")
		_, err := s.Delete(ctx, store.JobKey{Name: "a", Kind: "k"}, "uid-1")
		require.NoError(t, err)
		park("2", "uid-2", "cpu=1")

		_, err = s.PutObject(ctx, "config/c", "1", "", []byte("{}"))
		require.NoError(t, err)
		for more := true; more; {
			more, err = s.Lift(ctx, "config/c")
			require.NoError(t, err)
		}
		require.Zero(t, rdb.XLen(ctx, "stint:{apart}:ready:k").Val())
		require.EqualValues(t, 1, rdb.XLen(ctx, "stint:{apart}:ready:k~cpu=1").Val())
	})
}

func settled(t *testing.T, ctx context.Context, s *store.Store, tasks []store.Task, v rules.Verdict) {
	t.Helper()
	results := make([]store.Result, len(tasks))
	for i := range tasks {
		results[i] = store.Result{Task: &tasks[i], Verdict: v, Delay: -1}
	}
	for _, o := range s.Settle(ctx, results, store.Guard{}, 0) {
		require.NoError(t, o.Err)
		require.True(t, o.Counted)
	}
}

// An audit of a job that was replaced since its kind was read finds nothing.
func TestAuditOfAReplacedJob(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "replaced")
		_, err := s.Submit(ctx, "me", "1", true, []store.Submission{one("a", "uid-1", "cpu=1")})
		require.NoError(t, err)
		for _, before := range []store.JobKey{{Name: "a", Kind: "k"}, {Name: "a", Kind: "k", Requests: "cpu=2"}, {Name: "a", Kind: "other", Requests: "cpu=1"}} {
			faults, err := s.AuditJobs(ctx, []store.JobKey{before})
			require.NoError(t, err)
			require.Empty(t, faults)
		}
	})
}

// A job that cannot be looked at keeps no other of its call from it, and who
// looks is told.
func TestLooksAreApart(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := ticking(rdb, "apart")
		var subs []store.Submission
		for _, name := range []string{"a", "b", "c"} {
			sub := one(name, "uid-"+name, "")
			sub.Rules.Deadline = 1000
			subs = append(subs, sub)
		}
		_, err := s.Submit(ctx, "me", "1", true, subs)
		require.NoError(t, err)
		spoil(t, rdb, "stint:{apart}:job:b")
		*now += 1000
		err = s.Advance(ctx, []store.JobKey{{Name: "a", Kind: "k"}, {Name: "b", Kind: "k"}, {Name: "c", Kind: "k"}})
		require.True(t, store.Damaged(err), "%v", err)
		for _, name := range []string{"a", "c"} {
			r, err := s.Get(ctx, name)
			require.NoError(t, err)
			require.Equal(t, "DeadlineExceeded", r.Reason)
			_, err = s.Delete(ctx, store.JobKey{Name: name, Kind: "k"}, "")
			require.NoError(t, err)
		}
		for _, e := range rdb.XRevRangeN(ctx, "stint:{apart}:events", "+", "-", 2).Val() {
			require.Equal(t, []any{"Deleted", ""}, []any{e.Values["e"], e.Values["r"]}, "deleted for no reason of its own")
		}
	})
}
