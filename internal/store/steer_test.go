package store_test

import (
	"context"
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

// steered is a store with one job "a" of kind "k", changed as wanted.
func steered(t *testing.T, rdb redis.UniversalClient, queue string, change func(*rules.Spec)) (s *store.Store, now *int64) {
	t.Helper()
	s, now = ticking(rdb, queue)
	sub := one("a", "uid-1", "")
	sub.Rules.Backoff = rules.Backoff{Initial: 10_000, Max: 600_000, Factor: 2}
	change(&sub.Rules)
	_, err := s.Submit(t.Context(), "me", "1", true, []store.Submission{sub})
	require.NoError(t, err)
	return s, now
}

var keyOfA = store.JobKey{Name: "a", Kind: "k"}

// An eviction stops the attempt that was meant. What it counts as, and when
// the slot starts again, is by the job's rules.
func TestEvictByTheRules(t *testing.T) {
	t.Parallel()
	perIndex := func(r *rules.Spec) { r.Indexed, r.Completions, r.PerIndex = true, 2, 0 }
	type left struct {
		failed, active, ending int
		bad, wait, end         string // failed indexes, slots that wait with their times after now, what its end will come to
	}
	type eviction struct {
		change func(*rules.Spec)
		unheld bool
		want   left
	}
	evictions := map[string]eviction{
		"replaced at once":           {func(*rules.Spec) {}, false, left{1, 0, 1, "", "0@10000", "0 1 1 0 0 counted"}},
		"replaced when it has ended": {func(r *rules.Spec) { r.ReplaceFailed = true }, false, left{0, 0, 1, "", "", "0 1 0 0 0 evicted"}},
		"held by nobody":             {func(*rules.Spec) {}, true, left{1, 0, 0, "", "0@10000", ""}},
		"held by nobody, replaced":   {func(r *rules.Spec) { r.ReplaceFailed = true }, true, left{0, 1, 0, "", "", ""}},
		"failures of the index":      {perIndex, false, left{1, 1, 1, "0", "", "0 1 1 0 0 counted"}},
		"all of the job waits":       {func(r *rules.Spec) { r.Backoff.JobScope = true }, false, left{1, 0, 1, "", "0@0", "0 1 1 0 0 counted"}},
	}
	evicts := func(t *testing.T, rdb redis.UniversalClient, c eviction) {
		ctx, prefix := t.Context(), "stint:{evict}:"
		s, now := steered(t, rdb, "evict", c.change)
		entry := rdb.XRange(ctx, prefix+"ready:k", "-", "+").Val()[0].ID
		if !c.unheld {
			claimed(t, s, []string{"k"}, 1)
		}
		before := keyspace(t, rdb)
		for uid, entry := range map[string]string{"uid-2": entry, "uid-1": "1-1"} {
			require.ErrorIs(t, s.Evict(ctx, keyOfA, uid, 0, entry), store.ErrGone)
		}
		require.ErrorIs(t, s.Evict(ctx, keyOfA, "uid-1", 5, ""), store.ErrGone)
		require.Equal(t, before, keyspace(t, rdb))

		_, last := orders(t, rdb, "evict", "0")
		require.NoError(t, s.Evict(ctx, keyOfA, "uid-1", 0, entry))
		told, _ := orders(t, rdb, "evict", last)
		r, err := s.Get(ctx, "a")
		require.NoError(t, err)
		got := left{failed: r.Failed, active: r.Active, ending: r.Ending, bad: r.Bad.String()}
		got.end = rdb.HGet(ctx, prefix+"job:a:ends", entry).Val()
		for _, z := range rdb.ZRangeWithScores(ctx, prefix+"job:a:wait", 0, -1).Val() {
			got.wait += fmt.Sprintf("%v@%d", z.Member, max(0, int64(z.Score)-*now))
		}
		require.Equal(t, c.want, got)
		if c.unheld {
			require.Empty(t, rdb.XRange(ctx, prefix+"ready:k", entry, entry).Val())
			require.NotContains(t, told, "j a")
		} else {
			require.Contains(t, told, "j a", "its worker hears of it")
		}
		if got.wait != "" {
			require.InDelta(t, *now+10_000, rdb.ZScore(ctx, prefix+"timers", "a").Val(), 0)
		}
		faults, err := s.AuditJobs(ctx, []store.JobKey{keyOfA})
		require.NoError(t, err)
		require.Empty(t, faults)
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for name, c := range evictions {
			t.Run(name, func(t *testing.T) { evicts(t, rdb, c) })
			require.NoError(t, rdb.FlushDB(t.Context()).Err())
		}
	})
}

