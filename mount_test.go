package stint_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

func TestBadMountsAreRefused(t *testing.T) {
	t.Parallel()
	for name, mounts := range map[string][]stint.Mount{
		"spec.mounts[0]":           {{}},
		"spec.mounts[0].configMap": {{ConfigMap: "No"}},
		"spec.mounts[0].secret":    {{Secret: "No"}},
		"spec.mounts[0].name":      {{ConfigMap: "a", Name: "a.b"}},
		"spec.mounts[1].name":      {{ConfigMap: "a"}, {ConfigMap: "a"}},
		"spec.mounts[2].name":      {{ConfigMap: "a"}, {Secret: "a"}, {Secret: "b", Name: "a"}},
		"spec.mounts[0].keys[1]":   {{ConfigMap: "a", Keys: []string{"k", "k"}}},
		"spec.mounts":              make([]stint.Mount, 65),
	} {
		err := stint.Submission{Kind: "k", Spec: stint.JobSpec{Mounts: mounts}}.Validate()
		requireField(t, err, name)
	}
	good := []stint.Mount{{ConfigMap: "a"}, {Secret: "a"}, {Secret: "b.c", Name: "d"}, {ConfigMap: "a", Name: "e"}}
	require.NoError(t, stint.Submission{Kind: "k", Spec: stint.JobSpec{Mounts: good}}.Validate())
}

func TestOptionalMountsMayBeMissing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			if _, err := task.Config("a"); err == nil {
				return stint.FailJob(nil)
			} else if _, other := task.Config("b"); other == nil || !strings.Contains(other.Error(), "not mounted") {
				return stint.FailJob(other)
			}
			_, err := task.Config("a")
			return task.SetResult(err.Error())
		})
		job, err := q.Submit(ctx, work{}, stint.JobSpec{Mounts: []stint.Mount{{ConfigMap: "a", Optional: true}}})
		require.NoError(t, err)
		text, err := stint.Await[string](ctx, q, job.Name)
		require.NoError(t, err)
		require.Contains(t, text, "not found")
	})
}

// A missing config map keeps jobs of every form pending, and nothing is counted.
func TestMissingMountsKeepPending(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		got := make(chan string, 100)
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			c, err := task.Config("settings")
			if err != nil {
				return err
			}
			got <- c.Data["level"]
			return task.SetResult(task.Attempt)
		})
		mounts := []stint.Mount{{Name: "settings", ConfigMap: "app", Keys: []string{"level"}}}
		plain, err := q.Submit(ctx, work{}, stint.JobSpec{Mounts: mounts})
		require.NoError(t, err)
		spec := stint.JobSpec{Name: "indexed", CompletionMode: stint.Indexed, Completions: new(20), Parallelism: new(3), Mounts: mounts}
		_, err = q.Submit(ctx, work{}, spec)
		require.NoError(t, err)
		for _, name := range []string{plain.Name, "indexed"} {
			require.Eventually(t, func() bool {
				why, err := q.Explain(ctx, name)
				return err == nil && why.Reasons[0].Code == stint.WhyMissingMount && strings.Contains(why.Reasons[0].Message, `config map "app" is missing`)
			}, within, time.Millisecond, name)
			job, err := q.Get(ctx, name)
			require.NoError(t, err)
			require.Zero(t, job.Status.Failed)
			events, err := q.Events(ctx, name)
			require.NoError(t, err)
			require.Contains(t, fmt.Sprint(events), stint.EventFailedMount)
		}
		_, err = q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "app", Data: map[string]string{"other": "x"}})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			why, err := q.Explain(ctx, "indexed")
			return err == nil && strings.Contains(why.Reasons[0].Message, `has no key "level"`)
		}, within, time.Millisecond)
		_, err = q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "app", Data: map[string]string{"level": "info"}})
		require.NoError(t, err)
		for range 21 {
			require.Equal(t, "info", <-got)
		}
		attempt, err := stint.Await[int](ctx, q, plain.Name)
		require.NoError(t, err)
		require.Equal(t, 1, attempt, "waiting is no attempt")
		done, err := q.Wait(ctx, "indexed")
		require.NoError(t, err)
		require.Zero(t, done.Status.Failed)
		require.Equal(t, 20, done.Status.Succeeded)
		require.Zero(t, rdb.Exists(ctx, "stint:{promises}:lacks:config/app").Val())
	})
}

// An update of what a pending job mounts is looked at at once.
func TestMountsOfAPendingJobChange(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "typo", Mounts: []stint.Mount{{ConfigMap: "ap"}}})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			why, err := q.Explain(ctx, "typo")
			return err == nil && why.Reasons[0].Code == stint.WhyMissingMount
		}, within, time.Millisecond)
		_, err = q.Update(ctx, "typo", func(s *stint.JobSpec) { s.Mounts = nil })
		require.NoError(t, err)
		job, err := q.Wait(ctx, "typo")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, job.Phase())
	})
}
