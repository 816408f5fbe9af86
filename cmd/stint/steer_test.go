package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

func TestSteerByName(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, q *stint.Queue) {
		phase := func(name string) stint.Phase {
			j, err := q.Get(t.Context(), name)
			require.NoError(t, err)
			return j.Phase()
		}
		require.Equal(t, "job/delta suspended (dry run)\n", s.ok("suspend", "delta", "--dry-run"))
		require.Equal(t, stint.PhaseRunning, phase("delta"))
		require.Equal(t, "job/delta suspended\n", s.ok("suspend", "delta"))
		require.Equal(t, stint.PhaseSuspended, phase("delta"))
		require.Equal(t, "job/delta\njob/gamma\n", s.ok("resume", "delta", "job/gamma", "-o", "name"))
		require.Equal(t, stint.PhaseRunning, phase("gamma"))
		require.Equal(t, "job/delta scaled\n", s.ok("scale", "delta", "--parallelism", "2"))
		s.code(exitUsage, "scale", "delta")
		s.code(exitUsage, "scale", "delta", "--parallelism", "1", "--completions", "1")
		require.Contains(t, s.code(exitUsage, "scale", "delta", "--parallelism", "-1"), "spec.parallelism")
		require.Contains(t, s.code(exitConflict, "retry", "gamma"), "changed by someone else")
		require.Equal(t, "job/beta retried\n", s.ok("retry", "beta", "--indexes", "1-2"))
		require.Equal(t, stint.PhaseRunning, phase("beta"))
		require.Equal(t, "job/alpha deleted\n", s.ok("delete", "alpha"))
		require.Contains(t, s.code(exitNotFound, "delete", "alpha", "gamma"), "job/gamma deleted")
		for _, verb := range []string{"suspend", "resume", "retry", "delete"} {
			s.code(exitNotFound, verb, "nobody")
			require.Contains(t, s.code(exitUsage, verb), "give names, a filter or --all")
			s.code(exitUsage, verb, "delta", "--all")
			s.code(exitUsage, verb, "cronjob/nightly")
		}
		s.code(exitUsage, "retry", "--all", "--indexes", "1")
	})
}

func TestBulkCountsAndAsks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, q *stint.Queue) {
		count := func() int {
			n, err := q.Count(t.Context(), stint.ListOptions{})
			require.NoError(t, err)
			return n
		}
		code, out, errs := s.run("delete", "--kind", "thumb", "--dry-run")
		require.Zero(t, code)
		require.Equal(t, "job/alpha deleted (dry run)\njob/beta deleted (dry run)\njob/gamma deleted (dry run)\n", out)
		require.Equal(t, "3 jobs would be deleted\n", errs)
		require.Contains(t, s.code(exitDeclined, "delete", "--kind", "thumb"), "3 jobs would be affected: give --yes")
		require.Equal(t, 4, count())
		require.Contains(t, s.code(exitOK, "suspend", "--all", "--yes"), "job/delta suspended\n1 job suspended\n", "those that can be")
		require.Contains(t, s.code(exitOK, "retry", "--status", "failed", "-y", "-o", "name"), "job/beta\n1 job retried")
		require.Contains(t, s.code(exitOK, "resume", "-l", "album=gamma", "-y"), "job/gamma resumed")
		require.Contains(t, s.code(exitOK, "resume", "-l", "album=none"), "0 jobs would be resumed")
		require.Contains(t, s.code(exitUsage, "delete", "-l", "a in"), "selector")
		require.Contains(t, s.code(exitUsage, "delete", "--status", "odd"), "must be pending")
		s.ok("delete", "--all", "--yes")
		require.Zero(t, count())
	})
}

func TestNobodyToConfirm(t *testing.T) {
	t.Parallel()
	a := &app{stdin: strings.NewReader("y\n"), stderr: &strings.Builder{}}
	require.Equal(t, exitDeclined, codeOf(a.confirm(t.Context(), false, 3, "delete", "media", nil)), "nobody is there to be asked")
	require.NoError(t, a.confirm(t.Context(), true, 3, "delete", "media", nil))
}

