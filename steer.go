package stint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/stint-go/stint/internal/indexset"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// Delete removes a job with all that is kept of it, finished or not. Running
// handlers are cancelled with cause [ErrJobDeleted], and what they return
// changes nothing. A job that is not there is [ErrNotFound].
func (q *Queue) Delete(ctx context.Context, name string) error {
	r, err := q.record(ctx, name)
	if err != nil {
		return err
	}
	key := r.Key()
	for {
		more, err := q.store.Delete(ctx, key, r.UID)
		if errors.Is(err, store.ErrGone) {
			return nil // by a call whose reply was lost, or by somebody else
		}
		if err != nil {
			return q.steered(name, err)
		}
		if !more {
			return nil
		}
	}
}

// record reads a job that is to be steered; a plain one gets its record, also
// where it has finished since it was found.
func (q *Queue) record(ctx context.Context, name string) (r *store.Record, err error) {
	for range overtaken {
		if r, err = q.find(ctx, name); err != nil || !r.Plain {
			return r, err
		}
		if err = q.adopt(ctx, r); err == nil {
			return q.find(ctx, name)
		}
		if !errors.Is(err, store.ErrFenced) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: job %s, %d times in a row", ErrConflict, name, overtaken)
}

// overtaken is how often a verb begins anew where the job has changed since it
// was read, as a plain one does that fails and is started again at once.
const overtaken = 20

// adopt gives a plain job its record.
func (q *Queue) adopt(ctx context.Context, r *store.Record) error {
	j, err := q.job(r)
	if err != nil {
		return err
	}
	t := &store.Task{Kind: r.Kind, Entry: r.Entry, Plain: true, Spec: r.Spec, Args: r.Args, Job: r.Name, UID: r.Name, Tries: r.Tries}
	return q.store.AdoptFor(ctx, t, started(j).rules(), r)
}

// steered turns the store's answers into the API's.
func (q *Queue) steered(name string, err error) error {
	switch {
	case errors.Is(err, store.ErrGone), errors.Is(err, store.ErrFenced):
		return fmt.Errorf("%w: job %.300q in queue %s", ErrNotFound, name, q.name)
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%w: job %s", ErrConflict, name)
	case errors.Is(err, store.ErrFull):
		return fmt.Errorf("%w: job %s", ErrTooManyLanes, name)
	}
	return err
}

// Update changes the spec of a job: change is given the present spec and may
// be called again when somebody else was quicker. What may change while the
// job is open or finished is Kubernetes's choice, and documented at the
// fields of [JobSpec]; anything else is an [*InvalidError], and nothing is
// stored.
func (q *Queue) Update(ctx context.Context, name string, change func(*JobSpec)) (*Job, error) {
	for range overtaken {
		r, err := q.record(ctx, name)
		if err != nil {
			return nil, err
		}
		job, err := q.job(r)
		if err != nil {
			return nil, err
		}
		from := started(job)
		spec, err := from.clone()
		if err != nil {
			return nil, err
		}
		change(&spec)
		spec = spec.withDefaults(q.cfg.DefaultTTL)
		if err := validateUpdate(from, spec); err != nil {
			return nil, err
		}
		data, err := json.Marshal(spec)
		if err != nil {
			return nil, err
		}
		err = q.store.Update(ctx, r.Key(), r.UID, r.Generation, data, spec.rules())
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, q.steered(name, err)
		}
		return q.Get(ctx, name)
	}
	return nil, fmt.Errorf("%w: job %s, %d times in a row", ErrConflict, name, overtaken)
}

// started is the spec of a stored job: its delay is the time that it led to,
// which can be changed.
func started(j *Job) JobSpec {
	s := j.Spec
	if s.Delay > 0 {
		s.StartAt, s.Delay = j.CreatedAt.Add(time.Duration(millis(s.Delay))*time.Millisecond), 0
	}
	return s
}

// clone is a copy that shares nothing with s.
func (s JobSpec) clone() (out JobSpec, err error) {
	data, err := json.Marshal(s)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(data, &out)
}

// Suspend stops the attempts of a job and starts none until Resume. Running
// handlers are cancelled with cause [ErrJobSuspended]; nothing is counted.
// A finished job stays as it is.
func (q *Queue) Suspend(ctx context.Context, name string) (*Job, error) {
	return q.Update(ctx, name, func(s *JobSpec) { s.Suspend = true })
}

// Resume lets a suspended job go on. Its ActiveDeadline begins anew.
func (q *Queue) Resume(ctx context.Context, name string) (*Job, error) {
	return q.Update(ctx, name, func(s *JobSpec) { s.Suspend = false })
}

