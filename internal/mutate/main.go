// Command mutate deletes one line of a Lua script at a time and runs tests:
// a line whose loss no test notices is a survivor, and either a test is
// missing or the line is not needed.
//
//	go run ./internal/mutate [-quick|-all] [-v] [-from n] [-every n] [-most n] script...
//
// A script is named as its file, without .lua; none stands for all of them.
// Survivors for which a reason is known stand in survivors.txt: the script, the
// line, and why. It exits with 1 when others are found.
//
// The test binaries are built once. A script is embedded in them, so a line is
// deleted by overwriting it there with spaces (where programs must be signed,
// as on macOS, such a binary does not run). Tests that noticed other lines of
// the script run first, and the first failure ends a line.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/yuin/gopher-lua/parse"
)

const (
	scripts = "internal/store/lua"
	reasons = "internal/mutate/survivors.txt"
)

func main() {
	m := mutation{out: os.Stdout}
	flag.IntVar(&m.from, "from", 1, "first line to delete")
	flag.IntVar(&m.every, "every", 1, "delete each n-th line of those that can be: a sample, the same each time")
	flag.IntVar(&m.most, "most", 1<<30, "lines to delete in each script, at most")
	flag.BoolVar(&m.quick, "quick", false, "run only what takes a few seconds")
	flag.BoolVar(&m.all, "all", false, "run all tests on all servers for what survives and has no reason: minutes for each line")
	flag.BoolVar(&m.verbose, "v", false, "tell which test noticed each line")
	flag.Parse()
	if err := m.mutate(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type mutation struct {
	out                 io.Writer
	from, every, most   int
	quick, all, verbose bool
	suites              []*suite
	known               map[string]string // reasons, by script and line
	bad                 int               // survivors without one
}

// line is one line of a script that can be deleted.
type line struct {
	script string
	number int
	text   string
}

func (l line) String() string { return fmt.Sprintf("%s.lua:%d: %s", l.script, l.number, l.text) }

// mutate tells of each script how many lines were deleted and which survive.
func (m *mutation) mutate(names []string) (err error) {
	if m.known, err = readReasons(reasons); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m.suites = tests(m.quick, m.all)
	if err := build(dir, m.suites); err != nil {
		return err
	}
	if len(names) == 0 {
		if names, err = filepath.Glob(filepath.Join(scripts, "*.lua")); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := m.script(strings.TrimSuffix(filepath.Base(name), ".lua")); err != nil {
			return err
		}
	}
	if m.bad > 0 {
		return fmt.Errorf("%d survivors without a reason", m.bad)
	}
	return nil
}

func (m *mutation) script(name string) error {
	text, err := os.ReadFile(filepath.Join(scripts, name+".lua"))
	if err != nil {
		return err
	}
	src, tried, survived := string(text), 0, 0
	for i, l := range lines(name, src) {
		if l.number < m.from || i%max(1, m.every) != 0 || tried >= m.most {
			continue
		}
		tried++
		began := time.Now()
		by, err := m.noticed(name, src, l)
		if err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
		if by != "" {
			if m.verbose {
				_, _ = fmt.Fprintf(m.out, "%s\n\tnoticed in %.1fs by %s\n", l, time.Since(began).Seconds(), by)
			}
			continue
		}
		survived++
		why := m.known[name+" "+l.text]
		if why == "" {
			m.bad++
			why = "NO REASON KNOWN"
		}
		_, _ = fmt.Fprintf(m.out, "%s\n\tsurvives: %s\n", l, why)
	}
	_, _ = fmt.Fprintf(m.out, "%s.lua: %d lines deleted, %d noticed, %d survive\n", name, tried, tried-survived, survived)
	return nil
}

// noticed gives the test that fails without a line, or ”.
func (m *mutation) noticed(script, src string, l line) (by string, err error) {
	mutant, explained := without(src, l.number), m.known[script+" "+l.text] != ""
	for _, s := range m.suites {
		if err := s.patch(src, mutant); err != nil {
			return "", err
		}
	}
	for _, only := range []bool{true, false} { // what noticed other lines, and then all
		for _, s := range m.suites {
			if s.last && explained {
				continue
			}
			if by, err = s.notices(script, only); by != "" || err != nil {
				return by, err
			}
		}
	}
	return "", nil
}

// lines are those that can be deleted and leave a script behind.
func lines(name, src string) (all []line) {
	for i, text := range strings.Split(src, "\n") {
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "--") {
			continue
		}
		if _, err := parse.Parse(strings.NewReader(without(src, i+1)), name); err == nil {
			all = append(all, line{name, i + 1, text})
		}
	}
	return all
}

// without is a script without one of its lines, and as long as it was.
func without(src string, number int) string {
	all := strings.Split(src, "\n")
	all[number-1] = strings.Repeat(" ", len(all[number-1]))
	return strings.Join(all, "\n")
}

// readReasons reads survivors.txt: script, tab, line, tab, reason.
func readReasons(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for l := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimSpace(l), "\t"); len(f) == 3 {
			known[f[0]+" "+f[1]] = f[2]
		}
	}
	return known, nil
}