func TestEvict(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, q *stint.Queue) {
		causes := make(chan error, 10)
		w := stint.NewWorker(q, stint.WorkerConfig{Lease: time.Second})
		w.HandleRaw("evicted", func(ctx context.Context, _ *stint.RawTask) error {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return context.Cause(ctx)
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		_, err := q.SubmitRaw(t.Context(), stint.Submission{Kind: "evicted", Spec: stint.JobSpec{Name: "one"}})
		require.NoError(t, err)
		waitFor(t, q, "one")
		require.Contains(t, s.ok("evict", "one", "0", "--lost"), "job/one index 0 evicted")
		require.ErrorIs(t, <-causes, stint.ErrLeaseLost)
		waitFor(t, q, "one")
		s.ok("evict", "job/one", "0")
		require.ErrorIs(t, <-causes, stint.ErrEvicted)
		require.Contains(t, s.code(exitUsage, "evict", "one", "x"), "must be an index")
		s.code(exitNotFound, "evict", "nobody", "0")
		s.code(exitUsage, "evict", "one")
		require.NoError(t, q.Delete(t.Context(), "one"))
		stop()
		require.NoError(t, <-done)
	})
}

// waitFor waits until a worker has an attempt of a job.
func waitFor(t *testing.T, q *stint.Queue, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		j, err := q.Get(t.Context(), name)
		return err == nil && j.Status.Ready == 1
	}, within, tick)
}

func TestCron(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, _ *stint.Queue) {
		require.Equal(t, "NAME   SCHEDULE   TIMEZONE   SUSPEND   ACTIVE   LAST SCHEDULE   AGE\nnightly   0 3 * * *   Europe/Berlin   False   0   <none>   AGE\n",
			steadyTable(s.ok("cron")))
		require.Equal(t, "cronjob/nightly\n", s.ok("cron", "-o", "name"))
		require.Contains(t, s.ok("cron", "-o", "wide"), "Allow")
		require.Contains(t, s.ok("cron", "-o", "yaml"), "kind: CronJob")
		require.Equal(t, "cronjob/nightly suspended\n", s.ok("cron", "suspend", "nightly"))
		require.Contains(t, s.ok("cron"), "True")
		require.Equal(t, "cronjob/nightly resumed\n", s.ok("cron", "resume", "cronjob/nightly"))
		require.Regexp(t, `^job/nightly-\S+ submitted\n$`, s.ok("cron", "run", "nightly"))
		require.Equal(t, "cronjob/nightly deleted\n", s.ok("cron", "delete", "nightly"))
		for _, verb := range []string{"suspend", "resume", "run", "delete"} {
			s.code(exitNotFound, "cron", verb, "nightly")
			s.code(exitUsage, "cron", verb)
		}
		require.Contains(t, s.code(exitOK, "cron"), "No cron jobs found")
	})
}

func TestQueuesAndWorkers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, q *stint.Queue) {
		require.Equal(t, "NAME   KINDS   READY   RUNNING   WORKERS   SUCCEEDED   FAILED   LOST\nmedia   2   4   0   0   3   1   0\n", steadyTable(s.ok("queues")))
		require.Equal(t, "media\n", s.ok("queues", "-o", "name"))
		require.Contains(t, s.ok("queues", "-o", "json"), `"ready": 4`)
		s.code(exitUsage, "queues", "--max-keys", "0")
		require.Contains(t, s.code(exitOK, "workers"), "No workers found")
		w := stint.NewWorker(q, stint.WorkerConfig{Lease: time.Second})
		stint.Handle(w, func(context.Context, *stint.Task[thumb]) error { return nil })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		require.Eventually(t, func() bool { return strings.Contains(s.ok("workers"), "0/10") }, within, tick)
		require.Contains(t, s.ok("workers", "-o", "name"), "worker/")
		require.Contains(t, s.ok("workers", "-o", "json"), `"id"`)
		stop()
		require.NoError(t, <-done)
	})
}

