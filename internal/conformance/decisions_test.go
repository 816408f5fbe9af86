package conformance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// toyTimes reads "never", "hourly", "uneven" (hours 6, 10 and 14 of each day)
// and "half" (half past each hour).
func toyTimes(schedule, _ string) (func(time.Time) time.Time, error) {
	switch schedule {
	case "never":
		return func(time.Time) time.Time { return time.Time{} }, nil
	case "hourly", "half":
		offset := map[string]time.Duration{"hourly": 0, "half": 30 * time.Minute}[schedule]
		return func(t time.Time) time.Time {
			return t.Add(-offset).Truncate(time.Hour).Add(time.Hour + offset)
		}, nil
	case "uneven":
		return func(t time.Time) time.Time {
			for t = t.Truncate(time.Hour).Add(time.Hour); t.Hour() != 6 && t.Hour() != 10 && t.Hour() != 14; {
				t = t.Add(time.Hour)
			}
			return t
		}, nil
	}
	return nil, errors.New("no schedule")
}

// covering names the decisions that cover a difference.
func covering(s *Scenario, d Diff) string {
	var names []string
	for _, c := range Decisions(toyTimes) {
		if c.Applies(s) && c.Covers(s, d) {
			names = append(names, c.Name)
		}
	}
	return strings.Join(names, ", ")
}

func rejections(fields ...string) any {
	out := []any{}
	for _, f := range fields {
		out = append(out, map[string]any{"field": f, "reason": "FieldValueInvalid"})
	}
	return out
}

func TestEveryDecisionIsExplained(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, d := range Decisions(nil) {
		require.NotEmpty(t, d.Name)
		require.NotEmpty(t, d.Why)
		require.False(t, names[d.Name], d.Name)
		names[d.Name] = true
	}
}

func TestDecisionsOnRefusals(t *testing.T) {
	t.Parallel()
	const none = ""
	for _, c := range []struct {
		spec      string
		want, got any
		covered   string
	}{
		{`{"activeDeadlineSeconds": 0}`, rejections(), rejections("spec.activeDeadlineSeconds"), "no deadline of zero"},
		{`{"activeDeadlineSeconds": 0}`, rejections(), rejections("spec.activeDeadlineSeconds", "spec.completions"), none},
		{`{"activeDeadlineSeconds": 1}`, rejections(), rejections("spec.activeDeadlineSeconds"), none},
		{`{"activeDeadlineSeconds": 0}`, rejections("spec.completions"), rejections("spec.activeDeadlineSeconds"), none},
		{
			`{"activeDeadlineSeconds": 0}`, rejections("spec.completions"),
			rejections("spec.completions", "spec.activeDeadlineSeconds"), "no deadline of zero",
		},
		{
			`{"successPolicy": {"rules": [{"succeededCount": 1}, {"succeededCount": 0}]}}`, rejections(),
			rejections("spec.successPolicy.rules[1].succeededCount"), "no success by zero",
		},
		{
			`{"successPolicy": {"rules": [{"succeededCount": 1}]}}`, rejections(),
			rejections("spec.successPolicy.rules[0].succeededCount"), none,
		},
		{
			`{"podFailurePolicy": {"rules": [{"onExitCodes": {"containerName": "x"}}]}}`,
			rejections("spec.podFailurePolicy.rules[0].onExitCodes.containerName"), rejections(), "no containers",
		},
		{`{"podFailurePolicy": {"rules": [{"onExitCodes": {}}]}}`, rejections("spec.podFailurePolicy.rules[0].onExitCodes.containerName"), rejections(), none},
		{`{"managedBy": "a/b/c"}`, rejections("spec.managedBy"), rejections(), "no pods"},
		{`{"selector": {}}`, rejections("spec.selector.matchLabels"), rejections(), "no pods"},
		{`{"startingDeadlineSeconds": 0}`, rejections(), rejections("spec.startingDeadlineSeconds"), "no starting deadline of zero"},
		{`{"schedule": "never"}`, rejections(), rejections("spec.schedule"), "no schedule that is never due"},
		{`{"schedule": "hourly"}`, rejections(), rejections("spec.schedule"), none},
		{`{"schedule": "@every -5s"}`, rejections(), rejections("spec.schedule"), "no interval below a second"},
		{`{"schedule": "@every 1s"}`, rejections(), rejections("spec.schedule"), none},
		{`{"schedule": "TZ=UTC"}`, rejections(), rejections("spec.schedule"), none},
	} {
		s := &Scenario{Start: "2030-06-03T10:30:00Z", Spec: []byte(c.spec)}
		require.Equal(t, c.covered, covering(s, Diff{Step: -1, Field: FieldCreate, Want: c.want, Got: c.got}), c.spec)

		patched := &Scenario{Start: s.Start, Spec: []byte(`{}`), Steps: []Step{{Op: opPatch, Spec: []byte(c.spec)}}}
		require.Equal(t, c.covered, covering(patched, Diff{Step: 0, Field: "rejected", Want: c.want, Got: c.got}), c.spec)
		require.Empty(t, covering(patched, Diff{Step: -1, Field: FieldCreate, Want: c.want, Got: c.got}), "only where it was submitted")
		require.Empty(t, covering(patched, Diff{Step: 0, Field: "active", Want: 1.0, Got: 2.0}))
	}
}

