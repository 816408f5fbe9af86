//go:build unix

package chaos_test

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// clock moves the wall clock of a server, in whole seconds.
type clock struct {
	file    *os.File
	most    int64
	preload string
}

// newClock builds the shim; nil where there is no C compiler.
func newClock(t *testing.T) *clock {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Log("no cc: the clock of Redis does not jump")
		return nil
	}
	dir := t.TempDir()
	lib := filepath.Join(dir, "clock.so")
	out, err := exec.Command(cc, "-shared", "-fPIC", "-O2", "-o", lib, "testdata/clock.c", "-ldl").CombinedOutput()
	require.NoError(t, err, "%s", out)
	f, err := os.Create(filepath.Join(dir, "offset"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	c := &clock{file: f, preload: lib}
	c.set(t, 0)
	return c
}

func (c *clock) set(t *testing.T, seconds int64) {
	t.Helper()
	c.most = max(c.most, seconds)
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(seconds))
	_, err := c.file.WriteAt(b[:], 0)
	require.NoError(t, err)
}

// wrap has servers of this test start with the shim.
func (c *clock) wrap(t *testing.T) {
	t.Helper()
	server, err := exec.LookPath(firstOf(os.Getenv("STINT_REDIS_SERVER"), "redis-server"))
	require.NoError(t, err)
	script := filepath.Join(filepath.Dir(c.preload), "redis-server")
	text := "#!/bin/sh\nLD_PRELOAD=" + c.preload + " CHAOS_CLOCK=" + c.file.Name() + " exec " + server + " \"$@\"\n"
	require.NoError(t, os.WriteFile(script, []byte(text), 0o700)) //nolint:gosec // it is run
	t.Setenv("STINT_REDIS_SERVER", script)
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// standalone is one Redis with an append-only file, behind a proxy.
func standalone() phase {
	return phase{name: "standalone", share: 0.6, build: func(t *testing.T, r *run) site {
		c := newClock(t)
		if c != nil {
			c.wrap(t)
		}
		s := redistest.Start(t, "--appendonly", "yes")
		p := redistest.NewProxy(t, s.Addr())
		r.lossy = site{Addrs: []string{p.Addr()}}
		admin := s.Client()
		ctx := context.Background()
		r.strikes = append(processStrikes(), linkStrikes(p)...)
		r.strikes = append(r.strikes,
			strike{"Redis killed and restarted from its AOF", func(r *run) { s.Kill(); r.wait(100, 2000); s.Restart() }},
			strike{"Redis stopped and continued", func(r *run) { s.Pause(); r.wait(500, 4000); s.Continue() }},
			strike{"SCRIPT FLUSH", func(*run) { _ = admin.ScriptFlush(ctx).Err() }},
			strike{"maxmemory reached and released", func(r *run) {
				_ = admin.ConfigSet(ctx, "maxmemory", "1mb").Err()
				r.wait(300, 2500)
				_ = admin.ConfigSet(ctx, "maxmemory", "0").Err()
			}},
		)
		if c != nil {
			r.strikes = append(r.strikes,
				strike{"clock jumped ahead", func(r *run) { c.set(t, int64(r.rnd.IntN(300))) }},
				strike{"clock jumped back", func(r *run) { c.set(t, -int64(r.rnd.IntN(300))) }},
			)
			r.heal = append(r.heal, func() { c.set(t, c.most) }) // so that no timer lies ahead
		}
		r.heal = append(r.heal, p.Release, func() { p.DropReplies(0); p.DropRequests(0); p.Delay(0) })
		return site{Addrs: []string{s.Addr()}}
	}}
}

// linkStrikes hit the connections through a proxy.
func linkStrikes(p *redistest.Proxy) []strike {
	return []strike{
		{"connections cut", func(*run) { p.Cut() }},
		{"replies dropped after the server acted", func(r *run) { p.DropReplies(1 + r.rnd.IntN(8)) }},
		{"script replies dropped after the server acted", func(r *run) { p.DropReplies(1+r.rnd.IntN(4), "EVALSHA") }},
		{"requests dropped before the server acted", func(r *run) { p.DropRequests(1 + r.rnd.IntN(8)) }},
		{"half-open: requests held", func(r *run) { p.Hold(redistest.Requests); r.wait(500, 5000); p.Release() }},
		{"half-open: replies held", func(r *run) { p.Hold(redistest.Replies); r.wait(500, 5000); p.Release() }},
		{"replies delayed", func(r *run) {
			p.Delay(time.Duration(r.rnd.IntN(300)) * time.Millisecond)
			r.wait(500, 2000)
			p.Delay(0)
		}},
	}
}

// outage notes a time in which Redis may lose what it acknowledged.
func (r *run) outage(do func()) {
	from := time.Now().Add(-2 * time.Second).UnixNano()
	do()
	r.outages = append(r.outages, span{0, from, time.Now().Add(2 * time.Second).UnixNano()})
}

// until waits for what must be so before the next strike: a primary that comes
// back empty before another has its place, or that is alone because the other
// is no replica yet, would take everything with it.
func (r *run) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); r.wait(99, 100) {
		require.True(t, time.Now().Before(end), "never comes to pass: %s", what)
	}
}

