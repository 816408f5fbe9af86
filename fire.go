package stint

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/stint-go/stint/internal/schedule"
	"github.com/stint-go/stint/internal/store"
)

// fire looks at a cron job: it books finished runs, removes those beyond the
// history limits, and submits the run that is due. All of it is decided from
// the record and the jobs as they are, and stored only over the record that
// was read; so it does not matter who does it, or how often.
func (q *Queue) fire(ctx context.Context, name string) error {
	for range 5 {
		c, version, err := q.readCron(ctx, name)
		if errors.Is(err, ErrNotFound) {
			return q.store.PutCron(ctx, name, "", "", nil, 0, nil)
		}
		if err != nil {
			return err
		}
		err = q.fireOnce(ctx, c, version)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return nil // somebody else is at it
}

func (q *Queue) fireOnce(ctx context.Context, c *CronJob, version string) error {
	now, err := q.store.Now(ctx)
	if err != nil {
		return err
	}
	if err := q.bookRuns(ctx, c, at(now)); err != nil {
		return err
	}
	over := c.overLimit()
	for _, name := range over { // before the record forgets them, or nobody would come back for them
		if err := q.Delete(ctx, name); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		c.tell(at(now), EventNormal, EventSuccessfulDelete, "Deleted job %s", name)
	}
	run, due, err := q.dueRun(ctx, c, at(now))
	if err != nil {
		return err
	}
	err = q.writeCron(ctx, c, version, due, run)
	switch {
	case errors.Is(err, store.ErrTaken):
		q.log.Warn("a foreign job has the name of a run", "cronjob", c.Name, "job", run.Name)
		return nil
	case errors.Is(err, store.ErrFull): // its timer is due again soon
		return fmt.Errorf("%w: job %s of cron job %s", ErrTooManyLanes, run.Name, c.Name)
	}
	return err
}

// bookRuns moves runs that have finished from the active to the finished
// ones, and forgets those that are gone.
func (q *Queue) bookRuns(ctx context.Context, c *CronJob, now time.Time) error {
	names := c.runs()
	if len(names) == 0 {
		return nil
	}
	records, err := q.store.GetAll(ctx, names)
	if err != nil {
		return err
	}
	active := len(c.Status.Active)
	var status CronJobStatus
	for i, r := range records {
		switch {
		case r == nil || r.Deleting || r.Err != nil:
			if i < active {
				c.tell(now, EventNormal, EventMissingJob, "Active job went missing: %s", names[i])
			}
		case r.Owner != c.Name: // it had the name of the run before us
			c.tell(now, EventWarning, EventUnexpectedJob, "A foreign job has the name of a run: %s", r.Name)
		case !r.Phase.Finished():
			status.Active = append(status.Active, r.Name)
		default:
			if i < active {
				c.tell(now, EventNormal, EventSawCompletedJob, "Saw completed job: %s, condition: %s", r.Name, r.Phase)
			}
			ok := string(r.Phase) == string(JobComplete)
			if end := at(r.EndedAt); ok && end.After(c.Status.LastSuccessfulTime) {
				c.Status.LastSuccessfulTime = end
			}
			status.Finished = append(status.Finished, CronRun{Name: r.Name, Succeeded: ok, StartedAt: at(cmp.Or(r.StartedAt, r.Created))})
		}
	}
	c.Status.Active, c.Status.Finished = status.Active, status.Finished
	return nil
}

// overLimit takes the finished runs beyond the history limits out of the
// status and names them: the oldest first.
func (c *CronJob) overLimit() []string {
	runs := c.Status.Finished
	slices.SortStableFunc(runs, func(a, b CronRun) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), strings.Compare(a.Name, b.Name))
	})
	room := map[bool]int{true: *c.SuccessfulJobsHistoryLimit, false: *c.FailedJobsHistoryLimit}
	var over []string
	var keep []CronRun
	for _, r := range slices.Backward(runs) {
		if room[r.Succeeded] == 0 {
			over = append(over, r.Name)
			continue
		}
		room[r.Succeeded]--
		keep = append(keep, r)
	}
	slices.Reverse(keep)
	c.Status.Finished = keep
	return over
}

