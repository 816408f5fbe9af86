package stint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// DefaultDurabilityTimeout is how long a submission waits for replicas and
// disks unless told otherwise.
const DefaultDurabilityTimeout = time.Second

// Durability is what a submission waits for after Redis has stored the job:
// the zero value for nothing. docs/guarantees.md says what each can lose.
type Durability struct {
	// Replicas is how many must have it, 100 at most.
	Replicas int
	// Fsync is whether it must be on disk: on that of the primary, and on
	// those of so many replicas. It needs an append-only file there, and Redis
	// 7.2 or Valkey.
	Fsync bool
	// Timeout is for how long to wait: 1 s by default, a minute at most.
	Timeout time.Duration
}

func (d Durability) waits() bool { return d.Replicas > 0 || d.Fsync }

// Durable is a handle of the same queue whose submissions wait: so each of
// them can choose. When not as much was reached in time, they fail with a
// [*NotDurableError], and the job is stored all the same: Submit returns it
// beside the error, and a worker may take it. Submissions that wait are not
// grouped with others, and cost a round trip each. Runs of cron jobs don't
// wait.
//
// rdb must be a client of go-redis for one server, Sentinel or a Cluster.
func (q *Queue) Durable(d Durability) *Queue {
	cfg := q.cfg
	cfg.Durability = d
	return newQueue(q.name, q.store, cfg)
}

// ErrNotDurable is the error of a job that is stored on the primary, and not
// known to be where its Durability asks for. What wraps it is a
// [*NotDurableError].
var ErrNotDurable = errors.New("stint: stored, and not known to be durable")

// NotDurableError tells what is known of a job that was stored. What it does
// not name may be true or not, or become true a moment later. To submit a
// named job again waits again, and stores nothing twice.
type NotDurableError struct {
	Want     Durability
	Replicas int   // that have acknowledged it in time
	Fsynced  bool  // the primary has it on disk; only with Want.Fsync
	Cause    error // why nothing is known; nil where Redis has told
}

// Error names what was reached and what was wanted.
func (e *NotDurableError) Error() string {
	text := fmt.Sprintf("%v: after %v, %d of %d replicas", ErrNotDurable, e.Want.Timeout, e.Replicas, e.Want.Replicas)
	if e.Want.Fsync {
		text += fmt.Sprintf(", on the disk of the primary: %t", e.Fsynced)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Is tells that it is ErrNotDurable.
func (e *NotDurableError) Is(target error) bool { return target == ErrNotDurable }

// Unwrap is what kept Redis from telling.
func (e *NotDurableError) Unwrap() error { return e.Cause }

// submitDurably submits one job by itself.
func (q *Queue) submitDurably(ctx context.Context, job *Job, sub store.Submission) (*Job, error) {
	turn := q.loners.take()
	answers, short, err := q.submitBatch(ctx, turn, []store.Submission{sub})
	q.loners.give(turn, err)
	if err != nil {
		return nil, err
	}
	if err := q.answered(job, answers[0]); err != nil {
		return job, err
	}
	if short != nil {
		return job, short
	}
	return job, nil
}

// submitBatch submits jobs together, all or none, and waits as the queue is
// told to; short tells that not all was reached.
func (q *Queue) submitBatch(ctx context.Context, turn *loner, subs []store.Submission) ([]store.Answer, *NotDurableError, error) {
	want, op := q.cfg.Durability, turn.next()
	if !want.waits() {
		answers, err := submitSurely(ctx, q.store, turn.id, op, true, subs)
		return answers, nil, err
	}
	type outcome struct {
		answers []store.Answer
		reached store.Reached
	}
	d := store.Durability(want)
	o, err := surely(ctx, func() (o outcome, err error) {
		o.answers, o.reached, err = q.store.SubmitDurably(ctx, turn.id, op, true, subs, d)
		return o, err
	})
	if err != nil || o.reached.Enough(d) {
		return o.answers, nil, err
	}
	return o.answers, &NotDurableError{Want: want, Replicas: o.reached.Replicas, Fsynced: o.reached.Fsynced, Cause: o.reached.Err}, nil
}
