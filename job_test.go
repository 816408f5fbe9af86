package stint

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/rules"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	policy := &FailurePolicy{}
	tests := map[string]struct {
		in   JobSpec
		want func(*JobSpec)
	}{
		"B001 neither completions nor parallelism": {
			JobSpec{},
			func(s *JobSpec) { s.Completions, s.Parallelism = new(1), new(1) },
		},
		"B002 parallelism alone makes a work queue": {
			JobSpec{Parallelism: new(3)},
			func(s *JobSpec) { s.Completions, s.Parallelism = nil, new(3) },
		},
		"B003 completions alone": {
			JobSpec{Completions: new(5)},
			func(s *JobSpec) { s.Completions, s.Parallelism = new(5), new(1) },
		},
		"B004 backoff limit": {
			JobSpec{},
			func(s *JobSpec) { s.BackoffLimit = new(6) },
		},
		"B005 backoff limit with a limit per index": {
			JobSpec{BackoffLimitPerIndex: new(1)},
			func(s *JobSpec) { s.BackoffLimit = new(math.MaxInt32) },
		},
		"B006 completion mode and suspend": {
			JobSpec{},
			func(s *JobSpec) { s.CompletionMode, s.Suspend = NonIndexed, false },
		},
		"B007 replacement policy": {
			JobSpec{},
			func(s *JobSpec) { s.ReplacementPolicy = TerminatingOrFailed },
		},
		"B008 replacement policy with a failure policy": {
			JobSpec{FailurePolicy: policy},
			func(s *JobSpec) { s.ReplacementPolicy = Failed },
		},
		"ours": {
			JobSpec{},
			func(s *JobSpec) {
				s.TTLAfterFinished, s.LostLimit = new(time.Hour), new(3)
				s.Backoff = &Backoff{Initial: 10 * time.Second, Max: 10 * time.Minute, Factor: 2, Scope: ScopeTask}
			},
		},
		"what is set stays": {
			JobSpec{
				Completions: new(0), Parallelism: new(0), CompletionMode: Indexed, BackoffLimit: new(0),
				ReplacementPolicy: Failed, TTLAfterFinished: new(time.Duration(0)), LostLimit: new(0),
			},
			func(s *JobSpec) {
				s.Completions, s.Parallelism, s.CompletionMode, s.BackoffLimit = new(0), new(0), Indexed, new(0)
				s.ReplacementPolicy, s.TTLAfterFinished, s.LostLimit = Failed, new(time.Duration(0)), new(0)
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tt.in.withDefaults(time.Hour)
			want := got
			tt.want(&want)
			require.Equal(t, want, got)
			require.Equal(t, got, got.withDefaults(time.Minute), "a second time changes nothing")
		})
	}
}

func TestB009ConditionPatternDefaultsToTrue(t *testing.T) {
	t.Parallel()
	in := JobSpec{FailurePolicy: &FailurePolicy{Rules: []FailureRule{{
		OnConditions: []ConditionPattern{{Type: DisruptionTarget}, {Type: "Other", Status: ConditionFalse}},
	}}}}
	got := in.withDefaults(0).FailurePolicy.Rules[0].OnConditions
	require.Equal(t, []ConditionPattern{{DisruptionTarget, ConditionTrue}, {"Other", ConditionFalse}}, got)
	require.Empty(t, in.FailurePolicy.Rules[0].OnConditions[0].Status, "the caller's policy is not changed")
}

