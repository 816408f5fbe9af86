package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

type thumb struct {
	Album string `json:"album"`
}

func (thumb) Kind() string { return "thumb" }

// shell runs commands against one Redis.
type shell struct {
	t   *testing.T
	url string
	in  string
	env map[string]string
}

func newShell(t *testing.T, rdb redis.UniversalClient) *shell {
	t.Helper()
	o := rdb.(*redis.Client).Options()
	return &shell{t: t, url: fmt.Sprintf("redis://%s/%d", o.Addr, o.DB), env: map[string]string{"STINT_QUEUE": "media"}}
}

// run answers the exit code and what was printed.
func (s *shell) run(args ...string) (code int, out, errs string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var o, e bytes.Buffer
	code = run(ctx, append([]string{"--redis", s.url}, args...), streams{strings.NewReader(s.in), &o, &e}, func(k string) string { return s.env[k] })
	return code, o.String(), e.String()
}

// ok runs what must succeed.
func (s *shell) ok(args ...string) string {
	s.t.Helper()
	code, out, errs := s.run(args...)
	require.Zero(s.t, code, "%s%s", out, errs)
	return out
}

// code runs what must end with an exit code, and answers all that was printed.
func (s *shell) code(want int, args ...string) string {
	s.t.Helper()
	code, out, errs := s.run(args...)
	require.Equal(s.t, want, code, "%v: %s%s", args, out, errs)
	return out + errs
}

// each runs a test on miniredis and a real Redis, with jobs of all sorts.
func each(t *testing.T, test func(t *testing.T, s *shell, q *stint.Queue)) {
	t.Helper()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		q := stint.NewQueue("media", rdb)
		fill(t, q)
		test(t, newShell(t, rdb), q)
	})
}

// fill makes: alpha, complete; beta, failed; gamma, suspended; delta, which no
// worker takes; and the cron job nightly.
func fill(t *testing.T, q *stint.Queue) {
	t.Helper()
	ctx := t.Context()
	submit := func(kind, name string, spec stint.JobSpec) {
		spec.Name, spec.Labels = name, map[string]string{"album": name}
		_, err := q.SubmitRaw(ctx, stint.Submission{Kind: kind, Args: []byte(`{"album":"` + name + `"}`), Spec: spec})
		require.NoError(t, err)
	}
	submit("thumb", "alpha", stint.JobSpec{Completions: new(2)})
	submit("thumb", "beta", stint.JobSpec{CompletionMode: stint.Indexed, Completions: new(3), BackoffLimit: new(0), Parallelism: new(1)})
	submit("report", "delta", stint.JobSpec{Parallelism: new(4)})
	submit("thumb", "gamma", stint.JobSpec{Suspend: true})
	_, err := q.ApplyCron(ctx, stint.CronJob{Name: "nightly", Schedule: "0 3 * * *", TimeZone: "Europe/Berlin", Args: thumb{"nightly"}})
	require.NoError(t, err)

	w := stint.NewWorker(q, stint.WorkerConfig{})
	stint.Handle(w, func(_ context.Context, task *stint.Task[thumb]) error {
		if task.Args.Album == "beta" && task.Index == 1 {
			return stint.Code(3, errors.New("no such \x1b[31mfile"))
		}
		return nil
	})
	work, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(work) }()
	for _, name := range []string{"alpha", "beta"} {
		_, err := q.Wait(ctx, name)
		require.NoError(t, err)
	}
	stop()
	require.NoError(t, <-done)
}

// steady takes what differs between runs out of a text.
func steady(text string) string {
	for pattern, by := range map[string]string{
		`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)`:              "TIME",
		`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`: "UID",
		`\b\d{13}-\d+\b`:   "TOKEN",
		`\b[a-z2-7]{10}\b`: "WORKER",
		`\b(\d+[smhd])+\b`: "AGE",
		` {4,}`:            "   ",
		`(?m) +$`:          "",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, by)
	}
	return text
}

