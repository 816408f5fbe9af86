package store

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
)

// Scripts order entries as CompareEntries does.
func TestAfter(t *testing.T) {
	t.Parallel()
	script := redis.NewScript(prelude + "return after(ARGV[2])(ARGV[1]) and 1 or 0")
	entries := []string{
		"0-1", "9-0", "9-10", "9-9", "10-0", "10-9", "10-10", "99-100", "100-5", "100-18446744073709551615", "1700000000000-0",
		"1700000000000-9", "1700000000000-10", "1700000000000-99", "1700000000001-0", "1700000000001-10", "9999999999999-3", "10000000000000-1",
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for _, a := range entries {
			for _, b := range entries {
				after, err := script.Run(t.Context(), rdb, nil, a, b).Bool()
				require.NoError(t, err)
				require.Equal(t, CompareEntries(a, b) >= 0, after, "%s after %s", a, b)
			}
		}
	})
}
