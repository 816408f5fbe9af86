package store

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Audit knows of every key in the table of keys.go what must refer to it.
func TestAuditKnowsEveryKey(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("keys.go")
	require.NoError(t, err)
	s, rows := New(nil, "q"), 0
	for line := range strings.Lines(string(src)) {
		f := strings.Fields(strings.TrimPrefix(line, "//"))
		if !strings.HasPrefix(line, "//\t") || len(f) < 3 || f[0] == "key" || f[1] == "-" || strings.HasPrefix(line, "//\t ") {
			continue
		}
		rows++
		_, how, _ := s.referrer(f[0])
		require.NotEqual(t, "?", how, f[0])
	}
	require.Greater(t, rows, 20)
	_, how, _ := s.referrer("what")
	require.Equal(t, "?", how)
}
