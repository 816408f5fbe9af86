// Package rules says what Kubernetes's Job controller would do, as pure
// functions over plain data: no clock, no I/O, no goroutine. The scripts of
// internal/store execute the same rules inside Redis and are held equal to
// this package by tests.
//
// Times are milliseconds since 1970 on the store's clock; durations are
// milliseconds.
package rules

import "github.com/stint-go/stint/internal/indexset"

// Unset stands for an absent optional number (nil in the Kubernetes API).
const Unset = -1

// Spec is what the rules need to know of a job's specification, after
// defaulting and validation.
type Spec struct {
	Indexed      bool
	Completions  int // Unset for a work-queue job
	Parallelism  int
	BackoffLimit int
	PerIndex     int // backoffLimitPerIndex, or Unset
	MaxFailed    int // maxFailedIndexes, or Unset
	Deadline     int64
	TTL          int64 // after the finish; Unset keeps the job for ever
	Suspend      bool
	StartAt      int64 // no attempt starts before; 0 for at once
	// ReplaceFailed is podReplacementPolicy Failed: a terminating attempt
	// keeps its slot, and is counted only when it has ended.
	ReplaceFailed bool
	Success       []SuccessRule
	Backoff       Backoff
	LostLimit     int  // lost attempts in a row that a slot may have
	LostCounts    bool // a lost attempt counts as a failure, as in Kubernetes
}

// SuccessRule is one rule of a success policy.
type SuccessRule struct {
	Indexes *indexset.Set // nil: any index
	Count   int           // Unset: all of Indexes
}

// Backoff says how long a failed slot, or the whole job, waits.
type Backoff struct {
	Initial, Max int64
	Factor       float64
	Jitter       float64 // fraction of the delay added at most; only where JobScope is unset
	// JobScope holds every start of the job back, as Kubernetes does;
	// without it only the failed slot waits.
	JobScope bool
}

// Verdict is what the end of an attempt means for its job.
type Verdict uint8

// The verdicts. A failure policy chooses between the failures.
const (
	Succeeded   Verdict = iota
	Failed              // counted against the limits, and retried
	Ignored             // not counted, and retried
	IndexFailed         // counted, and its index is not retried
	JobFailed           // counted, and its job fails
	Lost                // the attempt's worker went away
	Released            // given back: no attempt is charged
	numVerdicts
)

// Reasons of conditions, in Kubernetes's words. LostLimitExceeded is ours.
const (
	ReasonPodFailurePolicy         = "PodFailurePolicy"
	ReasonBackoffLimitExceeded     = "BackoffLimitExceeded"
	ReasonLostLimitExceeded        = "LostLimitExceeded"
	ReasonDeadlineExceeded         = "DeadlineExceeded"
	ReasonMaxFailedIndexesExceeded = "MaxFailedIndexesExceeded"
	ReasonFailedIndexes            = "FailedIndexes"
	ReasonSuccessPolicy            = "SuccessPolicy"
	ReasonCompletionsReached       = "CompletionsReached"
	ReasonJobSuspended             = "JobSuspended"
	ReasonJobResumed               = "JobResumed"
)

// Phase is how far a job's fate is decided.
type Phase string

// The phases. A job moves from Open to FailureTarget or SuccessCriteriaMet,
// and from there, when none of its attempts is left, to Failed or Complete.
const (
	Open               Phase = ""
	FailureTarget      Phase = "FailureTarget"
	SuccessCriteriaMet Phase = "SuccessCriteriaMet"
	JobIsFailed        Phase = "Failed"
	JobIsComplete      Phase = "Complete"
)

// Finished tells whether nothing of the job can change any more.
func (p Phase) Finished() bool { return p == JobIsFailed || p == JobIsComplete }
