package conformance

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func toyFiles(t *testing.T) []File {
	t.Helper()
	files, err := Load("testdata/toy")
	require.NoError(t, err)
	require.Len(t, files, 2)
	return files
}

// toyOptions run the toys, after a change to each.
func toyOptions(job func(*toyJob), cron func(*toyCron)) Options {
	return Options{
		Held: true,
		NewJob: func() (JobSystem, error) {
			j := newToy()
			if job != nil {
				job(j)
			}
			return j, nil
		},
		NewCron: func(start time.Time) (CronSystem, error) {
			c := &toyCron{now: start}
			if cron != nil {
				cron(c)
			}
			return c, nil
		},
	}
}

func TestRightSystemAgrees(t *testing.T) {
	t.Parallel()
	rep := Run(toyFiles(t), toyOptions(nil, nil))
	require.Equal(t, "conformance: 7 scenarios, 7 agree, 0 by decision, 0 differ\n", rep.String())
}

func TestEagerSystemAgrees(t *testing.T) {
	t.Parallel()
	o := toyOptions(func(j *toyJob) { j.eager = true }, nil)
	o.Held = false
	rep := Run(toyFiles(t), o)
	// It had started the next attempts before the settle: nothing else differs.
	require.Equal(t, 0, rep.Count(Differ), rep.String())
}

func TestWrongJobDiffers(t *testing.T) {
	t.Parallel()
	rep := Run(toyFiles(t), toyOptions(func(j *toyJob) { j.flawed = true }, nil))
	require.Equal(t, "conformance: 7 scenarios, 5 agree, 0 by decision, 2 differ", rep.Summary())
	require.Equal(t, Differ, result(t, rep, "two-of-three").Verdict())
	require.Contains(t, rep.String(), "two-of-three (testdata/toy/job-toy.json): differs\n"+
		"    step 4 settle: failed: want 1, got 2\n    step 6 settle: failed: want 1, got 2\n")
	require.Contains(t, rep.String(), "evicted-by-index")
}

func TestWrongCronDiffers(t *testing.T) {
	t.Parallel()
	rep := Run(toyFiles(t), toyOptions(nil, func(c *toyCron) { c.lateByHalf = true }))
	r := result(t, rep, "hourly")
	require.Equal(t, Differ, r.Verdict())
	require.Len(t, r.Diffs, 2)
	require.Equal(t, "createdJobs", r.Diffs[0].Field)
	require.Equal(t, 1, r.Diffs[0].Step)
}

func TestMissingAttemptEndsTheReplay(t *testing.T) {
	t.Parallel()
	rep := Run(toyFiles(t), toyOptions(func(j *toyJob) { j.sleepy = true }, nil))
	r := result(t, rep, "evicted-by-index")
	last := r.Diffs[len(r.Diffs)-1]
	require.Equal(t, Diff{Step: 1, Op: "start", Field: FieldReplay, Want: "go on", Got: "no such attempt: index 2"}, last)
}

func TestFailingSystemDiffers(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	o := toyOptions(func(j *toyJob) { j.failSync = boom }, nil)
	o.NewCron = func(time.Time) (CronSystem, error) { return nil, boom }
	rep := Run(toyFiles(t), o)
	require.ErrorIs(t, result(t, rep, "two-of-three").Err, boom)
	require.ErrorIs(t, result(t, rep, "hourly").Err, boom)
	require.Equal(t, "conformance: 7 scenarios, 1 agree, 0 by decision, 6 differ", rep.Summary())
	require.Contains(t, rep.String(), "step 0, settle: boom")
}

func TestSystemsAreClosedAndMayBeLeftOut(t *testing.T) {
	t.Parallel()
	var all []*toyJob
	o := toyOptions(func(j *toyJob) { all = append(all, j) }, nil)
	o.NewCron = nil
	rep := Run(toyFiles(t), o)
	require.Len(t, rep.Results, 5)
	require.Len(t, all, 5)
	for _, j := range all {
		require.True(t, j.closed)
	}
}

