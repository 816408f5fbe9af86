package stint

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/stint-go/stint/internal/schedule"
	"github.com/stint-go/stint/internal/store"
)

// Finding is something that [Queue.Audit] found in Redis and that stint never
// leaves there. It tells of a defect, or of a hand, an eviction or a failover
// that has taken single keys away.
type Finding struct {
	Invariant Invariant
	Job       string // its name; "" where the finding is not about one
	Detail    string // for people; may change between versions
}

// String is the finding in one line.
func (f Finding) String() string {
	if f.Job == "" {
		return fmt.Sprintf("%s: %s", f.Invariant, f.Detail)
	}
	return fmt.Sprintf("%s: job %s: %s", f.Invariant, f.Job, f.Detail)
}

// Invariant is what must hold of a queue in Redis between any two calls.
type Invariant string

// The invariants that Audit checks. docs/operations.md lists them.
const (
	// InvariantCounted: a slot succeeds or fails once, and counters are as
	// high as what they count.
	InvariantCounted Invariant = "I3"
	// InvariantFinal: a finished job says when it ended.
	InvariantFinal Invariant = "I5"
	// InvariantConserved: each task of a job has its entry, each entry its
	// job, and what has to be looked at later its timer.
	InvariantConserved Invariant = "I6"
	// InvariantGate: nothing of a finished job runs.
	InvariantGate Invariant = "I7"
	// InvariantRoom: no more tasks are active than Parallelism, and none while
	// suspended.
	InvariantRoom Invariant = "I8"
	// InvariantCron: a cron job with a time to come has its timer.
	InvariantCron Invariant = "I13"
	// InvariantLeft: nothing is left of what has ended.
	InvariantLeft Invariant = "I15"
)

// AuditOptions widen an audit.
type AuditOptions struct {
	// Orphans looks for keys of the queue that nothing refers to. This asks
	// for all keys of the database, page by page (SCAN), so it takes as long
	// as the database is large. The users of [ACL] may not do that.
	Orphans bool
}

// Audit checks what is stored of the queue, and yields what does not hold. It
// changes nothing, and may run beside workers: what has to agree is read at one
// moment. It goes through all jobs and all that waits, in calls of a bounded
// size each, and so takes about as long as List; end the loop to stop it. An
// error, of Redis, ends it.
func (q *Queue) Audit(ctx context.Context, opt ...AuditOptions) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		if q.err != nil {
			yield(Finding{}, q.err)
			return
		}
		a := audit{queue: q, store: q.store, yield: yield}
		_ = a.jobs(ctx) && a.lanes(ctx) && a.timers(ctx) && (len(opt) == 0 || !opt[0].Orphans || a.keys(ctx))
	}
}

// audit is one of them under way. Its steps answer false when it is over.
type audit struct {
	queue *Queue
	store *store.Store
	yield func(Finding, error) bool
}

func (a *audit) tell(faults []store.Fault, err error) bool {
	for _, f := range faults {
		if !a.yield(Finding{Invariant(f.Rule), f.Job, f.Detail}, nil) {
			return false
		}
	}
	if err != nil {
		a.yield(Finding{}, err)
	}
	return err == nil
}

func (a *audit) jobs(ctx context.Context) bool {
	const page = 50
	for token := ""; ; {
		names, next, err := a.store.List(ctx, token, page, false)
		if err != nil {
			return a.tell(nil, err)
		}
		jobs, err := a.store.KeysOf(ctx, names)
		if err != nil {
			return a.tell(nil, err)
		}
		if !a.tell(a.store.AuditJobs(ctx, jobs)) {
			return false
		}
		if next == "" {
			return true
		}
		token = next
	}
}

func (a *audit) lanes(ctx context.Context) bool {
	lanes, err := a.store.Lanes(ctx)
	if err != nil {
		return a.tell(nil, err)
	}
	for _, lane := range lanes {
		for _, look := range []func(context.Context, string, string) ([]store.Fault, string, error){a.store.AuditStream, a.store.AuditLane, a.store.AuditLate} {
			for at, more := "", true; more; more = at != "" {
				faults, next, err := look(ctx, lane, at)
				if !a.tell(faults, err) {
					return false
				}
				at = next
			}
		}
	}
	return true
}

func (a *audit) timers(ctx context.Context) bool {
	now, err := a.store.Now(ctx)
	if err != nil {
		return a.tell(nil, err)
	}
	n, cursor := 0, "0"
	for n >= 0 || cursor != "" {
		faults, crons, next, after, err := a.store.AuditTimers(ctx, n, cursor)
		for _, c := range crons {
			if f := cronFault(c, now); f != "" {
				faults = append(faults, store.Fault{Rule: string(InvariantCron), Detail: fmt.Sprintf("cron job %s: %s", c.Name, f)})
			}
		}
		if !a.tell(faults, err) {
			return false
		}
		n, cursor = next, after
	}
	return true
}

// cronFault says what is wrong with a cron job, "" for nothing.
func cronFault(f store.CronFacts, now int64) string {
	var c CronJob
	if err := json.Unmarshal(f.Cron.Data, &c); err != nil {
		return "its record cannot be read"
	}
	if c.Suspend || f.Timer {
		return ""
	}
	s, err := schedule.Parse(c.Schedule, c.TimeZone)
	if err != nil || s.Due(c.base(), at(now)).Wake.IsZero() {
		return "" // there is no time to come
	}
	return "it has times to come, and no timer"
}

func (a *audit) keys(ctx context.Context) bool {
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		faults, next, err := a.store.AuditKeys(ctx, cursor)
		if !a.tell(faults, err) {
			return false
		}
		cursor = next
	}
	return true
}