func TestManagedBy(t *testing.T) {
	t.Parallel()
	d := Diff{Step: 0, Field: "active", Want: 0.0, Got: 1.0}
	require.Equal(t, "no other controller", covering(&Scenario{Spec: []byte(`{"managedBy": "a/b"}`), Steps: make([]Step, 1)}, d))
	require.Empty(t, covering(&Scenario{Spec: []byte(`{"managedBy": "kubernetes.io/job-controller"}`), Steps: make([]Step, 1)}, d))
}

func TestDelaySurvivesRestart(t *testing.T) {
	t.Parallel()
	const name = "the retry delay survives a restart"
	steps := []Step{{Op: opFail}, {Op: opSettle}, {Op: opRestart}, {Op: opSettle}}
	s := &Scenario{Spec: []byte(`{}`), Steps: steps}
	at := func(step int, field string, want, got any) string {
		return covering(s, Diff{Step: step, Op: opSettle, Field: field, Want: want, Got: got})
	}
	require.Equal(t, name, at(3, "nextRetryDelaySeconds", nil, 10.0))
	require.Equal(t, name, at(3, "nextRetryDelaySeconds", 10.0, 20.0))
	require.Empty(t, at(3, "nextRetryDelaySeconds", 20.0, 10.0), "only longer")
	require.Empty(t, at(3, "nextRetryDelaySeconds", 20.0, nil))
	require.Equal(t, name, at(3, "createdPods", 1.0, 0.0))
	require.Empty(t, at(3, "createdPods", 0.0, 1.0))
	require.Equal(t, name, at(3, "createdIndexes", []any{1.0}, []any{}))
	require.Equal(t, name, at(3, "pods", map[string]any{"pending": 1.0}, map[string]any{"pending": 0.0}))
	require.Empty(t, at(3, "failed", 1.0, 0.0))
	require.Empty(t, at(1, "createdPods", 1.0, 0.0), "before the restart")
	s.Spec = []byte(`{"backoffLimitPerIndex": 1}`)
	require.Empty(t, at(3, "createdPods", 1.0, 0.0), "kept in pods")
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	no := false
	s := &Scenario{Spec: []byte(`{"completionMode": "Indexed"}`), Steps: []Step{
		{Op: opSettle},
		{Op: opStart, Ready: &no},
		{Op: opSettle},
		{Op: opPatch, Spec: []byte(`{"parallelism": 1}`)},
		{Op: opSettle},
	}}
	ready := Diff{Step: 2, Field: "ready", Want: 1.0, Got: 2.0}
	require.Equal(t, "a started attempt is ready", covering(s, ready))
	require.Empty(t, covering(s, Diff{Step: 0, Field: "ready", Want: 1.0, Got: 2.0}))
	require.Empty(t, covering(s, Diff{Step: 2, Field: "ready", Want: 2.0, Got: 1.0}))
	victim := Diff{Step: 4, Field: "activeIndexes", Want: []any{1.0}, Got: []any{0.0}}
	require.Equal(t, "readiness does not choose whom to stop", covering(s, victim))
	victim.Got = []any{}
	require.Empty(t, covering(s, victim), "another number of them")
	victim = Diff{Step: 2, Field: "activeIndexes", Want: []any{1.0}, Got: []any{0.0}}
	require.Empty(t, covering(s, victim), "before the scale-down")
	s.Steps[1].Ready = nil
	require.Empty(t, covering(s, ready))
}

