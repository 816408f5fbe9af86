package rules

import "github.com/stint-go/stint/internal/indexset"

// Unit is what a slot carries from one attempt to the next.
type Unit struct {
	Attempts int // attempts started so far, without those given back
	Failures int // counted failures
	Ignored  int // failures that a policy said to ignore
	Lost     int // lost attempts in a row
	Due      int64
	held     bool // its last failure is not shown yet
}

// Cause says why an attempt was told to stop.
type Cause string

// The causes. The rules tell them apart only by Cause.counted.
const (
	NotStopped      Cause = ""
	StopSuspended   Cause = "suspended"
	StopScaledDown  Cause = "scaled"
	StopJobFailed   Cause = "failed"
	StopDeadline    Cause = "deadline"
	StopJobComplete Cause = "complete"
	StopEvicted     Cause = "evicted"
)

// Attempt is one try at a slot.
type Attempt struct {
	ID      int64 // grows with every attempt of the job: the fencing token
	Slot    int
	Unit    Unit
	Running bool // a worker has it; until then it can be withdrawn

	CreatedAt int64
	StartedAt int64 // when a worker took it

	Stop    Cause // why it was told to stop
	counted bool  // its end has been counted already
}

// Job is the whole state of a job as the rules see it.
type Job struct {
	Spec Spec

	Phase   Phase
	Reason  string
	FateAt  int64 // when FailureTarget or SuccessCriteriaMet was set
	EndedAt int64 // when Failed or Complete was set
	Deleted bool  // removed because its time to live has passed

	StartedAt   int64 // 0 while unset
	Suspended   bool  // the Suspended condition is True
	SuspendedAt int64 // its last transition; 0: there is no such condition

	Succeeded int
	Failed    int
	held      int   // counted failures that Shown leaves out
	Streak    int   // failures since the last success (Backoff.JobScope)
	RetryAt   int64 // nothing starts before (Backoff.JobScope)
	LacksTill int64 // nothing starts before, since it lacks something

	Next    int // slots from here on were never started
	Done    indexset.Set
	Bad     indexset.Set
	Active  map[int]*Attempt   // by slot
	Ending  map[int64]*Attempt // told to stop, not yet ended; by ID
	Waiting map[int]Unit       // started once, to be started again; by slot

	lastID int64
}

// NewJob makes the job that spec describes, before its first Sync.
func NewJob(spec Spec) *Job {
	return &Job{
		Spec:    spec,
		Active:  map[int]*Attempt{},
		Ending:  map[int64]*Attempt{},
		Waiting: map[int]Unit{},
	}
}

// End is the end of an attempt, as its worker or the janitor reports it.
type End struct {
	ID      int64
	Verdict Verdict
	At      int64 // when it ended
	Delay   int64 // the handler's own delay before the next attempt, or Unset
}

// Settle counts the ends of attempts and then looks at the job once, as the
// controller does with all that happened since its last look. It answers how
// many ends were counted; an end of an attempt unknown to the job, or ended
// before, changes nothing.
func (j *Job) Settle(ends []End, now int64) int {
	if j.Phase.Finished() || j.Deleted {
		return 0
	}
	var tally tally
	known := 0
	for _, e := range ends {
		if a, ok := j.take(e.ID); ok {
			known++
			j.count(a, e, &tally)
		}
	}
	j.noteStreak(&tally)
	j.sync(now, tally.fate)
	return known
}

// Sync looks at the job: after its creation, a change of its spec, or the
// passing of time.
func (j *Job) Sync(now int64) { j.sync(now, "") }

// tally gathers what a batch of ends says of the job as a whole.
type tally struct {
	fate      string // reason to fail the job at once
	successAt int64
	failures  []int64 // when each failure that feeds the delay ended
}

// take removes the live attempt with this ID.
func (j *Job) take(id int64) (*Attempt, bool) {
	if a, ok := j.Ending[id]; ok {
		delete(j.Ending, id)
		return a, true
	}
	for slot, a := range j.Active {
		if a.ID == id {
			delete(j.Active, slot)
			return a, true
		}
	}
	return nil, false
}

// count books the end of one attempt.
func (j *Job) count(a *Attempt, e End, t *tally) {
	switch {
	case j.beyond(a.Slot), a.Stop != NotStopped && j.replaced(a.Slot):
		// The elastic job has no such index any more, or has it anew: it counts for nothing.
	case a.Stop == StopEvicted && !a.counted && j.Phase != Open:
		if j.Phase == FailureTarget {
			j.Failed++ // it counts as a killed sibling
		}
	case a.Stop != NotStopped && a.Stop != StopEvicted, a.counted:
		// Stopped by us: neither a success nor a failure. Its slot waits
		// since the stop, or, where replacement waits for the end, from now.
		if j.Spec.ReplaceFailed && a.Stop != StopEvicted {
			j.again(a, 0)
		}
	case e.Verdict == Succeeded:
		j.Succeeded++
		j.Done.Add(a.Slot)
		t.successAt = max(t.successAt, e.At)
	case e.Verdict == Released:
		a.Unit.Attempts--
		j.again(a, e.At+max(e.Delay, 0))
	case e.Verdict == Lost && !j.Spec.LostCounts:
		j.countLost(a, t)
	default:
		j.countFailure(a, e, t)
	}
}

