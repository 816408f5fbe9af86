package stint

import (
	"context"
	"encoding/json"
	"time"
)

// IndexState is how far an index is.
type IndexState string

// The states of an index.
const (
	IndexPending   IndexState = "Pending"   // not started yet
	IndexActive    IndexState = "Active"    // with an attempt that waits for a worker or runs
	IndexRetrying  IndexState = "Retrying"  // waiting for another attempt
	IndexSucceeded IndexState = "Succeeded" // for good
	IndexFailed    IndexState = "Failed"    // given up, where BackoffLimitPerIndex is set
)

// IndexInfo is what is kept of one index.
type IndexInfo struct {
	Index    int            `json:"index"`
	State    IndexState     `json:"state"`
	Task     *TaskInfo      `json:"task,omitempty"`     // the active one
	RetryAt  time.Time      `json:"retryAt,omitzero"`   // of a retry that is held back
	Errors   []AttemptError `json:"errors,omitempty"`   // the last five, by attempt
	Progress *IndexProgress `json:"progress,omitempty"` // of the active one
	// Checkpoint and Result are as they are stored: encoded, and encrypted
	// where the queue encrypts; see [Results] for their values.
	Checkpoint []byte `json:"checkpoint,omitempty"`
	Result     []byte `json:"result,omitempty"`
}

// Index reads what is kept of one index of a job; of a job that is not Indexed
// a slot of its attempts stands for it. It fails with [ErrNotFound], and with
// an [*InvalidError] where the job has no such index.
func (q *Queue) Index(ctx context.Context, name string, index int) (IndexInfo, error) {
	r, err := q.find(ctx, name)
	if err != nil {
		return IndexInfo{}, err
	}
	job, err := q.job(r)
	if err != nil {
		return IndexInfo{}, err
	}
	n := *orDefault(job.Spec.Completions, *job.Spec.Parallelism)
	if index < 0 || index >= n {
		return IndexInfo{}, &InvalidError{Fields: []FieldError{{Field: "index", Cause: FieldInvalid, Value: index, Detail: "must be an index of the job"}}}
	}
	info := IndexInfo{Index: index, State: IndexPending}
	if r.Plain {
		info.Errors = attemptErrors(index, r.Errors())
		switch {
		case job.Finished():
			info.State, info.Result = IndexSucceeded, nonEmpty(r.Result)
		case r.Active > 0:
			info.State = IndexActive
			info.Task = &TaskInfo{Attempt: r.Attempts, Token: r.Entry, ReadyAt: entryTime(r.Entry)}
			info.Task.Worker, err = q.store.Holder(ctx, r.Kind, r.Entry)
		case r.Attempts > 0:
			info.State, info.RetryAt = IndexRetrying, at(r.RetryAt)
		}
		return info, err
	}
	return info, q.readIndex(ctx, job, r.Lane(), &info)
}

func (q *Queue) readIndex(ctx context.Context, job *Job, lane string, info *IndexInfo) error {
	s, err := q.store.Slot(ctx, job.Name, lane, info.Index)
	if err != nil {
		return q.steered(job.Name, err)
	}
	switch {
	case s.Done:
		info.State = IndexSucceeded
	case s.Bad:
		info.State = IndexFailed
	case s.Task != nil:
		info.State = IndexActive
		t := s.Task
		info.Task = &TaskInfo{Index: t.Slot, Attempt: t.Attempt, Token: t.Entry, Worker: t.Worker, ReadyAt: entryTime(t.Entry)}
	case s.Again:
		info.State, info.RetryAt = IndexRetrying, at(s.Due)
	}
	info.Errors = attemptErrors(info.Index, s.Errors)
	info.Result, info.Checkpoint = s.Result, s.Checkpoint
	if p := (IndexProgress{Index: info.Index}); s.Progress != nil && json.Unmarshal(s.Progress, &p) == nil {
		info.Progress = &p
	}
	return nil
}
