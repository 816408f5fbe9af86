package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/indexset"
	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// P8: what one call does is bounded over all the jobs in it, and goes on at
// the next look. These are how many tasks a call may start or stop.
const (
	atOnceInASubmission = 100
	atOnceInALook       = 250
)

// wide submits jobs a, b, ... of n attempts at a time each, of kinds of those names.
func wide(t *testing.T, s *store.Store, jobs, n int) (keys []store.JobKey) {
	t.Helper()
	subs := make([]store.Submission, jobs)
	for i := range subs {
		name := string(rune('a' + i))
		subs[i] = one(name, "uid-"+name, "")
		r := &subs[i].Rules
		subs[i].Kind, r.Indexed, r.Completions, r.Parallelism, r.BackoffLimit = name, true, n, n, 0
		keys = append(keys, store.JobKey{Name: name, Kind: name})
	}
	_, err := s.Submit(t.Context(), "me", "1", true, subs)
	require.NoError(t, err)
	return keys
}

// looks looks at jobs for as long as something is due.
func looks(t *testing.T, s *store.Store) {
	t.Helper()
	for {
		due, err := s.Due(t.Context(), time.Hour)
		require.NoError(t, err)
		if len(due.Jobs) == 0 {
			return
		}
		require.NoError(t, s.AdvanceNamed(t.Context(), due.Jobs))
	}
}

// active is how many tasks the jobs have among them.
func active(t *testing.T, rdb redis.UniversalClient, queue string, jobs []store.JobKey) (n int) {
	t.Helper()
	for _, j := range jobs {
		n += int(rdb.HLen(t.Context(), "stint:{"+queue+"}:job:"+j.Name+":tasks").Val())
	}
	return n
}

func TestStartsOfOneCallAreBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, _ := ticking(rdb, "starts")
		jobs := wide(t, s, 5, 80)
		require.Equal(t, atOnceInASubmission, active(t, rdb, "starts", jobs))
		require.NoError(t, s.Advance(t.Context(), jobs))
		require.Equal(t, atOnceInASubmission+atOnceInALook, active(t, rdb, "starts", jobs))
		looks(t, s)
		require.Equal(t, 400, active(t, rdb, "starts", jobs))
	})
}

func TestStopsOfOneCallAreBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, _ := ticking(rdb, "stops")
		jobs := wide(t, s, 2, 400)
		looks(t, s)
		var results []store.Result
		for i, j := range jobs {
			got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: fmt.Sprint(i + 1), Lanes: []string{j.Kind}, Max: 1, Lease: time.Second})
			require.NoError(t, err)
			results = append(results, store.Result{Task: &got.Tasks[0], Verdict: rules.Failed, Delay: -1, Error: []byte("{}")})
		}
		for _, o := range s.Settle(ctx, results, store.Guard{}, 0) {
			require.NoError(t, o.Err)
		}
		require.Equal(t, 798-atOnceInALook, active(t, rdb, "stops", jobs))
		for _, e := range rdb.XRange(ctx, "stint:{stops}:events", "-", "+").Val() {
			require.NotEqual(t, "Failed", e.Values["e"])
		}
		for _, j := range jobs { // watchers hear of it before it is over
			r, err := s.Get(ctx, j.Name)
			require.NoError(t, err)
			require.Equal(t, rules.FailureTarget, r.Phase)
		}
		require.NoError(t, s.Advance(ctx, jobs))
		require.Equal(t, 798-2*atOnceInALook, active(t, rdb, "stops", jobs))
		looks(t, s)
		var told []string
		for _, e := range rdb.XRange(ctx, "stint:{stops}:events", "-", "+").Val() {
			told = append(told, fmt.Sprint(e.Values["j"], " ", e.Values["e"]))
		}
		require.Equal(t, []string{"a Submitted", "b Submitted", "a FailureTarget", "b FailureTarget", "a Failed", "b Failed"}, told)
	})
}

func TestScalingDownIsBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		for completions, looked := range map[int]int{500: 2, 2: 0} { // what stays is looked at where it may be stopped
			require.NoError(t, rdb.FlushDB(ctx).Err())
			s, now := ticking(rdb, "scales")
			jobs := wide(t, s, 2, 500)
			looks(t, s)
			for i, j := range jobs {
				r := one("", "", "").Rules
				r.Indexed, r.Completions, r.Parallelism = true, completions, 2
				require.NoError(t, s.Update(ctx, j, "", 1, []byte("{}"), r))
				require.Equal(t, 1000-(i+1)*atOnceInALook, active(t, rdb, "scales", jobs))
				require.Equal(t, *now, int64(rdb.ZScore(ctx, "stint:{scales}:timers", j.Name).Val()), "it goes on at once")
			}
			require.NoError(t, s.Advance(ctx, jobs))
			require.Equal(t, 1000-3*atOnceInALook+looked, active(t, rdb, "scales", jobs))
			looks(t, s)
			require.Equal(t, 4, active(t, rdb, "scales", jobs))
		}
	})
}

func TestDeletionsOfOneCallAreBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := ticking(rdb, "deletes")
		jobs := wide(t, s, 2, 500)
		looks(t, s)
		// Some of the first are with a worker, and told to stop.
		got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: "1", Lanes: []string{"a"}, Max: 10, Lease: time.Second})
		require.NoError(t, err)
		r := one("", "", "").Rules
		r.Indexed, r.Completions, r.Parallelism, r.BackoffLimit = true, 500, 500, 100
		require.NoError(t, s.Update(ctx, jobs[0], "", 1, []byte("{}"), r))
		for i := range 5 {
			require.NoError(t, s.Evict(ctx, jobs[0], "", got.Tasks[i].Slot, ""))
		}
		looks(t, s)
		left := active(t, rdb, "deletes", jobs)
		for i, j := range jobs {
			_, last := orders(t, rdb, "deletes", "0-0")
			more, err := s.Delete(ctx, j, "")
			require.NoError(t, err)
			require.True(t, more)
			require.Equal(t, left-(i+1)*atOnceInALook, active(t, rdb, "deletes", jobs))
			require.Equal(t, *now, int64(rdb.ZScore(ctx, "stint:{deletes}:timers", j.Name).Val()), "it goes on at once")
			told, _ := orders(t, rdb, "deletes", last)
			require.Contains(t, told, "j "+j.Name, "workers hear of it")
		}
		faults, err := s.AuditJobs(ctx, jobs)
		require.NoError(t, err)
		require.Empty(t, faults)
		require.NoError(t, s.Advance(ctx, jobs))
		require.Equal(t, left-3*atOnceInALook, active(t, rdb, "deletes", jobs))
		looks(t, s)
		for _, j := range jobs {
			require.Zero(t, rdb.XLen(ctx, "stint:{deletes}:ready:"+j.Kind).Val())
			pending, err := rdb.XPending(ctx, "stint:{deletes}:ready:a", "w").Result()
			require.NoError(t, err)
			require.Zero(t, pending.Count)
		}
		require.Zero(t, rdb.Exists(ctx, "stint:{deletes}:job:a", "stint:{deletes}:job:b", "stint:{deletes}:timers").Val())
	})
}

// Slots whose time has come are work as well: where there are many of them,
// the other jobs of the call have to wait for the next look.
func TestDueSlotsAreWork(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := ticking(rdb, "slots")
		var subs []store.Submission
		for _, name := range []string{"a", "b"} {
			sub := one(name, "uid-"+name, "")
			sub.Rules.Indexed, sub.Rules.Completions, sub.Rules.Parallelism = true, 3, 2
			subs = append(subs, sub)
		}
		_, err := s.Submit(ctx, "me", "1", true, subs)
		require.NoError(t, err)
		tasks := claimed(t, s, []string{"k"}, 4)
		failed := func(i int) store.Result {
			return store.Result{Task: &tasks[i], Verdict: rules.Failed, Delay: 10 * time.Second, Error: []byte("{}")}
		}
		ended(t, s, failed(0))
		ended(t, s, failed(2))
		waits := make([]redis.Z, 0, 300)
		for slot := range 300 {
			waits = append(waits, redis.Z{Score: float64(*now + 5000), Member: slot + 3})
		}
		require.NoError(t, rdb.ZAdd(ctx, "stint:{slots}:job:a:wait", waits...).Err())
		*now += 10_000
		for _, o := range s.Settle(ctx, []store.Result{failed(1), failed(3)}, store.Guard{}, 0) {
			require.NoError(t, o.Err)
			require.True(t, o.Counted)
		}
		at := func(job string) []int {
			r, err := s.Get(ctx, job)
			require.NoError(t, err)
			return []int{r.Active, int(rdb.ZCard(ctx, "stint:{slots}:job:"+job+":wait").Val())}
		}
		require.Equal(t, []int{2, 301}, at("a"), "2 was under way, 0 has started, 1 waits")
		require.Equal(t, []int{1, 2}, at("b"), "2 is under way")
		looks(t, s)
		require.Equal(t, []int{2, 1}, at("b"), "0 has started, 1 waits")
	})
}

// Of a job that is taken up again, indexes that are done are passed over some
// at a time.
func TestHolesArePassedOverInSteps(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, now := holed(t, rdb, "holes", 5010, 3, indexes(0, 4999))
		for range 2 {
			require.Zero(t, active(t, rdb, "holes", []store.JobKey{keyOfA}))
			require.Equal(t, *now, int64(rdb.ZScore(t.Context(), "stint:{holes}:timers", "a").Val()))
			require.NoError(t, s.Advance(t.Context(), []store.JobKey{keyOfA}))
		}
		require.Equal(t, 3, active(t, rdb, "holes", []store.JobKey{keyOfA}))
		require.Contains(t, taken(t, s, "2", 3), 5000)
	})
}

// holed is a store with a job "a" of n completions that has been taken up again
// with some of them done.
func holed(t *testing.T, rdb redis.UniversalClient, queue string, n, parallelism int, done indexset.Set) (s *store.Store, now *int64) {
	t.Helper()
	s, now = steered(t, rdb, queue, func(r *rules.Spec) { r.Indexed, r.BackoffLimit = true, 0 })
	settled(t, t.Context(), s, claimed(t, s, []string{"k"}, 1), rules.Failed)
	// The record says that there were as many.
	require.NoError(t, rdb.Set(t.Context(), "stint:{"+queue+"}:job:a:done", done.Bitmap(), 0).Err())
	r, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	spec := one("", "", "").Rules
	spec.Indexed, spec.Completions, spec.Parallelism = true, n, parallelism
	require.NoError(t, s.Retry(t.Context(), r, "uid-2", done, indexset.Set{}, "", spec, []byte("{}")))
	return s, now
}

func indexes(from, to int) (set indexset.Set) {
	set.AddRange(from, to)
	return set
}
