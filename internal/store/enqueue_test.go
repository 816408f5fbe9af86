package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/store"
)

// Plain jobs of one call that differ in more than their args each get their
// own, in their order, and a repeated call answers the same.
func TestPlainJobsOfOneCall(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]int64{"at once": 0, "some later": -3_600_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plainJobsOfOneCall(t, start)
		})
	}
}

func plainJobsOfOneCall(t *testing.T, start int64) {
	t.Helper()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "enqueue")
		var jobs []store.Submission
		for i := range 20 {
			j := store.Submission{Kind: "a", Args: fmt.Append(nil, "args ", i), Plain: true}
			if i%3 == 1 {
				j.Kind = "b"
			}
			if i%5 == 3 {
				j.Start = start
			}
			if i%5 > 2 {
				j.Spec = []byte(`{"ttlAfterFinished":"1s"}`)
			}
			jobs = append(jobs, j)
		}
		got, err := s.Submit(ctx, "me", "1", false, jobs)
		require.NoError(t, err)
		require.Len(t, got, len(jobs))
		last := map[string]string{}
		for i, j := range jobs {
			r, err := s.GetPlain(ctx, store.PlainName(j.Kind, got[i].Entry))
			require.NoError(t, err)
			require.Equal(t, string(j.Args), string(r.Args))
			require.Equal(t, string(j.Spec), string(r.Spec))
			of := fmt.Sprint(j.Kind, j.Start)
			require.Negative(t, store.CompareEntries(last[of], got[i].Entry), "in order")
			last[of] = got[i].Entry
		}
		before := keyspace(t, rdb)
		again, err := s.Submit(ctx, "me", "1", false, jobs)
		require.NoError(t, err)
		require.Equal(t, got, again)
		require.Equal(t, before, keyspace(t, rdb))
		kinds, err := s.Kinds(ctx)
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"a", "b"}, kinds)
		_, err = s.Submit(ctx, "me", "2", false, jobs[:1])
		require.NoError(t, err)
		_, err = s.Submit(ctx, "me", "1", false, jobs)
		require.ErrorContains(t, err, "operation 1 came after 2")
	})
}

// The answer to an operation is kept for nine minutes at least.
func TestAnswersAreKept(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "kept")
		const key, most, least = "stint:{kept}:sub:me", 10 * time.Minute, 9 * time.Minute
		for i, was := range []time.Duration{0, time.Second, least - time.Second, least + 50*time.Second, -1} {
			if was > 0 {
				require.NoError(t, rdb.PExpire(ctx, key, was).Err())
			} else {
				require.NoError(t, rdb.Persist(ctx, key).Err())
			}
			_, err := s.Submit(ctx, "me", fmt.Sprint(i+1), false, []store.Submission{{Kind: "k", Args: []byte("1"), Plain: true}})
			require.NoError(t, err)
			left := rdb.PTTL(ctx, key).Val()
			require.Greater(t, left, least)
			require.LessOrEqual(t, left, most)
			if was > least {
				require.LessOrEqual(t, left, was, "as it was")
			}
		}
	})
}

// A submission that was held up for so long that its submitter has gone on is
// refused, and stores nothing.
func TestOvertakenSubmission(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "held")
		plain := store.Submission{Kind: "k", Args: []byte("1"), Plain: true}
		later := plain
		later.Start = -time.Hour.Milliseconds()
		_, err := s.Submit(ctx, "me", "2", false, []store.Submission{plain})
		require.NoError(t, err)
		before := keyspace(t, rdb)
		for _, sub := range []store.Submission{plain, later, one("a", "uid-1", "")} {
			_, err := s.Submit(ctx, "me", "1", false, []store.Submission{sub})
			require.ErrorContains(t, err, "operation 1 came after 2")
			require.Equal(t, before, keyspace(t, rdb))
		}
	})
}

// Whatever else is in its call, a plain job wakes a worker of its kind; one
// that starts later does not yet.
func TestPlainJobsRing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "rings")
		plain := store.Submission{Kind: "p", Args: []byte("1"), Plain: true}
		later := plain
		later.Kind, later.Start = "l", -time.Hour.Milliseconds()
		suspended := one("a", "uid-1", "")
		suspended.Rules.Suspend = true
		for op, others := range [][]store.Submission{nil, {later}, {later, suspended}} {
			rdb.Del(ctx, "stint:{rings}:bell:p")
			_, err := s.Submit(ctx, "me", fmt.Sprint(op+1), false, append(others, plain))
			require.NoError(t, err)
			require.EqualValues(t, 1, rdb.LLen(ctx, "stint:{rings}:bell:p").Val(), op)
			require.Zero(t, rdb.Exists(ctx, "stint:{rings}:bell:l", "stint:{rings}:bell:k").Val(), op)
		}
	})
}

// Of jobs that one call puts off, the first to start sets the timer, and who
// waits for timers is told when it is soon.
func TestFirstToStartSetsTheTimer(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := ticking(rdb, "first")
		after := func(d time.Duration) store.Submission {
			sub := store.Submission{Kind: "k", Args: []byte("1"), Plain: true}
			sub.Start = -d.Milliseconds()
			return sub
		}
		_, err := s.Submit(ctx, "me", "1", false, []store.Submission{after(2 * time.Hour), after(time.Hour), after(3 * time.Hour)})
		require.NoError(t, err)
		due := float64(*now + time.Hour.Milliseconds())
		require.InDelta(t, due, rdb.ZScore(ctx, "stint:{first}:timers", "late/k").Val(), 0)
		require.Zero(t, rdb.XLen(ctx, "stint:{first}:ctl").Val())
		_, err = s.Submit(ctx, "me", "2", false, []store.Submission{after(5 * time.Second)})
		require.NoError(t, err)
		told, _ := orders(t, rdb, "first", "0-0")
		require.Equal(t, []string{fmt.Sprint("t ", *now+5000)}, told)
	})
}

// What starts in its time wakes a worker then.
func TestWhatStartsLaterRings(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := ticking(rdb, "rings")
		_, err := s.Submit(ctx, "me", "1", false, []store.Submission{{Kind: "k", Args: []byte("1"), Plain: true, Start: -1000}})
		require.NoError(t, err)
		for _, want := range []int64{0, 1, 0} {
			more, err := s.Ripen(ctx, "k")
			require.NoError(t, err)
			require.False(t, more)
			require.Equal(t, want, rdb.LLen(ctx, "stint:{rings}:bell:k").Val())
			rdb.Del(ctx, "stint:{rings}:bell:k")
			*now += 1000
		}
	})
}

// What the submitter's key holds and is no answer is written over.
func TestUnknownAnswersAreNone(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "kept")
		require.NoError(t, rdb.Set(ctx, "stint:{kept}:sub:me", "something else", 0).Err())
		for range 2 {
			got, err := s.Submit(ctx, "me", "1", false, []store.Submission{{Kind: "k", Args: []byte("1"), Plain: true}})
			require.NoError(t, err)
			require.NotEmpty(t, got[0].Entry)
		}
		require.EqualValues(t, 1, rdb.XLen(ctx, "stint:{kept}:ready:k").Val())
	})
}
