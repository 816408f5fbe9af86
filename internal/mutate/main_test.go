package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Only lines that leave a script behind are deleted, one at a time.
func TestLines(t *testing.T) {
	t.Parallel()
	const src = "-- a comment\nlocal a = 1\n\nif a then\n  a = 2\nend\nreturn a"
	all := lines("x", src)
	got := make([]string, len(all))
	for i, l := range all {
		got[i] = l.String()
	}
	require.Equal(t, []string{"x.lua:2: local a = 1", "x.lua:5: a = 2", "x.lua:7: return a"}, got)
	require.Equal(t, "-- a comment\n           \n\nif a then\n  a = 2\nend\nreturn a", without(src, 2))
}

// Every reason is of a line that there still is.
func TestReasonsAreOfLines(t *testing.T) {
	t.Parallel()
	known, err := readReasons("survivors.txt")
	require.NoError(t, err)
	for key := range known {
		script, text, _ := strings.Cut(key, " ")
		src, err := os.ReadFile(filepath.Join("..", "store", "lua", script+".lua"))
		require.NoError(t, err)
		require.Contains(t, string(src), text)
	}
}
