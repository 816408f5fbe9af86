package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// child marks the process that is the demo.
const child = "STINT_DEMO_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Ctrl-C ends the demo in good order, while somebody looks at a live page.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	demo := exec.CommandContext(ctx, os.Args[0], "-addr", "127.0.0.1:0")
	demo.Env = append(os.Environ(), child+"=1", "REDIS_URL=")
	demo.Stderr = os.Stderr
	out, err := demo.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, demo.Start())
	said := bufio.NewReader(out)
	line, err := said.ReadString('\n')
	require.NoError(t, err)
	_, address, _ := strings.Cut(line, "The dashboard is on ")
	address, _, _ = strings.Cut(address, " ")

	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	live, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = live.Body.Close() }()
	page := bufio.NewReader(live.Body)
	for line = ""; line != "event: page\n"; {
		line, err = page.ReadString('\n')
		require.NoError(t, err)
	}

	require.NoError(t, demo.Process.Signal(os.Interrupt))
	_, err = io.Copy(io.Discard, page)
	require.NoError(t, err, "the live page has an end")
	rest, err := io.ReadAll(said)
	require.NoError(t, err)
	require.Contains(t, string(rest), "Workers give back what they hold")
	require.NoError(t, demo.Wait(), "exit code 0")
}
