package stint

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"
)

// Outcome is what a bulk verb has done to one job.
type Outcome struct {
	// Job is the job as the verb left it, or as it was: where it was deleted,
	// and where the verb failed.
	Job *Job
	// Continue goes on where this verb stands, in the [ListOptions] of the
	// same verb. What it was done to already is passed over.
	Continue string
}

// A bulkVerb is done to jobs one after the other.
type bulkVerb struct {
	applies func(*Job) bool
	do      func(ctx context.Context, name string) (*Job, error) // no job: it stays as it was
}

// DeleteAll deletes the jobs that o chooses, as Delete does, finished or not.
//
// Like every bulk verb it is lazy: it reads a page of List at a time and
// deletes one job for each turn of the loop, so that leaving the loop leaves
// the rest alone; to go on later, give the last Outcome's Continue, or just
// begin anew. Each job is looked at again just before; one that is gone or no
// longer chosen is passed over, and so are jobs submitted since the verb
// began. An error with a Job concerns that job only, and the loop goes on;
// one without a Job, or a cancelled ctx, ends it. Use [Queue.Count] to see how
// many there would be.
func (q *Queue) DeleteAll(ctx context.Context, o ListOptions) iter.Seq2[Outcome, error] {
	return q.all(ctx, o, bulkVerb{
		applies: func(*Job) bool { return true },
		do:      func(ctx context.Context, name string) (*Job, error) { return nil, q.Delete(ctx, name) },
	})
}

// SuspendAll suspends the jobs that o chooses, as Suspend does, except those
// that are finished or suspended. See [Queue.DeleteAll] for the loop.
func (q *Queue) SuspendAll(ctx context.Context, o ListOptions) iter.Seq2[Outcome, error] {
	return q.all(ctx, o, bulkVerb{
		applies: func(j *Job) bool { return !j.Finished() && !j.Spec.Suspend },
		do:      q.Suspend,
	})
}

// ResumeAll resumes the suspended jobs that o chooses, as Resume does. See
// [Queue.DeleteAll] for the loop.
func (q *Queue) ResumeAll(ctx context.Context, o ListOptions) iter.Seq2[Outcome, error] {
	return q.all(ctx, o, bulkVerb{
		applies: func(j *Job) bool { return !j.Finished() && j.Spec.Suspend },
		do:      q.Resume,
	})
}

// RetryAll opens again what has not succeeded of the failed jobs that o
// chooses, as Retry does with "". Where o.Phase is [PhaseComplete] it does so
// with complete jobs. See [Queue.DeleteAll] for the loop; a job that fails
// again meanwhile is not retried twice.
func (q *Queue) RetryAll(ctx context.Context, o ListOptions) iter.Seq2[Outcome, error] {
	o.Phase = cmp.Or(o.Phase, PhaseFailed)
	return q.all(ctx, o, bulkVerb{
		applies: (*Job).Finished,
		do:      func(ctx context.Context, name string) (*Job, error) { return q.Retry(ctx, name, "") },
	})
}

// Count counts the jobs that o chooses. It reads them as List does, a page at
// a time.
func (q *Queue) Count(ctx context.Context, o ListOptions) (int, error) {
	n := 0
	var unread error
	for {
		jobs, next, err := q.ListPage(ctx, o)
		n += len(jobs)
		if err != nil && !errors.Is(err, ErrUnreadable) || next == "" {
			return n, errors.Join(unread, err)
		}
		unread = errors.Join(unread, err)
		o.Continue = next
	}
}

// all does a verb to the jobs that o chooses and that were there when it
// began: otherwise it might never end, when jobs are submitted meanwhile or
// get a new record by being retried. So its token is that time, with the
// token of the page.
func (q *Queue) all(ctx context.Context, o ListOptions, verb bulkVerb) iter.Seq2[Outcome, error] {
	return func(yield func(Outcome, error) bool) {
		began, applies, err := q.bulk(ctx, &o, verb)
		for err == nil {
			var jobs []*Job
			var next string
			if jobs, next, err = q.ListPage(ctx, o); err != nil {
				if !errors.Is(err, ErrUnreadable) || !yield(Outcome{}, err) {
					break
				}
				err = nil
			}
			for _, j := range jobs {
				if err = context.Cause(ctx); err != nil {
					break
				}
				done, failed := q.apply(ctx, verb, applies, j)
				if done != nil && !yield(Outcome{Job: done, Continue: began + " " + o.Continue}, failed) {
					return
				}
			}
			if err == nil && next == "" {
				return
			}
			o.Continue = next
		}
		yield(Outcome{}, err)
	}
}

// bulk begins a bulk verb, or goes on with it: it says when it began and
// tells to which jobs the verb applies.
func (q *Queue) bulk(ctx context.Context, o *ListOptions, verb bulkVerb) (began string, applies func(*Job) bool, err error) {
	match, err := o.matcher()
	if err = firstError(q.err, err); err != nil {
		return "", nil, err
	}
	var ms int64
	if o.Continue == "" {
		ms, err = q.store.Now(ctx)
		began = strconv.FormatInt(ms, 10)
	} else {
		began, o.Continue, _ = strings.Cut(o.Continue, " ")
		if ms, err = strconv.ParseInt(began, 10, 64); err != nil {
			err = badToken(began, "must be a token of this verb")
		}
	}
	return began, func(j *Job) bool {
		return j.CreatedAt.UnixMilli() <= ms && match(j) && verb.applies(j)
	}, err
}

// badToken refuses a token to go on from.
func badToken(token, detail string) error {
	return &InvalidError{Fields: []FieldError{{Field: "continue", Cause: FieldInvalid, Value: token, Detail: detail}}}
}

// apply does a verb to one job of a page, and answers none where there is
// nothing to do any more: the page may have been read a while ago.
func (q *Queue) apply(ctx context.Context, verb bulkVerb, applies func(*Job) bool, j *Job) (done *Job, err error) {
	if !applies(j) {
		return nil, nil
	}
	now, err := q.look(ctx, j.Name)
	if err == nil {
		if now.UID != j.UID || !applies(now) {
			return nil, nil
		}
		done, err = verb.do(ctx, j.Name)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return cmp.Or(done, j), err
}

// look reads a job without its tasks.
func (q *Queue) look(ctx context.Context, name string) (*Job, error) {
	r, err := q.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return q.job(r)
}