func TestJobs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, _ *stint.Queue) {
		require.Equal(t, `NAME   STATUS   COMPLETIONS   DURATION   AGE
alpha   Complete   2/2   AGE   AGE
beta   Failed   1/3   AGE   AGE
delta   Running   0/1 of 4   AGE   AGE
gamma   Suspended   0/1   AGE
`, steadyTable(s.ok("jobs")))
		require.Equal(t, "job/beta\n", s.ok("jobs", "--status", "failed", "-o", "name"))
		require.Equal(t, "job/gamma\n", s.ok("jobs", "-l", "album in (gamma,x)", "-o", "name"))
		require.Equal(t, "job/delta\n", s.ok("jobs", "--kind", "report", "-o", "name"))
		require.Equal(t, "job/beta\n", s.ok("jobs", "--error-contains", "no such", "-o", "name"))
		require.Contains(t, s.ok("jobs", "-o", "wide", "--name-contains", "alp"), "thumb")
		require.NotContains(t, s.ok("jobs", "--no-headers"), "NAME")
		code, out, errs := s.run("jobs", "--limit", "2", "-o", "name")
		require.Zero(t, code)
		require.Equal(t, "job/alpha\njob/beta\n", out)
		require.Contains(t, errs, "more jobs than 2")
		require.Contains(t, s.ok("jobs", "-o", "json"), `"kind": "List"`)
		require.Contains(t, s.code(0, "jobs", "-q", "empty"), "No jobs found in queue empty.")
	})
}

// steadyTable is steady with single spaces of a kind between columns.
func steadyTable(text string) string {
	return regexp.MustCompile(` {2,}`).ReplaceAllString(steady(text), "   ")
}

func TestGetWritesWhatApplyReads(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, q *stint.Queue) {
		for _, format := range []string{"json", "yaml"} {
			manifest := s.ok("get", "gamma", "cronjob/nightly", "-o", format)
			require.NoError(t, q.Delete(t.Context(), "gamma"))
			require.NoError(t, q.DeleteCron(t.Context(), "nightly"))
			s.in = manifest
			require.Equal(t, "job/gamma created\ncronjob/nightly created\n", s.ok("apply", "-f", "-"))
			require.Equal(t, "job/gamma unchanged\ncronjob/nightly unchanged\n", s.ok("apply", "-f", "-"))
		}
		s.in = strings.Replace(s.in, "0 3 * * *", "0 4 * * *", 1)
		require.Equal(t, "job/gamma unchanged (dry run)\ncronjob/nightly configured (dry run)\n", s.ok("apply", "-f", "-", "--dry-run"))
		require.Equal(t, "job/gamma\ncronjob/nightly\n", s.ok("apply", "-f", "-", "-o", "name"))
		require.Contains(t, s.ok("get", "cronjob/nightly"), "0 4 * * *")
		require.Contains(t, s.ok("get", "gamma"), "Suspended")
		require.Contains(t, s.code(exitNotFound, "get", "nobody", "gamma"), "gamma")
		require.Contains(t, s.code(exitUsage, "get", "pod/x"), "pod/x: must be the name of a job")
	})
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, q *stint.Queue) {
		file := filepath.Join(t.TempDir(), "jobs.yaml")
		write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
		const job = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: %s\n  namespace: %s\n  annotations: {stint.dev/kind: thumb}\nspec:\n  parallelism: %d\n  template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}\n"
		write(fmt.Sprintf(job, "fine", "other", 1) + "---\n" + fmt.Sprintf(job, "bad", "other", -1))
		out := s.code(exitUsage, "apply", "-f", file)
		require.Contains(t, out, "spec.parallelism")
		_, err := q.Get(t.Context(), "fine")
		require.ErrorIs(t, err, stint.ErrNotFound, "nothing is stored when anything is wrong")
		write(fmt.Sprintf(job, "fine", "other", 1))
		out = s.code(exitOK, "apply", "-f", file)
		require.Contains(t, out, "Warning: ")
		require.Contains(t, out, "job/fine created", "in the queue of its namespace")
		require.Contains(t, s.ok("jobs", "-q", "other"), "fine")
		write(fmt.Sprintf(job, "fine", "other", 2))
		require.Contains(t, s.code(exitConflict, "apply", "-f", file), "exists")
		require.Contains(t, s.code(exitUsage, "apply"), "no manifests")
		require.Contains(t, s.code(exitUsage, "apply", "-f", file+".not"), "no such file")
		s.in = strings.Repeat("#", maxInput+1)
		require.Contains(t, s.code(exitUsage, "apply", "-f", "-"), "more than")
	})
}

