package stint

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stint-go/stint/internal/store"
)

// What calls on a queue can fail with, beside the errors of Redis. They come
// wrapped: compare with errors.Is.
var (
	// ErrNotFound: there is no such job or cron job, or it was removed.
	ErrNotFound = errors.New("stint: not found")
	// ErrExists: the name is taken by another job.
	ErrExists = errors.New("stint: name exists already")
	// ErrFinished: the job is Complete or Failed, and can't change that way.
	ErrFinished = errors.New("stint: job has finished")
	// ErrConflict: the job was changed since it was read; read it again.
	ErrConflict = errors.New("stint: changed by someone else")
	// ErrUncertain: the connection failed in such a way that it is not known
	// whether the job was stored. A named job may be submitted again safely.
	ErrUncertain = errors.New("stint: not known whether it was stored")
	// ErrTooManyLanes: the unfinished jobs of the queue have 500 different
	// pairs of kind and requests, and this would be one more.
	ErrTooManyLanes = errors.New("stint: too many different requests")
	// ErrBatchRefused: another job of the batch was refused, so that none
	// of it was stored.
	ErrBatchRefused = errors.New("stint: batch refused because of another of its jobs")
	// ErrJobNotComplete: the awaited job has failed. The error that wraps it
	// names the reason.
	ErrJobNotComplete = errors.New("stint: awaited job has failed")
	// ErrUndecodable: the args of a job could not be decoded.
	ErrUndecodable = errors.New("stint: args cannot be decoded")
	// ErrUnreadable: what Redis holds was not written by stint, or by a version
	// that this one does not know, or was damaged. The error names it.
	ErrUnreadable = store.ErrUnreadable
	// ErrLayout: the queue was written by a later version of stint, in a way
	// that this one does not know. Update this program.
	ErrLayout = store.ErrLayout
	// ErrExpired: the resource version to watch from is too old; list again.
	ErrExpired = errors.New("stint: resource version is too old")
	// ErrNotMounted: the job does not mount what its handler asks for.
	ErrNotMounted = errors.New("stint: not mounted")
)

// Why the context of a handler was cancelled, as context.Cause tells. Unless
// noted, the attempt has ended for its job: its result changes nothing.
var (
	// ErrJobDeleted: the job was deleted.
	ErrJobDeleted = errors.New("stint: job was deleted")
	// ErrJobFailed: the job has failed for another reason than its deadline.
	ErrJobFailed = errors.New("stint: job has failed")
	// ErrJobSuspended: the job was suspended.
	ErrJobSuspended = errors.New("stint: job was suspended")
	// ErrJobComplete: the job's goal was met without this attempt.
	ErrJobComplete = errors.New("stint: job is complete")
	// ErrDeadlineExceeded: the job's ActiveDeadline has passed.
	ErrDeadlineExceeded = errors.New("stint: job deadline exceeded")
	// ErrScaledDown: the job wants fewer attempts, or this index no more.
	ErrScaledDown = errors.New("stint: job was scaled down")
	// ErrEvicted: someone asked for this attempt to stop. With replacement
	// policy Failed its result counts.
	ErrEvicted = errors.New("stint: attempt was evicted")
	// ErrLeaseLost: the lease could not be renewed, or was ended by others. If
	// nobody has ended it, as when Redis itself stood still, what counts is as
	// with ErrShutdown.
	ErrLeaseLost = errors.New("stint: lease was lost")
	// ErrAttemptTimeout: the attempt ran for AttemptTimeout. Its result
	// counts.
	ErrAttemptTimeout = errors.New("stint: attempt timed out")
	// ErrShutdown: the worker is shutting down. A success counts if it comes
	// in time, and so does an error with a verb such as FailJob; with any other
	// error the task is given back, and nothing is counted.
	ErrShutdown = errors.New("stint: worker is shutting down")
)

// FieldCause says in which way a field is bad; the values are Kubernetes's.
type FieldCause string

