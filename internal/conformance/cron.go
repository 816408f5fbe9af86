package conformance

import (
	"encoding/json"
	"time"
)

// CronSystem is an implementation of one cron job, in a world of its own,
// together with the jobs that it makes. These end only when told so.
type CronSystem interface {
	CronAPI
	CronControl
	Observe() (CronObservation, error)
}

// CronAPI is what a user does, and what becomes of jobs. They are called by
// the names that Observe gave them.
type CronAPI interface {
	// Create makes the cron job, of a batch/v1 CronJobSpec without its
	// template, or answers why not. It is the first call.
	Create(name string, spec json.RawMessage) ([]Rejection, error)
	// Patch changes the spec by a JSON merge patch, or answers why not.
	Patch(patch json.RawMessage) ([]Rejection, error)
	// Finish ends a job as Complete or Failed.
	Finish(job string, complete bool) error
	// Delete removes a job, on behalf of someone else.
	Delete(job string) error
}

// CronControl is time, and the implementation's own turn. Times never go back.
type CronControl interface {
	// SetTime moves the clock, and lets nothing else happen.
	SetTime(now time.Time)
	// Sync does all there is to do at the present time.
	Sync() error
	// RunUntil serves every timer at its own time, as if Sync had been called
	// all along, and last at the time given.
	RunUntil(end time.Time) error
	// Restart takes away what was kept in memory only.
	Restart() error
}

// CronObservation is what can be seen of a cron job.
type CronObservation struct {
	Created            []CronRun   // by the implementation since the last observation, in order
	Deleted            []time.Time // scheduled times of jobs, the same
	Active             []string    // status.active: names of jobs, in its order
	Jobs               []CronJob   // all that exist
	LastScheduleTime   *time.Time
	LastSuccessfulTime *time.Time
}

// CronRun is the creation of a job.
type CronRun struct {
	Scheduled time.Time // in the time zone of the cron job
	CreatedAt time.Time
}

// CronJob is a job of a cron job.
type CronJob struct {
	Name      string
	Scheduled time.Time
	State     CronJobState
}

// CronJobState is how far a job of a cron job is.
type CronJobState string

// The states of a job.
const (
	CronJobActive   CronJobState = "Active"
	CronJobComplete CronJobState = "Complete"
	CronJobFailed   CronJobState = "Failed"
)
