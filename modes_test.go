package stint_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// exercise has a queue do something of everything.
func exercise(t *testing.T, ctx context.Context, q *stint.Queue) {
	t.Helper()
	w := stint.NewWorker(q, stint.WorkerConfig{})
	stint.HandleResult(w, func(ctx context.Context, task *stint.Task[work]) (int, error) {
		if err := task.SaveCheckpoint(ctx, task.Attempt); err != nil {
			return 0, err
		}
		if task.Attempt == 1 {
			return 0, errors.New("again")
		}
		return task.Args.N, nil
	})
	stop := startWorker(t, w)
	defer stop()
	plain, err := q.Submit(ctx, work{7}, stint.JobSpec{Backoff: quick()})
	require.NoError(t, err)
	n, err := stint.Await[int](ctx, q, plain.Name)
	require.NoError(t, err)
	require.Equal(t, 7, n)
	_, err = q.Submit(ctx, work{1}, stint.JobSpec{
		Name: "big", CompletionMode: stint.Indexed, Completions: new(20), Parallelism: new(5), BackoffLimitPerIndex: new(2), Backoff: quick(), Suspend: true,
	})
	require.NoError(t, err)
	_, err = q.Resume(ctx, "big")
	require.NoError(t, err)
	got, err := q.Wait(ctx, "big")
	require.NoError(t, err)
	require.Equal(t, "0-19", got.Status.CompletedIndexes)
	_, err = q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@every 1s", Args: work{1}, Job: stint.JobSpec{Backoff: quick()}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		c, err := q.GetCron(ctx, "c")
		return err == nil && !c.Status.LastSuccessfulTime.IsZero()
	}, within, 10*time.Millisecond)
	require.NoError(t, q.DeleteCron(ctx, "c"))
	for _, err := range q.List(ctx, stint.ListOptions{}) {
		require.NoError(t, err)
	}
	_, err = w.Health(ctx)
	require.NoError(t, err)
	require.NoError(t, q.Delete(ctx, "big"))
}

// Both protocols of Redis, on every server.
func TestRESP2AndRESP3(t *testing.T) {
	t.Parallel()
	redistest.EachServer(t, func(t *testing.T, start func(...string) *redistest.Server) {
		for _, protocol := range []int{2, 3} {
			s := start()
			exercise(t, testCtx(t), stint.NewQueue("modes", s.Client(func(o *redis.Options) { o.Protocol = protocol })))
		}
	})
}

// certificate makes one of 127.0.0.1, and files of it.
func certificate(t *testing.T) (pool *x509.CertPool, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return pool, certFile, keyFile
}

// TLS, with a certificate that is checked.
func TestTLS(t *testing.T) {
	t.Parallel()
	redistest.EachServer(t, func(t *testing.T, start func(...string) *redistest.Server) {
		pool, cert, key := certificate(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		_, port, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		require.NoError(t, l.Close())
		start("--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
		client := func(c *tls.Config) *redis.Client {
			rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, TLSConfig: c})
			t.Cleanup(func() { _ = rdb.Close() })
			return rdb
		}
		exercise(t, testCtx(t), stint.NewQueue("modes", client(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})))
		_, err = stint.NewQueue("modes", client(&tls.Config{MinVersion: tls.VersionTLS12})).Get(testCtx(t), "a")
		require.ErrorContains(t, err, "certificate")
	})
}

// F41: a primary of a six-node Cluster dies and its replica takes its place.
// Workers of queues on all of them go on by themselves, and soon.
func TestF41ClusterLosesAPrimary(t *testing.T) {
	t.Parallel()
	rdb, servers := redistest.ReplicatedCluster(t, 3, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 3*within)
	defer cancel()
	queues := []string{"alpha", "beta", "gamma", "delta"}
	const n = 300
	var done atomic.Int64
	for _, name := range queues {
		q := stint.NewQueue(name, rdb)
		w := stint.NewWorker(q, stint.WorkerConfig{Lease: 2 * time.Second})
		stint.Handle(w, func(context.Context, *stint.Task[work]) error { done.Add(1); return nil })
		startWorker(t, w)
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "big", CompletionMode: stint.Indexed, Completions: new(n), Parallelism: new(3), Suspend: true})
		require.NoError(t, err)
		require.NoError(t, rdb.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return c.Do(ctx, "WAIT", 1, 1000).Err() }))
		_, err = q.Resume(ctx, "big")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return done.Load() > 20 }, within, time.Millisecond)
	servers[0].Kill()
	for _, name := range queues {
		q := stint.NewQueue(name, rdb)
		require.Eventually(t, func() bool {
			j, err := q.Get(ctx, "big")
			return err == nil && j.Phase() == stint.PhaseComplete && j.Status.Succeeded == n
		}, 2*within, 50*time.Millisecond, name)
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "after"})
		require.NoError(t, err)
	}
}