// The causes.
const (
	FieldInvalid      FieldCause = "FieldValueInvalid"      // out of range, malformed, or immutable
	FieldRequired     FieldCause = "FieldValueRequired"     // absent
	FieldNotSupported FieldCause = "FieldValueNotSupported" // not one of the known values
	FieldDuplicate    FieldCause = "FieldValueDuplicate"    // given twice
	FieldTooMany      FieldCause = "FieldValueTooMany"      // a list with too many items
	FieldTooLong      FieldCause = "FieldValueTooLong"      // too many bytes
)

func (c FieldCause) words() string {
	switch c {
	case FieldRequired:
		return "Required value"
	case FieldNotSupported:
		return "Unsupported value"
	case FieldDuplicate:
		return "Duplicate value"
	case FieldTooMany:
		return "Too many"
	case FieldTooLong:
		return "Too long"
	case FieldInvalid:
	}
	return "Invalid value"
}

// FieldError is one bad field of an input.
type FieldError struct {
	// Field is a path such as "spec.podFailurePolicy.rules[0].action", the
	// one of Kubernetes where it has the field.
	Field string
	Cause FieldCause
	// Value is what was given, or the length of what is too long; nil where
	// it says nothing.
	Value  any
	Detail string // the limit, in words
}

// Error reads like the messages of kubectl.
func (e FieldError) Error() string {
	text := e.Field + ": " + e.Cause.words()
	if e.Value != nil && e.Cause != FieldRequired {
		text += ": " + valueText(e.Value)
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// valueText keeps a long value from drowning the message.
func valueText(v any) string {
	const most = 100
	text := fmt.Sprint(v)
	if _, ok := v.(fmt.Stringer); ok {
		return text
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.String {
		text = strconv.Quote(rv.String())
	} else if data, err := json.Marshal(v); err == nil {
		text = string(data)
	}
	if len(text) > most {
		text = cut(text, most) + "..."
	}
	return text
}

// InvalidError refuses an input as a whole, and names every bad field of it.
// Nothing was written.
type InvalidError struct {
	Fields []FieldError // at least one
}

// Error lists all bad fields.
func (e *InvalidError) Error() string {
	texts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		texts[i] = f.Error()
	}
	return "stint: invalid: " + strings.Join(texts, "; ")
}

// PanicError is the failure of an attempt whose handler panicked. It counts
// as any other, and carries code 1 unless the value is an error that says
// otherwise.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that panicked, as debug.Stack writes it
}

// Error never panics, whatever the value does when it is printed.
func (e *PanicError) Error() (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("panic: a %T, which panics when it is printed", e.Value)
		}
	}()
	return fmt.Sprintf("panic: %v", e.Value)
}

// Unwrap is the value, if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// verb is what a handler's error asks for.
type verb uint8

const (
	verbSucceed verb = iota
	verbFail         // the failure policy decides
	verbFailJob
	verbFailIndex
	verbIgnore
	verbSnooze
)

// verbError attaches a verb to a handler's error.
type verbError struct {
	verb  verb
	delay time.Duration // of a snooze
	err   error         // may be nil
}

func (e *verbError) Error() string {
	words := [...]string{"succeeded", "failed", "job failed", "index failed", "failure ignored", "snoozed for " + e.delay.String()}
	return textOr(e.err, words[e.verb])
}

func (e *verbError) Unwrap() error { return e.err }

// codeError attaches an error code.
type codeError struct {
	code int
	err  error // may be nil
}

func (e *codeError) Error() string { return textOr(e.err, fmt.Sprintf("failed with code %d", e.code)) }
func (e *codeError) Unwrap() error { return e.err }

// delayError attaches the handler's own delay.
type delayError struct {
	delay time.Duration
	err   error // may be nil
}

func (e *delayError) Error() string { return textOr(e.err, "failed, retry after "+e.delay.String()) }
func (e *delayError) Unwrap() error { return e.err }

