package stint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// EventType says what happened to a job.
type EventType string

// The events of jobs. Each is written in the same step as what it tells of.
const (
	EventSubmitted          EventType = "Submitted"
	EventSuspended          EventType = "Suspended"
	EventResumed            EventType = "Resumed"
	EventFailureTarget      EventType = "FailureTarget"      // left out where Failed follows at once
	EventSuccessCriteriaMet EventType = "SuccessCriteriaMet" // left out where Complete follows at once
	EventFailed             EventType = "Failed"
	EventComplete           EventType = "Complete"
	EventDeleted            EventType = "Deleted" // by Delete or Retry, not by TTL
)

// Event is something that happened to a job.
type Event struct {
	// ResourceVersion is greater for a later event of the queue. Watch goes
	// on after it.
	ResourceVersion string
	Type            EventType
	Name, UID, Kind string
	Reason          string // of FailureTarget, SuccessCriteriaMet, Failed and Complete
	At              time.Time
	Labels          map[string]string // of the job, as they were then

	kept    []byte
	hasKept bool
}

// WatchOptions say what to watch. The zero value is all jobs, from now on.
type WatchOptions struct {
	Name string // of one job
	Kind string // of jobs of one kind
	// Selector is a label selector, as in [ListOptions].
	Selector string
	// From is the resource version after which to begin: every later event is
	// seen, once and in order. "" begins now, "0" with the oldest event kept.
	From string
}

// Watch goes over what happens to the jobs of a queue, without end: leave the
// loop, or cancel ctx. About the last 10,000 events are kept; a From before
// these is [ErrExpired]. Plain jobs have no events until they get a record,
// when they fail for good or are steered. It goes on through failures of
// Redis.
func (q *Queue) Watch(ctx context.Context, o WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		chosen, err := o.matcher()
		if err = firstError(q.err, err); err != nil {
			yield(Event{}, err)
			return
		}
		last, retry := o.From, newRetry()
		reached := last == "" || last == "0"
		for {
			if err := ctx.Err(); err != nil {
				yield(Event{}, context.Cause(ctx))
				return
			}
			var events []store.Event
			var err error
			if !reached {
				err = q.store.Reaches(ctx, last)
				reached = err == nil
			}
			if err == nil {
				events, last, err = q.events(ctx, last)
			}
			switch {
			case errors.Is(err, store.ErrExpired):
				yield(Event{}, fmt.Errorf("%w: %s", ErrExpired, last))
				return
			case err != nil:
				pause(ctx, retry.NextBackOff())
				reached = last == ""
				continue
			}
			retry.Reset()
			for _, e := range events {
				if ev := eventOf(e); chosen(&ev) && !yield(ev, nil) {
					return
				}
			}
		}
	}
}

func (q *Queue) events(ctx context.Context, after string) ([]store.Event, string, error) {
	wait := waitAtMost
	if d, ok := ctx.Deadline(); ok {
		wait = max(time.Millisecond, min(wait, time.Until(d)))
	}
	return q.store.Events(ctx, after, wait)
}

func eventOf(e store.Event) Event {
	ev := Event{
		ResourceVersion: e.ID, Type: EventType(e.Type), Name: e.Name, UID: e.UID, Kind: e.Kind, Reason: e.Reason,
		At: at(e.Time()), kept: e.Kept, hasKept: e.HasKept,
	}
	if len(e.Labels) > 0 {
		_ = json.Unmarshal(e.Labels, &ev.Labels) // as far as they can be read
	}
	return ev
}

// Wait waits until a job has finished, in whatever process, and reads it. It
// fails with [ErrNotFound] where there is no such job, or no more: a finished
// job is found until its TTL has passed. With TTLAfterFinished 0, only one
// who waits already hears of the end; where that comes before the first look
// at the job, Job has its name, UID, kind, labels and end alone.
func (q *Queue) Wait(ctx context.Context, name string) (*Job, error) {
	job, _, err := q.wait(ctx, name)
	return job, err
}

