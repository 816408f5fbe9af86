package store_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/indexset"
	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// taken are tasks of kind k in the hands of the worker w, by slot.
func taken(t *testing.T, s *store.Store, op string, n int) map[int]*store.Task {
	t.Helper()
	got, err := s.Claim(t.Context(), store.Claim{Worker: "w", Op: op, Lanes: []string{"k"}, Max: 100, Lease: time.Second})
	require.NoError(t, err)
	require.Len(t, got.Tasks, n)
	out := map[int]*store.Task{}
	for i := range got.Tasks {
		out[got.Tasks[i].Slot] = &got.Tasks[i]
	}
	return out
}

// ended settles one task.
func ended(t *testing.T, s *store.Store, r store.Result) {
	t.Helper()
	o := s.Settle(t.Context(), []store.Result{r}, store.Guard{}, 0)[0]
	require.NoError(t, o.Err)
	require.True(t, o.Counted)
}

// A success policy counts over several calls, and says which rule was met.
func TestSuccessPolicyIsKept(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		var first, rest indexset.Set
		first.AddRange(0, 0)
		rest.AddRange(1, 4)
		policy := []rules.SuccessRule{{Indexes: &first, Count: rules.Unset}, {Indexes: &rest, Count: 2}}
		s, _ := steered(t, rdb, "policy", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism, r.Success = true, 5, 5, policy })
		tasks := taken(t, s, "1", 5)
		for _, slot := range []int{1, 3} {
			r, err := s.Get(t.Context(), "a")
			require.NoError(t, err)
			require.Empty(t, r.Phase, "one is not enough")
			ended(t, s, store.Result{Task: tasks[slot], Verdict: rules.Succeeded, Hits: store.Hits(policy, slot)})
		}
		require.Equal(t, "0,2", rdb.HGet(t.Context(), "stint:{policy}:job:a", "hits").Val())
		r, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, []any{rules.Phase("SuccessCriteriaMet"), "SuccessPolicy", "Matched rules at index 1", 0, 3}, []any{r.Phase, r.Reason, r.Message, r.Active, r.Ending})
	})
}

// A job whose record cannot be read keeps no other of its call from being
// settled, and nothing is made of it.
func TestUnreadableRecordIsPassedOver(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		for _, field := range []string{"rules", "state"} {
			require.NoError(t, rdb.FlushDB(ctx).Err())
			s := store.New(rdb, "unreadable")
			_, err := s.Submit(ctx, "me", "1", true, []store.Submission{one("a", "uid-1", ""), one("b", "uid-2", "")})
			require.NoError(t, err)
			tasks := claimed(t, s, []string{"k"}, 2)
			require.NoError(t, rdb.HSet(ctx, "stint:{unreadable}:job:a", field, "1|2|x").Err())
			settled(t, ctx, s, tasks, rules.Succeeded)
			r, err := s.Get(ctx, "b")
			require.NoError(t, err)
			require.Equal(t, rules.JobIsComplete, r.Phase, field)
			require.Equal(t, "1|2|x", rdb.HGet(ctx, "stint:{unreadable}:job:a", field).Val())
			require.ErrorIs(t, s.Update(ctx, keyOfA, "uid-1", 1, []byte("{}"), one("", "", "").Rules), store.ErrGone)
		}
	})
}

