package conformance

import (
	"errors"
	"fmt"
	"slices"
)

// terminatedCode is what a container ends with that is asked to stop.
const terminatedCode = 143

// jobReplay is a job scenario on its way.
type jobReplay struct {
	replay
	sys     JobSystem
	pods    *pods
	indexed bool
	now     int
	last    JobObservation
}

// play runs a scenario to its end, or until it goes another way.
func (r *jobReplay) play() error {
	rejected, err := r.sys.Create(r.scenario.Spec)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if !r.created(rejected) {
		return nil
	}
	r.indexed = object(r.scenario.Spec)["completionMode"] == "Indexed"
	for i, step := range r.scenario.Steps {
		r.at = i
		rejected, err := r.apply(step)
		if errors.Is(err, errChoice) {
			r.lost(err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", i, step.Op, err)
		}
		if step.Op == opSettle || step.Op == opPatch {
			r.compare(r.values(rejected))
		}
		if step.Op == opSettle {
			r.pods.created = nil
		}
		if r.over {
			return nil
		}
	}
	return nil
}

// apply does what a step says.
func (r *jobReplay) apply(s Step) (rejected []Rejection, err error) {
	switch s.Op {
	case opSettle:
		err = r.settle(s)
	case opAdvance:
		r.now += s.Seconds
		r.sys.Advance(s.Seconds)
	case opPatch:
		rejected, err = r.sys.Patch(s.Spec)
	case opDelete:
		err = r.sys.Delete(s.Propagation == "Foreground")
	case opRestart:
		err = r.sys.Restart()
	default:
		err = r.each(s)
	}
	if err != nil || r.held && s.Op != opSettle {
		return rejected, err
	}
	return rejected, r.observe()
}

func (r *jobReplay) observe() error {
	o, err := r.sys.Observe()
	if err != nil {
		return err
	}
	r.last = o
	r.pods.observe(o.Attempts)
	return nil
}

// settle lets the attempts that were told to stop end, and the system act.
func (r *jobReplay) settle(s Step) error {
	if s.Kubelet == nil || *s.Kubelet {
		stopping := r.pods.candidates(Step{Op: opFinish})
		for _, n := range stopping {
			if err := r.end(n, r.outcome(n, Step{Op: opFinish})); err != nil {
				return err
			}
		}
	}
	return r.sys.Sync()
}

// each applies a step to every attempt that it chooses.
func (r *jobReplay) each(s Step) error {
	chosen, err := r.pods.choose(s)
	if err != nil {
		return err
	}
	for _, n := range chosen {
		if err := r.one(n, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *jobReplay) one(n *pod, s Step) error {
	switch s.Op {
	case opStart:
		n.ready = s.Ready == nil || *s.Ready
		return r.start(n)
	case opReady:
		n.ready = true
		return nil
	case opDisrupt:
		n.terminating = true
		if s.DisruptionTarget {
			n.conditions = append(n.conditions, disrupted())
		}
		return r.sys.Disrupt(n.id, s.DisruptionTarget)
	}
	out := r.outcome(n, s)
	if n.started == 0 && !n.terminating {
		// Nobody saw it running, yet a worker had it.
		if err := r.start(n); err != nil {
			return err
		}
	}
	return r.end(n, out)
}

func disrupted() PodCondition { return PodCondition{Type: "DisruptionTarget", Status: "True"} }

func (r *jobReplay) start(n *pod) error {
	r.pods.start(n)
	return r.sys.Start(n.id)
}

func (r *jobReplay) end(n *pod, o Outcome) error {
	r.pods.ended(n.id)
	return r.sys.End(n.id, o)
}

// outcome is how the step ends the attempt.
func (r *jobReplay) outcome(n *pod, s Step) Outcome {
	o := Outcome{NoExitCode: s.NoExitCode, Conditions: slices.Concat(n.conditions, s.PodConditions)}
	if s.DisruptionTarget {
		o.Conditions = append(o.Conditions, disrupted())
	}
	switch {
	case s.Op == opSucceed || o.NoExitCode:
		return o
	case s.Op == opFail:
		o.ExitCode = 1
	case n.started == 0:
		o.NoExitCode = true
		return o
	default:
		o.ExitCode = terminatedCode
	}
	if s.ExitCode != nil {
		o.ExitCode = *s.ExitCode
	}
	return o
}

// values is the observation in the words of the format.
func (r *jobReplay) values(rejected []Rejection) map[string]any {
	v := map[string]any{
		"t":           r.now,
		"deleted":     r.last.Deleted,
		"pods":        r.pods.count(),
		"createdPods": len(r.pods.created),
		"rejected":    rejected,
	}
	for _, field := range []string{"activeIndexes", "terminatingIndexes", "createdIndexes"} {
		v[field] = nil
	}
	if r.indexed && !r.last.Deleted {
		v["activeIndexes"] = r.pods.indexes(false)
		v["terminatingIndexes"] = r.pods.indexes(true)
		v["createdIndexes"] = r.pods.createdIndexes()
	}
	s := r.last.Status
	if r.last.Deleted {
		s = JobStatus{}
	}
	s.values(v)
	return v
}

// values puts the fields of the status among the others.
func (s JobStatus) values(v map[string]any) {
	v["active"], v["ready"], v["terminating"] = s.Active, s.Ready, s.Terminating
	v["succeeded"], v["failed"] = s.Succeeded, s.Failed
	v["completedIndexes"], v["failedIndexes"] = s.CompletedIndexes, s.FailedIndexes
	v["conditions"] = s.Conditions
	v["startTime"], v["startTimeSet"] = s.StartTime, s.StartTime != nil
	v["completionTime"], v["completionTimeSet"] = s.CompletionTime, s.CompletionTime != nil
	v["nextRetryDelaySeconds"] = s.NextRetryDelay
	v["finished"] = slices.ContainsFunc(s.Conditions, func(c Condition) bool {
		return c.Status == "True" && (c.Type == "Complete" || c.Type == "Failed")
	})
}
