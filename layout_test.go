package stint_test

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
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

// F70, F89, F121: a queue of a newer layout is refused, whatever is asked of
// it, and nothing is written.
func TestNewerLayoutIsRefused(t *testing.T) {
	t.Parallel()
	eachUnaudited(t, func(t *testing.T, ctx context.Context, _ *stint.Queue, rdb redis.UniversalClient) {
		for _, layout := range []string{"3", "0", "new"} {
			require.NoError(t, rdb.Set(ctx, "stint:{promises}:layout", layout, 0).Err())
			q := stint.NewQueue("promises", rdb)
			refused := func(what string, err error) {
				t.Helper()
				require.ErrorIs(t, err, stint.ErrLayout, what)
				require.ErrorContains(t, err, "stint:{promises}:layout", what)
				require.NotErrorIs(t, err, stint.ErrUncertain, what)
			}
			_, err := q.Submit(ctx, work{})
			refused("submit", err)
			_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "a"})
			refused("submit", err)
			_, err = q.SubmitMany(ctx, []stint.NewJob{{Args: work{}}})
			refused("submit many", err)
			_, err = q.Durable(stint.Durability{Replicas: 1}).Submit(ctx, work{})
			refused("submit durably", err)
			_, err = q.Get(ctx, "a")
			refused("get", err)
			_, err = q.Wait(ctx, "a")
			refused("wait", err)
			refused("delete", q.Delete(ctx, "a"))
			_, err = q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@hourly", Args: work{}})
			refused("cron", err)
			for _, err := range q.List(ctx, stint.ListOptions{}) {
				refused("list", err)
			}
			w := stint.NewWorker(q, stint.WorkerConfig{})
			stint.Handle(w, func(context.Context, *stint.Task[work]) error { return nil })
			refused("worker", w.Run(ctx))
			refused("scheduler", stint.NewScheduler(nil, q).Run(ctx))
		}
		require.Equal(t, []string{"stint:{promises}:layout"}, keysOf(t, rdb))
	})
}

// The first to write notes the layout; who only reads does not.
func TestLayoutIsNoted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		_, err := q.Get(ctx, "a")
		require.ErrorIs(t, err, stint.ErrNotFound)
		require.Empty(t, keysOf(t, rdb))
		_, err = stint.NewQueue("promises", rdb).Submit(ctx, work{})
		require.NoError(t, err)
		require.Equal(t, "2", rdb.Get(ctx, "stint:{promises}:layout").Val())
	})
}

// A queue of the layout before stays so, until there is something in it that
// the version before does not know: a plain job that starts later.
func TestLayoutIsRaised(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		const layout = "stint:{promises}:layout"
		require.NoError(t, rdb.Set(ctx, layout, 1, 0).Err())
		later := stint.NewJob{Args: work{}, Spec: stint.JobSpec{Delay: time.Hour}}
		named := stint.NewJob{Args: work{}, Spec: stint.JobSpec{Name: "named", Delay: time.Hour}}
		_, err := q.SubmitMany(ctx, []stint.NewJob{{Args: work{}}, named})
		require.NoError(t, err)
		require.Equal(t, "1", rdb.Get(ctx, layout).Val())
		for _, jobs := range [][]stint.NewJob{{later}, {{Args: work{}}, later}, {later, named}} {
			require.NoError(t, rdb.Set(ctx, layout, 1, 0).Err())
			_, err := q.SubmitMany(ctx, jobs)
			require.NoError(t, err)
			require.Equal(t, "2", rdb.Get(ctx, layout).Val())
		}
		require.EqualValues(t, 3, rdb.ZCard(ctx, "stint:{promises}:later:work").Val())
	})
}

