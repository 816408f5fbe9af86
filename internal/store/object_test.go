package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// orders are what workers were told since an ID.
func orders(t *testing.T, rdb redis.UniversalClient, queue, since string) (told []string, last string) {
	t.Helper()
	last = since
	for _, m := range rdb.XRange(t.Context(), "stint:{"+queue+"}:ctl", "("+since, "+").Val() {
		for k, v := range m.Values {
			told = append(told, k+" "+fmt.Sprint(v))
		}
		last = m.ID
	}
	return told, last
}

// An object is changed over the version that was read, once for each
// operation, and workers hear of it.
func TestPutObject(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, prefix := t.Context(), "stint:{object}:"
		s, now := ticking(rdb, "object")
		put := func(op, read, data string) (string, error) {
			return s.PutObject(ctx, "config/c", op, read, []byte(data))
		}
		_, err := put("1", "", "")
		require.ErrorIs(t, err, store.ErrGone)
		v1, err := put("2", "", "one")
		require.NoError(t, err)
		require.Equal(t, map[string]string{"v": v1, "op": "2", "d": "one"}, rdb.HGetAll(ctx, prefix+"object:config/c").Val())
		require.Equal(t, []string{"config/c"}, rdb.ZRange(ctx, prefix+"objects", 0, -1).Val())
		told, last := orders(t, rdb, "object", "0")
		require.Equal(t, []string{"c config/c"}, told)

		before := keyspace(t, rdb)
		again, err := put("2", "", "one")
		require.NoError(t, err)
		require.Equal(t, v1, again)
		for _, read := range []string{"", "1-1"} {
			_, err = put("3", read, "two")
			require.ErrorIs(t, err, store.ErrConflict)
		}
		require.Equal(t, before, keyspace(t, rdb))

		require.NoError(t, rdb.ZAdd(ctx, prefix+"lacks:config/c", redis.Z{Score: float64(*now), Member: "job k"}).Err())
		v2, err := put("3", v1, "two")
		require.NoError(t, err)
		require.NotEqual(t, v1, v2)
		told, last = orders(t, rdb, "object", last)
		require.Equal(t, []string{"c config/c", fmt.Sprint("t ", *now)}, told)
		require.InDelta(t, *now, rdb.ZScore(ctx, prefix+"timers", "lack/config/c").Val(), 0)

		_, err = put("4", v2, "")
		require.NoError(t, err)
		told, _ = orders(t, rdb, "object", last)
		require.Contains(t, told, "c config/c")
		require.Zero(t, rdb.Exists(ctx, prefix+"object:config/c", prefix+"objects").Val())
	})
}