func (j *Job) countLost(a *Attempt, t *tally) {
	a.Unit.Lost++
	switch {
	case a.Unit.Lost <= j.Spec.LostLimit:
		j.again(a, 0)
	case j.Spec.PerIndex != Unset:
		j.Bad.Add(a.Slot)
	default:
		t.fail(ReasonLostLimitExceeded)
	}
}

func (j *Job) countFailure(a *Attempt, e End, t *tally) {
	u := &a.Unit
	u.Lost = 0
	t.failures = append(t.failures, e.At)
	if e.Verdict == Ignored {
		u.Ignored++
		j.again(a, j.slotDue(*u, e))
		return
	}
	j.Failed++
	u.Failures++
	if e.Verdict == JobFailed {
		t.fail(ReasonPodFailurePolicy)
	}
	if j.Spec.PerIndex != Unset && (e.Verdict == IndexFailed || u.Failures > j.Spec.PerIndex) {
		j.Bad.Add(a.Slot)
		return
	}
	if j.inPlace() {
		u.held = true
		j.held++
	}
	j.again(a, j.slotDue(*u, e))
}

// inPlace is Kubernetes's own per-index mode: a slot that waits keeps its
// place, and its failure is not shown until it starts again.
func (j *Job) inPlace() bool { return j.Spec.Backoff.JobScope && j.Spec.PerIndex != Unset }

// Shown is the number of failures that the status shows.
func (j *Job) Shown() int { return j.Failed - j.held }

// fail notes a reason to fail the job; a failure policy's comes first.
func (t *tally) fail(reason string) {
	if t.fate == "" || reason == ReasonPodFailurePolicy {
		t.fate = reason
	}
}

// slotDue says when the slot of a failed attempt may start again.
func (j *Job) slotDue(u Unit, e End) int64 {
	switch {
	case e.Delay != Unset:
		return e.At + e.Delay
	case j.Spec.Backoff.JobScope && j.Spec.PerIndex == Unset:
		return 0 // RetryAt holds the whole job back
	default:
		return e.At + j.Spec.Backoff.Delay(u.Failures+u.Ignored, e.ID)
	}
}

// again puts the slot of an ended attempt among the waiting.
func (j *Job) again(a *Attempt, due int64) {
	if j.beyond(a.Slot) {
		return
	}
	a.Unit.Due = due
	j.Waiting[a.Slot] = a.Unit
}

// beyond tells a slot that has yet to start: what there is of it is from before
// an elastic job shrank.
func (j *Job) beyond(slot int) bool { return slot >= j.Next }

// replaced tells a slot that has gone on without an attempt that was told to
// stop, as each does that is replaced at once, and one that an elastic job lost
// and got back.
func (j *Job) replaced(slot int) bool {
	_, waits := j.Waiting[slot]
	return waits || j.Active[slot] != nil || j.Done.Has(slot) || j.Bad.Has(slot)
}

// noteStreak updates the job-wide retry delay: it grows with every failure
// and a success that is newer than the failures resets it.
func (j *Job) noteStreak(t *tally) {
	n := len(t.failures)
	if t.successAt > 0 {
		j.Streak, n = 0, 0
		for _, at := range t.failures {
			if at > t.successAt {
				n++
			}
		}
	}
	j.Streak += n
	switch {
	case j.Streak == 0:
		j.RetryAt = 0
	case n > 0:
		var last int64
		for _, at := range t.failures {
			last = max(last, at)
		}
		j.RetryAt = last + j.Spec.Backoff.Delay(j.Streak, 0)
	}
}

// Evict asks a live attempt to stop, on behalf of someone other than the
// job's own rules. What it means is decided at once, or by ReplaceFailed when
// the attempt has ended.
func (j *Job) Evict(id, now int64) bool {
	if j.Phase != Open {
		return false
	}
	for slot, a := range j.Active {
		if a.ID != id {
			continue
		}
		delete(j.Active, slot)
		a.Stop = StopEvicted
		if a.Running || j.Spec.ReplaceFailed {
			j.Ending[id] = a
		}
		if !j.Spec.ReplaceFailed {
			var t tally
			a.counted = true
			j.countFailure(a, End{ID: id, Verdict: Failed, At: now, Delay: Unset}, &t)
			j.noteStreak(&t)
		}
		j.sync(now, "")
		return true
	}
	return false
}

// Claim gives an attempt to a worker.
func (j *Job) Claim(id, now int64) bool {
	for _, a := range j.Active {
		if a.ID == id && !a.Running {
			a.Running, a.StartedAt = true, now
			return true
		}
	}
	return false
}
