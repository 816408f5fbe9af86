package stint

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stint-go/stint/internal/schedule"
	"github.com/stint-go/stint/internal/store"
)

// ConcurrencyPolicy says what a cron job does when a run is due while an
// earlier one is unfinished.
type ConcurrencyPolicy string

// The concurrency policies.
const (
	AllowConcurrent   ConcurrencyPolicy = "Allow"   // start it (the default)
	ForbidConcurrent  ConcurrencyPolicy = "Forbid"  // put it off: the latest one missed starts when the other has finished
	ReplaceConcurrent ConcurrencyPolicy = "Replace" // delete the unfinished one, and start it
	SkipConcurrent    ConcurrencyPolicy = "Skip"    // drop it; not one of Kubernetes's
)

// Defaults of CronJob.
const (
	DefaultSuccessfulJobsHistoryLimit = 3
	DefaultFailedJobsHistoryLimit     = 1
)

// ScheduledAnnotation holds the time for which a cron job's run was
// scheduled, in RFC 3339, in the cron job's time zone.
const ScheduledAnnotation = "batch.kubernetes.io/cronjob-scheduled-timestamp"

// CronJob submits a job at scheduled times. Each time fires once, however
// many processes keep the schedule. It is Kubernetes's CronJob.
type CronJob struct {
	// Name is unique among the cron jobs of its queue: a DNS-1123 subdomain
	// of at most 52 bytes. Runs are named after it and the minute,
	// or the second of a schedule that fires more often.
	Name string `json:"name"`
	// Schedule has five fields, minute to day of week, or is one of @yearly,
	// @monthly, @weekly, @daily, @hourly and "@every 90m". A time that daylight
	// saving skips does not fire that day; one that it repeats fires twice.
	Schedule string `json:"schedule"`
	// TimeZone is a name of the IANA database; "" is UTC.
	TimeZone string `json:"timeZone,omitempty"`
	// StartingDeadline is how late a run may start; nil is any time. It is
	// more than 0.
	StartingDeadline *time.Duration `json:"startingDeadline,omitempty"`
	// ConcurrencyPolicy is Allow by default.
	ConcurrencyPolicy ConcurrencyPolicy `json:"concurrencyPolicy,omitempty"`
	// Suspend starts no runs. What is missed meanwhile counts as missed: the
	// latest starts at the end of the suspension, within StartingDeadline.
	Suspend bool `json:"suspend,omitempty"`
	// SuccessfulJobsHistoryLimit and FailedJobsHistoryLimit are how many
	// finished runs are kept, 3 and 1 by default.
	SuccessfulJobsHistoryLimit *int `json:"successfulJobsHistoryLimit,omitempty"`
	FailedJobsHistoryLimit     *int `json:"failedJobsHistoryLimit,omitempty"`

	// Args are what the runs are submitted with, and Job their spec, without
	// a name. A run whose spec has no TTLAfterFinished is kept for as long as
	// the history limits keep it. What Get reads has RawArgs and JobKind in
	// place of Args.
	Args    Args            `json:"-"`
	RawArgs json.RawMessage `json:"args,omitempty"`
	JobKind string          `json:"kind"`
	Job     JobSpec         `json:"job"`

	UID        string        `json:"uid"`        // read only
	Generation int64         `json:"generation"` // read only: grows with each change
	CreatedAt  time.Time     `json:"createdAt"`  // read only
	Status     CronJobStatus `json:"status"`     // read only

	sealed []byte // RawArgs, where the queue has not the key
}

// CronJobStatus is what became of a cron job's runs.
type CronJobStatus struct {
	Active             []string  `json:"active,omitempty"`            // names of unfinished runs
	LastScheduleTime   time.Time `json:"lastScheduleTime,omitzero"`   // the scheduled time of the last run
	LastSuccessfulTime time.Time `json:"lastSuccessfulTime,omitzero"` // when the last run completed that did
	Finished           []CronRun `json:"finished,omitempty"`          // finished runs that are kept
	// ScheduledFrom is when schedule or time zone last changed: they owe no
	// run from before.
	ScheduledFrom time.Time `json:"scheduledFrom,omitzero"`
	// Events are the last ten different things that happened.
	Events []JobEvent `json:"events,omitempty"`
}