func TestSpecRules(t *testing.T) {
	t.Parallel()
	start := time.UnixMilli(1_700_000_000_123)
	backoff := rules.Backoff{Initial: 10_000, Max: 600_000, Factor: 2}
	tests := map[string]struct {
		in   JobSpec
		want rules.Spec
	}{
		"defaults": {JobSpec{}, rules.Spec{
			Completions: 1, Parallelism: 1, BackoffLimit: 6, PerIndex: rules.Unset, MaxFailed: rules.Unset,
			Deadline: rules.Unset, TTL: 3_600_000, Backoff: backoff, LostLimit: 3,
		}},
		"work queue, kept for ever": {JobSpec{Parallelism: new(2), TTLAfterFinished: new(time.Duration(math.MaxInt64))}, rules.Spec{
			Completions: rules.Unset, Parallelism: 2, BackoffLimit: 6, PerIndex: rules.Unset, MaxFailed: rules.Unset,
			Deadline: rules.Unset, TTL: rules.Unset, Backoff: backoff, LostLimit: 3,
		}},
		"everything": {
			JobSpec{
				Completions: new(9), Parallelism: new(4), CompletionMode: Indexed, BackoffLimit: new(8),
				BackoffLimitPerIndex: new(1), MaxFailedIndexes: new(2), FailurePolicy: &FailurePolicy{},
				ActiveDeadline: new(time.Microsecond), TTLAfterFinished: new(time.Duration(0)), Suspend: true, StartAt: start,
				Backoff:   &Backoff{Initial: time.Second, Max: time.Minute, Factor: 3, Scope: ScopeJob},
				LostLimit: new(0), LostCounts: true,
			},
			rules.Spec{
				Indexed: true, Completions: 9, Parallelism: 4, BackoffLimit: 8, PerIndex: 1, MaxFailed: 2,
				Deadline: 1, TTL: 0, Suspend: true, StartAt: start.UnixMilli(), ReplaceFailed: true,
				Backoff: rules.Backoff{Initial: 1000, Max: 60_000, Factor: 3, JobScope: true}, LostCounts: true,
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.in.withDefaults(time.Hour).rules())
		})
	}
}

func TestSuccessPolicyRules(t *testing.T) {
	t.Parallel()
	got := JobSpec{
		Completions: new(9), CompletionMode: Indexed,
		SuccessPolicy: &SuccessPolicy{Rules: []SuccessRule{
			{SucceededCount: new(2)},
			{SucceededIndexes: new("0,2-4"), SucceededCount: new(3)},
			{SucceededIndexes: new("")},
		}},
	}.withDefaults(0).rules().Success
	require.Len(t, got, 3)
	require.Nil(t, got[0].Indexes)
	require.Equal(t, 2, got[0].Count)
	require.Equal(t, 4, got[1].Indexes.Len())
	require.Equal(t, 3, got[1].Count)
	require.NotNil(t, got[2].Indexes, "an empty text is not the same as none")
	require.Equal(t, 0, got[2].Indexes.Len())
	require.Equal(t, rules.Unset, got[2].Count)
}