// An attempt that was lost before and is evicted has lost none in a row.
func TestEvictForgivesLosses(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, _ := steered(t, rdb, "evict", func(r *rules.Spec) { r.LostLimit = 3 })
		settled(t, ctx, s, claimed(t, s, []string{"k"}, 1), rules.Lost)
		got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: "2", Lanes: []string{"k"}, Max: 1, Lease: time.Second})
		require.NoError(t, err)
		require.Equal(t, 1, got.Tasks[0].Lost)
		require.NoError(t, s.Evict(ctx, keyOfA, "", 0, ""))
		require.Equal(t, "0 2 1 0 0 counted", rdb.HGet(ctx, "stint:{evict}:job:a:ends", got.Tasks[0].Entry).Val())
	})
}

// A retry replaces the finished job that was read by a new one, once.
func TestRetryReplacesWhatWasRead(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, prefix := t.Context(), "stint:{retry}:"
		s, now := ticking(rdb, "retry")
		sub := one("a", "uid-1", "cpu=1")
		sub.Rules.Indexed, sub.Rules.Completions, sub.Rules.Parallelism, sub.Rules.PerIndex = true, 3, 3, 0
		_, err := s.Submit(ctx, "me", "1", true, []store.Submission{sub})
		require.NoError(t, err)
		again := func(r *store.Record, uid string, done, bad indexset.Set) error {
			return s.Retry(ctx, r, uid, done, bad, "", sub.Rules, []byte(`{"x":1}`))
		}
		r, err := s.Get(ctx, "a")
		require.NoError(t, err)
		before := keyspace(t, rdb)
		require.ErrorIs(t, again(r, "uid-2", indexset.Set{}, indexset.Set{}), store.ErrConflict, "it has not finished")
		require.Equal(t, before, keyspace(t, rdb))

		tasks := claimed(t, s, []string{"k~cpu=1"}, 3)
		require.NoError(t, s.Note(ctx, &tasks[0], 'c', []byte("x")))
		settled(t, ctx, s, tasks[:1], rules.Failed)
		settled(t, ctx, s, tasks[1:2], rules.IndexFailed)
		settled(t, ctx, s, tasks[2:], rules.Succeeded)
		r, err = s.Get(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, rules.JobIsFailed, r.Phase)
		before = keyspace(t, rdb)
		other, newer := *r, *r
		other.UID, newer.Generation = "uid-9", 2
		require.ErrorIs(t, again(&other, "uid-2", indexset.Set{}, indexset.Set{}), store.ErrGone)
		require.ErrorIs(t, again(&newer, "uid-2", indexset.Set{}, indexset.Set{}), store.ErrConflict)
		require.Equal(t, before, keyspace(t, rdb))

		*now += 5
		var keep, bad indexset.Set
		keep.AddRange(2, 2)
		bad.AddRange(1, 1)
		require.NoError(t, again(r, "uid-2", keep, bad))
		require.NoError(t, again(r, "uid-2", indexset.Set{}, indexset.Set{}), "a repeated call has been done")
		fresh, err := s.Get(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, []any{"uid-2", *now, 1, 1, "2", "1", 0, `{"x":1}`, rules.Phase(""), ""},
			[]any{fresh.UID, fresh.Created, fresh.Active, fresh.Succeeded, fresh.Done.String(), fresh.Bad.String(), fresh.Failed, string(fresh.Spec), fresh.Phase, fresh.Reason})
		require.Empty(t, fresh.Error)
		require.NotContains(t, fresh.Log, "BackoffLimit")
		require.InDelta(t, *now, rdb.ZScore(ctx, prefix+"jobs", "a").Val(), 0)
		require.Equal(t, "1", rdb.HGet(ctx, prefix+"lanes", "k~cpu=1").Val())
		require.Zero(t, rdb.Exists(ctx, prefix+"job:a:data", prefix+"job:a:ends", prefix+"job:a:wait").Val())
		var told []string
		for _, m := range rdb.XRange(ctx, prefix+"events", "-", "+").Val() {
			told = append(told, fmt.Sprint(m.Values["e"], " ", m.Values["u"], " ", m.Values["r"]))
		}
		require.Equal(t, []string{"Submitted uid-1 ", "Failed uid-1 FailedIndexes", "Deleted uid-1 ", "Submitted uid-2 "}, told[max(0, len(told)-4):])
		require.NoError(t, deleted(ctx, s, "uid-2"))
		require.ErrorIs(t, again(fresh, "uid-3", indexset.Set{}, indexset.Set{}), store.ErrGone)
	})
}

