package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// spoil puts something else in the place of a key, and mend what was there.
func spoil(t *testing.T, rdb redis.UniversalClient, key string) (mend func()) {
	t.Helper()
	ctx := t.Context()
	there := rdb.Exists(ctx, key).Val() == 1
	if there {
		require.NoError(t, rdb.Rename(ctx, key, key+"-saved").Err())
	}
	require.NoError(t, rdb.SetBit(ctx, key, 1, 1).Err())
	return func() {
		require.NoError(t, rdb.Del(ctx, key).Err())
		if there {
			require.NoError(t, rdb.Rename(ctx, key+"-saved", key).Err())
		}
	}
}

// A job with a key of another type keeps no others of its call from being
// stored, unless all or none was asked for.
func TestSpoiltJobIsSubmittedApart(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "spoilt")
		plain := store.Submission{Kind: "k", Plain: true, Args: []byte("1")}
		for op, part := range []string{"", ":tasks"} {
			spoil(t, rdb, "stint:{spoilt}:job:bad"+part)
			name := fmt.Sprint("good-", op)
			got, err := s.Submit(ctx, "me", fmt.Sprint(op+1), false, []store.Submission{one("bad", "uid-1", "cpu=1"), one(name, "uid-2", ""), plain})
			require.NoError(t, err)
			require.Zero(t, rdb.Exists(ctx, "stint:{spoilt}:lanes", "stint:{spoilt}:ready:k~cpu=1").Val(), "nothing of it is stored")
			require.NotEmpty(t, got[2].Entry)
			require.Equal(t, []store.Answer{{Spoilt: true}, {}, {Entry: got[2].Entry}}, got)
			r, err := s.Get(ctx, name)
			require.NoError(t, err)
			require.Equal(t, "uid-2", r.UID)
			before := keyspace(t, rdb)
			got, err = s.Submit(ctx, "they", fmt.Sprint(op+1), true, []store.Submission{one("bad", "uid-1", "cpu=1"), one("c", "uid-3", ""), plain})
			require.NoError(t, err)
			require.Equal(t, []store.Answer{{Spoilt: true}, {Refused: true}, {Refused: true}}, got)
			after := keyspace(t, rdb)
			delete(before, "stint:{spoilt}:sub:they")
			delete(after, "stint:{spoilt}:sub:they")
			require.Equal(t, before, after, "all or none")
			require.NoError(t, rdb.Del(ctx, "stint:{spoilt}:job:bad"+part).Err())
			require.Equal(t, []string{name}, rdb.ZRange(ctx, "stint:{spoilt}:jobs", int64(op), -1).Val())
		}
		// A kind whose stream is spoilt keeps no other from being stored.
		bad := plain
		bad.Kind = "bad"
		spoil(t, rdb, "stint:{spoilt}:ready:bad")
		for op, other := range []store.Submission{bad, one("with-a-record", "uid-4", "")} {
			other.Kind = "bad"
			got, err := s.Submit(ctx, "she", fmt.Sprint(op+1), false, []store.Submission{plain, bad, other})
			require.NoError(t, err)
			require.NotEmpty(t, got[0].Entry)
			require.Equal(t, store.Answer{Spoilt: true}, got[1])
			require.Equal(t, store.Answer{Spoilt: true}, got[2])
		}
		spoil(t, rdb, "stint:{spoilt}:job:bad")
		mend, waits := spoil(t, rdb, "stint:{spoilt}:kinds"), rdb.XLen(ctx, "stint:{spoilt}:ready:k").Val()
		for _, sub := range []store.Submission{plain, one("d", "uid-5", "")} {
			_, err := s.Submit(ctx, "he", "1", false, []store.Submission{plain, sub})
			require.True(t, store.Damaged(err), "%v", err)
		}
		require.Equal(t, waits, rdb.XLen(ctx, "stint:{spoilt}:ready:k").Val(), "nothing is stored")
		mend()
		before := keyspace(t, rdb)
		got, err := s.Submit(ctx, "you", "1", true, []store.Submission{one("bad", "uid-1", ""), one("c", "uid-3", ""), plain})
		require.NoError(t, err)
		require.Equal(t, []store.Answer{{Spoilt: true}, {Refused: true}, {Refused: true}}, got)
		stray := plain
		stray.Kind = "bad"
		got, err = s.Submit(ctx, "you", "2", true, []store.Submission{stray, one("c", "uid-3", ""), plain})
		require.NoError(t, err)
		require.Equal(t, []store.Answer{{Spoilt: true}, {Refused: true}, {Refused: true}}, got)
		delete(before, "stint:{spoilt}:sub:you")
		after := keyspace(t, rdb)
		delete(after, "stint:{spoilt}:sub:you")
		require.Equal(t, before, after)
	})
}

