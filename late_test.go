package stint

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/store"
)

// F33, F39: a connection that hung passes on a call whose client gave it up
// long ago, sent it again, and went on. Redis sees it last of all.
func TestF39CallsThatComeLate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		s := store.New(rdb, "late")
		plain := []store.Submission{{Kind: "k", Args: []byte("1"), Plain: true}}
		for _, op := range []string{"9", "10"} {
			_, err := s.Submit(ctx, "client", op, false, plain)
			require.NoError(t, err)
		}
		_, err := s.Submit(ctx, "client", "9", false, plain)
		require.Error(t, err)
		require.EqualValues(t, 2, rdb.XLen(ctx, "stint:{late}:ready:k").Val(), "it is stored once")

		claim := store.Claim{Worker: "w", Op: "9", Kinds: []string{"k"}, Max: 1, Lease: time.Second}
		first, _, err := s.Claim(ctx, claim)
		require.NoError(t, err)
		require.Len(t, first, 1)
		claim.Op, claim.Kinds = "10", []string{"other"}
		_, _, err = s.Claim(ctx, claim)
		require.NoError(t, err)
		claim.Op, claim.Kinds = "9", []string{"k"}
		late, _, err := s.Claim(ctx, claim)
		require.NoError(t, err)
		require.Empty(t, late)
		held, err := s.HeldBy(ctx, "w", "k", 10)
		require.NoError(t, err)
		require.Len(t, held, 1, "the worker holds a task that it does not know of, for as long as it lives")
	})
}
