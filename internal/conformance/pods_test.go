package conformance

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCandidates(t *testing.T) {
	t.Parallel()
	p := newPods()
	p.observe([]Attempt{{ID: "a", Index: 0}, {ID: "b", Index: 1}, {ID: "c", Index: 2}, {ID: "d", Index: 3}})
	p.start(p.live["c"])
	p.start(p.live["b"])
	p.live["b"].ready = true
	ids := func(s Step) []string {
		var out []string
		for _, n := range p.candidates(s) {
			out = append(out, n.id)
		}
		return out
	}
	require.Equal(t, []string{"a", "d"}, ids(Step{Op: opStart}), "oldest first")
	require.Equal(t, []string{"c"}, ids(Step{Op: opReady}))
	require.Equal(t, []string{"c", "b", "a", "d"}, ids(Step{Op: opFail}), "running first, as they started")

	p.live["c"].terminating = true
	p.live["a"].terminating = true
	require.Equal(t, []string{"b", "d"}, ids(Step{Op: opDisrupt}))
	require.Equal(t, []string{"c", "a"}, ids(Step{Op: opFinish}))
	require.Equal(t, []string{"c", "a"}, ids(Step{Op: opSucceed, Terminating: true}))
	require.Equal(t, map[string]int{"pending": 1, "running": 1, "terminating": 2}, p.count())
	require.Equal(t, []int{0, 2}, p.indexes(true))
}

func TestChoose(t *testing.T) {
	t.Parallel()
	p := newPods()
	p.observe([]Attempt{{ID: "a", Index: 4}, {ID: "b", Index: 4}, {ID: "c", Index: 5}})
	chosen, err := p.choose(Step{Op: opStart, Choice: Choice{Indexes: []int{4, 4}}})
	require.NoError(t, err)
	require.Equal(t, "a", chosen[0].id)
	require.Equal(t, "b", chosen[1].id, "an attempt is chosen once")

	_, err = p.choose(Step{Op: opStart, Choice: Choice{Indexes: []int{5, 5}}})
	require.ErrorIs(t, err, errChoice)
	four := 4
	_, err = p.choose(Step{Op: opStart, Choice: Choice{N: &four}})
	require.ErrorIs(t, err, errChoice)
	chosen, err = p.choose(Step{Op: opFinish, Choice: Choice{All: true}})
	require.NoError(t, err)
	require.Empty(t, chosen)
}

func TestObserve(t *testing.T) {
	t.Parallel()
	p := newPods()
	p.observe([]Attempt{{ID: "a"}, {ID: "b", Index: 1}})
	require.Equal(t, []int{0, 1}, p.createdIndexes())
	p.ended("a")
	p.observe([]Attempt{{ID: "a"}, {ID: "b", Index: 1, Terminating: true}})
	require.Equal(t, map[string]int{"pending": 0, "running": 0, "terminating": 1}, p.count(), "an ended attempt does not come back")
	require.Len(t, p.created, 2)
	p.observe(nil)
	require.Empty(t, p.live)
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	code := 7
	r := &jobReplay{}
	running, pending := &pod{started: 1}, &pod{}
	target := []PodCondition{{"DisruptionTarget", "True"}}
	for name, c := range map[string]struct {
		pod  *pod
		step Step
		want Outcome
	}{
		"success":               {running, Step{Op: opSucceed}, Outcome{}},
		"failure":               {running, Step{Op: opFail}, Outcome{ExitCode: 1}},
		"with a code":           {running, Step{Op: opFail, ExitCode: &code}, Outcome{ExitCode: 7}},
		"without a code":        {running, Step{Op: opFail, NoExitCode: true, DisruptionTarget: true}, Outcome{NoExitCode: true, Conditions: target}},
		"stopped":               {running, Step{Op: opFinish}, Outcome{ExitCode: 143}},
		"stopped with a code":   {running, Step{Op: opFinish, ExitCode: &code}, Outcome{ExitCode: 7}},
		"stopped, not started":  {pending, Step{Op: opFinish, ExitCode: &code}, Outcome{NoExitCode: true}},
		"pending fails":         {pending, Step{Op: opFail, ExitCode: &code}, Outcome{ExitCode: 7}},
		"with conditions":       {running, Step{Op: opFail, PodConditions: target}, Outcome{ExitCode: 1, Conditions: target}},
		"evicted before it did": {&pod{started: 1, conditions: target}, Step{Op: opFinish}, Outcome{ExitCode: 143, Conditions: target}},
	} {
		require.Equal(t, c.want, r.outcome(c.pod, c.step), name)
	}
	require.False(t, Outcome{}.Failed())
	require.True(t, Outcome{NoExitCode: true}.Failed())
}