func TestUnwrittenStatus(t *testing.T) {
	t.Parallel()
	s := &Scenario{Spec: []byte(`{}`), Steps: []Step{
		{Op: opSettle, Expect: map[string]any{"controllerErrors": []any{"no"}}},
		{Op: opSettle, Expect: map[string]any{}},
	}}
	require.Equal(t, "the status is always written", covering(s, Diff{Step: 0, Field: "active", Want: 4.0, Got: 2.0}))
	require.Empty(t, covering(s, Diff{Step: 1, Field: "active", Want: 4.0, Got: 2.0}))
	require.Empty(t, covering(s, Diff{Step: 0, Field: "createdPods", Want: 4.0, Got: 2.0}))
}

// cronStep is a step in which the controller ran and saw this.
func cronStep(op, now string, last any, created ...string) Step {
	runs := []any{}
	for _, c := range created {
		runs = append(runs, run(c, now))
	}
	return Step{Op: op, Expect: map[string]any{"now": now, "lastScheduleTime": last, "createdJobs": runs, "activeCount": 1.0}}
}

func run(scheduled, at string) any {
	return map[string]any{"scheduled": scheduled, "createdAt": at, "scheduledAnnotation": scheduled}
}

func TestExactCatchUp(t *testing.T) {
	t.Parallel()
	const name = "catching up is exact"
	const day, due = "2030-06-03T", "2030-06-04T10:00:00Z"
	s := &Scenario{Start: day + "08:00:00Z", Spec: []byte(`{"schedule": "uneven"}`), Steps: []Step{
		cronStep(opSync, day+"10:00:10Z", day+"10:00:00Z"),
		cronStep(opJumpTo, "2030-06-04T12:00:00Z", day+"10:00:00Z"),
	}}
	d := Diff{Step: 1, Field: "lastScheduleTime", Want: day + "10:00:00Z", Got: due}
	require.Equal(t, name, covering(s, d))
	d.Field = "lastSuccessfulTime"
	require.Empty(t, covering(s, d))
	d.Field = "jobs"

	s.Spec = []byte(`{"schedule": "hourly"}`)
	require.Empty(t, covering(s, d), "even gaps")
	s.Spec = []byte(`{"schedule": "uneven", "suspend": true}`)
	require.Empty(t, covering(s, d))
	s.Spec = []byte(`{"schedule": "uneven", "startingDeadlineSeconds": 60}`)
	require.Empty(t, covering(s, d), "too late")
	s.Spec = []byte(`{"schedule": "uneven", "concurrencyPolicy": "Forbid"}`)
	require.Empty(t, covering(s, d), "the last one still runs")
	s.Spec = []byte(`{"schedule": "uneven"}`)
	s.Steps[1].Expect["lastScheduleTime"] = due
	require.Empty(t, covering(s, d), "Kubernetes found it")
}

func TestForbidNoLongerHeldBack(t *testing.T) {
	t.Parallel()
	const day = "2030-06-03T"
	s := &Scenario{Start: day + "08:00:00Z", Spec: []byte(`{"schedule": "uneven", "concurrencyPolicy": "Forbid"}`), Steps: []Step{
		cronStep(opSync, day+"10:00:10Z", day+"10:00:00Z"),
		{Op: opFinish},
		cronStep(opJumpTo, "2030-06-04T12:00:00Z", day+"10:00:00Z"),
	}}
	require.Equal(t, "catching up is exact", covering(s, Diff{Step: 2, Field: "jobs"}))
}