// The one timer of a job is what it waits for, and goes when it waits no more.
func TestTimerOfAJob(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s, now := steered(t, rdb, "timer", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism = true, 4, 2 })
		timer := func() int64 { return int64(rdb.ZScore(t.Context(), "stint:{timer}:timers", "a").Val()) }
		_, last := orders(t, rdb, "timer", "0")
		require.Zero(t, timer(), "it waits for nothing")
		tasks := taken(t, s, "1", 2)
		ended(t, s, store.Result{Task: tasks[0], Verdict: rules.Failed, Delay: 5 * time.Second, Error: []byte("{}")})
		require.Equal(t, *now+5000, timer())
		told, last := orders(t, rdb, "timer", last)
		require.Len(t, told, 1, "who waits for timers hears of it")
		require.Regexp(t, `^t \d+$`, told[0])
		more := taken(t, s, "2", 1) // slot 2, in the place of the one that waits
		ended(t, s, store.Result{Task: tasks[1], Verdict: rules.Failed, Delay: time.Minute, Error: []byte("{}")})
		require.Equal(t, *now+5000, timer(), "the first that is due")
		told, _ = orders(t, rdb, "timer", last)
		require.Empty(t, told)

		*now += 60_000
		ended(t, s, store.Result{Task: more[2], Verdict: rules.Succeeded, Delay: -1})
		require.Zero(t, timer(), "nobody has taken it, and what it was for has started")
		again := taken(t, s, "3", 2)
		require.Contains(t, again, 0)
		require.False(t, rdb.HExists(t.Context(), "stint:{timer}:job:a:data", "u:0").Val(), "what it carried is with its task")
		require.Equal(t, []int{2, 1}, []int{again[0].Attempt, again[0].Failures})
	})
}

// Statistics of long waits are whole numbers.
func TestStatisticsOfLongWaits(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := ticking(rdb, "stats")
		const wait = 100 * 365 * 24 * time.Hour
		for i := range 2 {
			subs := make([]store.Submission, 40)
			for j := range subs {
				subs[j] = store.Submission{Kind: "k", Plain: true, Args: []byte("1")}
			}
			_, err := s.Submit(ctx, "me", string(rune('1'+i)), true, subs)
			require.NoError(t, err)
			got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: string(rune('1' + i)), Lanes: []string{"k"}, Max: 40, Lease: time.Second})
			require.NoError(t, err)
			results := make([]store.Result, len(got.Tasks))
			for j := range got.Tasks {
				results[j] = store.Result{Task: &got.Tasks[j], Verdict: rules.Succeeded, Wait: wait, Run: time.Second}
			}
			for _, o := range s.Settle(ctx, results, store.Guard{}, *now) {
				require.NoError(t, o.Err)
			}
		}
		for _, text := range rdb.HGetAll(ctx, "stint:{stats}:stats:k").Val() {
			require.Equal(t, "28333333 80 0 0 0 252288000000000 80000", text)
		}
		require.EqualValues(t, 1, rdb.HLen(ctx, "stint:{stats}:stats:k").Val())
	})
}

// Delays are what the rules say at any number of failures, and with jitter
// they are not the same.
func TestDelaysOfManyFailures(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for initial, want := range map[int64]int64{0: 0, 10_000: 600_000} {
			require.NoError(t, rdb.FlushDB(t.Context()).Err())
			s, now := steered(t, rdb, "delay", func(r *rules.Spec) { r.Backoff.Initial = initial })
			task := taken(t, s, "1", 1)[0]
			task.Failures = 2000
			ended(t, s, store.Result{Task: task, Verdict: rules.Failed, Delay: -1, Error: []byte("{}")})
			if want == 0 {
				require.Equal(t, 2001, taken(t, s, "2", 1)[0].Failures)
				continue
			}
			require.Equal(t, *now+want, int64(rdb.ZScore(t.Context(), "stint:{delay}:timers", "a").Val()))
		}
		require.NoError(t, rdb.FlushDB(t.Context()).Err())
		s, now := steered(t, rdb, "delay", func(r *rules.Spec) {
			r.Indexed, r.Completions, r.Parallelism, r.BackoffLimit, r.Backoff.Jitter = true, 20, 20, 100, 0.5
		})
		for _, task := range taken(t, s, "1", 20) {
			ended(t, s, store.Result{Task: task, Verdict: rules.Failed, Delay: -1, Error: []byte("{}")})
		}
		differ := map[float64]bool{}
		for _, z := range rdb.ZRangeWithScores(t.Context(), "stint:{delay}:job:a:wait", 0, -1).Val() {
			require.GreaterOrEqual(t, int64(z.Score), *now+10_000)
			require.Less(t, int64(z.Score), *now+15_000)
			differ[z.Score] = true
		}
		require.Greater(t, len(differ), 10)
	})
}

