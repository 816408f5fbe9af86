package stint

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// TaskInfo is an active task of a job, as others see it.
type TaskInfo struct {
	Index   int
	Attempt int
	Token   string
	Worker  string    // "" while none has it
	ReadyAt time.Time // since when a worker could have it
}

// Tasks reads the active tasks of a job, at most 500, by index.
func (q *Queue) Tasks(ctx context.Context, name string) ([]TaskInfo, error) {
	r, err := q.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if r.Plain {
		if r.Active == 0 {
			return nil, nil
		}
		worker, err := q.store.Holder(ctx, r.Kind, r.Entry)
		return []TaskInfo{{Attempt: r.Attempts, Token: r.Entry, Worker: worker, ReadyAt: entryTime(r.Entry)}}, err
	}
	running, err := q.store.Tasks(ctx, name, r.Lane())
	out := make([]TaskInfo, len(running))
	for i, t := range running {
		out[i] = TaskInfo{Index: t.Slot, Attempt: t.Attempt, Token: t.Entry, Worker: t.Worker, ReadyAt: entryTime(t.Entry)}
	}
	return out, err
}

// AttemptError is what is kept of a failed attempt.
type AttemptError struct {
	Index   int       `json:"-"`
	Attempt int       `json:"attempt"`
	At      time.Time `json:"-"` // when it was counted
	Worker  string    `json:"worker"`
	Outcome string    `json:"outcome"` // "Failed", "Ignored", "IndexFailed", "JobFailed" or "Lost"
	Code    int       `json:"code,omitempty"`
	Rule    *int      `json:"rule,omitempty"` // of the failure policy that matched
	Message string    `json:"message"`
	Stack   string    `json:"stack,omitempty"` // of a panic
}

// Errors reads the last errors of a job: of each index the last five, and of
// a job 10,000 at most. They come in no order.
func (q *Queue) Errors(ctx context.Context, name string) iter.Seq2[AttemptError, error] {
	return func(yield func(AttemptError, error) bool) {
		var page []AttemptError
		found := false
		pages(yield, &page, func(cursor uint64) (uint64, error) {
			next, err := q.store.Failures(ctx, name, cursor, func(slot int, ms int64, data []byte) {
				page = append(page, attemptError(slot, ms, data))
			})
			if found = found || len(page) > 0; next > 0 || err != nil || found {
				return next, err
			}
			page, err = q.plainErrors(ctx, name)
			return 0, err
		})
	}
}

// plainErrors are the errors of a job that has no record, none where it has one.
func (q *Queue) plainErrors(ctx context.Context, name string) ([]AttemptError, error) {
	r, err := q.find(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return attemptErrors(0, r.Errors()), nil
}

// attemptErrors reads errors of an index, by attempt.
func attemptErrors(index int, kept []store.SlotError) []AttemptError {
	var all []AttemptError
	for _, e := range kept {
		all = append(all, attemptError(index, e.At, e.Data))
	}
	slices.SortFunc(all, func(a, b AttemptError) int { return a.Attempt - b.Attempt })
	return all
}

// attemptError reads what is kept of an error.
func attemptError(slot int, ms int64, data []byte) AttemptError {
	var e AttemptError
	if err := json.Unmarshal(data, &e); err != nil {
		e.Message = "unreadable record of an error: " + err.Error()
	}
	e.Index, e.At = slot, at(ms)
	return e
}
