package batchv1_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batchv1"
)

// submissions are jobs that use every field, in one way or another.
func submissions() map[string]stint.Submission {
	return map[string]stint.Submission{
		"least": {Kind: "k"},
		"indexed": {Kind: "k.1_x", Args: []byte(`{"a": "<é>", "b": [1, 2.50]}`), Spec: stint.JobSpec{
			Name:                 "all-of-it",
			Labels:               map[string]string{"a": "b", "on": "yes", "n": "1"},
			Annotations:          map[string]string{"note": "several\nlines: - 'x' \"y\" \t\u2028 # \x7f \U0001f600"},
			Completions:          new(4),
			Parallelism:          new(0),
			CompletionMode:       stint.Indexed,
			BackoffLimit:         new(0),
			BackoffLimitPerIndex: new(2),
			MaxFailedIndexes:     new(3),
			FailurePolicy: &stint.FailurePolicy{Rules: []stint.FailureRule{
				{Action: stint.ActionFailIndex, OnCodes: &stint.CodesRule{Operator: stint.OperatorNotIn, Values: []int{0, 255}}},
				{Action: stint.ActionIgnore, OnConditions: []stint.ConditionPattern{{Type: stint.DisruptionTarget}, {Type: "T", Status: "False"}}},
				{Action: stint.ActionCount, OnErrors: []string{"Throttled"}},
			}},
			SuccessPolicy: &stint.SuccessPolicy{Rules: []stint.SuccessRule{
				{SucceededIndexes: new("0,2-3"), SucceededCount: new(2)}, {SucceededIndexes: new("")},
			}},
			ReplacementPolicy: stint.Failed,
			ActiveDeadline:    new(90 * time.Second),
			AttemptTimeout:    time.Hour,
			TTLAfterFinished:  new(time.Duration(0)),
			Suspend:           true,
			StartAt:           time.Date(2026, 3, 29, 2, 30, 0, 5_000_000, time.UTC),
			Backoff:           &stint.Backoff{Initial: time.Millisecond, Max: time.Hour, Factor: 1.5, Jitter: 0.25, Scope: stint.ScopeTask},
			LostLimit:         new(0),
		}},
		"fractions": {Kind: "k", Args: []byte(`null`), Spec: stint.JobSpec{
			ActiveDeadline:   new(time.Duration(1)),
			AttemptTimeout:   1500 * time.Millisecond,
			TTLAfterFinished: new(time.Nanosecond),
			Delay:            time.Minute + time.Millisecond,
			Backoff:          &stint.Backoff{Scope: stint.ScopeJob},
			LostCounts:       true,
		}},
		"extremes": {Kind: "k", Spec: stint.JobSpec{
			ActiveDeadline:   new(time.Duration(math.MaxInt64)),
			AttemptTimeout:   math.MaxInt64,
			TTLAfterFinished: new(stint.NeverExpire - 1),
			FailurePolicy:    &stint.FailurePolicy{},
		}},
		"mounts": {Kind: "k", Spec: stint.JobSpec{Mounts: []stint.Mount{
			{ConfigMap: "app"},
			{Secret: "app", Optional: true},
			{Name: "settings", ConfigMap: "app.v2", Keys: []string{"level", "a.b_c"}},
			{Name: "db", Secret: "db", Keys: []string{"password"}, Optional: true},
			{ConfigMap: "stint-9"},
		}}},
		"kept for ever": {Kind: "k", Spec: stint.JobSpec{TTLAfterFinished: new(stint.NeverExpire)}},
	}
}

func TestWhatIsWrittenReadsBackTheSame(t *testing.T) {
	t.Parallel()
	for name, s := range submissions() {
		require.NoError(t, s.Validate(), name)
		c := &stint.CronJob{
			Name: "c", Schedule: "@every 90m", TimeZone: "Europe/Rome", StartingDeadline: new(1500 * time.Millisecond),
			ConcurrencyPolicy: stint.SkipConcurrent, Suspend: true, SuccessfulJobsHistoryLimit: new(0), FailedJobsHistoryLimit: new(7),
			JobKind: s.Kind, RawArgs: s.Args, Job: s.Spec,
		}
		c.Job.Name = ""
		want := []batchv1.Object{{Namespace: "q", Job: &s}, {CronJob: c}}
		for _, encode := range []func(...batchv1.Object) ([]byte, error){batchv1.EncodeJSON, batchv1.EncodeYAML} {
			data, err := encode(want...)
			require.NoError(t, err, name)
			got, list, err := batchv1.Decode(data)
			require.NoError(t, err, "%s\n%s", name, data)
			require.Equal(t, want, got, "%s\n%s", name, data)
			require.Empty(t, list, "nothing is lost")
		}
	}
}

