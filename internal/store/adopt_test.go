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

// A plain job gets its record from the worker that has its task, once.
func TestAdoptByItsWorker(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, _ := ticking(rdb, "adopt")
		_, err := s.Submit(ctx, "me", "1", true, []store.Submission{{Kind: "k", Plain: true, Args: []byte("1"), Spec: []byte(`{"labels":{"a":"b"}}`)}})
		require.NoError(t, err)
		task := claimed(t, s, []string{"k"}, 1)[0]
		task.Args = []byte("1")
		spec := one("", "", "").Rules
		before := keyspace(t, rdb)
		gone := task
		gone.Entry = "1-1"
		require.ErrorIs(t, s.Adopt(ctx, &gone, "w", spec), store.ErrFenced)
		require.ErrorIs(t, s.Adopt(ctx, &task, "other", spec), store.ErrFenced)
		require.Equal(t, before, keyspace(t, rdb))
		mine := task
		require.NoError(t, s.Adopt(ctx, &mine, "w", spec))
		require.False(t, mine.Plain)
		after := keyspace(t, rdb)
		repeated := task
		require.NoError(t, s.Adopt(ctx, &repeated, "w", spec))
		require.Equal(t, after, keyspace(t, rdb))
		r, err := s.Get(ctx, task.Job)
		require.NoError(t, err)
		created := store.EntryTime(task.Entry)
		require.Equal(t, []any{task.Job, "k", created, created, 1, 0, "1", `{"labels":{"a":"b"}}`, 1},
			[]any{r.UID, r.Kind, r.Created, r.StartedAt, r.Active, r.Ending, string(r.Args), string(r.Spec), r.Generation})
		require.Equal(t, fmt.Sprintf("SuccessfulCreate 1 %d %d;", created, created), r.Log)
		ended(t, s, store.Result{Task: &mine, Verdict: rules.Succeeded, Delay: -1})
		r, err = s.Get(ctx, task.Job)
		require.NoError(t, err)
		require.Equal(t, rules.JobIsComplete, r.Phase)
	})
}

// A plain job that has succeeded gets the record of a job that has, with the
// time that it had left.
func TestAdoptAfterItsSuccess(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, prefix := t.Context(), "stint:{adopt}:"
		s, now := ticking(rdb, "adopt")
		_, err := s.Submit(ctx, "me", "1", true, []store.Submission{{Kind: "k", Plain: true, Args: []byte("1")}, {Kind: "k", Plain: true, Args: []byte("2")}})
		require.NoError(t, err)
		tasks := claimed(t, s, []string{"k"}, 2)
		for i := range tasks {
			ended(t, s, store.Result{Task: &tasks[i], Verdict: rules.Succeeded, TTL: time.Hour})
		}
		end := *now
		*now += 1000
		spec := one("", "", "").Rules
		for i := range tasks {
			r, err := s.GetPlain(ctx, tasks[i].Job)
			require.NoError(t, err)
			if i == 1 { // somebody else was quicker, or its time is up
				require.NoError(t, rdb.HDel(ctx, prefix+"past:"+r.Past, r.Name).Err())
				require.ErrorIs(t, s.AdoptFor(ctx, &tasks[i], spec, r), store.ErrFenced)
				require.Zero(t, rdb.Exists(ctx, prefix+"job:"+r.Name).Val())
				continue
			}
			for range 2 {
				require.NoError(t, s.AdoptFor(ctx, &tasks[i], spec, r))
				got, err := s.Get(ctx, tasks[i].Job)
				require.NoError(t, err)
				require.Equal(t, []any{rules.JobIsComplete, "CompletionsReached", end, end, 0, 1, "0"},
					[]any{got.Phase, got.Reason, got.EndedAt, got.FateAt, got.Active, got.Succeeded, got.Done.String()})
				require.Equal(t, end+spec.TTL, int64(rdb.ZScore(ctx, prefix+"timers", got.Name).Val()))
				require.False(t, rdb.HExists(ctx, prefix+"past:"+r.Past, r.Name).Val(), "it is in one place")
				require.Zero(t, rdb.Exists(ctx, prefix+"job:"+r.Name+":tasks").Val())
				faults, err := s.AuditJobs(ctx, []store.JobKey{{Name: got.Name, Kind: "k"}})
				require.NoError(t, err)
				require.Empty(t, faults)
			}
		}
	})
}

// What is due is looked at: the timer of nothing goes, one that somebody has
// taken is set again, and a deletion goes on.
func TestAdvance(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, timers := t.Context(), "stint:{advance}:timers"
		s, now := steered(t, rdb, "advance", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism, r.Deadline = true, 700, 700, 60_000 })
		require.NoError(t, rdb.ZAdd(ctx, timers, redis.Z{Score: 1, Member: "ghost"}).Err())
		require.Equal(t, *now, int64(rdb.ZScore(ctx, timers, "a").Val()), "there is more to start")
		tasks := func() int64 { return rdb.HLen(ctx, "stint:{advance}:job:a:tasks").Val() }
		for n := tasks(); n < 700; n = tasks() {
			require.NoError(t, s.Advance(ctx, []store.JobKey{{Name: "ghost", Kind: "k"}, keyOfA}))
			require.Greater(t, tasks(), n, "each look starts some more")
		}
		held := redis.Z{Score: float64(*now + 70_000), Member: "a"}
		require.NoError(t, rdb.ZAdd(ctx, timers, held).Err())
		require.NoError(t, s.Advance(ctx, []store.JobKey{{Name: "a", Kind: "k", Requests: "cpu=1"}}))
		require.Equal(t, []redis.Z{held}, rdb.ZRangeWithScores(ctx, timers, 0, -1).Val(), "it is in another lane by now")
		require.NoError(t, s.Advance(ctx, []store.JobKey{keyOfA}))
		require.Equal(t, []redis.Z{{Score: float64(*now + 60_000), Member: "a"}}, rdb.ZRangeWithScores(ctx, timers, 0, -1).Val())

		more, err := s.Delete(ctx, keyOfA, "uid-1")
		require.NoError(t, err)
		require.True(t, more)
		for n := tasks(); n > 0; n = tasks() {
			require.NoError(t, s.Advance(ctx, []store.JobKey{keyOfA}))
			require.True(t, tasks() <= n-150 || tasks() == 0, "a look ends more than a page of them")
		}
		require.Zero(t, rdb.Exists(ctx, "stint:{advance}:job:a", timers).Val())
		require.Zero(t, rdb.XLen(ctx, "stint:{advance}:ready:k").Val())
	})
}
