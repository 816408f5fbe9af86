package stint

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
)

// Verdict is how an attempt ended, as its worker can tell: a word for metrics
// and traces, of which there are few. What it means to the job is up to the
// job's policies.
type Verdict string

// The verdicts.
const (
	VerdictSucceeded   Verdict = "succeeded"
	VerdictFailed      Verdict = "failed"       // a plain error, a code, or a panic
	VerdictJobFailed   Verdict = "job_failed"   // FailJob
	VerdictIndexFailed Verdict = "index_failed" // FailIndex
	VerdictIgnored     Verdict = "ignored"      // Ignore
	VerdictSnoozed     Verdict = "snoozed"      // Snooze
	// VerdictInterrupted is an error after the attempt was told to stop, by a
	// shutdown or the loss of its lease: no failure.
	VerdictInterrupted Verdict = "interrupted"
)

// Verdicts are all of them.
func Verdicts() []Verdict {
	return []Verdict{
		VerdictSucceeded, VerdictFailed, VerdictJobFailed, VerdictIndexFailed, VerdictIgnored, VerdictSnoozed, VerdictInterrupted,
	}
}

// VerdictOf reads the error with which a handler ended that was given ctx. It
// is for middleware.
func VerdictOf(ctx context.Context, err error) Verdict {
	switch outcomeOf(err).verb {
	case verbSucceed:
		return VerdictSucceeded
	case verbFailJob:
		return VerdictJobFailed
	case verbFailIndex:
		return VerdictIndexFailed
	case verbIgnore:
		return VerdictIgnored
	case verbSnooze:
		return VerdictSnoozed
	case verbFail:
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrShutdown) || errors.Is(cause, ErrLeaseLost) {
		return VerdictInterrupted
	}
	return VerdictFailed
}

// TracePrefix begins the annotations which tell how a job came to be
// submitted, and not what it is: to submit a named job again with others of
// them is to submit the same job. Package otelstint keeps trace contexts so.
const TracePrefix = "trace.stint.dev/"

// withoutTrace is a spec in JSON less its annotations of traces; data is all
// of it.
func withoutTrace(spec JobSpec, data []byte) ([]byte, error) {
	isTrace := func(key, _ string) bool { return strings.HasPrefix(key, TracePrefix) }
	rest := maps.Clone(spec.Annotations)
	maps.DeleteFunc(rest, isTrace)
	if len(rest) == len(spec.Annotations) {
		return data, nil
	}
	spec.Annotations = rest
	return json.Marshal(spec)
}