// CronRun is a finished run.
type CronRun struct {
	Name      string    `json:"name"`
	Succeeded bool      `json:"succeeded"`
	StartedAt time.Time `json:"startedAt,omitzero"`
}

func (c *CronJob) withDefaults() {
	c.ConcurrencyPolicy = cmp.Or(c.ConcurrencyPolicy, AllowConcurrent)
	c.SuccessfulJobsHistoryLimit = orDefault(c.SuccessfulJobsHistoryLimit, DefaultSuccessfulJobsHistoryLimit)
	c.FailedJobsHistoryLimit = orDefault(c.FailedJobsHistoryLimit, DefaultFailedJobsHistoryLimit)
}

// jobSpec is the spec of the runs, with defaults.
func (c *CronJob) jobSpec() JobSpec { return c.Job.withDefaults(NeverExpire) }

func (c *CronJob) validate() error {
	var v validation
	const maxCronName = 52
	switch {
	case !isDNSSubdomain(c.Name):
		v.add("metadata.name", FieldInvalid, c.Name, subdomainRule)
	case len(c.Name) > maxCronName:
		v.add("metadata.name", FieldInvalid, c.Name, "must be no more than 52 characters")
	}
	v.schedule(c)
	if c.StartingDeadline != nil && *c.StartingDeadline <= 0 {
		v.add("spec.startingDeadlineSeconds", FieldInvalid, *c.StartingDeadline, "must be greater than 0")
	}
	policies := []ConcurrencyPolicy{AllowConcurrent, ForbidConcurrent, ReplaceConcurrent, SkipConcurrent}
	switch c.ConcurrencyPolicy {
	case AllowConcurrent, ForbidConcurrent, ReplaceConcurrent, SkipConcurrent:
	default:
		v.add("spec.concurrencyPolicy", FieldNotSupported, c.ConcurrencyPolicy, oneOf(policies))
	}
	v.count("spec.successfulJobsHistoryLimit", c.SuccessfulJobsHistoryLimit)
	v.count("spec.failedJobsHistoryLimit", c.FailedJobsHistoryLimit)
	if c.Job.Name != "" {
		v.add("spec.jobTemplate.metadata.name", FieldInvalid, c.Job.Name, "must be empty: runs are named after the cron job")
	}
	spec := c.jobSpec()
	spec.Name = c.Name + "-00000000"
	var bad *InvalidError
	if err := validateCreate(spec, c.JobKind, len(c.RawArgs)); errors.As(err, &bad) {
		for _, f := range bad.Fields {
			f.Field = "spec.jobTemplate." + f.Field
			v.fields = append(v.fields, f)
		}
	}
	return v.err()
}

func (v *validation) schedule(c *CronJob) {
	if c.Schedule == "" {
		v.add("spec.schedule", FieldRequired, nil, "")
	}
	zone := &c.TimeZone
	if c.TimeZone == "" {
		zone = nil
	}
	if err := schedule.ValidateZone(zone); err != nil {
		v.add("spec.timeZone", FieldInvalid, c.TimeZone, err.Error())
		return
	}
	if c.Schedule == "" {
		return
	}
	if _, err := schedule.Parse(c.Schedule, c.TimeZone); err != nil {
		v.add("spec.schedule", FieldInvalid, c.Schedule, err.Error())
	}
}

// ApplyCron stores a cron job: a new one, or a change of the one of that
// name. Applying the same again changes nothing. Runs under way keep the spec
// that they were submitted with.
func (q *Queue) ApplyCron(ctx context.Context, c CronJob) (*CronJob, error) {
	if q.err != nil {
		return nil, q.err
	}
	if c.Args != nil {
		data, err := q.encode("spec.jobTemplate.args", c.Args)
		if err != nil {
			return nil, err
		}
		c.RawArgs, c.JobKind = data, c.Args.Kind()
		c.Args = nil
	}
	c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	return q.changeCron(ctx, c.Name, true, func(old *CronJob) {
		c.UID, c.Generation, c.CreatedAt, c.Status = old.UID, old.Generation, old.CreatedAt, old.Status
		*old = c
	})
}

