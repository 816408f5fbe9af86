package stint

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/stint-go/stint/internal/rules"
)

// Defaults of [Backoff], those of Kubernetes.
const (
	DefaultBackoffInitial = 10 * time.Second
	DefaultBackoffMax     = 10 * time.Minute
	DefaultBackoffFactor  = 2
)

// Backoff is how long a job waits after failures: Initial after the first, and
// Factor times as long after each further one, up to Max. The wait counts from
// the end of the failed attempt and is stored with the job, so that it survives
// restarts. Ignored failures lengthen it too, lost attempts do not. A handler
// overrides it with [RetryAfter].
//
// Zero fields take their defaults; for no wait to speak of, set Initial and
// Max to a millisecond.
type Backoff struct {
	Initial time.Duration `json:"initial,omitempty"` // 10 s by default
	Max     time.Duration `json:"max,omitempty"`     // 10 min by default, and at least Initial
	Factor  float64       `json:"factor,omitempty"`  // at least 1; 2 by default
	// Jitter is the fraction of a wait, 0 to 1, by which it is lengthened at
	// most, beyond Max too. By how much differs between attempts. Only with
	// ScopeTask.
	Jitter float64      `json:"jitter,omitempty"`
	Scope  BackoffScope `json:"scope,omitempty"` // ScopeTask by default
}

// BackoffScope says what waits after a failure.
type BackoffScope string

// The scopes of a backoff.
const (
	// ScopeTask holds back the failed index or slot alone, by the number of
	// its own failures. The rest of the job goes on.
	ScopeTask BackoffScope = "Task"
	// ScopeJob starts nothing of the job, by the number of all its failures
	// since its last success, as Kubernetes does. A job with
	// BackoffLimitPerIndex waits per index even so, as there.
	ScopeJob BackoffScope = "Job"
)

func (b *Backoff) withDefaults() Backoff {
	var out Backoff
	if b != nil {
		out = *b
	}
	if out.Initial == 0 {
		out.Initial = DefaultBackoffInitial
		if out.Max > 0 {
			out.Initial = min(out.Initial, out.Max)
		}
	}
	if out.Max == 0 {
		out.Max = max(DefaultBackoffMax, out.Initial)
	}
	if out.Factor == 0 {
		out.Factor = DefaultBackoffFactor
	}
	if out.Scope == "" {
		out.Scope = ScopeTask
	}
	return out
}

func (b *Backoff) rules() rules.Backoff {
	return rules.Backoff{
		Initial:  millis(b.Initial),
		Max:      millis(b.Max),
		Factor:   b.Factor,
		Jitter:   b.Jitter,
		JobScope: b.Scope == ScopeJob,
	}
}

func (v *validation) backoff(b *Backoff) {
	if b.Initial <= 0 {
		v.add("spec.backoff.initial", FieldInvalid, b.Initial, "must be greater than 0")
	}
	if b.Max < b.Initial || b.Max <= 0 {
		v.add("spec.backoff.max", FieldInvalid, b.Max, "must be greater than 0, and not less than initial")
	}
	// Written so that NaN is refused.
	if !(b.Factor >= 1 && b.Factor <= math.MaxFloat64) {
		v.add("spec.backoff.factor", FieldInvalid, b.Factor, "must be a finite number of at least 1")
	}
	if !(b.Jitter >= 0 && b.Jitter <= 1) {
		v.add("spec.backoff.jitter", FieldInvalid, b.Jitter, "must be between 0 and 1")
	}
	scopes := []BackoffScope{ScopeJob, ScopeTask}
	switch {
	case !slices.Contains(scopes, b.Scope):
		v.add("spec.backoff.scope", FieldNotSupported, b.Scope, oneOf(scopes))
	case b.Scope == ScopeJob && b.Jitter > 0:
		v.add("spec.backoff.jitter", FieldInvalid, b.Jitter, "requires scope Task")
	}
}

// backoffFields is a Backoff without its methods.
type backoffFields Backoff

// storedBackoff is the JSON form of a Backoff.
type storedBackoff struct {
	backoffFields
	Initial jsonDuration `json:"initial,omitempty"`
	Max     jsonDuration `json:"max,omitempty"`
}

func (b Backoff) stored() storedBackoff {
	return storedBackoff{backoffFields(b), jsonDuration(b.Initial), jsonDuration(b.Max)}
}

// MarshalJSON writes the durations as text, as in "10s".
func (b Backoff) MarshalJSON() ([]byte, error) {
	return json.Marshal(b.stored())
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (b *Backoff) UnmarshalJSON(data []byte) error {
	st := b.stored()
	if err := json.Unmarshal(data, &st); err != nil {
		return err
	}
	*b = Backoff(st.backoffFields)
	b.Initial, b.Max = time.Duration(st.Initial), time.Duration(st.Max)
	return nil
}
