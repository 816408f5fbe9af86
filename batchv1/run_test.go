package batchv1_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batchv1"
	"github.com/stint-go/stint/embedded"
)

func manifest(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "jobs", name))
	require.NoError(t, err)
	return data
}

type env map[string]string

func (env) Kind() string { return "script" }

// script plays a container: it exits with a code, 0 for success, or goes on
// until it is told to stop.
type script func(index, attempt int) int

const untilStopped = -1

var errExit = errors.New("exit")

// exits is a script that exits with code at the indexes, and succeeds else.
func exits(code int, indexes ...int) script {
	return func(index, _ int) int {
		for _, i := range indexes {
			if i == index {
				return code
			}
		}
		return 0
	}
}

// play submits a manifest and works it off, with hardly any backoff.
func play(t *testing.T, data []byte, s script) *stint.Job {
	t.Helper()
	rdb, stop := embedded.Redis()
	t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	q := stint.NewQueue("manifests", rdb, stint.QueueConfig{Keys: []stint.Key{{ID: "k", Secret: stint.NewSecretValue(make([]byte, 32))}}})
	w := stint.NewWorker(q, stint.WorkerConfig{Concurrency: 12})
	stint.Handle(w, func(ctx context.Context, task *stint.Task[env]) error {
		switch code := s(task.Index, task.Attempt); code {
		case 0:
			return nil
		case untilStopped:
			<-ctx.Done()
			return context.Cause(ctx)
		default:
			return stint.Code(code, errExit)
		}
	})
	var all sync.WaitGroup
	all.Go(func() { _ = w.Run(ctx) })
	t.Cleanup(func() { cancel(); all.Wait() })

	sub, _, err := batchv1.DecodeJob(data)
	require.NoError(t, err)
	require.Equal(t, &stint.Backoff{Scope: stint.ScopeJob}, sub.Spec.Backoff, "as in Kubernetes")
	sub.Spec.Backoff = &stint.Backoff{Initial: time.Millisecond, Max: time.Millisecond, Scope: stint.ScopeJob}
	job, err := q.SubmitRaw(ctx, sub)
	require.NoError(t, err)
	for _, m := range sub.Spec.Mounts { // it waits for them
		s := stint.Secret{Name: m.Secret, Data: map[string]stint.SecretValue{m.Keys[0]: stint.NewSecretValue("x")}}
		_, err = q.ApplySecret(ctx, s)
		require.NoError(t, err)
	}
	job, err = q.Wait(ctx, job.Name)
	require.NoError(t, err)
	return job
}

// ending is what Kubernetes says of a job that has ended.
type ending struct {
	Type, Target, Reason string
	Succeeded, Failed    int
	Completed            string
	FailedIndexes        any // nil: not there
}

func TestManifestsEndAsInKubernetes(t *testing.T) {
	t.Parallel()
	for file, c := range map[string]struct {
		script script
		want   ending
	}{
		"report.yaml": {
			func(_, attempt int) int { return map[bool]int{true: 1}[attempt < 3] },
			ending{"Complete", "SuccessCriteriaMet", "CompletionsReached", 1, 2, "", nil},
		},
		"ignore-throttled.yaml": {
			func(_, attempt int) int { return map[bool]int{true: 75}[attempt < 3] },
			ending{"Complete", "SuccessCriteriaMet", "CompletionsReached", 1, 0, "", nil},
		},
		"retry-each-index.yaml": { // 1 and 4: two attempts each; 7: one
			func(index, _ int) int { return map[int]int{1: 1, 4: 1, 7: 3}[index] },
			ending{"Failed", "FailureTarget", "FailedIndexes", 7, 5, "0,2,3,5,6,8,9", "1,4,7"},
		},
		"too-many-failed-indexes.yaml": {
			exits(1, 0, 1),
			ending{"Failed", "FailureTarget", "MaxFailedIndexesExceeded", 0, 2, "", "0,1"},
		},
		"leader-suffices.yaml": {
			func(index, _ int) int { return map[bool]int{true: untilStopped}[index != 2] },
			ending{"Complete", "SuccessCriteriaMet", "SuccessPolicy", 1, 0, "2", ""},
		},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			job := play(t, manifest(t, file), c.script)
			require.Equal(t, c.want, endingOf(t, job))
		})
	}
}

