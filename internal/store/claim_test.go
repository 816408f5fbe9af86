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

// plainJobs submits one plain job of each kind.
func plainJobs(t *testing.T, s *store.Store, op string, kinds ...string) {
	t.Helper()
	subs := make([]store.Submission, len(kinds))
	for i, kind := range kinds {
		subs[i] = store.Submission{Kind: kind, Plain: true, Args: []byte("1")}
	}
	_, err := s.Submit(t.Context(), "me", op, true, subs)
	require.NoError(t, err)
}

// Who leaves something for others wakes one of them, and who empties a lane
// wakes nobody.
func TestClaimRingsForWhatItLeaves(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "rings")
		plainJobs(t, s, "1", "k", "k", "k")
		for i, c := range []struct{ most, got, rings int }{{1, 1, 1}, {5, 2, 0}, {5, 0, 0}} {
			rdb.Del(ctx, "stint:{rings}:bell:k")
			got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: fmt.Sprint(i + 1), Lanes: []string{"k"}, Max: c.most, Lease: time.Second})
			require.NoError(t, err)
			require.Len(t, got.Tasks, c.got)
			require.EqualValues(t, c.rings, rdb.LLen(ctx, "stint:{rings}:bell:k").Val(), i)
		}
	})
}

// A lane whose stream is of another type keeps nobody from the tasks of others:
// what a claim takes it hands over. It is an error when there is nothing else.
func TestSpoiltLaneIsClaimedApart(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "lanes")
		claim := store.Claim{Worker: "w", Op: "1", Lanes: []string{"a", "bad", "b"}, Max: 10, Lease: time.Second}
		plainJobs(t, s, "1", "a", "b", "bad")
		mend := spoil(t, rdb, "stint:{lanes}:ready:bad")
		for range 2 { // repeated
			got, err := s.Claim(ctx, claim)
			require.NoError(t, err)
			require.Len(t, got.Tasks, 2)
			require.Equal(t, []string{"a", "b"}, []string{got.Tasks[0].Kind, got.Tasks[1].Kind})
		}
		claim.Op = "2"
		for range 2 {
			_, err := s.Claim(ctx, claim)
			require.True(t, store.Damaged(err), "%v", err)
		}
		mend()
		got, err := s.Claim(ctx, claim)
		require.NoError(t, err)
		require.Len(t, got.Tasks, 1)
		require.Equal(t, "bad", got.Tasks[0].Kind)
	})
}
