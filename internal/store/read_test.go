package store_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// Of several jobs that are read at once each is as it is: one that waits says
// until when, one with a key of another type that it cannot be read, and one
// that is not there is none.
func TestReadEachAsItIs(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := steered(t, rdb, "read", func(r *rules.Spec) { r.Indexed, r.Completions, r.Parallelism = true, 2, 2 })
		tasks := claimed(t, s, []string{"k"}, 2)
		settled(t, ctx, s, tasks[:1], rules.Failed)
		settled(t, ctx, s, tasks[1:], rules.Succeeded) // by which the job is in no streak of failures
		for _, part := range []string{"", ":done", ":bad", ":wait"} {
			mend := spoil(t, rdb, "stint:{read}:job:b"+part)
			if part != "" {
				require.NoError(t, rdb.HSet(ctx, "stint:{read}:job:b", rdb.HGetAll(ctx, "stint:{read}:job:a").Val()).Err())
			}
			if part == ":done" || part == ":bad" { // what spoil puts there is a string too
				require.NoError(t, rdb.Del(ctx, "stint:{read}:job:b"+part).Err())
				require.NoError(t, rdb.SAdd(ctx, "stint:{read}:job:b"+part, "x").Err())
			}
			got, err := s.GetAll(ctx, []string{"a", "b", "c"})
			require.NoError(t, err)
			require.Nil(t, got[2])
			require.ErrorIs(t, got[1].Err, store.ErrUnreadable, part)
			require.NoError(t, got[0].Err)
			require.Equal(t, *now+10_000, got[0].RetryAt)
			mend()
			require.NoError(t, rdb.Del(ctx, "stint:{read}:job:b").Err())
		}
	})
}
