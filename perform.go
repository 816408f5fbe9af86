package stint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// errGoexit is the failure of a handler that ended its goroutine.
var errGoexit = errors.New("handler called runtime.Goexit")

// perform runs the handler of one task and settles what comes of it. Neither
// a panic nor runtime.Goexit keeps it from that.
func (s *station) perform(t *RawTask) {
	ctx := t.ctx
	if d := t.spec.AttemptTimeout; d > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, d, ErrAttemptTimeout)
		defer stop()
	}
	err := errGoexit
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		} else if errors.Is(err, errGoexit) {
			err = &PanicError{Value: err, Stack: debug.Stack()}
		}
		s.settle(t, s.outcome(ctx, err))
		t.cancel(nil)
		s.drop(t)
	}()
	if t.badArgs != nil {
		err = Code(CodeUndecodable, fmt.Errorf("%w: %w", ErrUndecodable, t.badArgs))
		return
	}
	err = s.w.handlers[t.Kind](ctx, t)
}

// outcome reads a handler's error, with what it was told meanwhile.
func (s *station) outcome(ctx context.Context, err error) outcome {
	cause := context.Cause(ctx)
	o := outcomeOf(err)
	if o.verb == verbFail && (errors.Is(cause, ErrShutdown) || errors.Is(cause, ErrLeaseLost)) {
		return outcome{verb: verbSnooze} // it was asked to stop, which is no failure
	}
	if errors.Is(cause, ErrEvicted) {
		o.disrupted = true
	}
	if o.verb == verbFail {
		o.errors = s.named(err)
	}
	if err != nil && errors.Is(cause, ErrAttemptTimeout) {
		o.message = bounded(ErrAttemptTimeout.Error()+": "+o.message, maxMessageBytes)
	}
	return o
}

// ErrorType in WorkerConfig.Errors matches every error that errors.As finds
// to be of a type, in place of one error value: see [TypeOf].
type ErrorType struct{ match func(error) bool }

// Error lets it stand among error values.
func (*ErrorType) Error() string { return "stint: any error of a type" }

// TypeOf matches errors of type E.
func TypeOf[E error]() *ErrorType {
	return &ErrorType{func(err error) bool { _, ok := errors.AsType[E](err); return ok }}
}

// named lists the registered names that an error has.
func (s *station) named(err error) (names []string) {
	defer func() { _ = recover() }() // an error's own Is or As may panic
	for name, e := range s.w.cfg.Errors {
		if t, ok := errors.AsType[*ErrorType](e); ok && t.match(err) || errors.Is(err, e) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// judge says what the end of an attempt means for its job, and which rule of
// the failure policy says so; -1 for none.
func judge(spec *JobSpec, o outcome) (rules.Verdict, int) {
	switch o.verb {
	case verbSucceed:
		return rules.Succeeded, -1
	case verbSnooze:
		return rules.Released, -1
	case verbFailJob:
		return rules.JobFailed, -1
	case verbFailIndex:
		return indexFailed(spec), -1
	case verbIgnore:
		return rules.Ignored, -1
	case verbFail:
	}
	end := attemptEnd{code: o.code, errors: o.errors, conditions: o.conditions}
	if o.disrupted || o.lost {
		end.conditions = append(end.conditions, ConditionPattern{Type: DisruptionTarget, Status: ConditionTrue})
	}
	action, rule, ok := spec.FailurePolicy.match(end)
	switch {
	case !ok && o.lost:
		return rules.Lost, -1
	case !ok:
		return rules.Failed, -1
	case action == ActionCount:
		return rules.Failed, rule
	case action == ActionFailJob:
		return rules.JobFailed, rule
	case action == ActionFailIndex:
		return indexFailed(spec), rule
	default:
		return rules.Ignored, rule
	}
}

func indexFailed(spec *JobSpec) rules.Verdict {
	if spec.BackoffLimitPerIndex == nil {
		return rules.Failed
	}
	return rules.IndexFailed
}

// outcomeNames are the words of AttemptError.Outcome.
var outcomeNames = map[rules.Verdict]string{
	rules.Failed: "Failed", rules.Ignored: "Ignored", rules.IndexFailed: "IndexFailed", rules.JobFailed: "JobFailed", rules.Lost: "Lost",
}

// resultOf gives an outcome the form of the store.
func resultOf(t *store.Task, spec *JobSpec, o outcome, worker string) store.Result {
	verdict, rule := judge(spec, o)
	r := store.Result{Task: t, Verdict: verdict, Delay: -1}
	if o.delay >= 0 {
		r.Delay = o.delay
	}
	if verdict == rules.Succeeded {
		if spec.SuccessPolicy != nil {
			r.Hits = store.Hits(spec.rules().Success, t.Slot)
		}
		return r
	}
	r.Spec = spec.rules
	if verdict == rules.Released {
		return r
	}
	e := AttemptError{Attempt: t.Attempt, Worker: worker, Outcome: outcomeNames[verdict], Code: o.code, Message: o.message, Stack: o.stack}
	if rule >= 0 {
		e.Rule = &rule
	}
	r.Error, _ = json.Marshal(e)
	if verdict == rules.JobFailed {
		r.Message = failJobMessage(t, o, rule)
	}
	return r
}

// settle hands an outcome to the settler, once.
func (s *station) settle(t *RawTask, o outcome) {
	if t.settled.Swap(true) {
		return
	}
	spec := t.spec
	if spec == nil {
		spec = s.cache.plain
		if o.verb != verbSnooze {
			o = outcome{verb: verbSnooze}
		}
	}
	t.progress.mu.Lock() // whoever keeps notes is done, or too late
	defer t.progress.mu.Unlock()
	r := resultOf(t.task, spec, o, s.id)
	r.Wait, r.Run = t.waited, time.Since(t.started)
	r.Notes = t.notes.Load() || t.Attempt > 1 // an earlier attempt may have kept some
	if r.Verdict == rules.Succeeded {
		r.Result = t.result
		if t.task.Plain {
			s.keep(t, &r)
		}
	}
	s.settler.add(r)
}

// keep says what stays of a plain job's success.
func (s *station) keep(t *RawTask, r *store.Result) {
	ttl := *t.spec.TTLAfterFinished
	if ttl > maxPlainTTL {
		ttl = maxPlainTTL
	}
	r.TTL = ttl
	if ttl > 0 || r.Result != nil {
		r.Record = store.KeptRecord(t.task, r.Result)
	}
}

// maxPlainTTL stands for NeverExpire: a hundred years.
const maxPlainTTL = 100 * 365 * 24 * time.Hour
