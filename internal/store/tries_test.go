package store_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// plainTasks submits plain jobs and claims their tasks.
func plainTasks(t *testing.T, s *store.Store, n int) []store.Task {
	t.Helper()
	subs := make([]store.Submission, n)
	for i := range subs {
		subs[i] = store.Submission{Kind: "k", Plain: true, Args: []byte("1")}
	}
	_, err := s.Submit(t.Context(), "me", "1", true, subs)
	require.NoError(t, err)
	return claimed(t, s, []string{"k"}, n)
}

// failed is how a task failed whose job then waits so long.
func failed(task *store.Task, wait time.Duration) store.Result {
	rule := one("", "", "").Rules
	rule.Backoff = rules.Backoff{Initial: time.Hour.Milliseconds(), Max: time.Hour.Milliseconds(), Factor: 1}
	return store.Result{
		Task: task, Verdict: rules.Failed, Delay: wait, Error: []byte(`{"message":"no"}`), Spec: func() rules.Spec { return rule },
	}
}

// P2, P10: the same end again, or that of a task which was lost, changes
// nothing; a job that was steered meanwhile has its failure in its record.
func TestP2PostponedOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := ticking(rdb, "tries")
		tasks := plainTasks(t, s, 4)
		steered, lost := tasks[1], tasks[2]
		require.NoError(t, s.AdoptFor(ctx, &steered, one("", "", "").Rules, &store.Record{}))
		require.NoError(t, rdb.XDel(ctx, "stint:{tries}:ready:k", lost.Entry).Err())
		require.NoError(t, rdb.XAck(ctx, "stint:{tries}:ready:k", "w", lost.Entry).Err())
		var results []store.Result
		for i := range tasks {
			results = append(results, failed(&tasks[i], -1))
			results[i].Ago = time.Duration(i) * time.Second
		}
		counted := func() (all []bool) {
			for _, o := range s.Settle(ctx, results, store.Guard{}, 0) {
				require.NoError(t, o.Err)
				all = append(all, o.Counted)
			}
			return all
		}
		require.Equal(t, []bool{true, true, false, true}, counted())
		after := keyspace(t, rdb)
		require.Equal(t, []bool{false, false, false, false}, counted())
		require.Equal(t, after, keyspace(t, rdb))
		r, err := s.Get(ctx, steered.Job)
		require.NoError(t, err)
		require.Equal(t, 1, r.Failed)
		_, err = s.Get(ctx, tasks[0].Job)
		require.ErrorIs(t, err, store.ErrGone)
		for i, ago := range map[int]int64{0: 0, 3: 3000} {
			r, err := s.GetPlain(ctx, tasks[i].Job)
			require.NoError(t, err)
			require.Equal(t, []any{1, 1, 0, *now + time.Hour.Milliseconds() - ago}, []any{r.Failed, r.Attempts, r.Active, r.RetryAt})
			require.Equal(t, []store.SlotError{{At: *now, Data: []byte(`{"message":"no"}`)}}, r.Errors())
		}
		_, err = s.Submit(ctx, "me", "2", true, []store.Submission{{Kind: "k", Plain: true, Start: *now + 2*time.Hour.Milliseconds()}})
		require.NoError(t, err)
		d, err := s.Due(ctx, 0)
		require.NoError(t, err)
		require.Equal(t, *now+time.Hour.Milliseconds()-3000, d.Next, "the first of them is due first")
	})
}

