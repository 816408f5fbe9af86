package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// creationTolerance is how far apart two creations of the same run may be: the
// recorded controller wakes a little late.
const creationTolerance = time.Second

// cronReplay is a cron job scenario on its way.
type cronReplay struct {
	replay
	sys  CronSystem
	now  time.Time
	last CronObservation
	runs CronObservation // Created and Deleted since the last turn
}

func (r *cronReplay) play(start time.Time) error {
	r.now = start
	rejected, err := r.sys.Create(r.scenario.CronJobName, r.scenario.Spec)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if !r.created(rejected) {
		return nil
	}
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
		acting := slices.Contains(actingOps(), step.Op)
		if acting || step.Op == opPatch {
			r.compare(r.values(rejected))
		}
		if acting {
			r.runs = CronObservation{}
		}
		if r.over {
			return nil
		}
	}
	return nil
}

// actingOps are the steps of a cron job in which the system has its turn.
func actingOps() []string { return []string{opSync, opRunUntil, opJumpTo, opRestart} }

func (r *cronReplay) apply(s Step) (rejected []Rejection, err error) {
	before := r.now
	if s.Time != "" {
		if r.now, err = time.Parse(time.RFC3339Nano, s.Time); err != nil {
			return nil, err
		}
	}
	switch s.Op {
	case opRunUntil:
		err = r.sys.RunUntil(r.now)
	case opPatch:
		rejected, err = r.sys.Patch(s.Spec)
	case opFinish, opDeleteJob:
		err = r.each(s)
	default:
		err = r.turn(s, before)
	}
	if err != nil {
		return nil, err
	}
	return rejected, r.observe()
}

// turn is a step that moves the clock in one go.
func (r *cronReplay) turn(s Step, before time.Time) error {
	if !r.now.Equal(before) {
		r.sys.SetTime(r.now)
	}
	if s.Op == opRestart {
		if err := r.sys.Restart(); err != nil {
			return err
		}
	}
	if s.Op == opAdvance {
		return nil
	}
	return r.sys.Sync()
}

func (r *cronReplay) observe() error {
	o, err := r.sys.Observe()
	if err != nil {
		return err
	}
	r.last = o
	r.runs.Created = append(r.runs.Created, o.Created...)
	r.runs.Deleted = append(r.runs.Deleted, o.Deleted...)
	return nil
}

// each ends or deletes the jobs that a step names.
func (r *cronReplay) each(s Step) error {
	jobs, err := r.choose(s)
	if err != nil {
		return err
	}
	for _, job := range jobs {
		if s.Op == opDeleteJob {
			err = r.sys.Delete(job.Name)
		} else {
			err = r.sys.Finish(job.Name, s.Result == string(CronJobComplete))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *cronReplay) choose(s Step) ([]CronJob, error) {
	var list []CronJob
	for _, job := range r.last.Jobs {
		if s.Op == opDeleteJob || job.State == CronJobActive {
			list = append(list, job)
		}
	}
	slices.SortFunc(list, func(a, b CronJob) int { return a.Scheduled.Compare(b.Scheduled) })
	if s.Job == "all" {
		return list, nil
	}
	at := slices.IndexFunc(list, func(job CronJob) bool { return stamp(job.Scheduled) == s.Job })
	switch s.Job {
	case "oldest":
		at = min(0, len(list)-1)
	case "newest":
		at = len(list) - 1
	}
	if at < 0 {
		return nil, fmt.Errorf("%w: job %s", errChoice, s.Job)
	}
	return list[at : at+1], nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func stampOrNil(t *time.Time) any {
	if t == nil {
		return nil
	}
	return stamp(*t)
}

// values is the observation in the words of the format.
func (r *cronReplay) values(rejected []Rejection) map[string]any {
	deleted := []string{}
	for _, t := range r.runs.Deleted {
		deleted = append(deleted, stamp(t))
	}
	slices.Sort(deleted)
	created := []any{}
	for _, run := range r.runs.Created {
		created = append(created, map[string]any{
			"scheduled":           stamp(run.Scheduled),
			"scheduledAnnotation": run.Scheduled.Format(time.RFC3339),
			"createdAt":           stamp(run.CreatedAt),
		})
	}
	jobs, active := r.jobs()
	return map[string]any{
		"now":                stamp(r.now),
		"createdJobs":        created,
		"deletedJobs":        deleted,
		"activeJobs":         active,
		"activeCount":        len(active),
		"jobs":               jobs,
		"lastScheduleTime":   stampOrNil(r.last.LastScheduleTime),
		"lastSuccessfulTime": stampOrNil(r.last.LastSuccessfulTime),
		"rejected":           rejected,
	}
}

// jobs are the jobs that exist, and the active ones by their scheduled times.
func (r *cronReplay) jobs() (jobs []any, active []string) {
	list := slices.Clone(r.last.Jobs)
	slices.SortFunc(list, func(a, b CronJob) int { return a.Scheduled.Compare(b.Scheduled) })
	jobs, active = []any{}, []string{}
	scheduled := map[string]string{}
	for _, job := range list {
		at := stamp(job.Scheduled)
		scheduled[job.Name] = at
		jobs = append(jobs, map[string]any{"scheduled": at, "state": string(job.State)})
	}
	for _, name := range r.last.Active {
		at, ok := scheduled[name]
		if !ok {
			at = "gone:" + name
		}
		active = append(active, at)
	}
	return jobs, active
}

// sameRuns compares creations; when they happened need not agree exactly.
func sameRuns(want, got any) bool {
	a, okA := want.([]any)
	b, okB := got.([]any)
	if !okA || !okB || len(a) != len(b) {
		return false
	}
	for i := range a {
		if text(without(a[i], "createdAt")) != text(without(b[i], "createdAt")) {
			return false
		}
		x, errX := runTime(a[i], "createdAt")
		y, errY := runTime(b[i], "createdAt")
		if errX != nil || errY != nil || x.Sub(y).Abs() > creationTolerance {
			return false
		}
	}
	return true
}

// runTime is a time in the JSON form of a creation.
func runTime(run any, key string) (time.Time, error) {
	object, _ := run.(map[string]any)
	s, ok := object[key].(string)
	if !ok {
		return time.Time{}, fmt.Errorf("a run without %s: %s", key, strings.TrimSpace(text(run)))
	}
	return time.Parse(time.RFC3339Nano, s)
}