func TestKubernetesOwnJobNeedsNoAnnotationForItsRetries(t *testing.T) {
	t.Parallel()
	s, _, err := batchv1.DecodeJob(job("", neverRestart))
	require.NoError(t, err)
	data, err := batchv1.EncodeYAML(batchv1.Object{Job: &s})
	require.NoError(t, err)
	require.Equal(t, `apiVersion: batch/v1
kind: Job
metadata:
  annotations:
    stint.dev/args: '{}'
    stint.dev/kind: k
  name: j
spec:
  template:
    spec:
      containers:
      - name: handler
      restartPolicy: Never
`, string(data))
}

func TestAnnotationsUnderOurNamesAreNotWritten(t *testing.T) {
	t.Parallel()
	s := stint.Submission{Kind: "k", Spec: stint.JobSpec{Annotations: map[string]string{"stint.dev/delay": "1h", "a": "b"}}}
	data, err := batchv1.EncodeJSON(batchv1.Object{Job: &s})
	require.NoError(t, err)
	again, _, err := batchv1.DecodeJob(data)
	require.NoError(t, err)
	require.Zero(t, again.Spec.Delay)
	require.Equal(t, map[string]string{"a": "b"}, again.Spec.Annotations)
	require.Contains(t, s.Spec.Annotations, "stint.dev/delay", "the caller's are left alone")
}

func TestStatusIsWritten(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 4, 4, 5, 6, time.FixedZone("", 3600))
	j := &stint.Job{
		Name: "j", UID: "u", Queue: "q", Kind: "k", Generation: 2, CreatedAt: at, Args: []byte(`[]`),
		Spec: stint.JobSpec{Name: "j", BackoffLimitPerIndex: new(1), Backoff: &stint.Backoff{Scope: stint.ScopeJob}, LostCounts: true},
		Status: stint.JobStatus{
			Conditions: []stint.Condition{{Type: stint.JobSuspended, Status: stint.ConditionFalse, Reason: "JobResumed", Message: "m", TransitionAt: at}},
			StartedAt:  at, CompletedAt: at, Active: 1, Ready: 2, Terminating: 3, Succeeded: 4, Failed: 5, CompletedIndexes: "0-3",
		},
	}
	data, err := batchv1.EncodeYAML(batchv1.FromJob(j))
	require.NoError(t, err)
	require.Equal(t, `apiVersion: batch/v1
kind: Job
metadata:
  annotations:
    stint.dev/args: '[]'
    stint.dev/kind: k
  creationTimestamp: "2026-01-02T03:04:05Z"
  generation: 2
  name: j
  namespace: q
  uid: u
spec:
  backoffLimitPerIndex: 1
  template:
    spec:
      containers:
      - name: handler
      restartPolicy: Never
status:
  active: 1
  completedIndexes: 0-3
  completionTime: "2026-01-02T03:04:05Z"
  conditions:
  - lastProbeTime: "2026-01-02T03:04:05Z"
    lastTransitionTime: "2026-01-02T03:04:05Z"
    message: m
    reason: JobResumed
    status: "False"
    type: Suspended
  failed: 5
  failedIndexes: ""
  ready: 2
  startTime: "2026-01-02T03:04:05Z"
  succeeded: 4
  terminating: 3
`, string(data))
}

func TestStatusOfACronJobIsWritten(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := &stint.CronJob{
		Name: "c", Schedule: "@daily", Args: env{"A": "B"}, UID: "u", Generation: 1, CreatedAt: at,
		Status: stint.CronJobStatus{Active: []string{"c-1"}, LastScheduleTime: at, LastSuccessfulTime: at},
	}
	data, err := batchv1.EncodeYAML(batchv1.FromCronJob("q", c))
	require.NoError(t, err)
	require.Contains(t, string(data), `
status:
  active:
  - apiVersion: batch/v1
    kind: Job
    name: c-1
    namespace: q
  lastScheduleTime: "2026-01-02T03:04:05Z"
  lastSuccessfulTime: "2026-01-02T03:04:05Z"
`)
	again, _, err := batchv1.DecodeCronJob(data)
	require.NoError(t, err)
	require.Equal(t, "script", again.JobKind)
	require.JSONEq(t, `{"A": "B"}`, string(again.RawArgs))
}

func TestWhatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]batchv1.Object{
		"none of Job, CronJob":            {},
		`job "j": args are not JSON`:      {Job: &stint.Submission{Args: []byte("\x00"), Spec: stint.JobSpec{Name: "j"}}},
		`cron job "c": args are not JSON`: {CronJob: &stint.CronJob{Name: "c", RawArgs: []byte("{")}},
		`job "": backoff`:                 {Job: &stint.Submission{Spec: stint.JobSpec{Backoff: &stint.Backoff{Factor: math.NaN()}}}},
	} {
		_, err := batchv1.EncodeJSON(o)
		require.ErrorContains(t, err, want)
		_, err = batchv1.EncodeYAML(o)
		require.ErrorContains(t, err, want)
	}
}
