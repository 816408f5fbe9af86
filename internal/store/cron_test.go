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

// A run that ends while its cron job is looked at has it looked at once more,
// though the one who looks saw it active and sets the timer for later, or for
// never.
func TestRunEndsWhileItsCronJobIsLookedAt(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := ticking(rdb, "cron")
		timer := func() float64 { return rdb.ZScore(ctx, "stint:{cron}:timers", "cron/c").Val() }
		run := one("run", "uid-1", "")
		run.Owner = "c"
		later := *now + 60_000
		require.NoError(t, s.PutCron(ctx, "c", "", "1", []byte("{}"), later, &run))
		require.InDelta(t, later, timer(), 0)
		tasks := claimed(t, s, []string{"k"}, 1)

		*now = later
		due, err := s.Due(ctx, 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, []string{"c"}, due.Cron)
		c, err := s.GetCron(ctx, "c")
		require.NoError(t, err)
		*now++
		settled(t, ctx, s, tasks, rules.Succeeded)
		*now++
		require.NoError(t, s.PutCron(ctx, "c", c.Version, "2", []byte("{}"), 0, nil))
		due, err = s.Due(ctx, 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, []string{"c"}, due.Cron, "it is looked at again")
		later = *now + 60_000
		require.NoError(t, s.PutCron(ctx, "c", "2", "3", []byte("{}"), later, nil))
		require.InDelta(t, later, timer(), 0)
		require.NoError(t, s.PutCron(ctx, "c", "3", "4", []byte("{}"), 0, nil))
		require.Zero(t, timer())
		require.NoError(t, s.PutCron(ctx, "c", "4", "5", []byte("{}"), *now, nil))
		require.NoError(t, s.PutCron(ctx, "c", "5", "", nil, 0, nil))
		require.Zero(t, timer(), "what is removed is not looked at")
		require.Zero(t, rdb.Exists(ctx, "stint:{cron}:cron").Val())
	})
}

// A cron job's record is stored over the version that was read, once, and the
// run with it; where a job of another has the run's name the record is, and
// the other job stays.
func TestPutCron(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, prefix := t.Context(), "stint:{cron}:"
		s, now := ticking(rdb, "cron")
		put := func(read, version, data string, run *store.Submission) error {
			return s.PutCron(ctx, "c", read, version, []byte(data), *now+60_000, run)
		}
		run := one("run", "uid-1", "")
		run.Owner, run.Kind = "c", "nightly"
		require.NoError(t, put("", "1", "one", &run))
		told, _ := orders(t, rdb, "cron", "0")
		require.Equal(t, []string{fmt.Sprint("t ", *now+60_000)}, told, "who waits for timers hears of the first")
		after := keyspace(t, rdb)
		require.NoError(t, put("", "1", "one", &run), "a repeated call has been done")
		require.ErrorIs(t, put("", "2", "two", nil), store.ErrConflict)
		require.ErrorIs(t, put("2", "3", "two", nil), store.ErrConflict)
		require.Equal(t, after, keyspace(t, rdb))
		c, err := s.GetCron(ctx, "c")
		require.NoError(t, err)
		require.Equal(t, store.Cron{Version: "1", Data: []byte("one")}, c)
		r, err := s.Get(ctx, "run")
		require.NoError(t, err)
		require.Equal(t, []any{"uid-1", "c", "nightly", 1}, []any{r.UID, r.Owner, r.Kind, r.Active})
		require.Equal(t, []string{"nightly"}, rdb.SMembers(ctx, prefix+"kinds").Val())
		events := rdb.XRange(ctx, prefix+"events", "-", "+").Val()
		require.Len(t, events, 1)
		require.Equal(t, "Submitted", events[0].Values["e"])

		again := run
		again.UID = "uid-2"
		require.NoError(t, put("1", "2", "two", &again), "it is its own run")
		_, err = s.Submit(ctx, "me", "1", true, []store.Submission{one("foreign", "uid-3", "")})
		require.NoError(t, err)
		again.Name = "foreign"
		require.ErrorIs(t, put("2", "3", "three", &again), store.ErrTaken)
		for name, uid := range map[string]string{"run": "uid-1", "foreign": "uid-3"} {
			r, err := s.Get(ctx, name)
			require.NoError(t, err)
			require.Equal(t, uid, r.UID)
		}
		c, err = s.GetCron(ctx, "c")
		require.NoError(t, err)
		require.Equal(t, "3", c.Version)
	})
}
