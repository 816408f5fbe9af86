package store_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
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