// Where there is nothing to wait for, the next attempt is there at once, and a
// worker is woken.
func TestPostponedForNoTime(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "tries")
		task := plainTasks(t, s, 1)[0]
		rdb.Del(ctx, "stint:{tries}:bell:k")
		for attempt := 1; attempt < 4; attempt++ {
			require.Equal(t, attempt, task.Attempt)
			r := failed(&task, 0)
			if attempt == 2 {
				r.Verdict = rules.Ignored
			}
			ended(t, s, r)
			require.EqualValues(t, 1, rdb.LLen(ctx, "stint:{tries}:bell:k").Val())
			require.Zero(t, rdb.Exists(ctx, "stint:{tries}:later:k", "stint:{tries}:timers").Val())
			got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: strconv.Itoa(1 + attempt), Lanes: []string{"k"}, Max: 1, Lease: time.Second})
			require.NoError(t, err)
			require.Len(t, got.Tasks, 1)
			require.Equal(t, task.Job, got.Tasks[0].Job)
			require.Positive(t, store.CompareEntries(got.Tasks[0].Entry, task.Entry))
			task = got.Tasks[0]
		}
		require.Equal(t, []int{2, 1}, []int{task.Failures, task.Ignored})
		require.Equal(t, "1", string(task.Args))
		ended(t, s, store.Result{Task: &task, Verdict: rules.Succeeded, TTL: time.Hour, Record: store.KeptRecord(&task, []byte("7"))})
		r, err := s.GetPlain(ctx, task.Job)
		require.NoError(t, err)
		require.Equal(t, []any{2, 4, 1, "7"}, []any{r.Failed, r.Attempts, r.Succeeded, string(r.Result)})
		require.Zero(t, rdb.Exists(ctx, "stint:{tries}:late:k").Val())
	})
}

// A job that has failed again since it was read does not get the record of one
// that failed once, neither while it waits nor while it runs.
func TestAdoptOfWhatHasFailedAgain(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "tries")
		task, op := plainTasks(t, s, 1)[0], 2
		read := func() (*store.Task, *store.Record) {
			r, err := s.GetPlain(ctx, task.Job)
			require.NoError(t, err)
			return &store.Task{Kind: "k", Entry: r.Entry, Plain: true, Args: r.Args, Job: r.Name, UID: r.Name, Tries: r.Tries}, r
		}
		again := func() {
			got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: strconv.Itoa(op), Lanes: []string{"k"}, Max: 1, Lease: time.Second})
			require.NoError(t, err)
			require.Len(t, got.Tasks, 1)
			task, op = got.Tasks[0], op+1
		}
		spec := one("", "", "").Rules
		ended(t, s, failed(&task, 0))
		again()
		old, seen := read()
		ended(t, s, failed(&task, 0))
		require.ErrorIs(t, s.AdoptFor(ctx, old, spec, seen), store.ErrFenced)
		again()
		old, seen = read()
		ended(t, s, failed(&task, time.Hour))
		require.ErrorIs(t, s.AdoptFor(ctx, old, spec, seen), store.ErrFenced)
		old, seen = read()
		require.NoError(t, s.AdoptFor(ctx, old, spec, seen))
		r, err := s.Get(ctx, task.Job)
		require.NoError(t, err)
		require.Equal(t, 3, r.Failed)
		require.Zero(t, rdb.Exists(ctx, "stint:{tries}:late:k", "stint:{tries}:later:k").Val())
	})
}

// F121: workers of the layout before would not know such a job, so that it
// gets a record where there may be some.
func TestFailuresInTheLayoutBefore(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "tries")
		tasks := plainTasks(t, s, 2)
		require.NoError(t, rdb.Set(ctx, "stint:{tries}:layout", "1", 0).Err())
		for i := range tasks {
			ended(t, s, failed(&tasks[i], time.Hour))
		}
		for _, task := range tasks {
			r, err := s.Get(ctx, task.Job)
			require.NoError(t, err)
			require.Equal(t, 1, r.Failed)
		}
		require.Zero(t, rdb.Exists(ctx, "stint:{tries}:late:k").Val())
		require.Equal(t, "1", rdb.Get(ctx, "stint:{tries}:layout").Val())
	})
}

