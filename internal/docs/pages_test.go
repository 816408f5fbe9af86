// Package docs tests the pages that are written for people: their code
// compiles, and what they point to is there.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the directory of the repository.
const root = "../.."

// page is a Markdown file; its name is relative to root.
type page struct {
	name string
	text string
}

// block is a fenced block of a page.
type block struct {
	page string
	line int // of its first line
	lang string
	text string
}

func (b block) at() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// findPages reads all pages of the repository.
func findPages(t *testing.T) []page {
	t.Helper()
	var pages []page
	walk(t, ".md", func(path string) {
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		pages = append(pages, page{path, string(text)})
	})
	return pages
}

// walk visits the files of the repository whose names end so.
func walk(t *testing.T, suffix string, visit func(path string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, suffix) {
			path, err = filepath.Rel(root, path)
			visit(filepath.ToSlash(path))
		}
		return err
	}))
}

// blocks are the fenced blocks of a page in one of the languages.
func (p page) blocks(langs ...string) []block {
	var found []block
	var open *block
	n := 0
	for line := range strings.Lines(p.text) {
		n++
		fence, ok := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case ok && open == nil:
			open = &block{page: p.name, line: n + 1, lang: fence}
		case ok:
			for _, lang := range langs {
				if open.lang == lang {
					found = append(found, *open)
				}
			}
			open = nil
		case open != nil:
			open.text += line
		}
	}
	return found
}

// module is a Go module of the repository, with what it may import.
type module struct {
	dir      string
	path     string
	requires []string
}

// findModules reads the go.mod files, the library's first.
func findModules(t *testing.T) []module {
	t.Helper()
	var modules []module
	walk(t, "go.mod", func(path string) {
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		m := module{dir: filepath.Join(root, filepath.Dir(path))}
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(strings.TrimPrefix(line, "require "))
			switch {
			case len(words) == 2 && words[0] == "module":
				m.path = words[1]
			case len(words) >= 2 && strings.HasPrefix(words[1], "v"):
				m.requires = append(m.requires, words[0])
			}
		}
		if filepath.Dir(path) == "." {
			modules = append([]module{m}, modules...)
			return
		}
		modules = append(modules, m)
	})
	return modules
}

// moduleFor is the directory of the first module which has all the imports.
func moduleFor(modules []module, imports []string) (string, error) {
	var missing string
	for _, m := range modules {
		missing = ""
		for _, path := range imports {
			if !m.has(modules, path) {
				missing = path
			}
		}
		if missing == "" {
			return m.dir, nil
		}
	}
	return "", fmt.Errorf("no module of the repository has all of %q", imports)
}

// has tells whether the module, or one that it requires, has a package.
func (m module) has(modules []module, path string) bool {
	if !strings.Contains(strings.Split(path, "/")[0], ".") {
		return true // of the standard library
	}
	owner := "" // of this repository's modules, the one nearest to the package
	for _, other := range modules {
		if within(path, other.path) && len(other.path) > len(owner) {
			owner = other.path
		}
	}
	if owner == m.path {
		return true
	}
	for _, r := range m.requires {
		if within(path, r) && (owner == "" || owner == r) {
			return true
		}
	}
	return false
}

// within tells whether a package may be of a module.
func within(path, module string) bool {
	return path == module || strings.HasPrefix(path, module+"/")
}
