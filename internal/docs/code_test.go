package docs

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGoBlocksCompile type-checks every ```go block of every page, against the
// packages as they are.
//
// A block that begins with a package clause is a whole file. Any other is a
// fragment: declarations, or statements of a func, with imports before them or
// not. A fragment may use what testdata/given.go.txt and earlier fragments of its
// page declare, and the packages that given.go.txt imports.
func TestGoBlocksCompile(t *testing.T) {
	t.Parallel()
	byModule := map[string][]source{}
	modules := findModules(t)
	total := 0
	for _, page := range findPages(t) {
		earlier := readGiven(t)
		for _, b := range page.blocks("go") {
			total++
			src, err := earlier.complete(b)
			if err != nil {
				t.Errorf("%s: %v", b.at(), err)
				continue
			}
			dir, err := moduleFor(modules, src.imports())
			if err != nil {
				t.Errorf("%s: %v", b.at(), err)
				continue
			}
			byModule[dir] = append(byModule[dir], src)
		}
	}
	require.Greater(t, total, 5, "pages with code")
	for dir, sources := range byModule {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			for _, err := range check(t, dir, sources) {
				t.Error(err)
			}
		})
	}
}

// TestMistakesAreFound shows that the above can fail.
func TestMistakesAreFound(t *testing.T) {
	t.Parallel()
	text := "```go\njob, err := queue.Submit(ctx, Mine{})\n```\n" + // declared later
		"```go\ntype Mine struct{}\n\nfunc (Mine) Kind() string { return \"mine\" }\n```\n" +
		"```go\nimport \"errors\"\n\njob, err := queue.Submit(ctx, Mine{})\nreturn errors.New(1)\n```\n"
	given := readGiven(t)
	var sources []source
	for _, b := range (page{"page.md", text}).blocks("go") {
		src, err := given.complete(b)
		require.NoError(t, err)
		sources = append(sources, src)
	}
	require.Len(t, sources, 3)
	var found []string
	for _, err := range check(t, root, sources) {
		found = append(found, err.Error())
	}
	require.Len(t, found, 2, "%q", found)
	require.Contains(t, found[0], "page.md:2: undefined: Mine")
	require.Contains(t, found[1], "page.md:13")
	_, err := given.complete(block{text: "x :="})
	require.Error(t, err)
	_, err = moduleFor(findModules(t), []string{"example.com/unknown"})
	require.Error(t, err)
}

// check type-checks sources with the export data of the module in dir.
func check(t *testing.T, dir string, sources []source) (found []error) {
	t.Helper()
	var imports []string
	for _, s := range sources {
		imports = append(imports, s.imports()...)
	}
	slices.Sort(imports)
	exports := listExports(t, dir, slices.Compact(imports))
	for _, s := range sources {
		conf := types.Config{
			Importer: importFrom(s.fset, exports),
			Error: func(err error) {
				// What a fragment does not use, the reader will.
				if e, ok := err.(types.Error); !ok || !e.Soft { //nolint:errorlint // go/types passes it as it is
					found = append(found, err)
				}
			},
		}
		_, _ = conf.Check("page", s.fset, []*ast.File{s.file}, nil)
	}
	return found
}

// importFrom reads packages from their export data.
func importFrom(fset *token.FileSet, exports map[string]string) types.Importer {
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
}

// loadLibrary reads what package stint exports.
func loadLibrary(t *testing.T) *types.Package {
	t.Helper()
	const path = "github.com/stint-go/stint"
	library, err := importFrom(token.NewFileSet(), listExports(t, root, []string{path})).Import(path)
	require.NoError(t, err)
	return library
}

// listExports builds packages, and tells where their export data are. It asks
// the build cache first, as every build does, and nothing of the network.
func listExports(t *testing.T, dir string, imports []string) map[string]string {
	t.Helper()
	args := append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", "--"}, imports...)
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, "%s", &problems)
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[path] = file
	}
	return exports
}

// source is a block as a Go file.
type source struct {
	fset *token.FileSet
	file *ast.File
}

func parse(text string) (source, error) {
	s := source{fset: token.NewFileSet()}
	file, err := parser.ParseFile(s.fset, "", text, parser.ParseComments)
	s.file = file
	return s, err
}

func (s source) imports() []string {
	var paths []string
	for _, i := range s.file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

// given is what a fragment need not declare or import itself.
type given struct {
	packages map[string]string // paths by name
	decls    []decl
}

// decl is a top-level declaration, with the names that it declares: a method's
// is that of its type and its own.
type decl struct {
	names []string
	text  string
}

func readGiven(t *testing.T) *given {
	t.Helper()
	name := filepath.Join("testdata", "given.go.txt")
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	s, err := parse(string(text))
	require.NoError(t, err)
	g := &given{packages: map[string]string{}}
	for _, i := range s.file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		g.packages[packageName(i, path)] = path
	}
	g.declare(s, func(line int) string { return fmt.Sprintf("//line internal/docs/%s:%d\n", name, line) })
	return g
}

