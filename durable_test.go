package stint_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// submitNamed submits named and plain jobs, n of each, and answers the names
// of those that Submit returned without an error.
func submitNamed(t *testing.T, ctx context.Context, q *stint.Queue, prefix string, n int) (names []string) {
	t.Helper()
	for i := range n {
		for _, name := range []string{"", fmt.Sprint(prefix, i)} {
			job, err := q.Submit(ctx, work{i}, stint.JobSpec{Name: name})
			require.NoError(t, err)
			names = append(names, job.Name)
		}
	}
	return names
}

// kept counts the jobs that are still there.
func kept(t *testing.T, ctx context.Context, q *stint.Queue, names []string) (n int) {
	t.Helper()
	for _, name := range names {
		_, err := q.Get(ctx, name)
		if !errors.Is(err, stint.ErrNotFound) {
			require.NoError(t, err)
			n++
		}
	}
	return n
}

// F52: what is left when the process of Redis is killed, for each way of
// keeping data: the first column of the table in docs/guarantees.md.
func TestDurabilityWhenRedisIsKilled(t *testing.T) {
	t.Parallel()
	redistest.EachServer(t, func(t *testing.T, start func(...string) *redistest.Server) {
		for _, c := range []struct {
			name          string
			args          []string
			before, after bool // a snapshot was taken between them
		}{
			{"nothing is kept", nil, false, false},
			{"snapshots", []string{"--save", "3600 1"}, true, false},
			{"everysec", []string{"--appendonly", "yes", "--appendfsync", "everysec"}, true, true},
			{"always", []string{"--appendonly", "yes", "--appendfsync", "always"}, true, true},
		} {
			t.Run(c.name, func(t *testing.T) {
				ctx, s := testCtx(t), start(c.args...)
				rdb := s.Client()
				q := stint.NewQueue("durable", rdb)
				before := submitNamed(t, ctx, q, "before", 20)
				if c.name == "snapshots" {
					require.NoError(t, rdb.Save(ctx).Err())
				}
				after := submitNamed(t, ctx, q, "after", 20)
				s.Kill()
				s.Restart()
				want := map[bool]int{true: 40}
				require.Equal(t, want[c.before], kept(t, ctx, q, before))
				require.Equal(t, want[c.after], kept(t, ctx, q, after))
			})
		}
	})
}

// replicated is a primary and its replica, with what lies between them.
func replicated(t *testing.T, start func(...string) *redistest.Server, args ...string) (primary, replica *redistest.Server, link *redistest.Proxy) {
	t.Helper()
	primary = start(args...)
	link = redistest.NewProxy(t, primary.Addr())
	host, port, err := net.SplitHostPort(link.Addr())
	require.NoError(t, err)
	replica = start(append([]string{"--replicaof", host + " " + port}, args...)...)
	rdb := primary.Client()
	require.Eventually(t, func() bool {
		n, err := rdb.Do(t.Context(), "WAIT", 1, 100).Int()
		return err == nil && n == 1
	}, within, 10*time.Millisecond, "the replica does not follow")
	return primary, replica, link
}

// promote kills the primary and makes the replica one.
func promote(t *testing.T, ctx context.Context, primary, replica *redistest.Server) *stint.Queue {
	t.Helper()
	primary.Kill()
	rdb := replica.Client()
	require.NoError(t, rdb.Do(ctx, "REPLICAOF", "NO", "ONE").Err())
	return stint.NewQueue("durable", rdb)
}

// F50: a replica that lags is promoted. What was acknowledged is gone, unless
// its submission waited for the replica; one that could not have that says so.
func TestDurabilityWhenAReplicaIsPromoted(t *testing.T) {
	t.Parallel()
	redistest.EachServer(t, func(t *testing.T, start func(...string) *redistest.Server) {
		ctx := testCtx(t)
		primary, replica, link := replicated(t, start)
		q := stint.NewQueue("durable", primary.Client())
		one := q.Durable(stint.Durability{Replicas: 1, Timeout: 20 * time.Second})
		waited := submitNamed(t, ctx, one, "waited", 10)
		out, err := one.SubmitMany(ctx, []stint.NewJob{{Args: work{}}, {Args: work{}, Spec: stint.JobSpec{Name: "many"}}})
		require.NoError(t, err)
		waited = append(waited, out[0].Job.Name, out[1].Job.Name)

		link.Hold(redistest.Replies)
		trusted := submitNamed(t, ctx, q, "trusted", 10)
		short := q.Durable(stint.Durability{Replicas: 1, Timeout: 100 * time.Millisecond})
		job, err := short.Submit(ctx, work{}, stint.JobSpec{Name: "short"})
		require.ErrorIs(t, err, stint.ErrNotDurable)
		var told *stint.NotDurableError
		require.ErrorAs(t, err, &told)
		require.Equal(t, stint.NotDurableError{Want: stint.Durability{Replicas: 1, Timeout: 100 * time.Millisecond}}, *told)
		_, err = q.Get(ctx, job.Name)
		require.NoError(t, err, "it is stored")
		out, err = short.SubmitMany(ctx, []stint.NewJob{{Args: work{}}})
		require.ErrorIs(t, err, stint.ErrNotDurable)
		require.ErrorIs(t, out[0].Err, stint.ErrNotDurable)
		_, err = q.Get(ctx, out[0].Job.Name)
		require.NoError(t, err)

		q = promote(t, ctx, primary, replica)
		require.Equal(t, len(waited), kept(t, ctx, q, waited), "nothing of this may be lost")
		require.Zero(t, kept(t, ctx, q, trusted), "this is what replication can lose")
	})
}

