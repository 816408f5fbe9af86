package redistest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// machine is what finding a server sees.
type machine struct {
	env  map[string]string
	path map[string]string
}

func (m machine) getenv(name string) string { return m.env[name] }

func (m machine) lookPath(name string) (string, error) {
	if p, ok := m.path[name]; ok {
		return p, nil
	}
	return "", fmt.Errorf("no %s", name)
}

func TestFind(t *testing.T) {
	t.Parallel()
	both := map[string]string{"redis-server": "/r", "valkey-server": "/v"}
	for name, c := range map[string]struct {
		machine
		want, err string
	}{
		"redis first":           {machine: machine{path: both}, want: "/r"},
		"valkey where no redis": {machine: machine{path: map[string]string{"valkey-server": "/v"}}, want: "/v"},
		"the one that is named": {machine: machine{path: both, env: map[string]string{serverVar: "valkey-server"}}, want: "/v"},
		"not another than named": {
			machine: machine{path: both, env: map[string]string{serverVar: "keydb"}},
			err:     "STINT_REDIS_SERVER: no keydb",
		},
		"none": {err: "no redis-server"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := find(c.getenv, c.lookPath)
			require.Equal(t, c.want, got)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.err)
			}
		})
	}
}

func TestRequired(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"": false, "0": false, "false": false, "1": true, "true": true} {
		for _, name := range []string{"CI", "STINT_REQUIRE_REDIS"} {
			m := machine{env: map[string]string{name: value}}
			require.Equal(t, want, required(m.getenv), "%s=%s", name, value)
		}
	}
}

func TestServerThatEndsIsReportedWithItsLog(t *testing.T) {
	t.Parallel()
	_, err := run(binary(t), []string{"--no-such-setting", "1"})
	require.ErrorIs(t, err, errEnded)
	require.ErrorContains(t, err, "no-such-setting")
	_, err = run("/no/such/server", nil)
	require.Error(t, err)
	require.NotErrorIs(t, err, errEnded)
}

func TestServerLogKeepsTheEnd(t *testing.T) {
	t.Parallel()
	l := newServerLog()
	for range 3 {
		_, err := l.Write(make([]byte, maxLog))
		require.NoError(t, err)
	}
	_, err := l.Write([]byte("Ready to accept connections"))
	require.NoError(t, err)
	_, err = l.Write([]byte("bye"))
	require.NoError(t, err)
	<-l.ready
	require.Len(t, l.String(), maxLog)
	require.Contains(t, l.String(), "connectionsbye")
}

func TestSharedServerEndsWithItsLastTest(t *testing.T) {
	t.Parallel()
	servers := sharedServers{byBinary: map[string]*sharedServer{}}
	bin := binary(t)
	port, a, err := servers.join(bin)
	require.NoError(t, err)
	again, b, err := servers.join(bin)
	require.NoError(t, err)
	require.Equal(t, port, again)
	require.NotEqual(t, a, b)
	s := servers.byBinary[bin]
	servers.leave(bin, a)
	require.Len(t, servers.byBinary, 1)
	servers.leave(bin, b)
	require.Empty(t, servers.byBinary)
	<-s.proc.exit
}

func TestSharedServerRunsOutOfDatabases(t *testing.T) {
	t.Parallel()
	var s sharedServer
	for want := range databases {
		db, err := s.take()
		require.NoError(t, err)
		require.Equal(t, want, db)
	}
	_, err := s.take()
	require.EqualError(t, err, "more than 1024 tests share a server")
}