// A job that lacks an object starts nothing for a while, and is told once.
func TestParkAndLift(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, prefix := t.Context(), "stint:{park}:"
		s, now := ticking(rdb, "park")
		_, err := s.Submit(ctx, "me", "1", true, []store.Submission{one("a", "uid-1", "")})
		require.NoError(t, err)
		tasks := claimed(t, s, []string{"k"}, 1)
		lacks := prefix + "lacks:config/c"
		lack := store.Lack{Object: "config/c", Reason: "missing", AtMost: 60_000, Generation: 1}
		park := func(uid string, change func(*store.Lack)) (bool, error) {
			l := lack
			change(&l)
			return s.Park(ctx, store.JobKey{Name: "a", Kind: "k"}, uid, l)
		}
		same := func(*store.Lack) {}

		before := keyspace(t, rdb)
		_, err = park("uid-2", same)
		require.ErrorIs(t, err, store.ErrGone)
		for _, change := range []func(*store.Lack){func(l *store.Lack) { l.Version = "1-1" }, func(l *store.Lack) { l.Generation = 2 }} {
			ok, err := park("uid-1", change)
			require.NoError(t, err)
			require.False(t, ok)
		}
		require.Equal(t, before, keyspace(t, rdb))

		old := float64(*now - 600_000)
		require.NoError(t, rdb.ZAdd(ctx, lacks, redis.Z{Score: old, Member: "old k"}, redis.Z{Score: old + 1, Member: "young k"}).Err())
		start := *now
		for range 2 { // the second time nothing more is said
			ok, err := park("uid-1", same)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, []redis.Z{{Score: old + 1, Member: "young k"}, {Score: float64(*now), Member: "a k"}}, rdb.ZRangeWithScores(ctx, lacks, 0, -1).Val())
			require.Greater(t, rdb.PTTL(ctx, lacks).Val(), 9*time.Minute)
			require.Equal(t, fmt.Sprintf("%d config/c missing", start+60_000), rdb.HGet(ctx, prefix+"job:a", "lacks").Val())
			require.Contains(t, rdb.HGet(ctx, prefix+"job:a", "log").Val(), fmt.Sprintf("FailedMount 1 %d %d;", start, start))
		}
		settled(t, ctx, s, tasks, rules.Released)
		require.Zero(t, rdb.XLen(ctx, prefix+"ready:k").Val(), "it waits")
		require.InDelta(t, start+60_000, rdb.ZScore(ctx, prefix+"timers", "a").Val(), 0)

		require.NoError(t, rdb.ZAdd(ctx, prefix+"timers", redis.Z{Score: 1, Member: "lack/config/c"}).Err())
		more, err := s.Lift(ctx, "config/c")
		require.NoError(t, err)
		require.True(t, more)
		require.Zero(t, rdb.Exists(ctx, lacks).Val())
		require.False(t, rdb.HExists(ctx, prefix+"job:a", "lacks").Val())
		require.EqualValues(t, 1, rdb.XLen(ctx, prefix+"ready:k").Val())
		require.Zero(t, rdb.ZScore(ctx, prefix+"timers", "a").Val())
		more, err = s.Lift(ctx, "config/c")
		require.NoError(t, err)
		require.False(t, more)
		require.Zero(t, rdb.Exists(ctx, prefix+"timers").Val())

		require.NoError(t, rdb.HSet(ctx, prefix+"job:a", "phase", "Failed").Err())
		_, err = park("uid-1", same)
		require.ErrorIs(t, err, store.ErrGone, "it has ended")
	})
}

// What is noted of running tasks is noted of those that run.
func TestMarkMemory(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, job := t.Context(), "stint:{memory}:job:a"
		s, now := ticking(rdb, "memory")
		_, err := s.Submit(ctx, "me", "1", true, []store.Submission{one("a", "uid-1", "")})
		require.NoError(t, err)
		entry := claimed(t, s, []string{"k"}, 1)[0].Entry
		mark := func(uid string, over bool, entries ...string) error {
			return s.MarkMemory(ctx, []store.MemoryMark{{Job: store.JobKey{Name: "a", Kind: "k"}, UID: uid, Over: over, Entries: entries}})[0]
		}
		require.ErrorIs(t, mark("uid-2", true, entry), store.ErrGone)
		before := keyspace(t, rdb)
		require.NoError(t, mark("uid-1", true, "1-1"))
		require.Equal(t, before, keyspace(t, rdb), "it does not run")
		told := fmt.Sprintf("MemoryLimitExceeded 1 %d %d;", *now, *now)
		for range 2 {
			require.NoError(t, mark("uid-1", true, entry, "1-1"))
			require.Equal(t, fmt.Sprintf("%d %s+", *now, entry), rdb.HGet(ctx, job, "memory").Val())
			require.Equal(t, 1, strings.Count(rdb.HGet(ctx, job, "log").Val(), told))
		}
		*now += 5
		require.NoError(t, mark("uid-1", false, entry))
		require.Equal(t, fmt.Sprintf("%d %s-", *now, entry), rdb.HGet(ctx, job, "memory").Val())
	})
}

// A note is kept by the task that works on its slot, and by no other.
func TestNotesAreFenced(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "note")
		_, err := s.Submit(ctx, "me", "1", true, []store.Submission{one("a", "uid-1", "")})
		require.NoError(t, err)
		task := claimed(t, s, []string{"k"}, 1)[0]
		stale, elsewhere := task, task
		stale.Entry, elsewhere.Slot = "1-1", 7
		for _, fenced := range []store.Task{stale, elsewhere} {
			require.ErrorIs(t, s.Note(ctx, &fenced, 'c', []byte("x")), store.ErrFenced)
		}
		require.NoError(t, s.Note(ctx, &task, 'c', []byte("x")))
		require.NoError(t, s.Note(ctx, &task, 'p', []byte("y")))
		require.Equal(t, map[string]string{"c:0": "x", "p:0": "y"}, rdb.HGetAll(ctx, "stint:{note}:job:a:data").Val())
	})
}