// A task that nobody has is withdrawn by a suspension, as if it had never
// been; one that a worker has stays until the worker has ended it.
func TestSuspendWithdrawsWhatNobodyHas(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, _ := steered(t, rdb, "suspend", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism = true, 2, 2 })
		got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: "1", Lanes: []string{"k"}, Max: 1, Lease: time.Second})
		require.NoError(t, err)
		held := got.Tasks[0]
		r := one("", "", "").Rules
		r.Indexed, r.Completions, r.Parallelism, r.Suspend = true, 2, 2, true
		require.NoError(t, s.Update(ctx, keyOfA, "uid-1", 1, []byte("{}"), r))
		entries := rdb.XRange(ctx, "stint:{suspend}:ready:k", "-", "+").Val()
		require.Len(t, entries, 1)
		require.Equal(t, held.Entry, entries[0].ID)
		require.Equal(t, map[string]string{held.Entry: "0 1 0 0 0 suspended"}, rdb.HGetAll(ctx, "stint:{suspend}:job:a:ends").Val())
		told, _ := orders(t, rdb, "suspend", "0-0")
		require.Contains(t, told, "j a", "its worker hears of it")
		job, err := s.Get(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, []any{0, 1, true, 0}, []any{job.Active, job.Ending, job.Suspended, job.Failed})
		ended(t, s, store.Result{Task: &held, Verdict: rules.Failed, Delay: -1, Error: []byte("{}")})
		r.Suspend = false
		require.NoError(t, s.Update(ctx, keyOfA, "uid-1", 2, []byte("{}"), r))
		again := taken(t, s, "2", 2)
		require.Equal(t, []int{2, 1}, []int{again[0].Attempt, again[1].Attempt})
		require.Zero(t, again[0].Failures, "what was told to stop has not failed")
	})
}

// A job that is scaled down loses what no worker has before what one has, the
// younger first, and of equals the lowest slots; of what workers have it loses
// what was claimed last.
func TestScaleDownTakesTheLeastAdvanced(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, prefix := t.Context(), "stint:{less}:"
		s, _ := steered(t, rdb, "less", func(r *rules.Spec) { r.Completions, r.Parallelism = 10, 2 })
		held := taken(t, s, "1", 2)
		generation := 0
		scale := func(n int) (slots []string, ms map[string]int64) {
			generation++
			r := one("", "", "").Rules
			r.Completions, r.Parallelism = 10, n
			require.NoError(t, s.Update(ctx, keyOfA, "uid-1", generation, fmt.Append(nil, generation), r))
			ms = map[string]int64{}
			for slot, task := range rdb.HGetAll(ctx, prefix+"job:a:tasks").Val() {
				entry, _, _ := strings.Cut(task, " ")
				ms[slot] = store.EntryTime(entry)
			}
			return slices.Sorted(maps.Keys(ms)), ms
		}
		_, ms := scale(4)
		for rdb.Time(ctx).Val().UnixMilli() <= max(ms["2"], ms["3"]) { // miniredis may take a millisecond for the two
			require.NoError(t, ctx.Err())
		}
		left, ms := scale(6)
		require.Equal(t, []string{"0", "1", "2", "3", "4", "5"}, left)
		loses := slices.SortedFunc(slices.Values(left[2:]), func(a, b string) int {
			return cmp.Or(cmp.Compare(ms[b], ms[a]), cmp.Compare(a, b))
		})
		require.Subset(t, []string{"4", "5"}, loses[:2])
		for i := range loses {
			left, _ = scale(5 - i)
			require.Equal(t, slices.Sorted(slices.Values(append(loses[i+1:], "0", "1"))), left)
		}
		require.NoError(t, rdb.Do(ctx, "XCLAIM", prefix+"ready:k", "w", "w", 0, held[0].Entry, "IDLE", 60_000, "JUSTID").Err())
		left, _ = scale(1)
		require.Equal(t, []string{"0"}, left, "which has run for longer")
	})
}

