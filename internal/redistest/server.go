package redistest

import (
	"net"
	"os/exec"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// host is where servers and proxies listen.
const host = "127.0.0.1"

// Server is a redis-server process of one test. Its methods end the test when
// they fail, and are for the test's goroutine only, but for Addr.
type Server struct {
	t    testing.TB
	bin  string
	port string
	args []string
	proc *process
}

// Start starts a redis-server on a free loopback port and waits until it is
// ready. It keeps nothing unless args, which are redis-server's own, say so:
//
//	Start(t, "--appendonly", "yes", "--appendfsync", "always") // survives Kill
//	Start(t, "--maxmemory", "10mb", "--maxmemory-policy", "noeviction")
//
// Its files are in a directory of the test's. It is killed at the end of the
// test, and when the test has failed the end of its log is printed.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return startOf(t, binary(t), args)
}

// EachServer runs a test on every real server there is, in parallel: those
// that [Each] has. start is Start for it.
func EachServer(t *testing.T, test func(t *testing.T, start func(args ...string) *Server)) {
	t.Helper()
	run := func(name, bin string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(args ...string) *Server { return startOf(t, bin, args) })
		})
	}
	bin := binary(t)
	run("redis", bin)
	if valkey, err := exec.LookPath("valkey-server"); err == nil && valkey != bin {
		run("valkey", valkey)
	}
}

func startOf(t testing.TB, bin string, args []string) *Server {
	t.Helper()
	s := &Server{t: t, bin: bin}
	s.args = append([]string{"--bind", host, "--save", "", "--dir", t.TempDir()}, args...)
	var err error
	s.proc, s.port, err = runOnFreePort(s.bin, s.args)
	require.NoError(t, err)
	t.Cleanup(s.end)
	return s
}

func (s *Server) end() {
	s.Kill()
	if s.t.Failed() {
		s.t.Logf("the end of the log of %s:\n%s", s.bin, s.proc.log)
	}
}

// Addr is where the server listens, host:port. It stays the same.
func (s *Server) Addr() string { return net.JoinHostPort(host, s.port) }

// Client is a new client of the server, with go-redis's own options but for
// the changes. It is closed at the end of the test.
func (s *Server) Client(changes ...func(*redis.Options)) redis.UniversalClient {
	s.t.Helper()
	return newClient(s.t, &redis.Options{Addr: s.Addr()}, changes)
}

// Kill kills the server as a crash would (SIGKILL), and waits until it is
// gone. What is not yet in a file is lost. Killing it again does nothing.
func (s *Server) Kill() { s.proc.kill() }

// Restart starts the server again on the same port and from its files, and
// waits until it is ready. One that still runs is killed first.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	p, err := run(s.bin, append([]string{"--port", s.port}, s.args...))
	require.NoError(s.t, err)
	s.proc = p
}
