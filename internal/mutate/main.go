// Command mutate deletes one line of a Lua script at a time and runs tests:
// a line whose loss no test notices is a survivor, and either a test is
// missing or the line is not needed.
//
//	go run ./internal/mutate [-run tests] [-from n] [-every n] [-most n] script...
//
// A script is named as its file, without .lua. Survivors for which a reason is
// known stand in survivors.txt: the script, the line, and why. It exits with 1
// when others are found.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
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
	run := flag.String("run", "Test./miniredis", "tests to run, as go test has it; those in a bubble have no server to name")
	from := flag.Int("from", 1, "first line to delete")
	every := flag.Int("every", 1, "delete each n-th line of those that can be: a sample, the same each time")
	most := flag.Int("most", 1<<30, "lines to delete in each script, at most")
	timeout := flag.Duration("timeout", 2*time.Minute, "for the tests of one line; a line that makes them hang is noticed")
	flag.Parse()
	if err := mutate(os.Stdout, flag.Args(), mutation{run: *run, from: *from, every: max(1, *every), most: *most, timeout: *timeout}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type mutation struct {
	run               string
	from, every, most int
	timeout           time.Duration
}

// line is one line of a script that can be deleted.
type line struct {
	script string
	number int
	text   string
}

func (l line) String() string { return fmt.Sprintf("%s.lua:%d: %s", l.script, l.number, l.text) }

// mutate tells of each script how many lines were deleted and which survive.
func mutate(out io.Writer, names []string, m mutation) error {
	known, err := readReasons(reasons)
	if err != nil {
		return err
	}
	bad := 0
	for _, name := range names {
		path := filepath.Join(scripts, name+".lua")
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		tried, survived := 0, 0
		for i, l := range lines(name, string(src)) {
			if l.number < m.from || i%m.every != 0 || tried >= m.most {
				continue
			}
			tried++
			noticed, err := m.noticed(path, without(string(src), l.number))
			if err != nil {
				return fmt.Errorf("%s: %w", l, err)
			}
			if noticed {
				continue
			}
			survived++
			why := known[name+" "+l.text]
			if why == "" {
				bad++
				why = "NO REASON KNOWN"
			}
			_, _ = fmt.Fprintf(out, "%s\n\tsurvives: %s\n", l, why)
		}
		_, _ = fmt.Fprintf(out, "%s.lua: %d lines deleted, %d noticed, %d survive\n", name, tried, tried-survived, survived)
	}
	if bad > 0 {
		return fmt.Errorf("%d survivors without a reason", bad)
	}
	return nil
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

// without is a script without one of its lines.
func without(src string, number int) string {
	all := strings.Split(src, "\n")
	all[number-1] = ""
	return strings.Join(all, "\n")
}

// noticed runs the tests with another text in the place of a script.
func (m mutation) noticed(path, src string) (bool, error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	abs, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	mutant, overlay := filepath.Join(dir, "mutant.lua"), filepath.Join(dir, "overlay.json")
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{abs: mutant}})
	if err != nil {
		return false, err
	}
	if err := errors.Join(os.WriteFile(mutant, []byte(src), 0o600), os.WriteFile(overlay, data, 0o600)); err != nil {
		return false, err
	}
	for _, tests := range packages {
		if noticed, err := m.fails(tests, overlay, filepath.Join(dir, "tests")); noticed || err != nil {
			return noticed, err
		}
	}
	return false, nil
}

// packages are those whose tests are run, the fastest first.
var packages = []string{"./internal/store", "."}

// fails runs the tests of a package.
func (m mutation) fails(tests, overlay, bin string) (bool, error) {
	build := exec.Command("go", "test", "-overlay", overlay, "-c", "-o", bin, tests)
	if out, err := build.CombinedOutput(); err != nil {
		return false, fmt.Errorf("%w: %s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.timeout+10*time.Second)
	defer cancel()
	run := exec.CommandContext(ctx, bin, "-test.short", "-test.failfast", "-test.run", m.run, "-test.timeout", m.timeout.String())
	run.Dir = tests
	err := run.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return true, nil
	}
	return false, err
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
