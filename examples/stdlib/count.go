package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Totals is what is counted.
type Totals struct {
	Files     int `json:"files"`
	Lines     int `json:"lines"`
	Functions int `json:"functions"`
}

func (t *Totals) add(o Totals) {
	t.Files += o.Files
	t.Lines += o.Lines
	t.Functions += o.Functions
}

// goFiles lists the Go files under a directory, always in the same order.
func goFiles(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(path, ".go") {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// countFile counts the lines and functions of one file. A file that does not
// parse, as some test data, has lines but no functions.
func countFile(path string) (Totals, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return Totals{}, err
	}
	t := Totals{Files: 1, Lines: bytes.Count(src, []byte("\n"))}
	if len(src) > 0 && src[len(src)-1] != '\n' {
		t.Lines++
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.SkipObjectResolution)
	if err != nil {
		return t, nil //nolint:nilerr // told above
	}
	for _, d := range file.Decls {
		if _, ok := d.(*ast.FuncDecl); ok {
			t.Functions++
		}
	}
	return t, nil
}
