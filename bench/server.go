package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const loopback = "127.0.0.1"

// usage is what a server has used since it was started.
type usage struct {
	cpu      time.Duration
	memory   int64 // bytes, now
	peak     int64 // bytes, at most
	commands int64
}

// A server is asked what it uses.
type server interface {
	usage(ctx context.Context) (usage, error)
}

// redisServers are private Redis servers, several of them a Cluster.
type redisServers struct {
	addrs []string
	dir   string
	cmds  []*exec.Cmd
	rdbs  []*redis.Client
}

// startCluster starts a Cluster of n primaries.
func startCluster(ctx context.Context, n int) (*redisServers, error) {
	s, err := startRedis(ctx, n, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
	if err != nil {
		return nil, err
	}
	if err := s.join(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// startRedis starts n servers, on free ports and without persistence but for
// what args say.
func startRedis(ctx context.Context, n int, args ...string) (*redisServers, error) {
	dir, err := os.MkdirTemp("", "stint-bench-")
	if err != nil {
		return nil, err
	}
	s := &redisServers{dir: dir}
	for range n {
		if err := s.start(ctx, args); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// start starts one more server.
func (s *redisServers) start(ctx context.Context, args []string) error {
	bin, err := redisBinary()
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	bus, err := freePort()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.dir, "redis-")
	if err != nil {
		return err
	}
	base := []string{
		"--bind", loopback, "--port", port, "--cluster-port", bus, "--dir", dir, "--save", "",
		"--slowlog-log-slower-than", slowMicros, "--slowlog-max-len", strconv.Itoa(slowMost),
	}
	cmd := exec.Command(bin, append(base, args...)...)
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	addr := net.JoinHostPort(loopback, port)
	s.addrs = append(s.addrs, addr)
	s.cmds = append(s.cmds, cmd)
	rdb := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 1, MaxRetries: -1})
	s.rdbs = append(s.rdbs, rdb)
	return eventually(ctx, "redis-server does not answer", func() bool { return rdb.Ping(ctx).Err() == nil })
}

// clusterSlots is how many hash slots a Cluster has.
const clusterSlots = 16384

// join makes the servers one Cluster.
func (s *redisServers) join(ctx context.Context) error {
	for i, rdb := range s.rdbs {
		if err := rdb.ClusterAddSlotsRange(ctx, i*clusterSlots/len(s.rdbs), (i+1)*clusterSlots/len(s.rdbs)-1).Err(); err != nil {
			return err
		}
		if err := rdb.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
		if i == 0 {
			continue
		}
		_, port, err := net.SplitHostPort(s.addrs[i])
		if err != nil {
			return err
		}
		bus := rdb.ConfigGet(ctx, "cluster-port").Val()["cluster-port"]
		if err := s.rdbs[0].Do(ctx, "CLUSTER", "MEET", loopback, port, bus).Err(); err != nil {
			return err
		}
	}
	return eventually(ctx, "the Cluster does not form", func() bool {
		for _, rdb := range s.rdbs {
			info := rdb.ClusterInfo(ctx).Val()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", len(s.rdbs))) {
				return false
			}
		}
		return true
	})
}

// usage sums up the servers.
func (s *redisServers) usage(ctx context.Context) (usage, error) {
	var sum usage
	for _, rdb := range s.rdbs {
		info, err := rdb.Info(ctx, "cpu", "memory", "stats").Result()
		if err != nil {
			return usage{}, err
		}
		u, err := usageOf(info)
		if err != nil {
			return usage{}, err
		}
		sum.cpu += u.cpu
		sum.memory += u.memory
		sum.peak += u.peak
		sum.commands += u.commands
	}
	return sum, nil
}

// usageOf reads what INFO says.
func usageOf(info string) (usage, error) {
	var u usage
	var errs []error
	number := func(field string) float64 {
		_, rest, ok := strings.Cut(info, "\n"+field+":")
		text, _, _ := strings.Cut(rest, "\r")
		v, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil {
			errs = append(errs, fmt.Errorf("INFO has no number %s", field))
		}
		return v
	}
	u.cpu = time.Duration((number("used_cpu_user") + number("used_cpu_sys")) * float64(time.Second))
	u.memory = int64(number("used_memory"))
	u.peak = int64(number("used_memory_peak"))
	u.commands = int64(number("total_commands_processed"))
	return u, errors.Join(errs...)
}

// close ends the servers and removes their files.
func (s *redisServers) close() {
	for _, rdb := range s.rdbs {
		_ = rdb.Close()
	}
	for _, cmd := range s.cmds {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	_ = os.RemoveAll(s.dir)
}

func redisBinary() (string, error) {
	if bin := os.Getenv("STINT_REDIS_SERVER"); bin != "" {
		return bin, nil
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if bin, err := exec.LookPath(name); err == nil {
			return bin, nil
		}
	}
	return "", errors.New("there is no redis-server on the PATH; `make redis` installs one")
}

// freePort finds a port outside the range from which systems give ports to
// outgoing connections.
func freePort() (string, error) {
	var err error
	for range 100 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort(loopback, port)); err == nil {
			return port, l.Close()
		}
	}
	return "", err
}

// eventually asks until the answer is yes, for half a minute.
func eventually(ctx context.Context, failure string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !ok() {
		if !pause(ctx, 5*time.Millisecond) {
			return errors.New(failure)
		}
	}
	return nil
}

// pause waits, and tells whether ctx has not ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
