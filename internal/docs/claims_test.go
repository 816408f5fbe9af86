package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	testFunc   = regexp.MustCompile(`(?m)^func (Test\w+)\(\w+ \*testing\.[TM]\)`)
	namedTest  = regexp.MustCompile("`(Test[A-Z]\\w*)`")
	linkedTest = regexp.MustCompile("\\[`(Test\\w+)`\\]\\(([^)]+)\\)")
	promise    = regexp.MustCompile(`(?m)^### P\d+ .*$`)
)

// testsByFile are the names of all tests of the repository.
func testsByFile(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	walk(t, "_test.go", func(path string) {
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		all[path] = firstGroups(testFunc, string(text))
	})
	return all
}

// TestNamedTestsExist looks for the tests that the pages name as proof, and for
// those that they link to in the file of the link.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	byFile := testsByFile(t)
	var all []string
	for _, names := range byFile {
		all = append(all, names...)
	}
	require.Greater(t, len(all), 100)
	for _, p := range findPages(t) {
		for _, name := range firstGroups(namedTest, p.text) {
			assert.Contains(t, all, name, "%s names the test", p.name)
		}
		for _, m := range linkedTest.FindAllStringSubmatch(p.text, -1) {
			file := filepath.ToSlash(filepath.Join(filepath.Dir(p.name), m[2]))
			assert.Contains(t, byFile[file], m[1], "%s links to %s", p.name, m[2])
		}
	}
}

// TestPromisesAreShown: every promise, and every row of what each setting of
// durability keeps, names a test.
func TestPromisesAreShown(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	require.NoError(t, err)
	text := string(data)
	at := promise.FindAllStringIndex(text, -1)
	require.Len(t, at, 12)
	for i, a := range at {
		end := strings.Index(text, "\n## How")
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		assert.Regexp(t, linkedTest, text[a[1]:end], text[a[0]:a[1]])
	}
	_, durability, ok := strings.Cut(text, "\n## Durability\n")
	require.True(t, ok)
	rows := 0
	for line := range strings.Lines(durability) {
		if strings.HasPrefix(line, "| ") && !strings.Contains(line, "| shown by |") {
			rows++
			assert.Regexp(t, linkedTest, line)
		}
	}
	require.Greater(t, rows, 8)
}