// copies tells whether a server is a replica that has caught up.
func copies(s *redistest.Server) func() bool {
	c := s.Client()
	return func() bool {
		info, err := c.Info(context.Background(), "replication").Result()
		return err == nil && strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up")
	}
}

// sentinel is a primary and a replica that a Sentinel promotes. What is
// acknowledged has reached the replica.
func sentinel() phase {
	return phase{name: "sentinel", share: 0.2, durable: stint.Durability{Replicas: 1}, build: func(t *testing.T, r *run) site {
		addr, a, b := redistest.Sentinels(t)
		watch := redis.NewSentinelClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { _ = watch.Close() })
		ctx := context.Background()
		primary := func() string {
			at, err := watch.GetMasterAddrByName(ctx, redistest.SentinelName).Result()
			if err != nil || len(at) != 2 {
				return ""
			}
			return net.JoinHostPort(at[0], at[1])
		}
		failover := func(r *run) {
			r.outage(func() {
				was := primary()
				dead := a
				if b.Addr() == was {
					dead = b
				}
				dead.Kill()
				r.until(t, "another has its place", func() bool { at := primary(); return at != was && at != "" })
				dead.Restart()
				r.until(t, "it is a replica", copies(dead))
			})
		}
		r.strikes = append(processStrikes(), strike{"primary killed, replica promoted by Sentinel", failover})
		return site{Sentinel: addr}
	}}
}

// cluster is three primaries with a replica each. What is acknowledged has
// reached the replica.
func cluster() phase {
	return phase{name: "cluster", share: 0.2, durable: stint.Durability{Replicas: 1}, build: func(t *testing.T, r *run) site {
		c, servers := redistest.ReplicatedCluster(t, 3, 1)
		addrs := make([]string, len(servers))
		for i, s := range servers {
			addrs[i] = s.Addr()
		}
		ctx := context.Background()
		primary := func() string {
			c.ReloadState(ctx)
			node, err := c.MasterForKey(ctx, "stint:{"+queueName+"}:jobs")
			if err != nil || node.Ping(ctx).Err() != nil {
				return ""
			}
			return node.Options().Addr
		}
		failover := func(r *run) {
			was := primary()
			for _, s := range servers {
				if s.Addr() != was {
					continue
				}
				r.outage(func() {
					s.Kill()
					r.until(t, "another has its place", func() bool { at := primary(); return at != was && at != "" })
					s.Restart()
					r.until(t, "it is a replica", copies(s))
				})
			}
		}
		r.strikes = append(processStrikes(), strike{"Cluster primary of the queue killed, its replica promoted", failover})
		return site{Addrs: addrs}
	}}
}
