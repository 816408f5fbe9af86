package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// within bounds what tests wait for.
const (
	within = time.Minute
	tick   = 5 * time.Millisecond
)

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	s := newShell(t, redistest.Mini(t))
	for _, args := range [][]string{
		{"nonsense"},
		{"jobs", "--nonsense"},
		{"jobs", "extra"},
		{"jobs", "-o", "xml"},
		{"jobs", "--limit", "0"},
		{"jobs", "--status", "odd"},
		{"get"},
		{"--redis", "http://x", "jobs"},
		{"-q", "BAD NAME", "jobs"},
	} {
		code, _, errs := s.run(args...)
		require.Equal(t, exitUsage, code, "%v: %s", args, errs)
		require.True(t, strings.HasPrefix(errs, "error: "), "%v: %s", args, errs)
	}
	s.env = nil
	require.Contains(t, s.code(exitUsage, "jobs"), "give --queue or set STINT_QUEUE")
	require.Contains(t, s.ok(), "Exit codes:")
	require.Contains(t, s.ok("help", "delete"), "--dry-run")
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	s := &shell{t: t, url: "redis://:secret@127.0.0.1:1?max_retries=-1", env: map[string]string{"STINT_QUEUE": "q"}}
	for _, args := range [][]string{{"jobs"}, {"queues"}, {"doctor"}, {"top"}, {"workers"}, {"cron"}} {
		require.NotContains(t, s.code(exitError, args...), "secret")
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, _ *stint.Queue) {
		words := func(args ...string) string {
			out, _, _ := strings.Cut("\n"+s.ok(append([]string{cobra.ShellCompRequestCmd}, args...)...), "\n:")
			return strings.TrimPrefix(out, "\n")
		}
		require.Equal(t, "alpha\tComplete", words("describe", "al"))
		require.Empty(t, words("describe", "alpha", ""), "it takes one")
		require.Equal(t, "beta\tFailed", words("delete", "alpha", "be"))
		require.Equal(t, "nightly\t0 3 * * *", words("cron", "run", "ni"))
		require.Equal(t, "media", words("jobs", "--queue", "me"))
		require.Equal(t, "report", words("jobs", "--kind", "re"))
		require.Equal(t, "wide\njson\nyaml\nname", words("jobs", "-o", ""))
		require.Contains(t, words("jobs", "--status", ""), "failed")
		require.Contains(t, s.ok("completion", "bash"), "stint")
	})
}

func TestAge(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 130 * time.Second: "2m10s", 10*time.Minute + 3*time.Second: "10m",
		3 * time.Hour: "3h", 3*time.Hour + time.Minute: "3h1m", 9 * time.Hour: "9h", 48 * time.Hour: "2d", 50 * time.Hour: "2d2h", 9 * 24 * time.Hour: "9d",
		3 * 365 * 24 * time.Hour: "3y", 20 * 365 * 24 * time.Hour: "20y",
	} {
		require.Equal(t, want, age(d), d)
	}
}

func TestTableIsHarmlessAndAligned(t *testing.T) {
	t.Parallel()
	tab := &table{head: []string{"NAME", "AGE"}}
	tab.add(cell{"a\x1b]0;evil\x07\nb\u202e", red}, text("1s"))
	tab.add(text("übel"), cell{"2s", green})
	var b strings.Builder
	require.NoError(t, tab.print(&b, true, false))
	require.Equal(t, "NAME            AGE\n\x1b[31ma\uFFFD]0;evil\uFFFD b\uFFFD\x1b[0m   1s\nübel            \x1b[32m2s\x1b[0m\n", b.String())
}

func TestJobTableGolden(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	job := func(name string, change func(*stint.Job)) *stint.Job {
		j := &stint.Job{Name: name, Kind: "thumb", CreatedAt: now.Add(-time.Hour), Spec: stint.JobSpec{Completions: new(10), Parallelism: new(1)}}
		j.Status.StartedAt = now.Add(-30 * time.Minute)
		change(j)
		return j
	}
	end := func(t stint.ConditionType) func(*stint.Job) {
		return func(j *stint.Job) {
			j.Status.Conditions = []stint.Condition{{Type: t, Status: stint.ConditionTrue, TransitionAt: now.Add(-20 * time.Minute)}}
			j.Status.Succeeded = 10
		}
	}
	jobs := []*stint.Job{
		job("running", func(j *stint.Job) {
			j.Status.Active, j.Status.Succeeded, j.Spec.Labels = 3, 4, map[string]string{"b": "2", "a": "1"}
		}),
		job("complete", end(stint.JobComplete)),
		job("failed", end(stint.JobFailed)),
		job("failing", end(stint.JobFailureTarget)),
		job("pending", func(j *stint.Job) { j.Status.StartedAt = time.Time{}; j.Owner = "nightly" }),
		job("queue", func(j *stint.Job) { j.Spec.Completions = nil; j.Spec.Parallelism = new(3) }),
	}
	var b strings.Builder
	require.NoError(t, jobTable(jobs, now, true).print(&b, false, false))
	golden(t, "jobs-wide.golden", b.String())
	b.Reset()
	require.NoError(t, jobTable(jobs, now, false).print(&b, true, false))
	golden(t, "jobs-colour.golden", b.String())
}

func TestFrameFitsTheScreen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := snapshot{queue: "media", now: now, health: stint.QueueHealth{Workers: 2, TimersLate: time.Minute}, more: true}
	for i := range 30 {
		kind := fmt.Sprint("kind-", i)
		s.kinds = append(s.kinds, stint.KindInfo{Kind: kind, Ready: i})
		s.points = append(s.points, stint.StatPoint{Kind: kind, Succeeded: 30, Failed: 15, Wait: 45 * time.Second, Run: 90 * time.Second})
		s.workers = append(s.workers, workerLine{ID: fmt.Sprint("w", i), Kinds: []string{strings.Repeat("long", 30)}})
		s.jobs = append(s.jobs, &stint.Job{Name: fmt.Sprint("job-", i), Spec: stint.JobSpec{Completions: new(1), Parallelism: new(1)}})
		s.events = append(s.events, stint.Event{Type: stint.EventFailed, Name: "x", At: now})
	}
	golden(t, "top.golden", s.frame(80, 30, false))
	colours := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for _, size := range [][2]int{{80, 24}, {200, 60}, {20, 10}, {1, 1}} {
		lines := strings.Split(strings.TrimSuffix(s.frame(size[0], size[1], true), "\n"), "\n")
		require.LessOrEqual(t, len(lines), max(size[1], 18), size)
		for _, l := range lines {
			require.LessOrEqual(t, len([]rune(colours.ReplaceAllString(l, ""))), size[0], l)
		}
	}
}

// golden compares with a file; STINT_GOLDEN=write writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if os.Getenv("STINT_GOLDEN") == "write" {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