// F65: the slot of a queue is moved from primary to primary, again and again,
// while it works: scripts meet MOVED, ASK and TRYAGAIN. Nothing is lost or
// counted twice.
func TestF65ReshardedWhileItWorks(t *testing.T) {
	t.Parallel()
	rdb, ctx := redistest.Cluster(t, 3), testCtx(t)
	q := stint.NewQueue("moving", rdb)
	var done atomic.Int64
	w := stint.NewWorker(q, stint.WorkerConfig{Lease: 2 * time.Second})
	stint.Handle(w, func(context.Context, *stint.Task[work]) error { done.Add(1); return nil })
	startWorker(t, w)
	const n = 1500
	_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "big", CompletionMode: stint.Indexed, Completions: new(n), Parallelism: new(5)})
	require.NoError(t, err)
	var masters []*redis.Client
	var mine int
	owner, err := rdb.MasterForKey(ctx, "stint:{moving}:jobs")
	require.NoError(t, err)
	for _, s := range primaries(t, ctx, rdb) {
		if s.Options().Addr == owner.Options().Addr {
			mine = len(masters)
		}
		masters = append(masters, s)
	}
	moves := 0
	for ; moves < 3; moves++ {
		want := done.Load() + 50
		require.Eventually(t, func() bool { return done.Load() >= min(want, n) }, within, time.Millisecond, "after %d moves", moves)
		next := (mine + 1) % len(masters)
		moveSlot(t, ctx, masters, mine, next, "stint:{moving}:jobs")
		mine = next
		job, err := q.Submit(ctx, work{}, stint.JobSpec{Name: fmt.Sprint("after-", moves)})
		require.NoError(t, err)
		_, err = q.Wait(ctx, job.Name)
		require.NoError(t, err)
	}
	j, err := q.Wait(ctx, "big")
	require.NoError(t, err)
	require.Equal(t, stint.PhaseComplete, j.Phase())
	require.Equal(t, n, j.Status.Succeeded)
	require.Zero(t, j.Status.Failed)
}

// primaries are clients of the primaries.
func primaries(t *testing.T, ctx context.Context, rdb *redis.ClusterClient) (all []*redis.Client) {
	t.Helper()
	var mu sync.Mutex
	require.NoError(t, rdb.ForEachMaster(ctx, func(_ context.Context, master *redis.Client) error {
		c := redis.NewClient(&redis.Options{Addr: master.Options().Addr})
		t.Cleanup(func() { _ = c.Close() })
		mu.Lock()
		defer mu.Unlock()
		all = append(all, c)
		return nil
	}))
	return all
}

// moveSlot moves the slot of a key, key by key, as redis-cli does.
func moveSlot(t *testing.T, ctx context.Context, nodes []*redis.Client, from, to int, key string) {
	t.Helper()
	slot, err := nodes[0].ClusterKeySlot(ctx, key).Result()
	require.NoError(t, err)
	id := func(i int) string {
		s, err := nodes[i].ClusterMyID(ctx).Result()
		require.NoError(t, err)
		return s
	}
	require.NoError(t, nodes[to].Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", id(from)).Err())
	require.NoError(t, nodes[from].Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", id(to)).Err())
	host, port, err := net.SplitHostPort(nodes[to].Options().Addr)
	require.NoError(t, err)
	for {
		keys, err := nodes[from].ClusterGetKeysInSlot(ctx, int(slot), 3).Result()
		require.NoError(t, err)
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		require.NoError(t, nodes[from].Do(ctx, args...).Err())
	}
	for _, i := range []int{to, from, 0, 1, 2} {
		require.NoError(t, nodes[i].Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", id(to)).Err())
	}
}
