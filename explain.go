package stint

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stint-go/stint/internal/fit"
	"github.com/stint-go/stint/internal/rules"
)

// Why is a reason of an [Explanation], for programs.
type Why string

// The reasons, in the order in which they are given.
const (
	// WhyFinished: the job is Complete or Failed, and nothing is left to do.
	WhyFinished Why = "Finished"
	// WhyDeleting: the job is being deleted.
	WhyDeleting Why = "Deleting"
	// WhyFateDecided: the job will be Complete or Failed when the attempts
	// that were told to stop have ended.
	WhyFateDecided Why = "FateDecided"
	// WhySuspended: the job is suspended, and nothing starts until it is
	// resumed.
	WhySuspended Why = "Suspended"
	// WhyNotBefore: nothing starts before the job's StartAt, which is Until.
	WhyNotBefore Why = "NotBefore"
	// WhyPaused: the job's Parallelism is 0.
	WhyPaused Why = "Paused"
	// WhyMissingMount: nothing starts for want of a config map or secret that the job
	// mounts. It is tried again at Until, or as soon as that changes.
	WhyMissingMount Why = "MissingMount"
	// WhyBackoff: failures are waited out. Nothing of the job starts before
	// Until where its Backoff counts for the whole job; otherwise Until is
	// when the first of the waiting retries starts.
	WhyBackoff Why = "Backoff"
	// WhyTerminating: attempts that were told to stop are replaced when they
	// have ended, by the job's ReplacementPolicy.
	WhyTerminating Why = "Terminating"
	// WhyParallelism: as many attempts are active as Parallelism allows.
	WhyParallelism Why = "Parallelism"
	// WhyTimers: attempts could start and were not. They are when a worker or
	// [Scheduler] looks at the queue's timers; where this stays, none does.
	WhyTimers Why = "Timers"
	// WhyNoWorker: no live worker takes tasks of the job's kind.
	WhyNoWorker Why = "NoWorker"
	// WhyUnschedulable: no live worker of the job's kind has the Capacity for
	// the requests of one attempt, whatever else it runs.
	WhyUnschedulable Why = "Unschedulable"
	// WhyWorkerSlot: attempts wait until a worker takes them, after those
	// that were there before.
	WhyWorkerSlot Why = "WorkerSlot"
	// WhyLost: attempts are held by workers that give no sign of life. Their
	// end is counted one to two leases after the last sign.
	WhyLost Why = "Lost"
	// WhyRunning: attempts are in the hands of live workers. Nothing is wrong.
	WhyRunning Why = "Running"
	// WhyDeadline: the job fails at Until if it is not finished by then.
	WhyDeadline Why = "Deadline"
)

// Reason is one reason why a job is not further.
type Reason struct {
	Code    Why       `json:"code"`
	Message string    `json:"message"` // for people; may change between versions
	Until   time.Time `json:"until,omitzero"`
}

// Explanation says what a job, or what it still has to do, is waiting for.
type Explanation struct {
	Name  string `json:"name"`
	UID   string `json:"uid"`
	Phase Phase  `json:"phase"`
	// Reasons hold side by side, in the order of the Why constants: what has
	// to change first comes first. There is at least one.
	Reasons []Reason `json:"reasons"`
}

// Explain says why a job waits, and that a finished one has finished. It
// reads what may change meanwhile, so that the reasons can be some
// milliseconds apart, and it reads little: of a job with many active attempts
// it looks at 500. It fails with [ErrNotFound].
func (q *Queue) Explain(ctx context.Context, name string) (Explanation, error) {
	f, err := q.facts(ctx, name)
	if err != nil {
		return Explanation{}, err
	}
	return Explanation{Name: f.job.Name, UID: f.job.UID, Phase: f.job.Phase(), Reasons: f.reasons()}, nil
}

