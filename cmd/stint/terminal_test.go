package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// terminal is the program in a pseudo terminal of 100 columns and 30 lines.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File
	done chan struct{}

	mu   sync.Mutex
	seen bytes.Buffer
}

func inTerminal(t *testing.T, url string, args ...string) *terminal {
	t.Helper()
	s := &terminal{t: t, cmd: program(t, []string{"REDIS_URL=" + url, "NO_COLOR=", "TERM=xterm"}, args...), done: make(chan struct{})}
	var err error
	s.tty, err = pty.StartWithSize(s.cmd, &pty.Winsize{Cols: 100, Rows: 30})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.tty.Close() })
	go func() {
		defer close(s.done)
		_, _ = io.Copy(s, s.tty) // fails when the program has ended
	}()
	return s
}

func (s *terminal) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(data)
}

func (s *terminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// await waits until a text is seen.
func (s *terminal) await(text string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return strings.Contains(s.text(), text) }, time.Minute, 5*time.Millisecond, "%q", text)
}

func (s *terminal) press(keys string) {
	s.t.Helper()
	_, err := s.tty.WriteString(keys)
	require.NoError(s.t, err)
}

// ends waits for the end, and answers the exit code.
func (s *terminal) ends() int {
	s.t.Helper()
	_ = s.cmd.Wait()
	<-s.done
	return s.cmd.ProcessState.ExitCode()
}

const interrupt = "\x03" // Ctrl-C

func TestConfirmOnATerminal(t *testing.T) {
	t.Parallel()
	rdb := redistest.Shared(t)
	q := stint.NewQueue("media", rdb)
	fill(t, q)
	url := newShell(t, rdb).url
	for _, c := range []struct {
		keys string
		code int
		left int
	}{
		{"\n", exitDeclined, 4},
		{"no\n", exitDeclined, 4},
		{"\x04", exitDeclined, 4}, // the end of the input
		{interrupt, exitInterrupt, 4},
		{"Yes\n", exitOK, 1},
	} {
		s := inTerminal(t, url, "delete", "--kind", "thumb")
		s.await("3 jobs in queue media: alpha, beta, gamma\r\nDelete them? [y/N] ")
		s.press(c.keys)
		require.Equal(t, c.code, s.ends(), "%q: %s", c.keys, s.text())
		n, err := q.Count(t.Context(), stint.ListOptions{})
		require.NoError(t, err)
		require.Equal(t, c.left, n, "%q", c.keys)
	}
}

func TestTopOnATerminal(t *testing.T) {
	t.Parallel()
	rdb := redistest.Shared(t)
	q := stint.NewQueue("media", rdb)
	fill(t, q)
	s := inTerminal(t, newShell(t, rdb).url, "top", "--every", "100ms")
	s.await("\x1b[?1049h\x1b[?25l\x1b[H")
	s.await("gamma")
	_, err := q.Submit(t.Context(), thumb{"x"}, stint.JobSpec{Name: "latecomer"})
	require.NoError(t, err)
	s.await("latecomer")
	frames := strings.Split(s.text(), "\x1b[H")
	require.LessOrEqual(t, strings.Count(frames[1], "\r\n"), 30, "a frame fits the screen")

	require.NoError(t, pty.Setsize(s.tty, &pty.Winsize{Cols: 30, Rows: 12}))
	before := strings.Count(s.text(), "\x1b[H")
	require.Eventually(t, func() bool { return strings.Count(s.text(), "\x1b[H") > before+2 }, time.Minute, 5*time.Millisecond)
	frames = strings.Split(s.text(), "\x1b[H")
	last := frames[len(frames)-2]
	require.LessOrEqual(t, strings.Count(last, "\r\n"), 12, "the new size is seen")
	require.NotContains(t, last, "ended in 15 min", "lines are cut")

	s.press(interrupt)
	require.Zero(t, s.ends())
	require.True(t, strings.HasSuffix(s.text(), "\x1b[?25h\x1b[?1049l"), "the screen is given back")
}
