// Package leaktest fails the tests of a package that leave goroutines behind.
//
// It is a few lines of its own, since a library for it would be in the go.sum
// of whoever uses stint.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long goroutines may take to end after the last test.
const patience = 10 * time.Second

// Main runs the tests of a package, and is all that its TestMain does. After a
// success it waits for every goroutine to end, and fails with the stacks of
// those that do not.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := Left(patience); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "leaktest: %d goroutines are left:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// Left gives the stacks of the goroutines that others have started and that
// have not ended within a time.
func Left(atMost time.Duration) []string {
	deadline := time.Now().Add(atMost)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		left := others()
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		<-tick.C
	}
}

// own are goroutines of the runtime and of package testing, which stay. Those
// of tests are told from the latter by what they run.
var own = []string{
	"created by os/signal.Notify", "created by runtime/trace.Start", "created by testing.(*M).startAlarm", "created by testing.runFuzzing",
	"created by testing.(*F).Fuzz", "created by runtime.gcenable", "created by runtime.ensureSigM", "testing.runTests(", "testing.(*M).Run(",
}

// theirs are goroutines that go-redis v9.23 leaves when a client that goes by
// a Sentinel is closed while it looks for its primary.
var theirs = []string{
	"created by github.com/redis/go-redis/v9.(*sentinelFailover).setSentinel", "created by github.com/redis/go-redis/v9.(*channel).init",
	"created by github.com/redis/go-redis/v9/maintnotifications.newCircuitBreakerManager",
}

func others() (left []string) {
	buf := make([]byte, 64<<10)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	stacks := strings.Split(strings.TrimSpace(string(buf[:n])), "\n\n")
next:
	for _, stack := range stacks[1:] { // the first is this one's
		for _, o := range slices.Concat(own, theirs) {
			if strings.Contains(stack, o) {
				continue next
			}
		}
		left = append(left, stack)
	}
	return left
}
