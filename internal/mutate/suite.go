package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// suite is tests of one package, in a binary of their own.
type suite struct {
	dir       string // of the package
	run, skip string // as go test has them, but for the servers
	servers   string // what follows the name of a test there
	last      bool   // for what survives the others and has no reason known

	bin, binary string              // its file, and what is in it
	found       map[string][]string // the tests that noticed lines of a script, the latest first
	timeout     time.Duration
}

// far are tests with servers of several processes, and ones that take long for
// what they are likely to notice. Those that take less, but seconds, come last.
const (
	far  = "Cluster|Sentinel|TestDamaged|TestF[0-9]|TestADay|TestEncrypted|TestSoak|TestBulkContinue|TestDurability|TestWorkerWithoutTheKey"
	long = "TestConformance|TestWhat|TestCronWith|TestRunningHandler|TestP5|TestP6|TestP7|TestWaitingFor|TestMemoryPressure|TestExplainOver" +
		"|TestB273|TestUnschedulable|TestTLS|TestRESP|TestACL|TestWithoutTheKey|TestAuditBeside|TestCapacity|TestExplainFull|TestExplainAnother"
)

// redis is where tests on several servers are run: on Redis they take half
// the time that they take on miniredis, which compiles a script at each call.
// Those of tables have a level more; the ones here have not their like elsewhere.
const (
	redis  = "/^redis$"
	nested = "/." + redis
	tables = "TestAuditFindsDamage|TestPlainJob"
)

// tests are those that are run, what is quick to notice something first.
func tests(quick, all bool) []*suite {
	some := []*suite{
		{dir: "internal/store", run: "Test.", servers: redis},
		{dir: "internal/store", run: tables, servers: nested},
		{dir: "modeltest", run: "Test.", servers: redis},
		{dir: ".", run: "Test.", servers: redis, skip: far + "|" + long + "|TestLuaEqualsRules"},
		{dir: ".", run: tables, servers: nested},
		{dir: ".", run: "TestLuaEqualsRules", servers: redis},
	}
	if !quick {
		some = append(some, &suite{dir: ".", run: long, servers: redis, skip: far, last: true})
	}
	if all {
		some = append(some, &suite{dir: ".", run: ".", last: true})
	}
	return some
}

// build makes the test binaries, and sees that they pass as they are.
func build(dir string, suites []*suite) error {
	for i, s := range suites {
		s.bin, s.found = filepath.Join(dir, fmt.Sprintf("%d.test", i)), map[string][]string{}
		cmd := exec.Command("go", "test", "-c", "-o", s.bin, ".")
		cmd.Dir = s.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		data, err := os.ReadFile(s.bin)
		if err != nil {
			return err
		}
		s.binary, s.timeout = string(data), 20*time.Minute
		began := time.Now()
		if by, err := s.fails(s.run); by != "" || err != nil {
			return fmt.Errorf("no line was deleted, and in %s fails %s: %w", s.dir, by, err)
		}
		s.timeout = 30*time.Second + 4*time.Since(began)
	}
	return nil
}

// patch puts another text of the same length in the place of a script.
func (s *suite) patch(src, mutant string) error {
	if n := strings.Count(s.binary, src); n != 1 {
		return fmt.Errorf("the script is in the tests of %s %d times", s.dir, n)
	}
	if err := os.Remove(s.bin); err != nil { // not written over: a process of it may not have ended yet
		return err
	}
	return os.WriteFile(s.bin, []byte(strings.Replace(s.binary, src, mutant, 1)), 0o700) //nolint:gosec // it is run
}

// latest is how many of the tests that noticed lines are run first.
const latest = 8

// notices gives a test that fails, or ”: of those that noticed other lines of
// the script, or of all.
func (s *suite) notices(script string, only bool) (string, error) {
	run, found := s.run, s.found[script]
	if only {
		if len(found) == 0 {
			return "", nil
		}
		run = alone(found[:min(latest, len(found))])
	}
	by, err := s.fails(run)
	if strings.HasPrefix(by, "Test") {
		found = slices.DeleteFunc(found, func(f string) bool { return f == by })
		s.found[script] = slices.Insert(found, 0, by)
	}
	return by, err
}

func alone(tests []string) string { return "^(" + strings.Join(tests, "|") + ")$" }

// fails gives a test that fails twice, or ”. One that fails once may have
// failed for another reason: the others are run without it.
func (s *suite) fails(run string) (string, error) {
	for skip := s.skip; ; {
		by, err := s.first(run, skip)
		if !strings.HasPrefix(by, "Test") || err != nil {
			return by, err
		}
		if again, err := s.first(alone([]string{by}), ""); again != "" || err != nil {
			return by, err
		}
		skip = strings.TrimPrefix(skip+"|^"+by+"$", "|")
	}
}

// first runs tests until one fails, and gives its name. A crash is a failure
// too, and so are tests that do not end.
func (s *suite) first(run, skip string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	args := []string{"-test.v", "-test.short", "-test.failfast", "-test.timeout", "0", "-test.run", "(" + run + ")" + s.servers, "-test.skip", skip}
	if s.dir == "modeltest" {
		args = append(args, "-rapid.seed=1", "-rapid.nofailfile")
	}
	cmd := exec.CommandContext(ctx, s.bin, args...)
	cmd.Dir = s.dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	by := firstFailure(out)
	if by != "" {
		cancel() // the rest of the tests
		_ = cmd.Wait()
		return by, nil
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return "the time, which was up", nil
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "a crash", nil
	}
	return "", err
}

var failed = regexp.MustCompile(`^\s*--- FAIL: (Test\w+)`)

func firstFailure(out io.Reader) string {
	s := bufio.NewScanner(out)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		if f := failed.FindStringSubmatch(s.Text()); f != nil {
			return f[1]
		}
	}
	return ""
}