// A key of another type is found before anything is ended.
func TestPostponedBesideSpoiltKeys(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "tries")
		task := plainTasks(t, s, 1)[0]
		for _, key := range []string{"late:k", "later:k", "timers", "ctl", "jobs"} {
			mend := spoil(t, rdb, "stint:{tries}:"+key)
			before := keyspace(t, rdb)
			o := s.Settle(ctx, []store.Result{failed(&task, time.Hour)}, store.Guard{}, 0)
			require.ErrorContains(t, o[0].Err, key+" is spoilt")
			require.False(t, store.Temporary(o[0].Err))
			require.Equal(t, before, keyspace(t, rdb), key)
			mend()
		}
		ended(t, s, failed(&task, time.Hour))
	})
}

// Whoever looks for a job finds it while it fails again and again.
func TestFoundWhileItFails(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := store.New(rdb, "tries")
		task := plainTasks(t, s, 1)[0]
		name := task.Job
		ctx, stop := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() {
			for ctx.Err() == nil {
				if _, err := s.GetPlain(t.Context(), name); err != nil {
					stop(err)
				}
			}
			done <- context.Cause(ctx)
		}()
		for op := 2; op < 300 && ctx.Err() == nil; op++ {
			r := failed(&task, 0)
			rule := r.Spec()
			rule.BackoffLimit = 1000
			r.Spec = func() rules.Spec { return rule }
			ended(t, s, r)
			got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: strconv.Itoa(op), Lanes: []string{"k"}, Max: 1, Lease: time.Second})
			require.NoError(t, err)
			task = got.Tasks[0]
		}
		stop(errors.New("all of them"))
		require.EqualError(t, <-done, "all of them")
	})
}

// Nor is anything ended, or given a record, where the key is spoilt that leads
// to those which have failed before.
func TestEndedBesideSpoiltLate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "tries")
		tasks := plainTasks(t, s, 3)
		for i := range tasks {
			ended(t, s, failed(&tasks[i], 0))
		}
		got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: "2", Lanes: []string{"k"}, Max: 3, Lease: time.Second})
		require.NoError(t, err)
		again := got.Tasks
		_, err = s.Submit(ctx, "me", "2", true, []store.Submission{one("recorded", "uid-1", "")})
		require.NoError(t, err)
		got, err = s.Claim(ctx, store.Claim{Worker: "w", Op: "3", Lanes: []string{"k"}, Max: 1, Lease: time.Second})
		require.NoError(t, err)
		ends := func(i int) store.Result {
			return store.Result{Task: &again[i], Verdict: rules.Succeeded, TTL: time.Hour, Record: store.KeptRecord(&again[i], nil)}
		}
		ended(t, s, ends(0))
		past, err := s.GetPlain(ctx, again[0].Job)
		require.NoError(t, err)
		given := failed(&again[2], 0)
		given.Verdict = rules.Released

		mend := spoil(t, rdb, "stint:{tries}:late:k")
		before := keyspace(t, rdb)
		require.ErrorContains(t, s.Settle(ctx, []store.Result{ends(1)}, store.Guard{}, 0)[0].Err, "late:k is spoilt")
		require.True(t, store.Damaged(s.Settle(ctx, []store.Result{given}, store.Guard{}, 0)[0].Err))
		require.ErrorContains(t, s.AdoptFor(ctx, &again[0], one("", "", "").Rules, past), "late:k is spoilt")
		require.Equal(t, before, keyspace(t, rdb))
		o := s.Settle(ctx, []store.Result{given, {Task: &got.Tasks[0], Verdict: rules.Succeeded, Delay: -1}}, store.Guard{}, 0)
		require.True(t, store.Damaged(o[0].Err))
		require.Equal(t, store.Outcome{Counted: true}, o[1], "it keeps no others")
		mend()
		ended(t, s, ends(1))
		ended(t, s, given)
		require.NoError(t, s.AdoptFor(ctx, &again[0], one("", "", "").Rules, past))
		require.Zero(t, rdb.Exists(ctx, "stint:{tries}:late:k").Val())
	})
}

