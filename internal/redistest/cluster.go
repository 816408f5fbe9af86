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
	ctx := context.Background()
	addrs := make([]string, n)
	buses := map[string]string{}
	var nodes []*redis.Client
	for i := range n {
		bus, err := freePort() // by default it is 10000 higher than the other, which may be no port
		require.NoError(t, err)
		s := Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", bus)
		addrs[i] = s.Addr()
		buses[s.Addr()] = bus
		c := redis.NewClient(&redis.Options{Addr: s.Addr()})
		t.Cleanup(func() { _ = c.Close() })
		require.NoError(t, c.ClusterAddSlotsRange(ctx, i*slots/n, (i+1)*slots/n-1).Err())
		require.NoError(t, c.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		nodes = append(nodes, c)
	}
	for _, addr := range addrs[1:] {
		host, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		require.NoError(t, nodes[0].Do(ctx, "CLUSTER", "MEET", host, port, buses[addr]).Err())
	}
	require.Eventually(t, func() bool {
		for _, c := range nodes {
			info, err := c.ClusterInfo(ctx).Result()
			if err != nil || !hasLine(info, "cluster_state:ok") || !hasLine(info, "cluster_known_nodes:"+strconv.Itoa(n)) {
				return false
			}
		}
		return true
	}, 20*time.Second, 20*time.Millisecond, "a cluster of %d nodes does not form", n)
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func hasLine(text, want string) bool {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == want {
			return true
		}
	}
	return false
}