// Scale changes how many attempts of a job may be active. Attempts that are
// too many are cancelled with cause [ErrScaledDown] and not counted.
func (q *Queue) Scale(ctx context.Context, name string, parallelism int) (*Job, error) {
	return q.Update(ctx, name, func(s *JobSpec) { s.Parallelism = &parallelism })
}

// ScaleIndexed changes completions and parallelism of an Indexed job to the
// same number, as Kubernetes allows. Successes of indexes that fall away are
// forgotten.
func (q *Queue) ScaleIndexed(ctx context.Context, name string, n int) (*Job, error) {
	return q.Update(ctx, name, func(s *JobSpec) { s.Parallelism, s.Completions = &n, &n })
}

// Evict cancels the running attempt at one index, with cause [ErrEvicted].
// By the job's ReplacementPolicy it counts as failed and is replaced at once,
// or when it has ended and by how. It is [ErrNotFound] where none is active.
func (q *Queue) Evict(ctx context.Context, name string, index int) error {
	r, err := q.record(ctx, name)
	if err != nil {
		return err
	}
	entry, err := q.store.ActiveEntry(ctx, r.Name, index)
	if err != nil {
		return q.steered(name, err)
	}
	err = q.store.Evict(ctx, r.Key(), r.UID, index, entry) // this one: a repeated call evicts no other
	if errors.Is(err, store.ErrGone) {
		return nil // by a call whose reply was lost, or it has ended just now
	}
	return q.steered(name, err)
}

// Reap ends the running attempt at one index as lost, at once, as happens
// by itself to those of a worker that gives no sign of life for a lease. It
// is for a worker that is known to be dead, as the forced deletion of a pod is.
// A handler that runs on is cancelled with cause [ErrLeaseLost], and what it
// returns changes nothing. It is [ErrNotFound] where no worker has an attempt.
func (q *Queue) Reap(ctx context.Context, name string, index int) error {
	r, err := q.record(ctx, name)
	if err != nil {
		return err
	}
	key := r.Key()
	task, err := q.store.TaskAt(ctx, key, index)
	if err != nil {
		return q.steered(name, err)
	}
	results, err := q.lost(ctx, []store.Task{task})
	if err != nil {
		return err
	}
	if o := q.store.Settle(ctx, results, store.Guard{}, 0)[0]; o.Err != nil {
		return o.Err
	}
	return q.store.Order(ctx, r.Name)
}

// Retry opens indexes of a finished job again: those listed, in the form
// "1-100,205", or, with "", all that have not succeeded. A new job takes the
// place and the name of the old one and keeps its successes, its spec and its
// args; what was counted begins anew. Indexes that succeeded run again where
// they are listed. An unfinished job is [ErrConflict], and one with requests can
// be [ErrTooManyLanes].
func (q *Queue) Retry(ctx context.Context, name, indexes string) (*Job, error) {
	r, err := q.record(ctx, name)
	if err != nil {
		return nil, err
	}
	job, err := q.job(r)
	if err != nil {
		return nil, err
	}
	if job.Spec.Completions == nil {
		return nil, &InvalidError{Fields: []FieldError{{Field: "spec.completions", Cause: FieldRequired, Detail: "a work-queue job has no indexes to retry"}}}
	}
	again, err := q.retried(indexes, *job.Spec.Completions, r)
	if err != nil {
		return nil, err
	}
	spec := job.Spec
	spec.Delay, spec.StartAt = 0, at(0)
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	done, bad := r.Done.Minus(again), r.Bad.Minus(again)
	sp := spec.rules()
	err = q.store.Retry(ctx, r, uuid.NewString(), done, bad, hitsOf(sp, done), sp, data)
	if err != nil {
		return nil, q.steered(name, err)
	}
	return q.Get(ctx, name)
}

// retried is the set of indexes to run again.
func (q *Queue) retried(text string, n int, r *store.Record) (indexset.Set, error) {
	if text == "" {
		var all indexset.Set
		if n > 0 {
			all.AddRange(0, n-1)
		}
		return all.Minus(r.Done), nil
	}
	set, err := indexset.Parse(text, n)
	if err != nil {
		err = &InvalidError{Fields: []FieldError{{Field: "indexes", Cause: FieldInvalid, Value: text, Detail: err.Error()}}}
	}
	return set, err
}

// hitsOf counts for each rule of a success policy the listed successes.
func hitsOf(sp rules.Spec, done indexset.Set) string {
	hits := make([]string, len(sp.Success))
	for i, r := range sp.Success {
		n := 0
		if r.Indexes != nil {
			n = r.Indexes.Intersect(done).Len()
		}
		hits[i] = fmt.Sprint(n)
	}
	return strings.Join(hits, ",")
}