func TestDescribeAndExplain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, _ *stint.Queue) {
		out := steadyTable(s.ok("describe", "beta"))
		for _, want := range []string{
			"Name:   beta\n", "Kind:   thumb\n", "Labels:   album=beta\n", "Status:   Failed\n", "Completions:   3\n", "Completion Mode:   Indexed\n",
			"0 Active (0 Ready) / 0 Terminating / 1 Succeeded / 1 Failed", "Completed Indexes:   0\n", `Args:   {"album":"beta"}`,
			"BackoffLimitExceeded", "no such \uFFFD[31mfile", "SuccessfulCreate",
		} {
			require.Contains(t, out, want)
		}
		require.NotContains(t, out, "\x1b", "what others wrote does not reach the terminal as it is")
		out = steadyTable(s.ok("describe", "cronjob/nightly"))
		require.Contains(t, out, "Time Zone:   Europe/Berlin\n")
		require.Contains(t, out, "Next Runs:   TIME (in AGE)")
		require.Contains(t, s.ok("explain", "gamma"), "Suspended")
		require.Contains(t, s.ok("explain", "delta"), "NoWorker")
		require.Contains(t, s.ok("explain", "delta", "-o", "json"), `"code": "NoWorker"`)
		require.Contains(t, s.ok("explain", "job/delta", "-o", "yaml"), "code: NoWorker")
		s.code(exitNotFound, "describe", "nobody")
		s.code(exitNotFound, "describe", "cj/nobody")
		s.code(exitNotFound, "explain", "nobody")
		s.code(exitUsage, "explain", "cronjob/nightly")
	})
}

func TestLogs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, _ *stint.Queue) {
		require.Equal(t, "TIME  index 1  attempt 1  Failed  code 3  worker WORKER  no such \uFFFD[31mfile\n", steady(s.ok("logs", "beta")))
		require.Equal(t, s.ok("logs", "beta"), s.ok("logs", "beta", "--follow"), "it has finished")
		require.Empty(t, s.ok("logs", "beta", "--index", "0"))
		require.Contains(t, s.ok("logs", "beta", "--groups"), "COUNT")
		require.Contains(t, s.ok("logs", "beta", "-o", "json"), `"index": 1`)
		require.Contains(t, s.ok("logs", "beta", "--groups", "-o", "yaml"), "count: 1")
		s.code(exitNotFound, "logs", "nobody")
		require.Contains(t, s.code(exitUsage, "logs", "beta", "-o", "xml"), `"xml": must be json`)
	})
}