// dueRun decides whether a run is due, notes it in the status, and says when
// to look again, 0 for never.
func (q *Queue) dueRun(ctx context.Context, c *CronJob, now time.Time) (*store.Submission, int64, error) {
	if c.Suspend {
		return nil, 0, nil
	}
	sched, err := schedule.Parse(c.Schedule, c.TimeZone)
	if err != nil {
		q.log.Warn("cron job has an unreadable schedule", "cronjob", c.Name, "error", err)
		c.tell(now, EventWarning, EventUnparseableSchedule, "%v", err)
		return nil, 0, nil
	}
	look := sched.Due(c.base(), now)
	wake := int64(0)
	if !look.Wake.IsZero() {
		wake = look.Wake.UnixMilli()
	}
	if look.At.IsZero() {
		return nil, wake, nil
	}
	if look.TooManyMissed {
		q.log.Warn("cron job has missed more than 100 times, the latest starts", "cronjob", c.Name)
		c.tell(now, EventWarning, EventTooManyMissedTimes, "Missed more than 100 times; the latest starts")
	}
	start, err := q.admit(ctx, c, look.At, now)
	if err != nil || !start {
		return nil, wake, err
	}
	run, err := q.run(c, look.At)
	if err != nil {
		return nil, 0, err
	}
	c.Status.LastScheduleTime = look.At
	if !slices.Contains(c.Status.Active, run.Name) {
		c.Status.Active = append(c.Status.Active, run.Name)
		c.tell(now, EventNormal, EventSuccessfulCreate, "Created job %s", run.Name)
	}
	return run, wake, nil
}

// base is what the schedule counts from: the last run, or when the present
// schedule came into force.
func (c *CronJob) base() schedule.Base {
	b := schedule.Base{Created: c.Status.ScheduledFrom, StartingDeadline: c.StartingDeadline}
	if c.Status.LastScheduleTime.After(b.Created) {
		b.LastRun = c.Status.LastScheduleTime
	}
	return b
}

// admit asks the concurrency policy whether a run may start.
func (q *Queue) admit(ctx context.Context, c *CronJob, due, now time.Time) (bool, error) {
	if len(c.Status.Active) == 0 {
		return true, nil
	}
	switch c.ConcurrencyPolicy {
	case ForbidConcurrent:
		c.tell(now, EventNormal, EventJobAlreadyActive, "Not starting the run of %s: an earlier one is active", due.Format(time.RFC3339))
		return false, nil // the end of the active run has the cron job looked at again
	case SkipConcurrent:
		c.Status.LastScheduleTime = due
		c.tell(now, EventWarning, EventMissSchedule, "Dropped a run: an earlier one is active")
		return false, nil
	case ReplaceConcurrent:
		for _, name := range c.Status.Active {
			if err := q.Delete(ctx, name); err != nil && !errors.Is(err, ErrNotFound) {
				return false, err
			}
			c.tell(now, EventNormal, EventSuccessfulDelete, "Deleted job %s", name)
		}
		c.Status.Active = nil
	case AllowConcurrent:
	}
	return true, nil
}

// runName is made of the scheduled time, so that the time fires once: its
// minute, as in Kubernetes, or its second where that is not a whole minute.
func runName(cron string, due time.Time) string {
	if due.Unix()%60 == 0 {
		return fmt.Sprintf("%s-%d", cron, due.Unix()/60)
	}
	return fmt.Sprintf("%s-%d", cron, due.Unix())
}

// run is the job of a scheduled time, which is in the cron job's zone.
func (q *Queue) run(c *CronJob, due time.Time) (*store.Submission, error) {
	spec := c.jobSpec()
	spec.Name = runName(c.Name, due)
	spec.Annotations = maps.Clone(spec.Annotations)
	if spec.Annotations == nil {
		spec.Annotations = map[string]string{}
	}
	spec.Annotations[ScheduledAnnotation] = due.Format(time.RFC3339)
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	if c.sealed != nil {
		return nil, fmt.Errorf("its args: %w", ErrUnknownKey)
	}
	args, err := q.sealArgs(c.RawArgs, c.JobKind, spec.Name)
	if err != nil {
		return nil, err
	}
	return &store.Submission{
		Kind: c.JobKind, Requests: spec.requests(), Args: args, Spec: data, Name: spec.Name, UID: uuid.NewString(), Owner: c.Name, Rules: submittedRules(spec),
	}, nil
}
