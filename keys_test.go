package stint_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// keyRows reads the table of keys in keys.go: a pattern for each, and its type.
func keyRows(t *testing.T) map[*regexp.Regexp]string {
	t.Helper()
	src, err := os.ReadFile("internal/store/keys.go")
	require.NoError(t, err)
	rows := map[*regexp.Regexp]string{}
	for line := range strings.Lines(string(src)) {
		f := strings.Fields(strings.TrimPrefix(line, "//"))
		if !strings.HasPrefix(line, "//\t") || len(f) < 3 || f[0] == "key" || strings.HasPrefix(line, "//\t ") {
			continue
		}
		pattern := regexp.MustCompile(`<[^>]+>`).ReplaceAllString(f[0], `[^:]+`)
		rows[regexp.MustCompile("^stint:{promises}:"+pattern+"$")] = f[1]
	}
	return rows
}

// Every key that a workload leaves is described in keys.go, with its type.
func TestEveryKeyIsDescribed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		rows := keyRows(t)
		require.Greater(t, len(rows), 15)
		seen := map[string]bool{}
		look := func() {
			for _, key := range keysOf(t, rdb) {
				kind, err := rdb.Type(ctx, key).Result()
				require.NoError(t, err)
				if kind == "none" {
					continue // gone meanwhile
				}
				known := false
				for row, want := range rows {
					if row.MatchString(key) {
						known = true
						seen[row.String()] = true
						require.Equal(t, want, kind, key)
					}
				}
				require.True(t, known, "no row describes %s", key)
			}
		}
		var n atomic.Int64
		held := make(chan struct{})
		stop := handle(t, q, stint.WorkerConfig{}, func(ctx context.Context, task *stint.Task[work]) error {
			switch {
			case task.Args.N == 1:
				if err := task.SaveCheckpoint(ctx, 1); err != nil {
					return err
				}
				<-held
			case n.Add(1)%3 == 0:
				return errors.New("now and then")
			}
			return task.SetResult(1)
		})
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "c", Schedule: "@hourly", Args: work{}})
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{1}, stint.JobSpec{Name: "held"})
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Delay: time.Hour})
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{1}, asks("requests", stint.ResourceList{"cpu": "1"}))
		require.NoError(t, err)
		spec := stint.JobSpec{
			CompletionMode: stint.Indexed, Completions: new(30), Parallelism: new(3), BackoffLimitPerIndex: new(1),
			Backoff: &stint.Backoff{Initial: time.Hour, Max: time.Hour},
		}
		_, err = q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		for range 10 {
			job, err := q.Submit(ctx, work{}, stint.JobSpec{Backoff: quick()})
			require.NoError(t, err)
			look()
			_, err = q.Wait(ctx, job.Name)
			require.NoError(t, err)
		}
		look()
		_, err = q.Suspend(ctx, "held")
		require.NoError(t, err)
		look()
		close(held)
		stop()
		look()
		require.Greater(t, len(seen), 12, "the workload touches most rows")
	})
}