// reasons are read off the facts alone.
func (f *facts) reasons() []Reason {
	switch c := f.job.Status.Conditions; {
	case f.job.Finished():
		last := c[len(c)-1]
		return []Reason{{Code: WhyFinished, Message: fmt.Sprintf("It is %s: %s.", last.Type, last.Message)}}
	case f.record.Deleting:
		return []Reason{{Code: WhyDeleting, Message: "It is being deleted."}}
	case f.record.Phase != rules.Open:
		left := many(f.record.Active+f.record.Ending, "attempt")
		return []Reason{{Code: WhyFateDecided, Message: fmt.Sprintf("Its fate is decided, by %s, and the end of %s is awaited.", f.record.Reason, left)}}
	}
	var all []Reason
	for _, look := range []func(*facts) (Reason, bool){
		(*facts).suspended, (*facts).notBefore, (*facts).paused, (*facts).mount, (*facts).backoff, (*facts).terminating,
		(*facts).parallelism, (*facts).timers, (*facts).noWorker, (*facts).unschedulable, (*facts).workerSlot, (*facts).lost,
		(*facts).running,
		(*facts).deadline,
	} {
		if r, holds := look(f); holds {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		all = append(all, Reason{Code: WhyTimers, Message: "It is due to be looked at by a worker or scheduler of the queue."})
	}
	return all
}

func (f *facts) suspended() (Reason, bool) {
	text := "It is suspended."
	if n := f.record.Active + f.record.Ending; n > 0 {
		text = fmt.Sprintf("It is suspended; %s told to stop, with no end yet.", many(n, "attempt"))
	}
	return Reason{Code: WhySuspended, Message: text}, f.rules.Suspend
}

func (f *facts) notBefore() (Reason, bool) {
	return until(WhyNotBefore, "Nothing starts before %s.", f.rules.StartAt), f.rules.StartAt > f.now
}

func (f *facts) paused() (Reason, bool) {
	return Reason{Code: WhyPaused, Message: "Its parallelism is 0."}, f.rules.Parallelism == 0
}

func (f *facts) mount() (Reason, bool) {
	ms, reason := f.lacks()
	return Reason{Code: WhyMissingMount, Message: "It waits for what it mounts: " + reason + ".", Until: at(ms)}, ms > f.now
}

func (f *facts) backoff() (Reason, bool) {
	if f.heldBack() {
		return until(WhyBackoff, "After a failure nothing starts before %s.", f.record.RetryAt), f.rest() > 0
	}
	text := "The backoff of " + many(f.waiting.Late, "attempt") + " is waited out, of the first until %s."
	return until(WhyBackoff, text, f.waiting.Next), f.waiting.Late > 0
}

func (f *facts) terminating() (Reason, bool) {
	text := many(f.record.Ending, "attempt") + " told to stop will be replaced only after the end."
	return Reason{Code: WhyTerminating, Message: text}, f.rules.ReplaceFailed && !f.rules.Suspend && f.record.Ending > 0 && f.free() > 0
}

func (f *facts) parallelism() (Reason, bool) {
	more := f.rest() - f.waiting.Late
	text := fmt.Sprintf("%s active, which is its parallelism; %d more to start.", many(f.record.Active, "attempt"), more)
	full := f.record.Active > 0 && f.record.Active >= f.rules.Parallelism
	return Reason{Code: WhyParallelism, Message: text}, full && more > 0
}

func (f *facts) timers() (Reason, bool) {
	n := f.startable()
	text := many(n, "attempt") + " can start when a worker or scheduler looks at the timers of the queue; if this stays, none does."
	return Reason{Code: WhyTimers, Message: text}, n > 0
}

func (f *facts) noWorker() (Reason, bool) {
	c := &f.crew
	text := fmt.Sprintf("No live worker takes kind %q: the queue has %s", f.job.Kind, many(c.live, "live worker"))
	if c.silent > 0 {
		text += fmt.Sprintf(", of which %d did not say their kinds yet", c.silent)
	}
	return Reason{Code: WhyNoWorker, Message: text + "."}, c.serving == 0 && f.rest()+f.unclaimed > 0
}

func (f *facts) unschedulable() (Reason, bool) {
	if f.unclaimed == 0 || !f.tooLarge() {
		return Reason{}, false
	}
	most := f.crew.largest()
	var short []string
	for _, name := range most.Short(f.needs) {
		short = append(short, fmt.Sprintf("%s requested of %s, of which the largest worker has %s",
			fit.Format(name, f.needs[name]), name, fit.Format(name, most[name])))
	}
	if short == nil {
		short = []string{"none has all of " + resourceList(f.needs).words()}
	}
	text := fmt.Sprintf("%s waiting, and no live worker of the kind is large enough: %s.", many(f.unclaimed, "attempt"), strings.Join(short, "; "))
	return Reason{Code: WhyUnschedulable, Message: text}, true
}

func (f *facts) workerSlot() (Reason, bool) {
	c, least := &f.crew, ""
	if !f.aheadAll {
		least = "at least "
	}
	text := fmt.Sprintf("%s waiting for a worker, with %s%d ahead", many(f.unclaimed, "attempt"), least, f.ahead)
	if c.full() {
		text += fmt.Sprintf("; %s of the kind, all full: %d of %d slots taken", many(c.serving, "worker"), c.taken, c.slots)
	} else {
		text += fmt.Sprintf("; %s of the kind, not all full", many(c.serving, "worker"))
	}
	if requests := resourceList(f.needs); requests != nil {
		text += "; each requests " + requests.words()
	}
	return Reason{Code: WhyWorkerSlot, Message: text + "."}, c.serving > 0 && f.unclaimed > 0 && !f.tooLarge()
}

func (f *facts) lost() (Reason, bool) {
	text := many(f.orphans, "attempt") + " held by workers without a sign of life: counted as lost within two leases of the last one."
	return Reason{Code: WhyLost, Message: text}, f.orphans > 0
}

func (f *facts) running() (Reason, bool) {
	return Reason{Code: WhyRunning, Message: many(f.held, "attempt") + " in the hands of workers."}, f.held > 0
}

func (f *facts) deadline() (Reason, bool) {
	at := f.record.StartedAt + f.rules.Deadline
	ahead := f.rules.Deadline >= 0 && f.record.StartedAt > 0 && !f.rules.Suspend
	return until(WhyDeadline, "It fails if it is not finished by %s.", at), ahead
}

// until is a reason that holds until a time in ms, which its text names.
func until(code Why, text string, ms int64) Reason {
	t := at(ms)
	return Reason{Code: code, Message: fmt.Sprintf(text, t.UTC().Format(time.RFC3339Nano)), Until: t}
}

// many counts things in words.
func many(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
