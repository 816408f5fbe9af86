package store_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/store"
)

// Plain jobs of one call that differ in more than their args each get their
// own, in their order, and a repeated call answers the same.
func TestPlainJobsOfOneCall(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "enqueue")
		var jobs []store.Submission
		for i := range 20 {
			j := store.Submission{Kind: "a", Args: fmt.Append(nil, "args ", i), Plain: true}
			if i%3 == 1 {
				j.Kind = "b"
			}
			if i%5 == 3 {
				j.Start = -3_600_000
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
