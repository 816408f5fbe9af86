package conformance

import "encoding/json"

// JobSystem is an implementation of one job, in a world of its own. Its clock
// stands at 0 at first, counts whole seconds and is moved by Advance alone.
//
// A system that can be held does nothing between two calls of Sync, and takes
// all that was asked of it since the last one into account at once. Others may
// act at every call, and are observed after every step.
type JobSystem interface {
	JobAPI
	JobAttempts
	JobControl
}

// JobAPI is what a user does.
type JobAPI interface {
	// Create submits the job, from a batch/v1 JobSpec without its template,
	// or answers why not. It is the first call.
	Create(spec json.RawMessage) ([]Rejection, error)
	// Patch changes the spec by a JSON merge patch, or answers why not.
	Patch(patch json.RawMessage) ([]Rejection, error)
	// Delete removes the job: at once, or, with foreground, after its
	// attempts have ended.
	Delete(foreground bool) error
}

// JobAttempts is what becomes of attempts. The IDs are those of Observe.
type JobAttempts interface {
	// Start gives an attempt to a worker.
	Start(id string) error
	// End ends an attempt that was started, or one that is terminating. It is
	// also called for attempts which the job has stopped and counts no more.
	End(id string, o Outcome) error
	// Disrupt has someone other than the job stop an attempt, which may not
	// have started. Its end is told by End.
	Disrupt(id string, disruptionTarget bool) error
}

// JobControl is time, and the implementation's own turn.
type JobControl interface {
	// Advance moves the clock, and lets nothing else happen.
	Advance(seconds int)
	// Restart takes away what was kept in memory only.
	Restart() error
	// Sync does all there is to do at the present time.
	Sync() error
	Observe() (JobObservation, error)
}

// Outcome is how an attempt ended.
type Outcome struct {
	ExitCode   int  // 0 is success, unless NoExitCode
	NoExitCode bool // it failed, and nothing more is known
	Conditions []PodCondition
}

// Failed tells whether the attempt did not succeed.
func (o Outcome) Failed() bool { return o.NoExitCode || o.ExitCode != 0 }

// JobObservation is what can be seen of a job.
type JobObservation struct {
	Deleted bool // Status is not looked at then
	Status  JobStatus
	// Attempts are all that have not ended, also those of a deleted job, in
	// the order in which they were made.
	Attempts []Attempt
}

// Attempt is one that has not ended.
type Attempt struct {
	ID          string // never used again
	Index       int    // its completion index; not looked at unless Indexed
	Terminating bool   // told to stop
}

// JobStatus is batch/v1 JobStatus with times in seconds since the beginning.
type JobStatus struct {
	Active, Ready, Terminating int
	Succeeded, Failed          int
	CompletedIndexes           string
	FailedIndexes              *string // nil unless backoffLimitPerIndex is set
	Conditions                 []Condition
	StartTime, CompletionTime  *int
	NextRetryDelay             *int // from now; nil if nothing waits for a failure
}

// Condition is a condition of a job.
type Condition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
	Reason string `json:"reason"`
	At     int    `json:"at"` // its last transition
}