func TestOnTime(t *testing.T) {
	t.Parallel()
	const name = "a run starts when it is due"
	const due = "2030-06-03T11:00:00Z"
	s := &Scenario{Start: "2030-06-03T10:00:00Z", Spec: []byte(`{"schedule": "hourly"}`), Steps: []Step{
		cronStep(opRunUntil, due, nil),
		cronStep(opRunUntil, "2030-06-03T11:00:01Z", due, due),
	}}
	require.Equal(t, name, covering(s, Diff{Step: 0, Field: "lastScheduleTime", Want: nil, Got: due}))
	require.Empty(t, covering(s, Diff{Step: 0, Field: "lastScheduleTime", Want: nil, Got: "2030-06-03T10:00:00Z"}))
	created := Diff{Step: 1, Field: "createdJobs", Want: s.Steps[1].Expect["createdJobs"], Got: []any{}}
	require.Equal(t, name, covering(s, created), "it was there before")
	created.Got = []any{run("2030-06-03T10:30:00Z", due)}
	require.Empty(t, covering(s, created))
	s.Steps[0].Expect["lastScheduleTime"] = due
	created.Got = []any{}
	require.Empty(t, covering(s, created), "not when Kubernetes had it too")
}

func TestChangesLookForward(t *testing.T) {
	t.Parallel()
	const name = "a changed schedule looks forward"
	const day = "2030-06-03T"
	s := &Scenario{Start: day + "10:30:00Z", Spec: []byte(`{"schedule": "hourly"}`), Steps: []Step{
		cronStep(opRunUntil, day+"11:45:00Z", day+"11:00:00Z", day+"11:00:00Z"),
		{Op: opPatch, Spec: []byte(`{"schedule": "half"}`), Expect: map[string]any{"now": day + "11:45:00Z"}},
		cronStep(opRunUntil, day+"12:31:00Z", day+"12:30:00Z", day+"11:30:00Z", day+"12:30:00Z"),
	}}
	d := Diff{Step: 2, Field: "createdJobs", Want: s.Steps[2].Expect["createdJobs"], Got: []any{run(day+"12:30:00Z", day+"12:31:00Z")}}
	require.Equal(t, name, covering(s, d))
	require.Equal(t, name, covering(s, Diff{Step: 2, Field: "activeCount", Want: 2.0, Got: 1.0}))
	d.Got = []any{}
	require.Empty(t, covering(s, d), "the run after the change is owed")
	require.Empty(t, covering(s, Diff{Step: 0, Field: "activeCount", Want: 2.0, Got: 1.0}))
	s.Steps[2] = cronStep(opRunUntil, day+"12:31:00Z", day+"12:30:00Z", day+"12:30:00Z")
	require.Empty(t, covering(s, Diff{Step: 2, Field: "activeCount", Want: 2.0, Got: 1.0}), "no run of the past")
}

func TestSeveralRunsAMinute(t *testing.T) {
	t.Parallel()
	const name = "several runs a minute"
	d := Diff{Step: 0, Field: "jobs", Want: []any{1.0}, Got: []any{1.0, 2.0}}
	s := &Scenario{Spec: []byte(`{"schedule": "@every 20s"}`), Steps: []Step{{Op: opSync}}}
	require.Equal(t, name, covering(s, d))
	d.Got = []any{}
	require.Empty(t, covering(s, d))
	require.Empty(t, covering(&Scenario{Spec: []byte(`{"schedule": "@every 60s"}`), Steps: s.Steps}, Diff{Step: 0, Field: "activeCount"}))
}

func TestPolicyChangedWhileTerminating(t *testing.T) {
	t.Parallel()
	no := false
	change := Step{Op: opPatch, Spec: []byte(`{"podReplacementPolicy":"TerminatingOrFailed"}`)}
	evict, wait, settle := Step{Op: opDisrupt}, Step{Op: opSettle, Kubelet: &no}, Step{Op: opSettle}
	look := func(field string, steps ...Step) string {
		s := &Scenario{Spec: []byte(`{}`), Steps: append(steps, settle)}
		return covering(s, Diff{Step: len(steps), Op: opSettle, Field: field, Want: 1.0, Got: 0.0})
	}
	require.NotEmpty(t, look("failed", evict, wait, change))
	require.Empty(t, look("succeeded", evict, wait, change))
	require.Empty(t, look("failed", evict, settle, change), "it has ended before")
	require.Empty(t, look("failed", change, evict, wait), "it went by the new policy")
}