func TestWaitAndWatch(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, q *stint.Queue) {
		require.Equal(t, "job/alpha complete\n", s.ok("wait", "alpha"))
		require.Contains(t, s.code(exitFailed, "wait", "beta"), "BackoffLimitExceeded")
		require.Contains(t, s.code(exitFailed, "wait", "alpha", "beta", "--for", "complete"), "job/alpha complete")
		s.ok("wait", "beta", "--for", "failed")
		s.code(exitFailed, "wait", "alpha", "--for", "condition=failed")
		s.code(exitNotFound, "wait", "nobody")
		s.ok("wait", "nobody", "--for", "delete")
		require.Contains(t, s.code(exitTimeout, "wait", "delta", "--timeout", "20ms"), "timed out after 20ms")
		s.code(exitTimeout, "wait", "delta", "--for", "delete", "--timeout", "20ms")
		s.code(exitUsage, "wait", "alpha", "--for", "ever")
		s.code(exitUsage, "wait")

		require.Contains(t, s.ok("watch", "alpha"), "Complete  2/2")
		require.Contains(t, s.code(exitFailed, "watch", "beta"), "Failed  1/3")
		require.Contains(t, s.code(exitTimeout, "watch", "delta", "--timeout", "2s"), "Running  0/1 of 4")
		s.code(exitNotFound, "watch", "nobody")
		out := s.code(exitTimeout, "watch", "--from", "0", "--timeout", "300ms")
		require.Contains(t, out, "Failed             beta BackoffLimitExceeded")
		require.Contains(t, s.code(exitTimeout, "watch", "--from", "0", "--timeout", "300ms", "-l", "album=gamma", "-o", "json"), `"type": "Suspended"`)
		require.NotContains(t, s.code(exitTimeout, "watch", "--from", "0", "--kind", "report", "--timeout", "300ms", "-o", "name"), "beta")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		code := run(ctx, []string{"--redis", s.url, "-q", "media", "watch"}, streams{strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}}, os.Getenv)
		require.Equal(t, exitInterrupt, code)
	})
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, q *stint.Queue) {
		out := s.ok("submit", "thumb", "--name", "new", "--args", `{"album":"x"}`, "--completions", "5", "--indexed", "--parallelism", "2",
			"--backoff-limit-per-index", "1", "--labels", "a=b,c=d", "--delay", "1h", "--ttl", "2h", "--active-deadline", "3h", "--attempt-timeout", "4h")
		require.Equal(t, "job/new submitted\n", out)
		job, err := q.Get(t.Context(), "new")
		require.NoError(t, err)
		require.JSONEq(t, `{"album":"x"}`, string(job.Args))
		require.Equal(t, 5, *job.Spec.Completions)
		require.Equal(t, stint.Indexed, job.Spec.CompletionMode)
		require.Equal(t, 1, *job.Spec.BackoffLimitPerIndex)
		require.Equal(t, map[string]string{"a": "b", "c": "d"}, job.Spec.Labels)
		require.Equal(t, time.Hour, job.Spec.Delay)
		require.Equal(t, 4*time.Hour, job.Spec.AttemptTimeout)

		file := filepath.Join(t.TempDir(), "args.json")
		require.NoError(t, os.WriteFile(file, []byte(`{"album":"file"}`), 0o600))
		require.Regexp(t, `^job/thumb-\S+\n$`, s.ok("submit", "thumb", "--args", "@"+file, "-o", "name"))
		s.in = `{"album":"stdin"}`
		require.Contains(t, s.ok("submit", "thumb", "--args", "-", "--suspend", "-o", "json"), "stdin")
		require.Contains(t, s.ok("submit", "thumb", "--spec", `{"parallelism":3,"name":"spec"}`, "--dry-run"), "job/spec valid (dry run)")
		require.Contains(t, s.code(exitUsage, "submit", "thumb", "--parallelism", "-1"), "spec.parallelism: Invalid value: -1")
		require.Contains(t, s.code(exitUsage, "submit", "Bad Kind", "--dry-run"), "kind")
		require.Contains(t, s.code(exitUsage, "submit", "thumb", "--args", "{"), "--args: must be JSON")
		require.Contains(t, s.code(exitUsage, "submit", "thumb", "--spec", "{"), "--spec")
		require.Contains(t, s.code(exitUsage, "submit", "thumb", "--start-at", "soon"), "RFC 3339")
		s.code(exitUsage, "submit", "thumb", "--args", "@nowhere")
		s.code(exitUsage, "submit")
		s.code(exitConflict, "submit", "other", "--name", "alpha")
		require.Contains(t, s.ok("submit", "thumb", "--name", "none", "--completions", "0", "--wait"), "job/none submitted")
		s.code(exitFailed, "submit", "report", "--name", "late", "--active-deadline", "1ms", "--wait", "--redis", s.deadlineURL(q))
	})
}

// deadlineURL is the same Redis, with a scheduler that sees deadlines.
func (s *shell) deadlineURL(q *stint.Queue) string {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- stint.NewScheduler(nil, q).Run(ctx) }()
	s.t.Cleanup(func() { stop(); require.NoError(s.t, <-done) })
	return s.url
}
