package conformance

import (
	"slices"
	"strings"
	"time"
)

// padding is how much later than due the recorded controller wakes.
const padding = 100 * time.Millisecond

// mostTimes bounds a walk along a schedule: three months of minutes.
const mostTimes = 1 << 17

// calendar holds the decisions that go by the times of a schedule.
type calendar struct{ read Timetable }

// never tells whether the spec has a schedule that is never due.
func (c calendar) never(s *Scenario, spec map[string]any) bool {
	next := c.next(spec)
	start, err := time.Parse(time.RFC3339Nano, s.Start)
	return next != nil && err == nil && next(start).IsZero()
}

// next is the timetable of a spec; nil if it has none.
func (c calendar) next(spec map[string]any) func(time.Time) time.Time {
	schedule, _ := spec["schedule"].(string)
	zone, _ := spec["timeZone"].(string)
	if c.read == nil || schedule == "" || strings.Contains(schedule, "TZ=") {
		return nil
	}
	next, err := c.read(schedule, zone)
	if err != nil {
		return nil
	}
	return next
}

// runFields are those that show that a run was started.
func runFields() []string {
	return []string{"createdJobs", "deletedJobs", "activeJobs", "activeCount", "jobs", "lastScheduleTime"}
}

// exactCatchUp: Kubernetes guesses the latest time that was missed by the
// first gap of the schedule, and where gaps are uneven may find none.
func (c calendar) exactCatchUp() Decision {
	return Decision{
		Name: "catching up is exact", Why: "Kubernetes loses missed runs of schedules with uneven gaps", Parts: true,
		Applies: func(s *Scenario) bool { return c.next(object(s.Spec)) != nil },
		Covers: func(s *Scenario, d Diff) bool {
			if !slices.Contains(runFields(), d.Field) || d.Step < 0 {
				return false
			}
			due, now, uneven := c.latest(s, d.Step)
			return uneven && now.Sub(due) >= padding && !recorded(s.Steps[d.Step], due) && !heldBack(s, d.Step)
		},
	}
}

// onTime: a run is started when it is due, not a tenth of a second later. The
// difference can be seen by who looks in between.
func (c calendar) onTime() Decision {
	return Decision{
		Name: "a run starts when it is due", Why: "Kubernetes wakes 100 ms late",
		Applies: func(s *Scenario) bool { return c.next(object(s.Spec)) != nil },
		Covers: func(s *Scenario, d Diff) bool {
			if d.Step < 0 || !slices.Contains(runFields(), d.Field) {
				return false
			}
			due, now, _ := c.latest(s, d.Step)
			if !due.IsZero() && now.Sub(due) < padding && !recorded(s.Steps[d.Step], due) {
				return d.Field == "activeCount" || d.Field == "deletedJobs" || strings.Contains(text(d.Got), stamp(due))
			}
			earlier := lastActing(s, d.Step)
			if earlier < 0 {
				return false
			}
			due, now, _ = c.latest(s, earlier)
			ahead := !due.IsZero() && now.Sub(due) < padding && !recorded(s.Steps[earlier], due)
			return ahead && (d.Field == "createdJobs" && text(dropRuns(d.Want, func(t time.Time) bool { return t.Equal(due) })) == text(d.Got) ||
				d.Field == "deletedJobs")
		},
	}
}

// changesLookForward: a new schedule owes no run from before it was set.
func (c calendar) changesLookForward() Decision {
	return Decision{
		Name: "a changed schedule looks forward", Why: "nobody asked for a run at a time that had passed", Parts: true,
		Applies: func(s *Scenario) bool { return slices.ContainsFunc(s.Steps, reschedules) },
		Covers: func(s *Scenario, d Diff) bool {
			if d.Step < 0 || !slices.Contains(runFields(), d.Field) {
				return false
			}
			at := lastIndex(s.Steps[:d.Step], reschedules)
			if at < 0 {
				return false
			}
			changed := clock(s.Steps[at])
			late := func(t time.Time) bool { return !t.After(changed) }
			created := list(s.Steps[d.Step].Expect["createdJobs"])
			if len(list(dropRuns(created, late))) == len(created) {
				return false
			}
			return d.Field != "createdJobs" || sameRuns(dropRuns(d.Want, late), d.Got)
		},
	}
}