// F51: the reply of a submission is lost, and go-redis sends it again on
// another connection, on which nothing was written. It still must not be
// taken for replicated.
func TestF51RepeatedOnAnotherConnection(t *testing.T) {
	t.Parallel()
	redistest.EachServer(t, func(t *testing.T, start func(...string) *redistest.Server) {
		ctx := testCtx(t)
		primary, _, link := replicated(t, start)
		cut := redistest.NewProxy(t, primary.Addr())
		q := stint.NewQueue("durable", cut.Client()).Durable(stint.Durability{Replicas: 1, Timeout: 200 * time.Millisecond})
		submitNamed(t, ctx, stint.NewQueue("durable", primary.Client()), "first", 1) // the scripts are known
		link.Hold(redistest.Replies)
		for _, name := range []string{"", "named"} {
			cut.DropReplies(1, "EVALSHA")
			_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: name})
			require.ErrorIs(t, err, stint.ErrNotDurable)
		}
		require.Equal(t, 2, cut.Lost())
		link.Release()
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "named"})
		require.NoError(t, err, "the same again waits again")
		n := 0
		for _, err := range q.List(ctx, stint.ListOptions{}) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 4, n, "nothing is stored twice")
	})
}

// A submission waits for the disk where the server can tell, and says why
// nothing is known where it cannot.
func TestDurabilityOnDisk(t *testing.T) {
	t.Parallel()
	redistest.EachServer(t, func(t *testing.T, start func(...string) *redistest.Server) {
		ctx := testCtx(t)
		disk := stint.Durability{Fsync: true, Timeout: 20 * time.Second}
		s := start("--appendonly", "yes", "--appendfsync", "everysec")
		rdb := s.Client()
		q := stint.NewQueue("durable", rdb, stint.QueueConfig{Durability: disk})
		job, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "a"})
		if rdb.Do(ctx, "WAITAOF", 0, 0, 1).Err() != nil { // before 7.2
			var told *stint.NotDurableError
			require.ErrorAs(t, err, &told)
			require.ErrorContains(t, told.Cause, "unknown command")
			require.False(t, told.Fsynced)
			return
		}
		require.NoError(t, err)
		s.Kill()
		s.Restart()
		_, err = q.Get(ctx, job.Name)
		require.NoError(t, err)

		_, err = q.Durable(stint.Durability{Fsync: true, Replicas: 1, Timeout: 50 * time.Millisecond}).Submit(ctx, work{})
		var told *stint.NotDurableError
		require.ErrorAs(t, err, &told)
		require.Zero(t, told.Replicas)

		none := stint.NewQueue("durable", start().Client()).Durable(disk)
		_, err = none.Submit(ctx, work{})
		require.ErrorAs(t, err, &told)
		require.ErrorContains(t, told.Cause, "appendonly is disabled")
	})
}

// min-replicas-to-write refuses what no replica would have.
func TestDurabilityByMinReplicas(t *testing.T) {
	t.Parallel()
	redistest.EachServer(t, func(t *testing.T, start func(...string) *redistest.Server) {
		ctx := testCtx(t)
		s := start("--min-replicas-to-write", "1")
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		q := stint.NewQueue("durable", s.Client())
		_, err := q.Submit(short, work{}, stint.JobSpec{Name: "a"})
		require.Error(t, err)
		_, err = q.Get(ctx, "a")
		require.ErrorIs(t, err, stint.ErrNotFound)
	})
}

// In a Cluster a submission waits at the primary that has the queue.
func TestDurabilityInACluster(t *testing.T) {
	t.Parallel()
	rdb, ctx := redistest.Cluster(t, 3), testCtx(t)
	for _, name := range []string{"alpha", "beta", "gamma"} {
		q := stint.NewQueue(name, rdb)
		_, err := q.Durable(stint.Durability{Replicas: 1, Timeout: 10 * time.Millisecond}).Submit(ctx, work{})
		var told *stint.NotDurableError
		require.ErrorAs(t, err, &told)
		require.NoError(t, told.Cause, "it was asked, and there is no replica")
	}
}

// What a submission cannot wait for is refused before it is stored.
func TestDurabilityInput(t *testing.T) {
	t.Parallel()
	rdb, ctx := redistest.Mini(t), testCtx(t)
	q := stint.NewQueue("durable", rdb)
	for _, d := range []stint.Durability{{Replicas: -1}, {Replicas: 101}, {Replicas: 1, Timeout: -1}, {Replicas: 1, Timeout: time.Hour}} {
		_, err := q.Durable(d).Submit(ctx, work{})
		var invalid *stint.InvalidError
		require.ErrorAs(t, err, &invalid)
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": rdb.(*redis.Client).Options().Addr}})
	t.Cleanup(func() { _ = ring.Close() })
	_, err := stint.NewQueue("durable", ring).Durable(stint.Durability{Replicas: 1}).Submit(ctx, work{})
	require.ErrorContains(t, err, "client of one server")
	_, err = q.Durable(stint.Durability{}).Submit(ctx, work{})
	require.NoError(t, err)
}
