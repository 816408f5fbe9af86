package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// A lane too many is refused whoever makes it, and nothing is written.
func TestLanesAreBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "lanes")
		_, err := s.Submit(ctx, "me", "1", true, []store.Submission{one("a", "uid-1", "cpu=1")})
		require.NoError(t, err)
		settled(t, ctx, s, claimed(t, s, []string{"k~cpu=1"}, 1), rules.Succeeded)
		r, err := s.Get(ctx, "a")
		require.NoError(t, err)
		run := one("run", "uid-3", "cpu=2")
		makers := map[string]func() error{
			"submit": func() error {
				got, err := s.Submit(ctx, "me", "2", true, []store.Submission{one("b", "uid-2", "cpu=3")})
				if err == nil && got[0].Full {
					err = store.ErrFull
				}
				return err
			},
			"retry": func() error { return retry(ctx, s, r) },
			"cron":  func() error { return s.PutCron(ctx, "c", "", "1", []byte("{}"), 1, &run) },
		}
		for i := range store.Limit {
			require.NoError(t, rdb.HSet(ctx, "stint:{lanes}:lanes", fmt.Sprint("k~cpu=", 1000+i), 1).Err())
		}
		before := keyspace(t, rdb)
		for name, do := range makers {
			require.ErrorIs(t, do(), store.ErrFull, name)
			require.False(t, store.Temporary(store.ErrFull))
			after := keyspace(t, rdb)
			after["stint:{lanes}:sub:me"] = before["stint:{lanes}:sub:me"]
			require.Equal(t, before, after, name)
		}
		require.NoError(t, rdb.HDel(ctx, "stint:{lanes}:lanes", "k~cpu=1000", "k~cpu=1001").Err())
		require.NoError(t, makers["retry"]())
		require.NoError(t, makers["cron"]())
		_, err = s.Get(ctx, "run")
		require.NoError(t, err)
	})
}

func retry(ctx context.Context, s *store.Store, r *store.Record) error {
	return s.Retry(ctx, r, "uid-9", r.Done, r.Bad, "", one("", "", "").Rules, r.Spec)
}
