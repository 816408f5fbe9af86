package redistest

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// slots is how many hash slots a cluster has.
const slots = 16384

// Cluster starts a cluster of n primaries without replicas, and a client of
// it. The servers are killed at the end of the test.
func Cluster(t testing.TB, n int) *redis.ClusterClient {
	t.Helper()
	c, _ := ReplicatedCluster(t, n, 0)
	return c
}

// ReplicatedCluster is a cluster of n primaries with so many replicas of each.
// Of the servers the primaries come first. Kill one for a failover, which
// takes some seconds.
func ReplicatedCluster(t testing.TB, n, replicas int) (*redis.ClusterClient, []*Server) {
	t.Helper()
	ctx := context.Background()
	all := n * (1 + replicas)
	servers, nodes, addrs, buses := make([]*Server, all), make([]*redis.Client, all), make([]string, all), make([]string, all)
	for i := range all {
		bus, err := freePort() // by default it is 10000 higher than the other, which may be no port
		require.NoError(t, err)
		s := Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", bus)
		servers[i], addrs[i], buses[i] = s, s.Addr(), bus
		nodes[i] = redis.NewClient(&redis.Options{Addr: s.Addr()})
		t.Cleanup(func() { _ = nodes[i].Close() })
		if i < n {
			require.NoError(t, nodes[i].ClusterAddSlotsRange(ctx, i*slots/n, (i+1)*slots/n-1).Err())
		}
		require.NoError(t, nodes[i].Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
	}
	for i, addr := range addrs[1:] {
		host, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		require.NoError(t, nodes[0].Do(ctx, "CLUSTER", "MEET", host, port, buses[i+1]).Err())
	}
	formed := func(linked bool) func() bool {
		return func() bool {
			for i, c := range nodes {
				info, err := c.ClusterInfo(ctx).Result()
				if err != nil || !hasLine(info, "cluster_state:ok") || !hasLine(info, "cluster_known_nodes:"+strconv.Itoa(all)) {
					return false
				}
				repl, err := c.Info(ctx, "replication").Result()
				if err != nil || linked && i >= n && !hasLine(repl, "master_link_status:up") {
					return false
				}
			}
			return true
		}
	}
	require.Eventually(t, formed(false), 30*time.Second, 20*time.Millisecond, "a cluster of %d nodes does not form", all)
	for i := n; i < all; i++ {
		id, err := nodes[i%n].ClusterMyID(ctx).Result()
		require.NoError(t, err)
		require.NoError(t, nodes[i].ClusterReplicate(ctx, id).Err())
	}
	if replicas > 0 {
		require.Eventually(t, formed(true), 30*time.Second, 20*time.Millisecond, "the replicas do not follow")
	}
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { _ = c.Close() })
	return c, servers
}

func hasLine(text, want string) bool {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == want {
			return true
		}
	}
	return false
}