func deleted(ctx context.Context, s *store.Store, uid string) error {
	_, err := s.Delete(ctx, store.JobKey{Name: "a", Kind: "k", Requests: "cpu=1"}, uid)
	return err
}

// An update is of the generation that was read, and is looked at.
func TestUpdateOfWhatWasRead(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, job := t.Context(), "stint:{update}:job:a"
		s, now := steered(t, rdb, "update", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism = true, 20, 1 })
		r := one("", "", "").Rules
		r.Indexed, r.Completions, r.Parallelism, r.Deadline = true, 20, 3, 60_000
		update := func(uid string, generation int, spec string) error {
			return s.Update(ctx, keyOfA, uid, generation, []byte(spec), r)
		}
		require.NoError(t, rdb.HSet(ctx, job, "lacks", fmt.Sprintf("%d config/c missing", *now+1000)).Err())
		before := keyspace(t, rdb)
		require.ErrorIs(t, update("uid-2", 1, "{}"), store.ErrGone)
		require.ErrorIs(t, update("uid-1", 2, "{}"), store.ErrConflict)
		require.Equal(t, before, keyspace(t, rdb))

		const spec = `{"labels":{"a":"b"}}`
		require.NoError(t, update("uid-1", 1, spec))
		after := keyspace(t, rdb)
		require.NoError(t, update("uid-1", 1, spec), "a repeated call has been done")
		require.ErrorIs(t, update("uid-1", 1, "{}"), store.ErrConflict, "another has not")
		require.Equal(t, after, keyspace(t, rdb))
		require.Equal(t, []any{"2", spec, `{"a":"b"}`, nil}, rdb.HMGet(ctx, job, "gen", "spec", "labels", "lacks").Val())
		require.EqualValues(t, 3, rdb.HLen(ctx, job+":tasks").Val(), "it has what it wants now")
		require.InDelta(t, *now+60_000, rdb.ZScore(ctx, "stint:{update}:timers", "a").Val(), 0)

		// Somebody holds the timer: it is set again, though it is due when it was.
		require.NoError(t, rdb.ZAdd(ctx, "stint:{update}:timers", redis.Z{Score: float64(*now) + 600_000, Member: "a"}).Err())
		require.NoError(t, update("uid-1", 2, "{}"))
		require.InDelta(t, *now+60_000, rdb.ZScore(ctx, "stint:{update}:timers", "a").Val(), 0)

		settled(t, ctx, s, claimed(t, s, []string{"k"}, 3), rules.Succeeded)
		r.Completions, r.Parallelism = 2, 2
		require.NoError(t, update("uid-1", 3, "{}"))
		got, err := s.Get(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, "0,1", got.Done.String(), "what lies beyond its completions is forgotten")
		require.Equal(t, rules.JobIsComplete, got.Phase)
		require.InDelta(t, *now+time.Hour.Milliseconds(), rdb.ZScore(ctx, "stint:{update}:timers", "a").Val(), 0)
	})
}