// changeCron changes a cron job's spec and has it looked at.
func (q *Queue) changeCron(ctx context.Context, name string, create bool, change func(*CronJob)) (*CronJob, error) {
	for range 20 {
		now, err := q.store.Now(ctx)
		if err != nil {
			return nil, err
		}
		c, version, err := q.readCron(ctx, name)
		if errors.Is(err, ErrNotFound) && create {
			c, err = &CronJob{UID: uuid.NewString(), CreatedAt: at(now)}, nil
		}
		if err != nil {
			return nil, err
		}
		before, expr, zone := cronSpec(c), c.Schedule, c.TimeZone
		change(c)
		if c.Schedule != expr || c.TimeZone != zone {
			c.Status.ScheduledFrom = at(now)
		}
		if version != "" && cronSpec(c) == before {
			return c, nil
		}
		c.Generation++
		if err := q.writeCron(ctx, c, version, now, nil); err == nil {
			return c, nil
		} else if !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: cron job %s", ErrConflict, name)
}

// cronSpec is what Generation counts the changes of.
func cronSpec(c *CronJob) string {
	spec := *c
	spec.Status, spec.Generation = CronJobStatus{}, 0
	data, _ := json.Marshal(spec)
	return string(data)
}

func (q *Queue) readCron(ctx context.Context, name string) (*CronJob, string, error) {
	if q.err != nil {
		return nil, "", q.err
	}
	r, err := q.store.GetCron(ctx, name)
	if errors.Is(err, store.ErrGone) {
		return nil, "", fmt.Errorf("%w: cron job %.300q in queue %s", ErrNotFound, name, q.name)
	}
	if err != nil {
		return nil, "", err
	}
	c, err := q.parseCron(r.Data)
	if err != nil {
		return nil, "", unreadableCron(name, err)
	}
	return c, r.Version, nil
}

func unreadableCron(name string, err error) error {
	return fmt.Errorf("%w: cron job %.300q: %w", ErrUnreadable, name, err)
}

// writeCron stores a record over the version read; due is when to look at the
// cron job again, 0 for never.
func (q *Queue) writeCron(ctx context.Context, c *CronJob, version string, due int64, run *store.Submission) error {
	data, err := q.cronData(c)
	if err != nil {
		return err
	}
	return q.store.PutCron(ctx, c.Name, version, nextVersion(version), data, due, run)
}

// nextVersion is of one writer alone: two that change the same version at
// once are told apart, and so is a cron job from one of its name before it.
func nextVersion(version string) string {
	number, _, _ := strings.Cut(version, ".")
	n, _ := strconv.ParseInt(number, 10, 64)
	return strconv.FormatInt(n+1, 10) + "." + rand.Text()[:10]
}

// GetCron reads a cron job. It fails with [ErrNotFound].
func (q *Queue) GetCron(ctx context.Context, name string) (*CronJob, error) {
	c, _, err := q.readCron(ctx, name)
	return c, err
}

// ListCron goes over the cron jobs of a queue, in no order. An error that wraps
// [ErrUnreadable] is of one that is passed over; any other ends it.
func (q *Queue) ListCron(ctx context.Context) iter.Seq2[*CronJob, error] {
	return func(yield func(*CronJob, error) bool) {
		var page []*CronJob
		more := true
		pages(func(c *CronJob, err error) bool { return more && yield(c, err) }, &page, func(cursor uint64) (uint64, error) {
			return q.store.ListCron(ctx, cursor, func(name string, r store.Cron) {
				c, err := q.parseCron(r.Data)
				if err != nil {
					more = more && yield(nil, unreadableCron(name, err))
					return
				}
				page = append(page, c)
			})
		})
	}
}

// Upcoming are the next n scheduled times after one and after the last run, in the cron job's zone:
// fewer where there are no more within forty years. Whether a run starts then
// is a matter of Suspend and the ConcurrencyPolicy. n is at most 1000; a bad
// schedule or zone is an [*InvalidError].
func (c *CronJob) Upcoming(after time.Time, n int) ([]time.Time, error) {
	var v validation
	if v.schedule(c); n < 0 || n > 1000 {
		v.add("n", FieldInvalid, n, "must be between 0 and 1000")
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	s, err := schedule.Parse(c.Schedule, c.TimeZone)
	if err != nil {
		return nil, err
	}
	from := c.base().Created
	if b := c.base(); !b.LastRun.IsZero() {
		from = b.LastRun
	}
	if !from.IsZero() { // "@every" counts from it
		if last, _, _ := s.Last(from, after); !last.IsZero() {
			from = last
		}
		after = from
	}
	var out []time.Time
	for len(out) < n {
		if after = s.Next(after); after.IsZero() {
			break
		}
		out = append(out, after)
	}
	return out, nil
}

// SuspendCron starts no more runs of a cron job until ResumeCron. Runs under
// way go on.
func (q *Queue) SuspendCron(ctx context.Context, name string) (*CronJob, error) {
	return q.changeCron(ctx, name, false, func(c *CronJob) { c.Suspend = true })
}

// ResumeCron lets a suspended cron job go on.
func (q *Queue) ResumeCron(ctx context.Context, name string) (*CronJob, error) {
	return q.changeCron(ctx, name, false, func(c *CronJob) { c.Suspend = false })
}

// RunCron submits a run of a cron job now, beside its schedule: it is no run
// of a scheduled time, and no policy looks at it.
func (q *Queue) RunCron(ctx context.Context, name string) (*Job, error) {
	c, err := q.GetCron(ctx, name)
	if err != nil {
		return nil, err
	}
	if c.sealed != nil {
		return nil, fmt.Errorf("cron job %s: its args: %w", name, ErrUnknownKey)
	}
	spec := c.Job
	if spec.Name == "" {
		spec.Name = c.Name[:min(len(c.Name), 40)] + "-" + generateName("run")
	}
	return q.SubmitRaw(ctx, Submission{Kind: c.JobKind, Args: c.RawArgs, Spec: spec})
}

// DeleteCron removes a cron job and its runs: these first, so that one who was
// stopped half-way can be followed by another. A repeated call whose reply was
// lost finds it gone, and is done.
func (q *Queue) DeleteCron(ctx context.Context, name string) error {
	for try := range 20 {
		c, version, err := q.readCron(ctx, name)
		if try > 0 && errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, run := range c.runs() {
			if err := q.Delete(ctx, run); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		err = q.store.PutCron(ctx, name, version, "", nil, 0, nil)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: cron job %s", ErrConflict, name)
}

// runs are the names of all runs that the cron job knows of.
func (c *CronJob) runs() []string {
	all := append([]string(nil), c.Status.Active...)
	for _, f := range c.Status.Finished {
		all = append(all, f.Name)
	}
	return all
}

// Scheduler keeps the timers, cron jobs and lost workers of queues without
// running handlers itself. Every [Worker] does the same unless told not to, so
// that it is needed only where no worker runs.
type Scheduler struct {
	queues []*Queue
	log    *slog.Logger
}

// NewScheduler makes a scheduler for queues; log may be nil.
func NewScheduler(log *slog.Logger, queues ...*Queue) *Scheduler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Scheduler{queues, log}
}

// Run works until ctx is cancelled, through every failure of Redis. Any
// number of schedulers may run at once.
func (s *Scheduler) Run(ctx context.Context) error {
	for _, q := range s.queues {
		if q.err != nil {
			return q.err
		}
	}
	if err := refuseLayout(ctx, s.queues); err != nil {
		return err
	}
	var all sync.WaitGroup
	seats := newSeats(s.log)
	for _, q := range s.queues {
		log := s.log.With("queue", q.name)
		base, stop := context.WithCancel(context.WithoutCancel(ctx))
		k := newKeeper(q, log, seats, true)
		all.Go(func() { k.run(base) })
		all.Go(func() { newJanitor(q, DefaultLease, log).run(base) })
		all.Go(func() {
			<-ctx.Done()
			stop()
			wake, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = q.store.WakeAll(wake, "scheduler")
		})
	}
	all.Wait()
	return nil
}