// A record that is made of a job which has failed tells its last errors and
// its attempts; of one that has succeeded, its result too.
func TestAdoptTellsWhatHasFailed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for _, when := range []string{"running", "succeeded"} {
			ctx, s := t.Context(), store.New(rdb, when)
			task := plainTasks(t, s, 1)[0]
			var messages []string
			for op := 2; op < 8; op++ {
				r := failed(&task, 0)
				messages = append(messages, `{"message":"`+strings.Repeat("x", op)+strconv.Itoa(op)+`"}`)
				r.Error = []byte(messages[len(messages)-1])
				ended(t, s, r)
				got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: strconv.Itoa(op), Lanes: []string{"k"}, Max: 1, Lease: time.Second})
				require.NoError(t, err)
				task = got.Tasks[0]
			}
			if when == "succeeded" {
				ended(t, s, store.Result{Task: &task, Verdict: rules.Succeeded, TTL: time.Hour, Record: store.KeptRecord(&task, []byte("7"))})
			}
			r, err := s.GetPlain(ctx, task.Job)
			require.NoError(t, err)
			require.NoError(t, s.AdoptFor(ctx, &task, one("", "", "").Rules, r))
			slot, err := s.Slot(ctx, task.Job, "k", 0)
			require.NoError(t, err)
			var kept []string
			for _, e := range slot.Errors {
				kept = append(kept, string(e.Data))
			}
			require.ElementsMatch(t, messages[1:], kept)
			require.Equal(t, "5", rdb.HGet(ctx, "stint:{"+when+"}:job:"+task.Job+":data", "E").Val())
			r, err = s.Get(ctx, task.Job)
			require.NoError(t, err)
			require.Equal(t, []any{6, `xxxxxxx7"}`}, []any{r.Failed, r.Error})
			if when == "succeeded" {
				require.Equal(t, "7", string(slot.Result))
				continue
			}
			require.Equal(t, 7, slot.Task.Attempt)
			require.Equal(t, task.Entry, slot.Task.Entry)
		}
	})
}

// P5: a worker whose task has failed gives no record to the job that waits.
func TestP5AdoptAfterItsFailure(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "tries")
		task := plainTasks(t, s, 1)[0]
		ended(t, s, failed(&task, 0))
		got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: "2", Lanes: []string{"k"}, Max: 1, Lease: time.Second})
		require.NoError(t, err)
		task = got.Tasks[0]
		ended(t, s, failed(&task, time.Hour))
		before := keyspace(t, rdb)
		require.ErrorIs(t, s.Adopt(ctx, &task, "w", one("", "", "").Rules), store.ErrFenced)
		r, err := s.GetPlain(ctx, task.Job)
		require.NoError(t, err)
		task.Tries = r.Tries
		require.ErrorIs(t, s.Adopt(ctx, &task, "w", one("", "", "").Rules), store.ErrFenced)
		require.Equal(t, before, keyspace(t, rdb))
	})
}

// The timer of a kind is that of the first job which still waits.
func TestRipenSetsTheTimerAnew(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := ticking(rdb, "ripen")
		subs := []store.Submission{{Kind: "k", Plain: true, Start: *now + 1000}, {Kind: "k", Plain: true, Start: *now + 5000}}
		_, err := s.Submit(ctx, "me", "1", true, subs)
		require.NoError(t, err)
		timer := func() *redis.FloatCmd { return rdb.ZScore(ctx, "stint:{ripen}:timers", "late/k") }
		require.InDelta(t, *now+1000, timer().Val(), 0)
		*now += 1000
		more, err := s.Ripen(ctx, "k")
		require.NoError(t, err)
		require.False(t, more)
		require.InDelta(t, *now+4000, timer().Val(), 0)
		*now += 4000
		_, err = s.Ripen(ctx, "k")
		require.NoError(t, err)
		require.ErrorIs(t, timer().Err(), redis.Nil)
	})
}
