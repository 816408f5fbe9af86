package stint

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/stint-go/stint/internal/store"
)

// patience is how long a call is repeated while Redis cannot be reached.
const patience = 10 * time.Second

// submitSurely repeats a submission until Redis has answered it: repeated
// calls of one operation store its jobs once.
func submitSurely(ctx context.Context, st *store.Store, id, op string, all bool, subs []store.Submission) ([]store.Answer, error) {
	return surely(ctx, func() ([]store.Answer, error) { return st.Submit(ctx, id, op, all, subs) })
}

// surely repeats a call that may be repeated until Redis has answered it.
func surely[A any](ctx context.Context, call func() (A, error)) (A, error) {
	a, err := call()
	if err == nil || !store.Temporary(err) {
		return a, err
	}
	policy := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(20*time.Millisecond), backoff.WithMaxInterval(time.Second), backoff.WithMaxElapsedTime(patience))
	a, err = backoff.RetryWithData(func() (A, error) {
		a, err := call()
		if err != nil && !store.Temporary(err) {
			return a, backoff.Permanent(err)
		}
		return a, err
	}, backoff.WithContext(policy, ctx))
	if err != nil && store.Temporary(err) {
		err = fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return a, err
}

// loners lends out the names of submitters, each to one call at a time: so
// Redis need not remember more of them than there are calls at a time.
type loners struct {
	mu   sync.Mutex // guards free
	free []*loner
}

// loner is a submitter and the number of its last operation.
type loner struct {
	id    string
	calls int64
}

func (t *loners) take() *loner {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.free); n > 0 {
		last := t.free[n-1]
		t.free = t.free[:n-1]
		return last
	}
	return &loner{id: rand.Text()}
}

// give takes a name back, unless something of it may still arrive.
func (t *loners) give(u *loner, err error) {
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free = append(t.free, u)
}

// next is the number of the submitter's next operation.
func (u *loner) next() string {
	u.calls++
	return strconv.FormatInt(u.calls, 10)
}

// sumOf tells whether two jobs of one name are the same.
func sumOf(kind string, args, spec []byte) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(kind), args, spec} {
		_, _ = fmt.Fprintf(h, "%d ", len(part)) // a hash takes everything
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// NewJob is one of the jobs of SubmitMany.
type NewJob struct {
	Args Args
	Spec JobSpec
}

// Submitted is what became of one of the jobs of SubmitMany.
type Submitted struct {
	Job      *Job  // nil with Err, unless that is ErrNotDurable
	Existing bool  // the same job was there already
	Err      error // why it is not stored
}

// SubmitMany stores jobs, with an outcome for each. Up to 100 are stored in
// one step, or 500 such as have neither a name nor a deadline nor more than
// one completion, 250 where they start later: all of them, or none if one of them is in conflict with another
// job of its name. More are split into such steps in their order. If any
// job is invalid nothing at all is stored. The error is the first of the
// outcomes' errors, or that of the connection.
func (q *Queue) SubmitMany(ctx context.Context, jobs []NewJob) ([]Submitted, error) {
	out := make([]Submitted, len(jobs))
	subs := make([]store.Submission, len(jobs))
	var first error
	for i, j := range jobs {
		var err error
		if out[i].Job, subs[i], err = q.prepareOne(j); err != nil {
			out[i] = Submitted{Err: err}
			first = firstError(first, fmt.Errorf("job %d: %w", i, err))
		}
	}
	if first != nil {
		for i := range out {
			out[i] = Submitted{Err: firstError(out[i].Err, ErrBatchRefused)}
		}
		return out, first
	}
	turn := q.loners.take()
	defer func() { q.loners.give(turn, first) }()
	for from, to := 0, 0; from < len(subs); from = to {
		to = from + store.AtOnce(subs[from:])
		answers, short, err := q.submitBatch(ctx, turn, subs[from:to])
		for i := from; i < to; i++ {
			o := &out[i]
			switch {
			case err != nil:
				*o = Submitted{Err: err}
			case answers[i-from].Refused:
				*o = Submitted{Err: ErrBatchRefused}
			default:
				o.Existing = answers[i-from].Existing != ""
				if e := q.answered(o.Job, answers[i-from]); e != nil {
					*o = Submitted{Err: e}
				} else if short != nil {
					o.Err = short
				}
			}
			first = firstError(first, o.Err)
		}
	}
	return out, first
}

func firstError(a, b error) error {
	if a == nil || errors.Is(a, ErrBatchRefused) && b != nil {
		return b
	}
	return a
}

func (q *Queue) prepareOne(j NewJob) (*Job, store.Submission, error) {
	args, err := q.encode("args", j.Args)
	if err != nil {
		return nil, store.Submission{}, err
	}
	return q.prepare(Submission{Kind: j.Args.Kind(), Args: args, Spec: j.Spec})
}