func TestTopPrintsOneFrame(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, _ *stint.Queue) {
		out := s.ok("top")
		for _, want := range []string{"queue media", "ended in 15 min: 4, of these failed: 1", "KIND", "report", "UNFINISHED JOBS", "gamma", "EVENTS"} {
			require.Contains(t, out, want)
		}
		require.NotContains(t, out, "\x1b")
		s.code(exitUsage, "top", "--every", "1ms")
	})
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, _ *stint.Queue) {
		_, out, errs := s.run("doctor")
		require.Contains(t, out, "orphans")
		require.Contains(t, out, "none without its record")
		require.NotContains(t, errs, "not answer")
		_, out, _ = s.run("doctor", "-o", "json")
		require.Contains(t, out, `"check": "clock"`)
		s.code(exitUsage, "doctor", "--max-keys", "0")
	})
}

func TestDoctorFinds(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	rdb := s.Client()
	require.NoError(t, rdb.HSet(t.Context(), "stint:{media}:job:gone:data", "r:0", "1").Err())
	out := newShell(t, rdb).code(exitFindings, "doctor")
	require.Contains(t, steadyTable(out), "eviction   error   maxmemory-policy is allkeys-lru")
	require.Contains(t, steadyTable(out), "persistence   warning   no append-only file")
	require.Contains(t, out, "1 keys belong to jobs without a record, as stint:{media}:job:gone:data")
}

func TestDoctorIsContent(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--appendonly", "yes")
	out := newShell(t, s.Client()).ok("doctor")
	require.NotContains(t, out, "warning")
	require.Contains(t, out, "appendfsync everysec")
}

// A user of a queue alone is refused INFO, CONFIG and SCAN.
func TestDoctorDegrades(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	rdb := s.Client()
	rules, err := stint.ACL(stint.RoleObserver, "media", "")
	require.NoError(t, err)
	set := []any{"ACL", "SETUSER", "eve", "on", ">secret"}
	for _, r := range rules {
		set = append(set, r)
	}
	require.NoError(t, rdb.Do(t.Context(), set...).Err())
	sh := newShell(t, rdb)
	sh.url = strings.Replace(sh.url, "redis://", "redis://eve:secret@", 1)
	out := sh.ok("doctor")
	require.Contains(t, out, "unknown")
	require.NotContains(t, out, "secret")
	require.Contains(t, sh.code(exitError, "queues"), "name one by --queue")
	require.Contains(t, sh.code(exitOK, "jobs"), "No jobs found")
}

func TestOnACluster(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t, 3)
	addrs := c.Options().Addrs
	sh := &shell{t: t, env: map[string]string{"REDIS_URL": "redis+cluster://" + addrs[0] + "?addr=" + addrs[1]}}
	sh.url = sh.env["REDIS_URL"]
	for _, name := range []string{"one", "two", "three"} {
		require.Contains(t, sh.ok("-q", name, "submit", "thumb", "--name", name), "submitted")
		require.Contains(t, sh.ok("-q", name, "get", name), name)
	}
	require.Equal(t, "one\nthree\ntwo\n", sh.ok("queues", "-o", "name"))
	out := sh.code(exitFindings, "doctor", "-q", "two")
	require.Contains(t, out, "all slots served by 3 primaries")
	require.Contains(t, out, addrs[2])
}

func TestAcl(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newShell(t, rdb)
		require.Regexp(t, `^ACL SETUSER web on >PASSWORD resetkeys .*stint:\{media\}:`, s.ok("acl", "producer", "--user", "web"))
		require.Contains(t, s.ok("acl", "worker", "-q", "m-*", "-o", "json"), `"-@all"`)
		require.Contains(t, s.code(exitUsage, "acl", "king"), "role")
		s.code(exitUsage, "acl", "worker", "--user", "a b")
		s.code(exitUsage, "acl", "worker", "--server-version", "6.2")
		s.env = nil
		s.code(exitUsage, "acl", "worker")
	})
}
