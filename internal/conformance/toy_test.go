package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/stint-go/stint/internal/indexset"
)

// toyJob keeps a job's attempts up, starting a failed one again at once. It is
// no Kubernetes: the traces of testdata/toy are its own.
type toyJob struct {
	Completions, Parallelism int
	mode                     string
	now, last                int
	live                     []Attempt
	ended                    map[string]Outcome
	disrupted                []string
	succeeded, failed        int
	done                     []int
	completed                *int
	deleted                  bool

	eager    bool // acts at every call
	flawed   bool // counts failures twice
	sleepy   bool // makes no attempts
	failSync error
	closed   bool
	calls    []string
}

func newToy() *toyJob { return &toyJob{ended: map[string]Outcome{}} }

func (j *toyJob) Create(spec json.RawMessage) ([]Rejection, error) {
	if err := json.Unmarshal(spec, j); err != nil {
		return nil, err
	}
	j.mode, _ = object(spec)["completionMode"].(string)
	if j.Completions < 0 {
		return []Rejection{{"spec.completions", "FieldValueInvalid"}}, nil
	}
	return nil, nil
}

func (j *toyJob) Patch(patch json.RawMessage) ([]Rejection, error) {
	if object(patch)["completions"] != nil {
		return []Rejection{{"spec.completions", "FieldValueInvalid"}}, nil
	}
	return nil, json.Unmarshal(patch, j)
}

func (j *toyJob) Delete(bool) error {
	j.deleted = true
	return nil
}

func (j *toyJob) Start(id string) error {
	j.calls = append(j.calls, "start "+id)
	return nil
}

func (j *toyJob) End(id string, o Outcome) error {
	j.calls = append(j.calls, fmt.Sprintf("end %s %d %t %v", id, o.ExitCode, o.NoExitCode, o.Conditions))
	j.ended[id] = o
	if j.eager {
		return j.Sync()
	}
	return nil
}

func (j *toyJob) Disrupt(id string, target bool) error {
	j.calls = append(j.calls, fmt.Sprintf("disrupt %s %t", id, target))
	j.disrupted = append(j.disrupted, id)
	return nil
}

func (j *toyJob) Advance(seconds int) { j.now += seconds }
func (j *toyJob) Restart() error      { return nil }

func (j *toyJob) Close() error {
	j.closed = true
	return nil
}

func (j *toyJob) Sync() error {
	if j.failSync != nil {
		return j.failSync
	}
	j.live = slices.DeleteFunc(j.live, j.count)
	for i, a := range j.live {
		j.live[i].Terminating = a.Terminating || j.deleted || slices.Contains(j.disrupted, a.ID)
	}
	if j.Parallelism == 0 {
		j.live = nil
	}
	if j.deleted || j.sleepy {
		return nil
	}
	for len(j.live) < min(j.Parallelism, j.Completions-j.succeeded) {
		j.last++
		j.live = append(j.live, Attempt{ID: strconv.Itoa(j.last), Index: j.lowest()})
	}
	if j.succeeded == j.Completions && j.completed == nil {
		now := j.now
		j.completed = &now
	}
	return nil
}

// count books the attempt if it has ended.
func (j *toyJob) count(a Attempt) bool {
	o, over := j.ended[a.ID]
	switch {
	case !over:
	case !o.Failed():
		j.succeeded++
		j.done = append(j.done, a.Index)
	case j.flawed:
		j.failed += 2
	default:
		j.failed++
	}
	return over
}

func (j *toyJob) lowest() int {
	for index := 0; ; index++ {
		busy := slices.ContainsFunc(j.live, func(a Attempt) bool { return a.Index == index })
		if !busy && !slices.Contains(j.done, index) {
			return index
		}
	}
}

func (j *toyJob) Observe() (JobObservation, error) {
	o := JobObservation{Deleted: j.deleted, Attempts: j.live}
	s := &o.Status
	s.Succeeded, s.Failed, s.CompletionTime = j.succeeded, j.failed, j.completed
	for _, a := range j.live {
		if a.Terminating {
			s.Terminating++
		} else {
			s.Active++
		}
	}
	if j.mode == "Indexed" {
		var set indexset.Set
		for _, index := range j.done {
			set.Add(index)
		}
		s.CompletedIndexes = set.String()
	}
	if j.completed != nil {
		for _, t := range []string{"Complete", "SuccessCriteriaMet"} {
			s.Conditions = append(s.Conditions, Condition{t, "True", "CompletionsReached", *j.completed})
		}
	}
	return o, nil
}

// toyCron starts a job at every full hour, and the latest one that it missed.
type toyCron struct {
	Suspend    bool
	now        time.Time
	since      time.Time
	jobs       []CronJob
	success    *time.Time
	last       *time.Time
	log        []CronRun
	lateByHalf bool // a fault
}

func (c *toyCron) Create(_ string, spec json.RawMessage) ([]Rejection, error) {
	c.since = c.now
	if object(spec)["schedule"] != "0 * * * *" {
		return []Rejection{{"spec.schedule", "FieldValueInvalid"}}, nil
	}
	return nil, nil
}

func (c *toyCron) Patch(patch json.RawMessage) ([]Rejection, error) {
	return nil, json.Unmarshal(patch, c)
}

func (c *toyCron) Finish(name string, complete bool) error {
	for i := range c.jobs {
		if c.jobs[i].Name != name {
			continue
		}
		c.jobs[i].State = CronJobFailed
		if complete {
			now := c.now
			c.jobs[i].State, c.success = CronJobComplete, &now
		}
	}
	return nil
}

func (c *toyCron) Delete(name string) error {
	c.jobs = slices.DeleteFunc(c.jobs, func(j CronJob) bool { return j.Name == name })
	return nil
}

func (c *toyCron) SetTime(now time.Time) { c.now = now }
func (c *toyCron) Restart() error        { return nil }

func (c *toyCron) Sync() error {
	due := c.now.Truncate(time.Hour)
	if c.Suspend || !due.After(c.since) {
		return nil
	}
	c.since, c.last = due, &due
	at := c.now
	if c.lateByHalf {
		at = at.Add(30 * time.Minute)
	}
	c.log = append(c.log, CronRun{Scheduled: due, CreatedAt: at})
	c.jobs = append(c.jobs, CronJob{Name: due.String(), Scheduled: due, State: CronJobActive})
	return nil
}

func (c *toyCron) RunUntil(end time.Time) error {
	for c.now.Before(end) {
		c.now = c.now.Add(time.Hour).Truncate(time.Hour)
		if c.now.After(end) {
			c.now = end
		}
		if err := c.Sync(); err != nil {
			return err
		}
	}
	return nil
}

func (c *toyCron) Observe() (CronObservation, error) {
	o := CronObservation{Created: c.log, Jobs: c.jobs, LastScheduleTime: c.last, LastSuccessfulTime: c.success}
	c.log = nil
	for _, j := range c.jobs {
		if j.State == CronJobActive {
			o.Active = append(o.Active, j.Name)
		}
	}
	return o, nil
}
