package stint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/stint-go/stint/internal/conformance"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// tracedCron is one cron job in the engine, and a worker that ends its runs
// when it is told to.
type tracedCron struct {
	mini    *miniredis.Miniredis
	rdb     redis.UniversalClient
	queue   *Queue
	name    string
	raw     map[string]any
	now     time.Time
	seen    map[string]time.Time // scheduled times of runs that were seen
	removed map[string]bool      // by somebody else
	gone    map[string]bool
}

func newTracedCron(queue string, rdb redis.UniversalClient, m *miniredis.Miniredis, start time.Time) *tracedCron {
	c := &tracedCron{
		mini: m, rdb: rdb, queue: NewQueue(queue, rdb),
		seen: map[string]time.Time{}, removed: map[string]bool{}, gone: map[string]bool{},
	}
	c.queue.store.Clock = func() int64 { return c.now.UnixMilli() }
	c.SetTime(start)
	return c
}

func (c *tracedCron) SetTime(now time.Time) {
	c.now = now
	c.mini.SetTime(now)
}

func (c *tracedCron) Restart() error { return nil }

// cronFrom reads a batch/v1 spec without its template.
func cronFrom(name string, raw map[string]any) CronJob {
	job := CronJob{Name: name, JobKind: "trace", RawArgs: json.RawMessage("{}")}
	job.Schedule, _ = raw["schedule"].(string)
	job.TimeZone, _ = raw["timeZone"].(string)
	job.Suspend, _ = raw["suspend"].(bool)
	if p, ok := raw["concurrencyPolicy"].(string); ok {
		job.ConcurrencyPolicy = ConcurrencyPolicy(p)
	}
	if s, ok := raw["startingDeadlineSeconds"].(float64); ok {
		job.StartingDeadline = new(time.Duration(s) * time.Second)
	}
	for field, to := range map[string]**int{
		"successfulJobsHistoryLimit": &job.SuccessfulJobsHistoryLimit, "failedJobsHistoryLimit": &job.FailedJobsHistoryLimit,
	} {
		if n, ok := raw[field].(float64); ok {
			*to = new(int(n))
		}
	}
	job.Job.BackoffLimit = new(0)
	return job
}

func (c *tracedCron) apply() ([]conformance.Rejection, error) {
	zone, named := c.raw["timeZone"].(string)
	if named && zone == "" {
		return []conformance.Rejection{{Field: "spec.timeZone", Reason: string(FieldInvalid)}}, nil
	}
	_, err := c.queue.ApplyCron(context.Background(), cronFrom(c.name, c.raw))
	var bad *InvalidError
	if errors.As(err, &bad) {
		return rejections(bad), nil
	}
	return nil, err
}

func (c *tracedCron) Create(name string, spec json.RawMessage) ([]conformance.Rejection, error) {
	c.name = name
	if err := json.Unmarshal(spec, &c.raw); err != nil {
		return nil, err
	}
	return c.apply()
}

func (c *tracedCron) Patch(patch json.RawMessage) ([]conformance.Rejection, error) {
	var p map[string]any
	if err := json.Unmarshal(patch, &p); err != nil {
		return nil, err
	}
	old := c.raw
	c.raw = merge(c.raw, p)
	refused, err := c.apply()
	if len(refused) > 0 {
		c.raw = old
	}
	return refused, err
}

func (c *tracedCron) Finish(job string, complete bool) error {
	ctx := context.Background()
	stream := "stint:{" + c.queue.name + "}:ready:trace"
	if err := c.rdb.XGroupCreateMkStream(ctx, stream, "w", "0").Err(); err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return err
	}
	r, err := c.queue.store.Get(ctx, job)
	if err != nil {
		return err
	}
	running, err := c.queue.store.Tasks(ctx, job, "trace")
	if err != nil || len(running) != 1 {
		return fmt.Errorf("job %s: %d tasks: %w", job, len(running), err)
	}
	if err := c.rdb.Do(ctx, "XCLAIM", stream, "w", tracedWorker, 0, running[0].Entry, "FORCE", "JUSTID").Err(); err != nil {
		return err
	}
	task := store.Task{Kind: "trace", Entry: running[0].Entry, Job: job, UID: r.UID, Attempt: 1}
	result := store.Result{Task: &task, Verdict: rules.Succeeded, Delay: -1}
	if !complete {
		result.Verdict = rules.JobFailed
	}
	return c.queue.store.Settle(ctx, []store.Result{result}, store.Guard{}, 0)[0].Err
}

func (c *tracedCron) Delete(job string) error {
	c.removed[job] = true
	return c.queue.Delete(context.Background(), job)
}

// Sync looks at the cron job, and at it again when that has changed something.
func (c *tracedCron) Sync() error {
	for range 2 {
		if err := c.queue.fire(context.Background(), c.name); err != nil {
			return err
		}
	}
	return nil
}

func (c *tracedCron) RunUntil(end time.Time) error {
	ctx := context.Background()
	if err := c.Sync(); err != nil {
		return err
	}
	for {
		due, err := c.queue.store.Due(ctx, time.Second)
		if err != nil {
			return err
		}
		for range due.Cron {
			if err := c.Sync(); err != nil {
				return err
			}
		}
		if err := c.queue.store.AdvanceNamed(ctx, due.Jobs); err != nil {
			return err
		}
		if len(due.Cron)+len(due.Jobs) > 0 {
			continue
		}
		next := time.UnixMilli(due.Next)
		if due.Next == 0 || next.After(end) {
			break
		}
		c.SetTime(next)
	}
	c.SetTime(end)
	return c.Sync()
}

func (c *tracedCron) Observe() (conformance.CronObservation, error) {
	ctx := context.Background()
	var o conformance.CronObservation
	cj, err := c.queue.GetCron(ctx, c.name)
	if err != nil {
		return o, err
	}
	present := map[string]bool{}
	for j, err := range c.queue.List(ctx, ListOptions{}) {
		if err != nil {
			return o, err
		}
		at, err := time.Parse(time.RFC3339, j.Spec.Annotations[ScheduledAnnotation])
		if err != nil {
			return o, err
		}
		present[j.Name] = true
		if _, seen := c.seen[j.Name]; !seen {
			c.seen[j.Name] = at
			o.Created = append(o.Created, conformance.CronRun{Scheduled: at, CreatedAt: j.CreatedAt})
		}
		state := conformance.CronJobActive
		switch j.Phase() {
		case PhaseComplete:
			state = conformance.CronJobComplete
		case PhaseFailed:
			state = conformance.CronJobFailed
		case PhasePending, PhaseSuspended, PhaseRunning:
		}
		o.Jobs = append(o.Jobs, conformance.CronJob{Name: j.Name, Scheduled: at, State: state})
	}
	for name, at := range c.seen {
		if !present[name] && !c.gone[name] {
			c.gone[name] = true
			if !c.removed[name] {
				o.Deleted = append(o.Deleted, at)
			}
		}
	}
	slices.SortFunc(o.Created, func(a, b conformance.CronRun) int { return a.CreatedAt.Compare(b.CreatedAt) })
	o.Active = cj.Status.Active
	if t := cj.Status.LastScheduleTime; !t.IsZero() {
		o.LastScheduleTime = &t
	}
	if t := cj.Status.LastSuccessfulTime; !t.IsZero() {
		o.LastSuccessfulTime = &t
	}
	return o, nil
}