func TestCallsOfAttempts(t *testing.T) {
	t.Parallel()
	calls := map[int][]string{}
	n := 0
	o := toyOptions(func(j *toyJob) { j.calls = nil }, nil)
	inner := o.NewJob
	var made []*toyJob
	o.NewJob = func() (JobSystem, error) {
		sys, err := inner()
		j, ok := sys.(*toyJob)
		require.True(t, ok)
		made = append(made, j)
		return sys, err
	}
	Run(toyFiles(t), o)
	for _, j := range made {
		calls[n] = j.calls
		n++
	}
	require.Equal(t, []string{
		"start 1", "end 1 3 false []", // the running one before the pending one
		"start 2", "end 2 0 false []", "start 3", "end 3 0 false []", // nobody saw them running
		"start 4", "end 4 0 false []",
	}, calls[0])
	require.Equal(t, []string{
		"start 3", "start 1", "disrupt 3 true", "disrupt 2 false",
		"end 3 0 false [{DisruptionTarget True}]", "end 2 0 true []", // never started: no code
	}, calls[1])
}

func result(t *testing.T, rep Report, scenario string) Result {
	t.Helper()
	for _, r := range rep.Results {
		if r.Scenario == scenario {
			return r
		}
	}
	require.Fail(t, "no result", scenario)
	return Result{}
}

// play replays one scenario of steps against a toy.
func play(held bool, steps ...Step) Result {
	s := &Scenario{Name: "made", Spec: []byte(`{"completions": 2, "parallelism": 2}`), Steps: steps}
	o := toyOptions(nil, nil)
	o.Held = held
	return runJob(s, o)
}

func TestWhatIsNotCompared(t *testing.T) {
	t.Parallel()
	wrong := map[string]any{"active": 7.0, "failed": 0.0}
	settle := Step{Op: opSettle, Expect: wrong}
	require.Equal(t, []Diff{{Step: 0, Op: "settle", Field: "active", Want: 7.0, Got: 2.0}}, play(true, settle).Diffs)

	sensitive := settle
	sensitive.InterleavingSensitive = []string{"active"}
	require.Len(t, play(true, sensitive).Diffs, 1)
	require.Empty(t, play(false, sensitive).Diffs)
	sensitive.InterleavingSensitive = []string{"*"}
	require.Empty(t, play(false, sensitive).Diffs)
	require.Len(t, play(false, sensitive, settle).Diffs, 1)

	random := settle
	random.Nondeterministic = []string{"active"}
	require.Empty(t, play(true, random, settle).Diffs, "nor what follows from it")

	other := Step{Op: opAdvance, Seconds: 1, Expect: wrong}
	require.Empty(t, play(true, other).Diffs, "the controller has not acted")
}

func TestImpossibleStep(t *testing.T) {
	t.Parallel()
	one := 1
	impossible := Step{Op: opFinish, Choice: Choice{N: &one}, Expect: map[string]any{}}
	require.Len(t, play(true, impossible).Diffs, 1)
	require.Len(t, play(false, impossible).Diffs, 1)
	impossible.InterleavingSensitive = []string{"*"}
	require.Len(t, play(true, impossible).Diffs, 1)
	require.Empty(t, play(false, impossible).Diffs)
}

func TestPartingEndsTheScenario(t *testing.T) {
	t.Parallel()
	wrong := Step{Op: opSettle, Expect: map[string]any{"active": 7.0}}
	s := &Scenario{Name: "made", Spec: []byte(`{"completions": 2, "parallelism": 2}`), Steps: []Step{wrong, wrong}}
	o := toyOptions(nil, nil)
	d := Decision{
		Name: "d", Parts: true,
		Applies: func(*Scenario) bool { return true },
		Covers:  func(_ *Scenario, d Diff) bool { return d.Field == "active" },
	}
	o.Decisions = []Decision{d}
	r := runJob(s, o)
	require.Equal(t, Decided, r.Verdict())
	require.Len(t, r.Decided, 1)

	o.Decisions[0].Parts = false
	require.Len(t, runJob(s, o).Decided, 2)

	o.Decisions[0].Applies = func(*Scenario) bool { return false }
	r = runJob(s, o)
	require.Equal(t, Differ, r.Verdict())
	require.Len(t, r.Diffs, 2)
}
