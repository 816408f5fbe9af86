package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// SentinelName is what the sentinels call the primary.
const SentinelName = "stint"

// Sentinel starts a primary, a replica and one sentinel that watches them, and
// a client that goes by the sentinel. Kill the primary for a failover, which
// takes some seconds.
func Sentinel(t testing.TB) (rdb redis.UniversalClient, primary *Server) {
	t.Helper()
	addr, primary, _ := Sentinels(t)
	c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: SentinelName, SentinelAddrs: []string{addr}})
	t.Cleanup(func() { _ = c.Close() })
	return c, primary
}

// Sentinels is Sentinel for clients of other processes: it tells where the
// sentinel listens.
func Sentinels(t testing.TB) (addr string, primary, replica *Server) {
	t.Helper()
	primary = Start(t)
	replica = Start(t, "--replicaof", host+" "+primary.port)
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, `sentinel monitor %[1]s %[2]s %[3]s 1
sentinel down-after-milliseconds %[1]s 60000
sentinel failover-timeout %[1]s 5000
`, SentinelName, host, primary.port), 0o600))
	port, err := freePort()
	require.NoError(t, err)
	addr = net.JoinHostPort(host, port)
	cmd := exec.Command(primary.bin, conf, "--sentinel", "--bind", host, "--port", port)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })

	ctx := context.Background()
	watch := redis.NewSentinelClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = watch.Close() })
	copies := replica.Client()
	require.Eventually(t, func() bool {
		known, err := watch.Replicas(ctx, SentinelName).Result()
		info, err2 := copies.Info(ctx, "replication").Result()
		return err == nil && err2 == nil && len(known) == 1 && hasLine(info, "master_link_status:up")
	}, time.Minute, 20*time.Millisecond, "the sentinel does not find the replica")
	// Only now: a busy machine is silent for that long while it starts.
	require.NoError(t, watch.Set(ctx, SentinelName, "down-after-milliseconds", "500").Err())
	return addr, primary, replica
}