// The stored form is a promise to the records that are in Redis already.
func TestStoredSpec(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spec JobSpec
		text string
	}{
		"empty": {JobSpec{}, `{}`},
		"everything": {
			JobSpec{
				Name: "n", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"},
				Completions: new(5), Parallelism: new(0), CompletionMode: Indexed, BackoffLimit: new(1),
				BackoffLimitPerIndex: new(2), MaxFailedIndexes: new(3),
				FailurePolicy: &FailurePolicy{Rules: []FailureRule{
					{Action: ActionFailJob, OnCodes: &CodesRule{Operator: OperatorIn, Values: []int{1, 2}}},
					{Action: ActionIgnore, OnConditions: []ConditionPattern{{DisruptionTarget, ConditionTrue}}},
					{Action: ActionCount, OnErrors: []string{"busy"}},
				}},
				SuccessPolicy: &SuccessPolicy{Rules: []SuccessRule{
					{SucceededIndexes: new("0-2"), SucceededCount: new(1)}, {SucceededIndexes: new("")},
				}},
				ReplacementPolicy: Failed, ActiveDeadline: new(90 * time.Second), AttemptTimeout: time.Millisecond,
				TTLAfterFinished: new(time.Duration(0)), Suspend: true, StartAt: time.Unix(1_700_000_000, 0).UTC(), Delay: time.Hour,
				Backoff:   &Backoff{Initial: time.Second, Max: time.Minute, Factor: 1.5, Jitter: 0.5, Scope: ScopeTask},
				LostLimit: new(0), LostCounts: true,
			},
			`{"name":"n","labels":{"a":"b"},"annotations":{"c":"d"},
			"completions":5,"parallelism":0,"completionMode":"Indexed","backoffLimit":1,
			"backoffLimitPerIndex":2,"maxFailedIndexes":3,
			"podFailurePolicy":{"rules":[
				{"action":"FailJob","onExitCodes":{"operator":"In","values":[1,2]}},
				{"action":"Ignore","onPodConditions":[{"type":"DisruptionTarget","status":"True"}]},
				{"action":"Count","onErrors":["busy"]}]},
			"successPolicy":{"rules":[{"succeededIndexes":"0-2","succeededCount":1},{"succeededIndexes":""}]},
			"podReplacementPolicy":"Failed","activeDeadline":"1m30s","attemptTimeout":"1ms","ttlAfterFinished":"0s",
			"suspend":true,"startAt":"2023-11-14T22:13:20Z","delay":"1h0m0s",
			"backoff":{"initial":"1s","max":"1m0s","factor":1.5,"jitter":0.5,"scope":"Task"},
			"lostLimit":0,"lostCounts":true}`,
		},
		"for ever": {
			JobSpec{TTLAfterFinished: new(time.Duration(math.MaxInt64))},
			`{"ttlAfterFinished":"2562047h47m16.854775807s"}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(tt.spec)
			require.NoError(t, err)
			require.JSONEq(t, tt.text, string(text))
			var back JobSpec
			require.NoError(t, json.Unmarshal(text, &back))
			require.Equal(t, tt.spec, back)
		})
	}
}

func TestReadsBatchV1(t *testing.T) {
	t.Parallel()
	var s JobSpec
	require.NoError(t, json.Unmarshal([]byte(`{"parallelism":2,"activeDeadlineSeconds":90,"ttlSecondsAfterFinished":0,
		"podFailurePolicy":{"rules":[{"action":"Ignore","onExitCodes":{"containerName":"main","operator":"In","values":[3]}}]},
		"template":{"spec":{"restartPolicy":"Never"}}}`), &s))
	require.Equal(t, JobSpec{
		Parallelism: new(2), ActiveDeadline: new(90 * time.Second), TTLAfterFinished: new(time.Duration(0)),
		FailurePolicy: &FailurePolicy{Rules: []FailureRule{{Action: ActionIgnore, OnCodes: &CodesRule{OperatorIn, []int{3}}}}},
	}, s)
}

func TestReadingKeepsWhatIsAbsent(t *testing.T) {
	t.Parallel()
	s := JobSpec{
		Completions: new(3), ActiveDeadline: new(time.Hour), TTLAfterFinished: new(time.Hour), AttemptTimeout: time.Second,
		Backoff: &Backoff{Initial: time.Second, Factor: 3},
	}
	require.NoError(t, json.Unmarshal([]byte(`{"completions":null,"activeDeadlineSeconds":5,"ttlAfterFinished":null,"backoff":{"max":"1m"}}`), &s))
	require.Equal(t, JobSpec{
		ActiveDeadline: new(5 * time.Second), AttemptTimeout: time.Second,
		Backoff: &Backoff{Initial: time.Second, Max: time.Minute, Factor: 3},
	}, s)
}

func TestReadsNoBadSpec(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"activeDeadline":"soon"}`, `{"attemptTimeout":3}`, `{"backoff":{"initial":"x"}}`,
		`{"activeDeadlineSeconds":9223372037}`, `{"ttlSecondsAfterFinished":-9223372037}`, `{"completions":"two"}`,
	} {
		s := JobSpec{Name: "before"}
		require.Error(t, json.Unmarshal([]byte(text), &s), text)
		require.Equal(t, JobSpec{Name: "before"}, s, "nothing is half read")
	}
}

func TestPhase(t *testing.T) {
	t.Parallel()
	yes := func(types ...ConditionType) (out []Condition) {
		for _, c := range types {
			out = append(out, Condition{Type: c, Status: ConditionTrue})
		}
		return out
	}
	started := time.Unix(1, 0)
	tests := map[string]struct {
		status   JobStatus
		want     Phase
		finished bool
	}{
		"waiting for its start":    {JobStatus{}, PhasePending, false},
		"started":                  {JobStatus{StartedAt: started}, PhaseRunning, false},
		"suspended":                {JobStatus{Conditions: yes(JobSuspended)}, PhaseSuspended, false},
		"resumed":                  {JobStatus{StartedAt: started, Conditions: []Condition{{Type: JobSuspended, Status: ConditionFalse}}}, PhaseRunning, false},
		"failing":                  {JobStatus{StartedAt: started, Conditions: yes(JobFailureTarget)}, PhaseRunning, false},
		"failed":                   {JobStatus{StartedAt: started, Conditions: yes(JobFailureTarget, JobFailed)}, PhaseFailed, true},
		"completing":               {JobStatus{Conditions: yes(JobSuspended, JobSuccessCriteriaMet)}, PhaseRunning, false},
		"complete while suspended": {JobStatus{Conditions: yes(JobSuspended, JobSuccessCriteriaMet, JobComplete)}, PhaseComplete, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &Job{Status: tt.status}
			require.Equal(t, tt.want, j.Phase())
			require.Equal(t, tt.finished, j.Finished())
		})
	}
}