// TestManifestStopsOnBadInput fails whatever else runs: how many more than
// one had failed by then is not certain.
func TestManifestStopsOnBadInput(t *testing.T) {
	t.Parallel()
	job := play(t, manifest(t, "stop-on-bad-input.yaml"), exits(42, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11))
	got := endingOf(t, job)
	require.Equal(t, []any{"Failed", "FailureTarget", "PodFailurePolicy"}, []any{got.Type, got.Target, got.Reason})
	require.Zero(t, got.Succeeded)
	require.GreaterOrEqual(t, got.Failed, 1)
	require.LessOrEqual(t, got.Failed, 3, "no more than ran at a time")
}

// endingOf writes a job, reads its status as a client of Kubernetes would,
// and sees that the rest of it can be read back.
func endingOf(t *testing.T, job *stint.Job) ending {
	t.Helper()
	data, err := batchv1.EncodeJSON(batchv1.FromJob(job))
	require.NoError(t, err)
	again, _, err := batchv1.DecodeJob(data)
	require.NoError(t, err)
	require.Equal(t, stint.Submission{Kind: job.Kind, Args: job.Args, Spec: job.Spec}, again)

	var m struct {
		Metadata map[string]any
		Status   struct {
			Conditions []struct {
				Type, Status, Reason string
				LastTransitionTime   time.Time
			}
			StartTime        time.Time
			CompletionTime   *time.Time
			Succeeded        int
			Failed           int
			CompletedIndexes string
			FailedIndexes    any
		}
	}
	require.NoError(t, json.Unmarshal(data, &m))
	require.Equal(t, job.UID, m.Metadata["uid"])
	s := m.Status
	require.Len(t, s.Conditions, 2)
	target, last := s.Conditions[0], s.Conditions[1]
	require.Equal(t, []string{"True", "True"}, []string{target.Status, last.Status})
	require.Equal(t, target.Reason, last.Reason)
	require.False(t, last.LastTransitionTime.IsZero())
	require.False(t, s.StartTime.IsZero())
	require.Equal(t, last.Type == "Complete", s.CompletionTime != nil)
	return ending{last.Type, target.Type, last.Reason, s.Succeeded, s.Failed, s.CompletedIndexes, s.FailedIndexes}
}

func TestManifestOfACronJobRuns(t *testing.T) {
	t.Parallel()
	rdb, stop := embedded.Redis()
	defer stop()
	q := stint.NewQueue("manifests", rdb)
	objects, _, err := batchv1.Decode(manifest(t, "nightly.yaml"))
	require.NoError(t, err)
	require.Len(t, objects, 2)
	applied, err := q.ApplyCron(t.Context(), *objects[0].CronJob)
	require.NoError(t, err)
	require.Equal(t, int64(1), applied.Generation)
	again, err := q.ApplyCron(t.Context(), *objects[0].CronJob)
	require.NoError(t, err)
	require.Equal(t, int64(1), again.Generation, "the same manifest changes nothing")
	run, err := q.RunCron(t.Context(), "nightly")
	require.NoError(t, err)
	require.JSONEq(t, `{"DEPTH": "full"}`, string(run.Args))
	require.Equal(t, map[string]string{"part": "night"}, run.Spec.Labels)

	held, err := q.SubmitRaw(t.Context(), *objects[1].Job)
	require.NoError(t, err)
	held, err = q.Get(t.Context(), held.Name)
	require.NoError(t, err)
	require.Equal(t, stint.PhaseSuspended, held.Phase())

	data, err := batchv1.EncodeYAML(batchv1.FromCronJob("manifests", again), batchv1.FromJob(held))
	require.NoError(t, err)
	written, _, err := batchv1.Decode(data)
	require.NoError(t, err)
	require.Equal(t, objects[0].CronJob.Job, written[0].CronJob.Job)
	require.Equal(t, held.Spec, written[1].Job.Spec)
}