// packageName is the name by which a file knows an import.
func packageName(i *ast.ImportSpec, path string) string {
	if i.Name != nil {
		return i.Name.Name
	}
	parts := strings.Split(path, "/")
	last := parts[len(parts)-1]
	if len(parts) > 1 && strings.HasPrefix(last, "v") && strings.Trim(last[1:], "0123456789") == "" {
		last = parts[len(parts)-2]
	}
	return last
}

// declare takes declarations on, in place of earlier ones of the same names.
func (g *given) declare(s source, line func(int) string) {
	for _, d := range s.file.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok == token.CONST || len(gen.Specs) == 1 {
			g.add(s, d, line)
			continue
		}
		for _, spec := range gen.Specs {
			g.add(s, &ast.GenDecl{Tok: gen.Tok, TokPos: spec.Pos(), Specs: []ast.Spec{spec}}, line)
		}
	}
}

func (g *given) add(s source, d ast.Decl, line func(int) string) {
	names := declared(d)
	if len(names) == 0 { // imports
		return
	}
	g.decls = slices.DeleteFunc(g.decls, func(e decl) bool {
		return slices.ContainsFunc(names, func(n string) bool {
			return slices.Contains(e.names, n) || strings.HasPrefix(e.names[0], n+".")
		})
	})
	var text strings.Builder
	if err := format.Node(&text, s.fset, d); err != nil {
		panic(err) // it was parsed
	}
	g.decls = append(g.decls, decl{names, line(s.fset.Position(d.Pos()).Line) + text.String() + "\n"})
}

// declared are the names that a declaration declares; none for imports.
func declared(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = strings.TrimPrefix(types.ExprString(d.Recv.List[0].Type), "*") + "." + name
		}
		names = append(names, name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, n := range spec.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

// complete makes a file of a block. What a fragment declares is there for
// later ones.
func (g *given) complete(b block) (source, error) {
	line := func(n int) string { return fmt.Sprintf("//line %s:%d\n", b.page, n) }
	if strings.HasPrefix(b.text, "package ") || strings.Contains(b.text, "\npackage ") {
		return parse(line(b.line) + b.text)
	}
	imports, body, bodyLine := splitImports(b)
	text := line(bodyLine) + body
	whole, err := parse("package page\n" + text)
	isDecls := err == nil
	if !isDecls {
		text = "func _() error {\n" + text + "\nreturn nil\n}\n"
		if whole, err = parse("package page\n" + text); err != nil {
			return source{}, err
		}
	}
	fragment := whole
	text, names := g.with(text, fragment)
	for _, name := range names {
		if path, ok := g.packages[name]; ok && !strings.Contains(imports, strconv.Quote(path)) {
			imports += fmt.Sprintf("import %s %q\n", name, path)
		}
	}
	if isDecls {
		g.declare(fragment, line)
	}
	return parse("package page\n" + imports + text)
}

// with adds to a fragment the declarations that it needs, and those that these
// need. The names are all that the result does not declare itself, and some
// that it does.
func (g *given) with(text string, fragment source) (whole string, names []string) {
	own := map[string]bool{} // the fragment's, and those that were added
	for _, d := range fragment.file.Decls {
		for _, name := range declared(d) {
			own[name] = true
		}
	}
	add := func(s source) {
		for _, id := range s.file.Unresolved {
			if !slices.Contains(names, id.Name) {
				names = append(names, id.Name)
			}
		}
	}
	add(fragment)
	added := map[string]bool{}
	for i := 0; i < len(names); i++ {
		if own[names[i]] {
			continue
		}
		for _, d := range g.decls {
			of, _, _ := strings.Cut(d.names[0], ".") // a method goes with its type
			if of != names[i] && !slices.Contains(d.names, names[i]) || added[d.text] {
				continue
			}
			added[d.text] = true
			text += d.text
			if s, err := parse("package page\n" + d.text); err == nil {
				add(s)
			}
		}
	}
	return text, names
}

// splitImports parts the imports before a fragment from it.
func splitImports(b block) (imports, body string, line int) {
	const clause = "package page\n"
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", clause+b.text, parser.ImportsOnly)
	if err != nil || len(file.Decls) == 0 {
		return "", b.text, b.line
	}
	end := fset.Position(file.Decls[len(file.Decls)-1].End()).Offset - len(clause)
	return b.text[:end] + "\n", b.text[end:], b.line + strings.Count(b.text[:end], "\n")
}
