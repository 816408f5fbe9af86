package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// databases is how many tests may use a shared server at one time.
const databases = 1024

// Shared is a client of a real Redis that the running tests of this binary
// share: it starts with the first of them and ends with the last. Each test
// has a database of its own, empty at first; its number is in the client's
// options. Scripts, settings and Pub/Sub channels are the server's: tests of
// those use [Start].
func Shared(t testing.TB) redis.UniversalClient {
	t.Helper()
	return sharedOf(t, binary(t))
}

func sharedOf(t testing.TB, bin string) redis.UniversalClient {
	t.Helper()
	port, db, err := running.join(bin)
	require.NoError(t, err)
	t.Cleanup(func() { running.leave(bin, db) })
	c := newClient(t, &redis.Options{Addr: net.JoinHostPort(host, port), DB: db}, nil)
	require.NoError(t, c.FlushDB(context.Background()).Err()) // of what an earlier test left
	return c
}

// running are the shared servers. It is a variable of the package because the
// tests of a binary have nothing else in common.
var running = sharedServers{byBinary: map[string]*sharedServer{}}

type sharedServers struct {
	mu       sync.Mutex
	byBinary map[string]*sharedServer
}

type sharedServer struct {
	proc *process
	port string
	used [databases]bool
	n    int // how many are used
}

// join takes a database of the server, and starts it when it is not running.
func (r *sharedServers) join(bin string) (port string, db int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.byBinary[bin]
	if s == nil {
		s = &sharedServer{}
		s.proc, s.port, err = runOnFreePort(bin, []string{
			"--bind", host, "--save", "", "--dir", os.TempDir(), "--databases", strconv.Itoa(databases),
		})
		if err != nil {
			return "", 0, err
		}
		r.byBinary[bin] = s
	}
	db, err = s.take()
	return s.port, db, err
}

// leave gives a database back. The last to leave ends the server.
func (r *sharedServers) leave(bin string, db int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.byBinary[bin]
	s.used[db] = false
	s.n--
	if s.n == 0 {
		s.proc.kill()
		delete(r.byBinary, bin)
	}
}

func (s *sharedServer) take() (int, error) {
	for db, used := range s.used {
		if !used {
			s.used[db] = true
			s.n++
			return db, nil
		}
	}
	return 0, fmt.Errorf("more than %d tests share a server", databases)
}