// previous builds the program of the version before.
func previous(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Open("testdata/previous.tar.gz")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	unzipped, err := gzip.NewReader(f)
	require.NoError(t, err)
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if h.Typeflag != tar.TypeReg {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		require.True(t, filepath.IsLocal(h.Name), h.Name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	main, err := os.ReadFile("testdata/previous_main.go.txt")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "previous"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "previous", "main.go"), main, 0o600))
	bin := filepath.Join(dir, "before")
	build := exec.Command("go", "build", "-o", bin, "./previous")
	build.Dir = dir
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s\nafter a change of the library's API: script/previous COMMIT", out)
	return bin
}

// F89, F121: the version before has left jobs in every state, its worker is
// killed amid its tasks, and the present version finishes them. Then workers
// of both work side by side on what both submit, and each reads what the
// other has done. A change that breaks this raises Layout, or keeps
// reading what was: see script/previous.
func TestPreviousVersion(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds a program")
	}
	bin := previous(t)
	s := redistest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*within)
	defer cancel()
	q := stint.NewQueue("versions", s.Client())
	before := func(verb string) string {
		out, err := exec.CommandContext(ctx, bin, verb, s.Addr()).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	worker := func(held int) *exec.Cmd {
		cmd := exec.Command(bin, "work", s.Addr())
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		for lines := bufio.NewScanner(out); held >= 0; held-- { // "works", then "held" for each
			require.True(t, lines.Scan())
		}
		go func() { _, _ = io.Copy(io.Discard, out) }()
		return cmd
	}
	before("submit")
	require.NoError(t, worker(4).Process.Kill())

	w := stint.NewWorker(q, stint.WorkerConfig{Lease: time.Second, Concurrency: 5})
	stint.HandleResult(w, func(ctx context.Context, task *stint.Task[work]) (string, error) {
		if task.Args.N == 100 {
			var left string
			if ok, err := task.Checkpoint(ctx, &left); err != nil || !ok || left != "before" {
				return "", stint.FailJob(fmt.Errorf("checkpoint %q: %t, %w", left, ok, err))
			}
		}
		return "now", nil
	})
	startWorker(t, w)
	_, err := q.Resume(ctx, "suspended")
	require.NoError(t, err)
	finished := func(want map[string]int) {
		t.Helper()
		for name, succeeded := range want {
			j, err := q.Wait(ctx, name)
			require.NoError(t, err, name)
			require.Equal(t, stint.PhaseComplete, j.Phase(), "%s: %+v", name, j.Status)
			require.GreaterOrEqual(t, j.Status.Succeeded, succeeded, name)
		}
	}
	finished(map[string]int{"named": 1, "delayed": 1, "suspended": 1, "indexed": 30, "held": 4, "success": 2})

	worker(0)
	_, err = q.Submit(ctx, work{1}, stint.JobSpec{Name: "both", CompletionMode: stint.Indexed, Completions: new(2000), Parallelism: new(10)})
	require.NoError(t, err)
	jobs := make([]stint.NewJob, 100)
	for i := range jobs {
		jobs[i] = stint.NewJob{Args: work{i}, Spec: stint.JobSpec{Backoff: quick()}}
	}
	out, err := q.SubmitMany(ctx, jobs)
	require.NoError(t, err)
	want := map[string]int{"both": 2000}
	for _, o := range out {
		want[o.Job.Name] = 1
	}
	finished(want)
	by := map[string]int{}
	for r, err := range stint.Results[string](ctx, q, "both") {
		require.NoError(t, err)
		by[r.Value]++
	}
	require.Equal(t, 2000, by["now"]+by["before"])
	require.Positive(t, by["now"])
	require.Positive(t, by["before"], "both have worked")
	c, err := q.GetCron(ctx, "every")
	require.NoError(t, err)
	require.False(t, c.Status.LastSuccessfulTime.IsZero())
	require.NoError(t, q.DeleteCron(ctx, "every"))

	read := before("read")
	n := 0
	for j, err := range q.List(ctx, stint.ListOptions{}) {
		require.NoError(t, err)
		require.Contains(t, read, fmt.Sprintln(j.Name, j.Phase(), j.Status.Succeeded))
		n++
	}
	require.Equal(t, n, strings.Count(read, "\n"), "each reads what the other does")
}
