// Package behaviours keeps docs/kubernetes.md: which test shows which of the
// behaviours of batch/v1.
package behaviours

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/kubernetes.md")

// root is the directory of the module.
const root = "../.."

// number is how a behaviour is named, as it begins a test's name or is a part
// of a function's.
var (
	number  = regexp.MustCompile(`B\d{3}[ab]?`)
	numbers = regexp.MustCompile(`^(B\d{3}[ab]?)( B\d{3}[ab]?)*( |$)`)
)

// TestKubernetesTable compares docs/kubernetes.md with the tests that there
// are: go test ./internal/behaviours -update writes it.
func TestKubernetesTable(t *testing.T) {
	t.Parallel()
	shown := shownBy(t)
	table := head
	list, err := os.ReadFile("list.txt")
	require.NoError(t, err)
	known := map[string]bool{}
	for line := range strings.Lines(string(list)) {
		line = strings.TrimSpace(line)
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			table += "\n## " + heading + "\n\n| | Behaviour | Shown by |\n|---|---|---|\n"
		}
		id, words, ok := strings.Cut(line, " ")
		if !ok || !number.MatchString(id) {
			continue
		}
		require.False(t, known[id], "%s is listed twice", id)
		known[id] = true
		words, reason, inapplicable := strings.Cut(words, " | ")
		tests := shown[id]
		slices.Sort(tests)
		require.NotEqual(t, inapplicable, len(tests) > 0, "%s needs a test, or a reason why none can be, and not both: %q", id, tests)
		if inapplicable {
			tests = []string{"not applicable: " + reason}
		}
		table += fmt.Sprintf("| %s | %s | %s |\n", id, words, strings.Join(slices.Compact(tests), "<br>"))
	}
	require.Len(t, known, 275)
	for id := range shown {
		require.True(t, known[id], "a test shows %s, which is not listed", id)
	}
	file := filepath.Join(root, "docs", "kubernetes.md")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(table), 0o644))
	}
	have, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, table, string(have), "docs/kubernetes.md is not what the tests are: run go test ./internal/behaviours -update")
}

const head = `# Kubernetes's behaviours, one by one

What Kubernetes's Job, CronJob and TTL controllers and its API do, in 275 behaviours, and the test that shows each here; or why it
means nothing where there are no pods. The table is written by ` + "`go test ./internal/behaviours -update`" + ` from the names of the
tests, and ` + "`make check`" + ` fails where it is not true. Where stint differs on purpose is told in
[kubernetes-differences.md](kubernetes-differences.md); what the real controllers did, recorded and replayed, is run by
` + "`make conformance`" + `.
`

// shownBy finds the tests of each behaviour: functions that have its number in
// their names, subtests that begin with it, and scenarios.
func shownBy(t *testing.T) map[string][]string {
	t.Helper()
	shown := map[string][]string{}
	add := func(test, in string) {
		for _, id := range number.FindAllString(in, -1) {
			shown[id] = append(shown[id], test)
		}
	}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(path, "_test.go"):
			return eachTest(path, add)
		case strings.HasPrefix(filepath.Base(path), "behaviours") && strings.HasSuffix(path, ".txt"):
			return eachScenario(path, add)
		}
		return nil
	})
	require.NoError(t, err)
	return shown
}

// eachTest goes over the tests of a file.
func eachTest(path string, add func(test, in string)) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(f.Name.Name, "Test") {
			continue
		}
		at := link(path, f.Name.Name)
		add(at, f.Name.Name)
		ast.Inspect(f.Body, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if name, err := strconv.Unquote(lit.Value); err == nil {
				add(at, numbers.FindString(name))
			}
			return true
		})
	}
	return nil
}

// eachScenario goes over the scenarios of a file.
func eachScenario(path string, add func(test, in string)) error {
	text, err := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "== "); ok {
			add(link(path, filepath.Base(path)), numbers.FindString(name))
		}
	}
	return err
}

// link refers to a test by the file that it is in.
func link(path, name string) string {
	path, _ = filepath.Rel(root, path)
	return fmt.Sprintf("[%s](../%s)", name, filepath.ToSlash(path))
}
