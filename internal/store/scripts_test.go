package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/store"
)

// What is loaded ahead is what is called later.
func TestScriptsAreLoadedAhead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rdb := server.Client()
	s := store.New(rdb, "ahead")
	require.NoError(t, store.LoadScripts(t.Context(), s, store.New(rdb, "beside")))
	require.NoError(t, store.LoadScripts(t.Context(), s), "once more")
	_ = underWay(t, s, 2)
	info := rdb.Info(t.Context(), "commandstats").Val()
	require.Contains(t, info, "cmdstat_evalsha:")
	require.NotContains(t, info, "cmdstat_eval:", "a script was sent as a whole")
}