// eachRunHasAName: Kubernetes names a job by the minute of its run, so of
// several runs in a minute it starts only one.
func (c calendar) eachRunHasAName() Decision {
	return Decision{
		Name: "several runs a minute", Why: "names tell runs apart by the second", Parts: true,
		Applies: func(s *Scenario) bool {
			every, ok := interval(object(s.Spec))
			return ok && every < time.Minute
		},
		Covers: func(_ *Scenario, d Diff) bool {
			if d.Field == "createdJobs" || d.Field == "jobs" || d.Field == "activeJobs" {
				return len(list(d.Got)) > len(list(d.Want))
			}
			return slices.Contains(runFields(), d.Field)
		},
	}
}

func reschedules(s Step) bool {
	patch := object(s.Spec)
	_, schedule := patch["schedule"]
	_, zone := patch["timeZone"]
	return s.Op == opPatch && (schedule || zone)
}

// latest is the last time of the schedule up to the step that is still owed
// before it, by the record; the clock; and whether the gaps on the way differ.
func (c calendar) latest(s *Scenario, step int) (due, now time.Time, uneven bool) {
	now = clock(s.Steps[step])
	spec := effective(s, step)
	next := c.next(spec)
	if next == nil || spec["suspend"] == true {
		return time.Time{}, now, false
	}
	t := owedSince(s, step, spec, now)
	var gap time.Duration
	for range mostTimes {
		n := next(t)
		if n.IsZero() || n.After(now) {
			break
		}
		if !due.IsZero() {
			uneven = uneven || gap != 0 && n.Sub(due) != gap
			gap = n.Sub(due)
		}
		due, t = n, n
	}
	// The gap that the controller goes by may be one that is not over.
	if n := next(t); !due.IsZero() && !n.IsZero() {
		uneven = uneven || gap != 0 && n.Sub(due) != gap
	}
	return due, now, uneven
}

// owedSince is the time after which runs are owed: the last run or else the
// creation, but no earlier than the starting deadline allows.
func owedSince(s *Scenario, step int, spec map[string]any, now time.Time) time.Time {
	since := parseTime(s.Start)
	if at := lastActing(s, step); at >= 0 {
		if last := parseTime(s.Steps[at].Expect["lastScheduleTime"]); !last.IsZero() {
			since = last
		}
	}
	if seconds, ok := spec["startingDeadlineSeconds"].(float64); ok {
		if limit := now.Add(-time.Duration(seconds) * time.Second); limit.After(since) {
			since = limit
		}
	}
	return since
}

// recorded tells whether the record has the run as started by then.
func recorded(s Step, due time.Time) bool {
	return !parseTime(s.Expect["lastScheduleTime"]).Before(due)
}

// heldBack tells whether a job that had not ended may have kept the next from
// starting.
func heldBack(s *Scenario, step int) bool {
	at := lastActing(s, step)
	if at < 0 || effective(s, step)["concurrencyPolicy"] != "Forbid" || number(s.Steps[at].Expect["activeCount"]) == 0 {
		return false
	}
	return !slices.ContainsFunc(s.Steps[at+1:step], func(st Step) bool { return st.Op == opFinish || st.Op == opDeleteJob })
}

// effective is the spec as it stood at a step, its top level at least.
func effective(s *Scenario, step int) map[string]any {
	spec := object(s.Spec)
	for _, st := range s.Steps[:step] {
		if st.Op != opPatch || len(list(st.Expect["rejected"])) > 0 {
			continue
		}
		for k, v := range object(st.Spec) {
			spec[k] = v
		}
	}
	return spec
}

// lastActing is the last step before this one in which the controller ran.
func lastActing(s *Scenario, step int) int {
	return lastIndex(s.Steps[:step], func(st Step) bool { return slices.Contains(actingOps(), st.Op) })
}

func lastIndex(steps []Step, like func(Step) bool) int {
	for i := len(steps) - 1; i >= 0; i-- {
		if like(steps[i]) {
			return i
		}
	}
	return -1
}

func clock(s Step) time.Time { return parseTime(s.Expect["now"]) }

func parseTime(v any) time.Time {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// dropRuns leaves out the creations whose scheduled time is like that.
func dropRuns(runs any, like func(time.Time) bool) any {
	out := []any{}
	for _, run := range list(runs) {
		if t, err := runTime(run, "scheduled"); err != nil || !like(t) {
			out = append(out, run)
		}
	}
	return out
}
