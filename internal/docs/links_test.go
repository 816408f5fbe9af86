package docs

import (
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	target  = regexp.MustCompile(`(?m)^([a-z-]+):`)
	example = regexp.MustCompile(`\./((?:examples|cmd|script|bench)/[\w./-]+)`)
	command = regexp.MustCompile(`(?m)^stint ([a-z]+)`)
	use     = regexp.MustCompile(`(?:Use|name): +"([a-z]+)`)
	made    = regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
	member  = regexp.MustCompile("`(?:stint\\.)?([A-Z]\\w+)\\.([A-Z]\\w+)")
	name    = regexp.MustCompile("`stint\\.([A-Z]\\w+)")
	exempt  = regexp.MustCompile(`^(CHANGELOG\.md|docs/(kubernetes|decisions/.*)\.md)$`)
)

// TestLinks holds every relative link of the pages against the files, and its
// fragment against their headings.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, p := range findPages(t) {
		for _, m := range link.FindAllStringSubmatch(withoutCode(p), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") || strings.HasPrefix(path, "mailto:") {
				continue
			}
			file := filepath.Join(root, filepath.Dir(p.name), path)
			if path == "" {
				file = filepath.Join(root, p.name)
			}
			text, err := os.ReadFile(file)
			if info, statErr := os.Stat(file); statErr == nil && info.IsDir() {
				continue
			}
			if assert.NoError(t, err, "%s links to %s", p.name, m[1]) && anchor != "" {
				assert.Contains(t, anchors(string(text)), anchor, "%s links to %s", p.name, m[1])
			}
		}
	}
}

// withoutCode is a page without its fenced blocks.
func withoutCode(p page) string {
	var text strings.Builder
	for i, part := range strings.Split(p.text, "```") {
		if i%2 == 0 {
			text.WriteString(part)
		}
	}
	return text.String()
}

// anchors are the fragments by which the headings of a page are linked.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ' || r == '-':
				return '-'
			case r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(m[1])))
	}
	return all
}

// TestCommands looks for the make targets, examples, scripts and commands of
// stint that the pages name.
func TestCommands(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	targets := firstGroups(target, string(makefile))
	commands := []string{"help", "completion"} // cobra's own
	walk(t, ".go", func(path string) {
		if strings.HasPrefix(path, "cmd/stint/") {
			text, err := os.ReadFile(filepath.Join(root, path))
			require.NoError(t, err)
			commands = append(commands, firstGroups(use, string(text))...)
		}
	})
	for _, p := range findPages(t) {
		text := shell(p)
		for _, name := range firstGroups(made, text) {
			assert.Contains(t, targets, name, "%s names the make target", p.name)
		}
		for _, name := range firstGroups(command, text) {
			assert.Contains(t, commands, name, "%s names the command", p.name)
		}
		for _, path := range firstGroups(example, text) {
			_, err := os.Stat(filepath.Join(root, path))
			assert.NoError(t, err, "%s names it", p.name)
		}
	}
}

// shell is what a page has in code spans, and in blocks that are no language.
func shell(p page) string {
	var text strings.Builder
	for _, b := range p.blocks("", "sh", "console", "bash", "shell") {
		text.WriteString(b.text)
	}
	for i, part := range strings.Split(strings.ReplaceAll(p.text, "```", ""), "`") {
		if i%2 == 1 {
			text.WriteString("\n" + part)
		}
	}
	return text.String()
}

func firstGroups(re *regexp.Regexp, text string) (all []string) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// TestNames looks up what the pages call stint.X, X.Method or X.Field, where X
// is a type of the library.
func TestNames(t *testing.T) {
	t.Parallel()
	scope := loadLibrary(t).Scope()
	for _, p := range findPages(t) {
		if exempt.MatchString(p.name) {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(p.text, -1) {
			assert.NotNil(t, scope.Lookup(m[1]), "%s names stint.%s", p.name, m[1])
		}
		for _, m := range member.FindAllStringSubmatch(p.text, -1) {
			of, ok := scope.Lookup(m[1]).(*types.TypeName)
			if !ok {
				continue
			}
			found, _, _ := types.LookupFieldOrMethod(types.NewPointer(of.Type()), true, of.Pkg(), m[2])
			assert.NotNil(t, found, "%s names %s.%s", p.name, m[1], m[2])
		}
	}
}