// wait is Wait; it gives what was kept of a job that is gone with its finish.
func (q *Queue) wait(ctx context.Context, name string) (*Job, *Event, error) {
	from, err := q.store.LastEvent(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := q.store.Await(ctx, name); err != nil {
		return nil, nil, err
	}
	var last *Job
	var end *Event
	for {
		job, err := q.Get(ctx, name)
		if errors.Is(err, ErrNotFound) {
			if end == nil || end.Type == EventDeleted {
				end, err = q.endSince(ctx, name, from, err)
			}
			if end != nil {
				return ended(lastSeen(last, end), *end), end, nil
			}
		}
		if err != nil || job.Finished() {
			return job, nil, err
		}
		last = job
		if err := q.store.Await(ctx, name); err != nil && !store.Temporary(err) {
			return nil, nil, err
		}
		if end, from, err = q.nextEnd(ctx, name, from); err != nil {
			return nil, nil, err
		}
	}
}

// nextEnd waits for the end of a job, or for some seconds.
func (q *Queue) nextEnd(ctx context.Context, name, from string) (*Event, string, error) {
	if ctx.Err() != nil {
		return nil, from, context.Cause(ctx)
	}
	events, last, err := q.events(ctx, from)
	if err != nil {
		if !store.Temporary(err) {
			return nil, from, err
		}
		pause(ctx, time.Second)
		return nil, from, nil
	}
	if end := endAmong(events, name); end != nil {
		return end, end.ResourceVersion, nil
	}
	return nil, last, nil
}

// endAmong finds the end of a job among events, nil where it is not.
func endAmong(events []store.Event, name string) *Event {
	for _, e := range events {
		ev := eventOf(e)
		if e.Name == name && (ev.Type == EventComplete || ev.Type == EventFailed || ev.Type == EventDeleted) {
			return &ev
		}
	}
	return nil
}

// endSince finds the end of a job that is gone among the events after an ID; it
// fails as asked where there is none: the job ended before anybody waited.
func (q *Queue) endSince(ctx context.Context, name, from string, gone error) (*Event, error) {
	const noWait = -1
	for {
		events, last, err := q.store.Events(ctx, from, noWait)
		if err != nil {
			return nil, err
		}
		if end := endAmong(events, name); end != nil && end.Type != EventDeleted {
			return end, nil
		} else if end != nil || last == from {
			return nil, gone
		}
		from = last
	}
}

// lastSeen is a job as it was last seen, or what its end says of one that was
// gone at the first look.
func lastSeen(j *Job, end *Event) *Job {
	if j != nil {
		return j
	}
	return &Job{Name: end.Name, UID: end.UID, Kind: end.Kind, Spec: JobSpec{Name: end.Name, Labels: end.Labels}}
}

// ended is a job as it was last seen, with its end.
func ended(j *Job, e Event) *Job {
	interim, final := JobSuccessCriteriaMet, JobComplete
	if e.Type == EventFailed {
		interim, final = JobFailureTarget, JobFailed
	} else {
		j.Status.CompletedAt = e.At
		j.Status.Succeeded = max(j.Status.Succeeded, 1)
	}
	for _, t := range []ConditionType{interim, final} {
		j.Status.Conditions = append(j.Status.Conditions, Condition{
			Type: t, Status: ConditionTrue, Reason: e.Reason, Message: messages[e.Reason], TransitionAt: e.At,
		})
	}
	j.Status.Active, j.Status.Ready, j.Status.Terminating = 0, 0, 0
	return j
}

// Await waits until a job has finished, in whatever process, and reads the
// result that its handler left; of a job with several completions that of
// index 0, for the others see [Results]. A job that failed is an error that
// wraps [ErrJobNotComplete]; a job without a result gives R's zero value.
func Await[R any](ctx context.Context, q *Queue, name string) (R, error) {
	var r R
	job, end, err := q.wait(ctx, name)
	if err != nil {
		return r, err
	}
	if c, failed := job.Condition(JobFailed); failed {
		return r, fmt.Errorf("%w: %s: %s: %s", ErrJobNotComplete, name, c.Reason, c.Message)
	}
	data, err := q.result(ctx, name, end)
	if err != nil || data == nil {
		return r, err
	}
	if err := q.decodeResult(job.Kind, name, 0, data, &r); err != nil {
		return r, fmt.Errorf("job %s: result: %w", name, err)
	}
	return r, nil
}

func (q *Queue) decodeResult(kind, job string, index int, data []byte, v any) error {
	data, err := q.openJob(data, q.indexPlace(sealedResult, kind, job, index)...)
	if err != nil {
		return err
	}
	return q.codec.Unmarshal(data, v)
}

// result reads the result of index 0.
func (q *Queue) result(ctx context.Context, name string, end *Event) ([]byte, error) {
	if end != nil {
		if !end.hasKept || end.UID != end.Name {
			return nonEmpty(end.kept), nil
		}
		if len(end.kept) == 0 {
			return nil, nil
		}
		k, err := store.ParseKept(end.kept)
		return nonEmpty(k.Result), err
	}
	r, err := q.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if r.Plain {
		return nonEmpty(r.Result), r.Err
	}
	return q.store.Result(ctx, name, 0)
}

func nonEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// Results goes over the results that the handlers of a job have left, by
// index and in no order, finished or not. It reads a page at a time.
func Results[R any](ctx context.Context, q *Queue, name string) iter.Seq2[IndexResult[R], error] {
	return func(yield func(IndexResult[R], error) bool) {
		r, err := q.find(ctx, name)
		if err != nil {
			yield(IndexResult[R]{}, err)
			return
		}
		var page []IndexResult[R]
		var bad error
		add := func(slot int, data []byte) {
			res := IndexResult[R]{Index: slot}
			if err := q.decodeResult(r.Kind, name, slot, data, &res.Value); err != nil {
				bad = fmt.Errorf("job %s: result of index %d: %w", name, slot, err)
			}
			page = append(page, res)
		}
		pages(yield, &page, func(cursor uint64) (uint64, error) {
			if !r.Plain {
				next, err := q.store.Results(ctx, name, cursor, add)
				return next, firstError(err, bad)
			}
			if len(r.Result) > 0 {
				add(0, r.Result)
			}
			return 0, firstError(r.Err, bad)
		})
	}
}

// IndexResult is the result of one index.
type IndexResult[R any] struct {
	Index int
	Value R
}