// What is kept of several ends in one call: the last error, how fast it goes,
// and whether the failures came before a success or after it.
func TestSettleKeepsOrder(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		for active, ago := range map[int]struct{ failed, succeeded time.Duration }{2: {10 * time.Second, 5 * time.Second}, 1: {5 * time.Second, 10 * time.Second}} {
			require.NoError(t, rdb.FlushDB(ctx).Err())
			s, now := steered(t, rdb, "order", func(r *rules.Spec) {
				r.Indexed, r.Completions, r.Parallelism, r.Backoff.JobScope = true, 20, 3, true
			})
			tasks := taken(t, s, "1", 3)
			start := *now
			ended(t, s, store.Result{Task: tasks[2], Verdict: rules.Succeeded, Delay: -1, Ago: 20 * time.Second})
			taken(t, s, "2", 1)
			*now += 200_000
			for _, o := range s.Settle(ctx, []store.Result{
				{Task: tasks[0], Verdict: rules.Failed, Delay: -1, Ago: ago.failed, Error: []byte(`{"message":"boom","code":7}`)},
				{Task: tasks[1], Verdict: rules.Succeeded, Delay: -1, Ago: ago.succeeded},
			}, store.Guard{}, 0) {
				require.NoError(t, o.Err)
				require.True(t, o.Counted)
			}
			r, err := s.Get(ctx, "a")
			require.NoError(t, err)
			require.Equal(t, []any{2, 1}, []any{r.Succeeded, r.Failed})
			require.Equal(t, active+map[int]int{2: 1, 1: 0}[active], r.Active, "a failure after the last success holds all starts back")
			require.Contains(t, r.Error, `boom"`)
			data := rdb.HGetAll(ctx, "stint:{order}:job:a:data").Val()
			require.Equal(t, map[string]string{"T": fmt.Sprint(start), "t:1:0:s": "1", "t:4:50:s": "1", "t:4:50:f": "1"},
				map[string]string{"T": data["T"], "t:1:0:s": data["t:1:0:s"], "t:4:50:s": data["t:4:50:s"], "t:4:50:f": data["t:4:50:f"]})
		}
	})
}

// An end beyond the completions of a job that shrank counts for nothing, told
// to stop or not yet. A repeated claim hands over what the first did, and no more.
func TestEndsBeyondTheCompletions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, tasks := t.Context(), "stint:{beyond}:job:a:tasks"
		s, _ := steered(t, rdb, "beyond", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism = true, 600, 600 })
		for n := rdb.HLen(ctx, tasks).Val(); n < 600; n = rdb.HLen(ctx, tasks).Val() {
			require.NoError(t, s.Advance(ctx, []store.JobKey{keyOfA}))
			require.Greater(t, rdb.HLen(ctx, tasks).Val(), n)
		}
		claim := store.Claim{Worker: "w", Op: "1", Lanes: []string{"k"}, Max: 500, Lease: time.Second}
		got, err := s.Claim(ctx, claim)
		require.NoError(t, err)
		require.Len(t, got.Tasks, 500)
		again, err := s.Claim(ctx, claim)
		require.NoError(t, err)
		require.Equal(t, got.Tasks, again.Tasks)

		r := one("", "", "").Rules
		r.Indexed, r.Completions, r.Parallelism = true, 1, 1
		require.NoError(t, s.Update(ctx, keyOfA, "uid-1", 1, []byte("{}"), r))
		require.Positive(t, rdb.HLen(ctx, tasks).Val(), "not all are told at once")
		for i := range got.Tasks {
			task := &got.Tasks[i]
			if active, err := rdb.HGet(ctx, tasks, fmt.Sprint(task.Slot)).Result(); err == nil && active != "" && task.Slot > 0 {
				ended(t, s, store.Result{Task: task, Verdict: rules.Failed, Delay: -1, Error: []byte("{}")})
				job, err := s.Get(ctx, "a")
				require.NoError(t, err)
				require.Equal(t, []any{0, 0, ""}, []any{job.Succeeded, job.Failed, job.Done.String()})
				return
			}
		}
		require.Fail(t, "all are told")
	})
}