func TestCondition(t *testing.T) {
	t.Parallel()
	want := Condition{Type: JobFailed, Status: ConditionTrue, Reason: ReasonDeadlineExceeded}
	j := &Job{Status: JobStatus{Conditions: []Condition{{Type: JobFailureTarget}, want}}}
	got, ok := j.Condition(JobFailed)
	require.True(t, ok)
	require.Equal(t, want, got)
	_, ok = j.Condition(JobComplete)
	require.False(t, ok)
}

func TestGenerateName(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"a", "a_b.c", "a..b", strings.Repeat("k", 63), strings.Repeat("k", 20) + strings.Repeat("-", 40) + "k"} {
		a, b := generateName(kind), generateName(kind)
		require.NotEqual(t, a, b)
		require.True(t, isDNSLabel(a+"-2147483646"), a)
		require.Equal(t, kind[0], a[0])
		require.NotContains(t, a[1:len(a)-14], "_")
	}
}

func TestPlainSpecIsTheStoredForm(t *testing.T) {
	t.Parallel()
	stored := func(q *Queue, s JobSpec) string {
		data, err := q.plainSpec(&s)
		require.NoError(t, err)
		return string(data)
	}
	day, hour := NewQueue("q", nil, QueueConfig{DefaultTTL: 24 * time.Hour}), NewQueue("q", nil)
	require.Empty(t, stored(hour, JobSpec{}))
	require.Empty(t, stored(hour, JobSpec{Completions: new(1), Parallelism: new(2), Labels: map[string]string{}}))
	require.JSONEq(t, `{"ttlAfterFinished":"24h0m0s"}`, stored(day, JobSpec{}))
	for _, ttl := range []time.Duration{0, 1, 1500 * time.Nanosecond, 90 * time.Minute, NeverExpire} {
		s := JobSpec{TTLAfterFinished: &ttl}
		want, err := json.Marshal(s)
		require.NoError(t, err)
		require.Equal(t, string(want), stored(day, s))
		require.Equal(t, string(want), stored(hour, s))
	}
	require.JSONEq(t, `{"ttlAfterFinished":"24h0m0s","backoffLimit":0}`, stored(day, JobSpec{BackoffLimit: new(0)}))
}

// A field that plainSpec does not know of would be lost.
func TestNothingButTheTTLIsLeftOut(t *testing.T) {
	t.Parallel()
	apart := map[string]bool{"TTLAfterFinished": true, "Completions": true, "Parallelism": true}
	set := map[string]JobSpec{
		"Name": {Name: "x"}, "Labels": {Labels: map[string]string{"a": "b"}}, "Annotations": {Annotations: map[string]string{"a": "b"}},
		"CompletionMode": {CompletionMode: NonIndexed}, "BackoffLimit": {BackoffLimit: new(0)},
		"BackoffLimitPerIndex": {BackoffLimitPerIndex: new(0)}, "MaxFailedIndexes": {MaxFailedIndexes: new(0)},
		"FailurePolicy": {FailurePolicy: &FailurePolicy{}}, "SuccessPolicy": {SuccessPolicy: &SuccessPolicy{}},
		"ReplacementPolicy": {ReplacementPolicy: Failed}, "ActiveDeadline": {ActiveDeadline: new(time.Duration(0))},
		"AttemptTimeout": {AttemptTimeout: 1}, "Suspend": {Suspend: true}, "StartAt": {StartAt: time.Unix(0, 0)}, "Delay": {Delay: 1},
		"Resources": {Resources: Resources{Limits: ResourceList{"cpu": "1"}}}, "Backoff": {Backoff: &Backoff{}},
		"LostLimit": {LostLimit: new(0)}, "Mounts": {Mounts: make([]Mount, 1)}, "LostCounts": {LostCounts: true},
		"TTLAfterFinished": {TTLAfterFinished: new(time.Duration(0))}, "Completions": {Completions: new(0)}, "Parallelism": {Parallelism: new(0)},
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[JobSpec]()) {
		s, known := set[field.Name]
		require.True(t, known, "set %s here", field.Name)
		require.False(t, reflect.ValueOf(s).FieldByIndex(field.Index).IsZero(), field.Name)
		require.Equal(t, apart[field.Name], s.asksOnlyTTL(), field.Name)
	}
	requests := JobSpec{Resources: Resources{Requests: ResourceList{"cpu": "1"}}}
	require.False(t, requests.asksOnlyTTL())
}