// So it is where some of the plain jobs start later.
func TestSpoiltKindIsPutOffApart(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "spoilt")
		var subs []store.Submission
		for _, kind := range []string{"bad", "good"} {
			for _, start := range []int64{0, -time.Hour.Milliseconds(), 0, 1} {
				subs = append(subs, store.Submission{Kind: kind, Plain: true, Args: []byte("1"), Start: start})
			}
		}
		mend := spoil(t, rdb, "stint:{spoilt}:ready:bad")
		got, err := s.Submit(ctx, "me", "1", false, subs)
		require.NoError(t, err)
		for i, a := range got {
			require.Equal(t, i < 4, a.Spoilt, i)
			require.Equal(t, i < 4, a.Entry == "", i)
		}
		require.Zero(t, rdb.Exists(ctx, "stint:{spoilt}:late:bad", "stint:{spoilt}:later:bad", "stint:{spoilt}:bell:bad").Val())
		require.Equal(t, []int64{3, 1}, []int64{rdb.XLen(ctx, "stint:{spoilt}:ready:good").Val(), rdb.HLen(ctx, "stint:{spoilt}:late:good").Val()})
		mend()

		// What waits for its start has keys of its own, without which others do.
		for i, key := range []string{"late:bad", "later:bad"} {
			mend := spoil(t, rdb, "stint:{spoilt}:"+key)
			for _, all := range []bool{false, true} {
				for op, more := range [][]store.Submission{subs, append(slices.Clip(subs), one(fmt.Sprint("with-a-record-", key, all), "uid-1", ""))} {
					before := keyspace(t, rdb)
					me := fmt.Sprint(i, all, op)
					got, err := s.Submit(ctx, me, "1", all, more)
					require.NoError(t, err)
					for i, a := range got {
						starts := i == 1 || i == 3 // those with a start, also one that has passed
						require.Equal(t, []bool{starts, !starts && all && op == 1}, []bool{a.Spoilt, a.Refused}, i)
					}
					if all && op == 1 {
						after := keyspace(t, rdb)
						delete(after, "stint:{spoilt}:sub:"+me)
						require.Equal(t, before, after)
					}
				}
			}
			mend()
		}
	})
}

// Where a key that jobs share is of another type, no end of a task is lost or
// counted twice: it is counted, where the key is not needed for that, or else
// refused with an error that names the key, and counted when that is mended.
func TestSpoiltQueueLosesNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for i, c := range []struct{ key, refused string }{ // who is refused: jobs with a record, plain ones
			{"timers", "rp"},
			{"jobs", "rp"},
			{"events", "rp"},
			{"ctl", "r"},
			{"waits", "rp"},
			{"lanes", "r"},
			{"pasts", "p"},
			{"stats:k", ""},
			{"bell:k", ""},
			{"bell:~", ""},
		} {
			queue := fmt.Sprint("spoilt-", i)
			ctx, s := t.Context(), store.New(rdb, queue)
			_, err := s.Submit(ctx, "me", "1", true, []store.Submission{one("a", "uid-1", "cpu=1")})
			require.NoError(t, err)
			_, err = s.Submit(ctx, "me", "2", true, []store.Submission{{Kind: "k", Plain: true, Args: []byte("1")}})
			require.NoError(t, err)
			tasks := claimed(t, s, []string{"k~cpu=1", "k"}, 2)
			key := "stint:{" + queue + "}:" + c.key
			mend := spoil(t, rdb, key)
			settle := func(task int) store.Outcome {
				r := store.Result{Task: &tasks[task], Verdict: rules.Succeeded, Delay: -1, TTL: time.Hour}
				return s.Settle(ctx, []store.Result{r}, store.Guard{}, 0)[0]
			}
			for task, form := range []string{"r", "p"} {
				o := settle(task)
				if !strings.Contains(c.refused, form) {
					require.NoError(t, o.Err, "%s %s", c.key, form)
					require.True(t, o.Counted, "%s %s", c.key, form)
					continue
				}
				require.ErrorContains(t, o.Err, key)
				require.False(t, store.Temporary(o.Err))
				require.False(t, o.Counted)
			}
			mend()
			for task, form := range []string{"r", "p"} {
				o := settle(task)
				require.NoError(t, o.Err, c.key)
				require.Equal(t, strings.Contains(c.refused, form), o.Counted, "%s %s: once", c.key, form)
				find := map[string]func(context.Context, string) (*store.Record, error){"r": s.Get, "p": s.GetPlain}[form]
				r, err := find(ctx, tasks[task].Job)
				require.NoError(t, err, "%s %s", c.key, form)
				require.Equal(t, rules.JobIsComplete, r.Phase, "%s %s", c.key, form)
			}
		}
	})
}
