package stint_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
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

// callLog notes the words that a client sends to Redis.
type callLog struct {
	mu    sync.Mutex
	words []string
}

func (a *callLog) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a *callLog) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		a.note(cmd)
		return next(ctx, cmd)
	}
}

func (a *callLog) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		a.note(cmds...)
		return next(ctx, cmds)
	}
}

func (a *callLog) note(cmds ...redis.Cmder) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range cmds {
		a.words = append(a.words, fmt.Sprintf("%.2000s", c.Args()))
	}
}

// ofMounts counts the calls that name a key of config maps and secrets.
func (a *callLog) ofMounts() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.words {
		if strings.Contains(w, "}:object") || strings.Contains(w, "}:lacks") {
			n++
		}
	}
	return n
}

// Jobs without mounts ask nothing of Redis for these.
func TestJobsWithoutMountsPayNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		var calls callLog
		rdb.AddHook(&calls)
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		for i := range 20 {
			spec := stint.JobSpec{Backoff: quick()}
			if i%2 == 0 {
				spec.Name, spec.Completions, spec.Parallelism = fmt.Sprint("job-", i), new(5), new(5)
			}
			job, err := q.Submit(ctx, work{}, spec)
			require.NoError(t, err)
			_, err = q.Wait(ctx, job.Name)
			require.NoError(t, err)
		}
		require.Zero(t, calls.ofMounts())
		_, err := q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "app"})
		require.NoError(t, err)
		before := calls.ofMounts()
		job, err := q.Submit(ctx, work{}, stint.JobSpec{Mounts: []stint.Mount{{ConfigMap: "app"}}})
		require.NoError(t, err)
		_, err = q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Greater(t, calls.ofMounts(), before, "the test would see it")
	})
}

// A secret that does not open and then is deleted is missing: who waits for it
// is not tried again and again.
func TestUnopenedSecretIsDeleted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		_, err := withKeys(q, rdb, stint.QueueConfig{}, "k2").ApplySecret(ctx, secretOf("db", "password", "hush"))
		require.NoError(t, err)
		handle(t, withKeys(q, rdb, stint.QueueConfig{}, "k1"), stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "waits", Mounts: []stint.Mount{{Secret: "db"}}})
		require.NoError(t, err)
		waitsFor := func(text string) {
			t.Helper()
			require.Eventually(t, func() bool {
				why, err := q.Explain(ctx, "waits")
				return err == nil && strings.Contains(why.Reasons[0].Message, text)
			}, within, 10*time.Millisecond)
		}
		waitsFor(stint.ErrUnknownKey.Error())
		require.NoError(t, q.DeleteSecret(ctx, "db"))
		waitsFor(`secret "db" is missing`)
		_, err = withKeys(q, rdb, stint.QueueConfig{}, "k1").ApplySecret(ctx, secretOf("db", "password", "hush"))
		require.NoError(t, err)
		_, err = q.Wait(ctx, "waits")
		require.NoError(t, err)
	})
}

// What is damaged of one config map keeps no job from those that it mounts.
func TestDamagedObjectHarmsNoOther(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		_, err := q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "good"})
		require.NoError(t, err)
		key := "stint:{promises}:object:config/bad"
		require.NoError(t, rdb.SAdd(ctx, key, "x").Err())
		_, err = q.GetConfigMap(ctx, "bad")
		require.ErrorContains(t, err, "unreadable")
		spec := func(name string) stint.JobSpec {
			return stint.JobSpec{Name: name, Mounts: []stint.Mount{{ConfigMap: name}}}
		}
		_, err = q.SubmitMany(ctx, []stint.NewJob{{Args: work{}, Spec: spec("bad")}, {Args: work{}, Spec: spec("good")}})
		require.NoError(t, err)
		handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		_, err = q.Wait(ctx, "good")
		require.NoError(t, err)
		require.NoError(t, rdb.Del(ctx, key).Err())
		_, err = q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "bad"})
		require.NoError(t, err)
		_, err = q.Wait(ctx, "bad")
		require.NoError(t, err)
	})
}