func textOr(err error, text string) string {
	if err == nil {
		return text
	}
	return err.Error()
}

// Code is err with an error code, 1..255, for a [FailurePolicy] to look at. A
// plain error has code 1, and so has one with n out of range.
//
// Code and the verbs below are for a handler to return. They add no text to
// err, unwrap to it, and can be wrapped and combined: the outermost code, the
// outermost of FailJob, FailIndex, Ignore and Snooze, and the outermost
// RetryAfter count. With a nil err they are failures still.
func Code(n int, err error) error {
	if n < 1 || n > maxCode {
		n = 1
	}
	return &codeError{code: n, err: err}
}

// FailJob is a failure that no retry can mend: it is counted, and the job
// fails with reason PodFailurePolicy. The failure policy is not consulted.
func FailJob(err error) error { return &verbError{verb: verbFailJob, err: err} }

// FailIndex is a failure that no retry of this index can mend: it is counted,
// and the index fails. In a job without BackoffLimitPerIndex it is counted as
// any other. The failure policy is not consulted.
func FailIndex(err error) error { return &verbError{verb: verbFailIndex, err: err} }

// Ignore is a failure that does not count against any limit, and is retried.
// The failure policy is not consulted.
func Ignore(err error) error { return &verbError{verb: verbIgnore, err: err} }

// RetryAfter is a failure whose retry, if there is one, starts d from now in
// place of the job's Backoff. A negative d is 0: at once.
func RetryAfter(d time.Duration, err error) error {
	return &delayError{delay: max(d, 0), err: err}
}

// Snooze is no failure: the attempt gives its index back, to be started again
// d from now, and nothing is counted. A negative d is 0. How often a task may
// snooze is not limited, except by the job's deadline.
func Snooze(d time.Duration) error { return &verbError{verb: verbSnooze, delay: max(d, 0)} }

// Bounds of what is kept of a failure, in bytes.
const (
	maxMessageBytes = 8 << 10
	maxStackBytes   = 16 << 10
)

// outcome is what a handler's return means.
type outcome struct {
	verb    verb
	code    int           // of a failure; 0 for a success and a snooze
	delay   time.Duration // the handler's own, or -1
	message string        // valid UTF-8 of at most maxMessageBytes
	stack   string        // of a panic, bounded by maxStackBytes

	errors     []string           // registered names that the error has
	conditions []ConditionPattern // of the attempt
	disrupted  bool               // the attempt was evicted
	lost       bool               // its worker is gone
}

// outcomeOf reads a handler's error. It bears errors whose methods panic, and
// then goes by what it has read until there.
func outcomeOf(err error) (o outcome) {
	if err == nil {
		return outcome{verb: verbSucceed, delay: -1}
	}
	o = outcome{verb: verbFail, code: 1, delay: -1, message: messageOf(err)}
	defer func() { _ = recover() }()
	if v, ok := errors.AsType[*verbError](err); ok {
		o.verb = v.verb
		if v.verb == verbSnooze {
			o.code, o.delay = 0, v.delay
			return o
		}
	}
	if p, ok := errors.AsType[*PanicError](err); ok {
		o.stack = bounded(string(p.Stack), maxStackBytes)
	}
	if d, ok := errors.AsType[*delayError](err); ok {
		o.delay = d.delay
	}
	if c, ok := errors.AsType[*codeError](err); ok {
		o.code = c.code
	}
	return o
}

func messageOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a %T, which panics when it is printed", err)
		}
	}()
	return bounded(err.Error(), maxMessageBytes)
}

// bounded cuts text to most bytes of valid UTF-8.
func bounded(text string, most int) string {
	// One byte for a run of bad ones, so that it cannot grow.
	return strings.ToValidUTF8(cut(text, most), "?")
}

// cut takes at most n bytes, and no part of a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for back := range utf8.UTFMax {
		if utf8.RuneStart(text[n-back]) {
			return text[:n-back]
		}
	}
	return text[:n]
}
