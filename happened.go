package stint

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// JobEventType parts what is expected from what deserves a look.
type JobEventType string

// The types of a job's events, as Kubernetes has them.
const (
	EventNormal  JobEventType = "Normal"
	EventWarning JobEventType = "Warning"
)

// JobEvent is something that happened to a job or cron job, once or several
// times. It stands for Kubernetes's Event: reasons are the same words. For
// events of all jobs, as they happen, see [Queue.Watch].
type JobEvent struct {
	Type    JobEventType `json:"type"`
	Reason  string       `json:"reason"`
	Message string       `json:"message"`
	Count   int          `json:"count"`
	FirstAt time.Time    `json:"firstAt"`
	LastAt  time.Time    `json:"lastAt"`
}

// Reasons of events, beside those of conditions.
const (
	EventSuccessfulCreate = "SuccessfulCreate" // attempts were started, or a run of a cron job
	EventSuccessfulDelete = "SuccessfulDelete" // attempts were told to stop, or a run was deleted
	EventCompleted        = "Completed"
	EventFailedMount      = "FailedMount" // an attempt could not start for want of a config map or secret

	// EventMemoryLimitExceeded: attempts ran in a process that had more memory
	// than the limits of all that it ran; each is counted once.
	EventMemoryLimitExceeded = "MemoryLimitExceeded"

	EventSawCompletedJob     = "SawCompletedJob"     // a run has finished
	EventMissingJob          = "MissingJob"          // a run was deleted by somebody else
	EventJobAlreadyActive    = "JobAlreadyActive"    // the policy Forbid put a run off
	EventMissSchedule        = "MissSchedule"        // the policy Skip dropped a run
	EventTooManyMissedTimes  = "TooManyMissedTimes"  // more than 100
	EventUnexpectedJob       = "UnexpectedJob"       // a foreign job has the name of a run
	EventUnparseableSchedule = "UnparseableSchedule" // as only others can have stored it
)

// Events reads what happened to a job, in the order of first times. Plain
// jobs have those of their start and end. It fails with [ErrNotFound].
func (q *Queue) Events(ctx context.Context, name string) ([]JobEvent, error) {
	r, err := q.find(ctx, name)
	if err != nil {
		return nil, err
	}
	var all []JobEvent
	for _, h := range happenedTo(r) {
		e := JobEvent{Type: EventNormal, Reason: h.Reason, Count: h.Count, FirstAt: at(h.First), LastAt: at(h.Last)}
		switch h.Reason {
		case EventSuccessfulCreate:
			e.Message = "Started " + many(h.Count, "attempt")
		case EventSuccessfulDelete:
			e.Message = "Told " + many(h.Count, "attempt") + " to stop"
		case EventFailedMount:
			e.Type, e.Message = EventWarning, "A config map or secret that the job mounts is missing or does not open"
		case EventMemoryLimitExceeded:
			e.Type, e.Message = EventWarning, messages[h.Reason]
		default:
			e.Message = cmp.Or(messages["Job"+h.Reason], h.Reason)
		}
		all = append(all, e)
	}
	if end, ok := endOf(r); ok {
		all = append(all, end)
	}
	slices.SortStableFunc(all, func(a, b JobEvent) int { return a.FirstAt.Compare(b.FirstAt) })
	return all, nil
}

func happenedTo(r *store.Record) []store.Happened {
	if r.Plain && r.Attempts == 0 {
		return nil
	}
	if r.Plain {
		return []store.Happened{{Reason: EventSuccessfulCreate, Count: r.Attempts, First: r.StartedAt, Last: r.LastStart}}
	}
	return r.Happened()
}

// endOf is the event of a job's end, which its conditions tell.
func endOf(r *store.Record) (JobEvent, bool) {
	if !r.Phase.Finished() {
		return JobEvent{}, false
	}
	e := JobEvent{Type: EventNormal, Reason: EventCompleted, Message: "Job completed", Count: 1, FirstAt: at(r.EndedAt), LastAt: at(r.EndedAt)}
	if r.Phase == rules.JobIsFailed {
		last := conditions(r)
		e.Type, e.Reason, e.Message = EventWarning, r.Reason, last[len(last)-1].Message
	}
	return e, true
}

// cronEvents is how many events of a cron job are kept.
const cronEvents = 10

// tell notes an event of a cron job; the same again is counted.
func (c *CronJob) tell(now time.Time, t JobEventType, reason, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	events := slices.Clone(c.Status.Events)
	for i, e := range events {
		if e.Reason == reason && e.Message == message {
			events[i].Count++
			events[i].LastAt = now
			c.Status.Events = events
			return
		}
	}
	events = append(events, JobEvent{Type: t, Reason: reason, Message: message, Count: 1, FirstAt: now, LastAt: now})
	c.Status.Events = events[max(0, len(events)-cronEvents):]
}
