package stint

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// MaxArgsBytes is the most that the encoded args of a job may take, and so a
// result or a checkpoint.
const MaxArgsBytes = 256 << 10

// Limits of a job's metadata.
const (
	maxLabels           = 64
	maxAnnotations      = 64
	maxAnnotationsBytes = 64 << 10 // keys and values together
)

// maxSpecBytes is the most that a spec may take as it is stored.
const maxSpecBytes = 256 << 10

// Limits of counts. Those of Indexed jobs are Kubernetes's.
const (
	maxCount               = math.MaxInt32
	maxIndexedParallelism  = 100_000
	maxMaxFailedIndexes    = 100_000
	manyCompletions        = 100_000 // with more of them, the next two hold
	manyParallelismLimit   = 10_000
	manyFailedIndexesLimit = 10_000
)

// validation gathers what is wrong with an input.
type validation struct {
	fields []FieldError
}

func (v *validation) add(field string, cause FieldCause, value any, detail string) {
	v.fields = append(v.fields, FieldError{Field: field, Cause: cause, Value: value, Detail: detail})
}

// most refuses lists of more than limit items; it answers whether n is fine.
func (v *validation) most(field string, n, limit int) bool {
	if n > limit {
		v.add(field, FieldTooMany, n, fmt.Sprintf("must have at most %d items", limit))
	}
	return n <= limit
}

func (v *validation) tooLong(field string, n, limit int) {
	v.add(field, FieldTooLong, n, fmt.Sprintf("may not be more than %d bytes", limit))
}

// err is nil, or an *InvalidError with every field that was found bad.
func (v *validation) err() error {
	if len(v.fields) == 0 {
		return nil
	}
	return &InvalidError{Fields: v.fields}
}

// sortedKeys are a map's in order; those of an empty one cost nothing.
func sortedKeys[M ~map[string]V, V any](m M) []string {
	if len(m) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(m))
}

func oneOf[T ~string](values []T) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", string(v))
	}
	return "must be one of " + strings.Join(quoted, ", ")
}

// validateQueue checks the name of a queue, and what submissions wait for.
func validateQueue(name string, d Durability) error {
	var v validation
	if !isWord(name) {
		v.add("queue", FieldInvalid, name, wordRule)
	}
	if d.Replicas < 0 || d.Replicas > 100 {
		v.add("durability.replicas", FieldInvalid, d.Replicas, "must be between 0 and 100")
	}
	if d.Timeout < time.Millisecond || d.Timeout > time.Minute {
		v.add("durability.timeout", FieldInvalid, d.Timeout, "must be between 1ms and 1m")
	}
	return v.err()
}

// validateKind checks the kind that a handler is registered for.
func validateKind(kind string) error {
	var v validation
	v.kind(kind)
	return v.err()
}

func (v *validation) kind(kind string) {
	switch {
	case kind == "":
		v.add("kind", FieldRequired, "", wordRule)
	case !isWord(kind):
		v.add("kind", FieldInvalid, kind, wordRule)
	}
}

// validateCreate checks a job that is about to be submitted; spec has its
// defaults. The error is nil or an *InvalidError.
func validateCreate(spec JobSpec, kind string, argsLen int) error {
	var v validation
	v.kind(kind)
	if argsLen > MaxArgsBytes {
		v.tooLong("args", argsLen, MaxArgsBytes)
	}
	v.name(&spec)
	v.metadata(&spec)
	v.spec(&spec)
	return v.err()
}

// validateUpdate checks a change of a job's spec; both have their defaults.
// The error is nil or an *InvalidError.
func validateUpdate(from, to JobSpec) error {
	var v validation
	v.metadata(&to)
	v.spec(&to)
	v.completionsUpdate(&from, &to)
	v.immutable("metadata.name", from.Name, to.Name)
	v.immutable("spec.completionMode", from.CompletionMode, to.CompletionMode)
	v.immutable("spec.podFailurePolicy", from.FailurePolicy, to.FailurePolicy)
	v.immutable("spec.backoffLimitPerIndex", from.BackoffLimitPerIndex, to.BackoffLimitPerIndex)
	v.immutable("spec.successPolicy", from.SuccessPolicy, to.SuccessPolicy)
	v.immutable(resourcesPath, from.Resources, to.Resources)
	v.immutable("spec.delay", from.Delay, to.Delay)
	return v.err()
}

// Warnings names what is allowed in a spec but unlikely to be meant, or
// costly; nil if there is nothing. It does not check that the spec is valid.
func Warnings(spec JobSpec) []string {
	spec = spec.withDefaults(0)
	return warnings(&spec)
}

// warnings are those of a spec that has its defaults.
func warnings(spec *JobSpec) []string {
	var out []string
	if spec.Name != "" && isDNSSubdomain(spec.Name) && !isDNSLabel(spec.Name) {
		out = append(out, "metadata.name: is not a DNS label of at most 63 bytes, as names of hosts have to be")
	}
	if spec.CompletionMode == Indexed && spec.Completions != nil &&
		*spec.Completions > manyCompletions && *spec.Parallelism > manyParallelismLimit {
		out = append(out, fmt.Sprintf("spec.parallelism: with more than %d completions and a parallelism above %d,"+
			" the list of completed indexes can become very long", manyCompletions, manyParallelismLimit))
	}
	if spec.SuccessPolicy != nil {
		for i, r := range spec.SuccessPolicy.Rules {
			if r.SucceededIndexes != nil && *r.SucceededIndexes == "" {
				out = append(out, fmt.Sprintf("%s[%d].succeededIndexes: is empty, so the rule never holds", successRulesPath, i))
			}
		}
	}
	return out
}

func (v *validation) name(s *JobSpec) {
	switch {
	case s.Name == "": // will be generated
	case !isDNSSubdomain(s.Name):
		v.add("metadata.name", FieldInvalid, s.Name, subdomainRule)
	case s.CompletionMode == Indexed && s.Completions != nil && *s.Completions > 0:
		if last := fmt.Sprintf("%s-%d", s.Name, *s.Completions-1); !isDNSLabel(last) {
			v.add("metadata.name", FieldInvalid, s.Name,
				fmt.Sprintf("with its highest index, %q, must be a DNS label of at most %d bytes", last, maxLabelBytes))
		}
	}
}

func (v *validation) metadata(s *JobSpec) {
	const labels, annotations = "metadata.labels", "metadata.annotations"
	if v.most(labels, len(s.Labels), maxLabels) {
		for _, key := range sortedKeys(s.Labels) {
			if !isQualifiedName(key) {
				v.add(labels, FieldInvalid, key, qualifiedNameRule)
			}
			if value := s.Labels[key]; !isLabelValue(value) {
				v.add(labels+"["+key+"]", FieldInvalid, value, labelValueRule)
			}
		}
	}
	if !v.most(annotations, len(s.Annotations), maxAnnotations) {
		return
	}
	total := 0
	for _, key := range sortedKeys(s.Annotations) {
		// Kubernetes folds the case of an annotation's prefix as well.
		if !isQualifiedName(strings.ToLower(key)) {
			v.add(annotations, FieldInvalid, key, qualifiedNameRule)
		}
		total += len(key) + len(s.Annotations[key])
	}
	if total > maxAnnotationsBytes {
		v.tooLong(annotations, total, maxAnnotationsBytes)
	}
}

// spec checks everything that must hold at creation and after each update, in
// the order of Kubernetes.
func (v *validation) spec(s *JobSpec) {
	v.count("spec.parallelism", s.Parallelism)
	v.count("spec.completions", s.Completions)
	if s.ActiveDeadline != nil && *s.ActiveDeadline <= 0 {
		v.add("spec.activeDeadlineSeconds", FieldInvalid, *s.ActiveDeadline, "must be greater than 0")
	}
	v.count("spec.backoffLimit", s.BackoffLimit)
	v.duration("spec.ttlSecondsAfterFinished", s.TTLAfterFinished)
	v.count("spec.backoffLimitPerIndex", s.BackoffLimitPerIndex)
	v.count("spec.maxFailedIndexes", s.MaxFailedIndexes)
	if s.MaxFailedIndexes != nil && s.BackoffLimitPerIndex == nil {
		v.add("spec.backoffLimitPerIndex", FieldRequired, nil, "must be set where maxFailedIndexes is")
	}
	switch s.CompletionMode {
	case Indexed:
		v.indexed(s)
	case NonIndexed:
		v.nonIndexed(s)
	default:
		v.add("spec.completionMode", FieldNotSupported, s.CompletionMode, oneOf([]CompletionMode{Indexed, NonIndexed}))
	}
	v.failurePolicy(s)
	v.successPolicy(s)
	v.replacementPolicy(s)
	v.ours(s)
	v.size(s)
}

// size checks what a spec takes as it is stored. All else in it is bounded to
// a few KiB.
func (v *validation) size(s *JobSpec) {
	long := 0
	for _, value := range s.Annotations {
		long += len(value)
	}
	if s.SuccessPolicy != nil {
		for _, r := range s.SuccessPolicy.Rules {
			if r.SucceededIndexes != nil {
				long += len(*r.SucceededIndexes)
			}
		}
	}
	const small, grows = 64 << 10, 6 // a byte becomes up to six, as in \u003c
	if long*grows+small <= maxSpecBytes {
		return
	}
	if data, err := json.Marshal(*s); err == nil && len(data) > maxSpecBytes {
		v.tooLong("spec", len(data), maxSpecBytes)
	}
}

// ours checks the fields that Kubernetes does not have.
func (v *validation) ours(s *JobSpec) {
	v.duration("spec.attemptTimeout", &s.AttemptTimeout)
	v.duration("spec.delay", &s.Delay)
	if !s.StartAt.IsZero() {
		if s.Delay != 0 {
			v.add("spec.delay", FieldInvalid, s.Delay, "must not be set together with startAt")
		}
		if s.StartAt.Before(time.Unix(0, 0)) || s.StartAt.UTC().Year() > 9999 {
			v.add("spec.startAt", FieldInvalid, s.StartAt, "must be in the years 1970 to 9999")
		}
	}
	v.resources(&s.Resources)
	v.backoff(s.Backoff)
	v.count("spec.lostLimit", s.LostLimit)
	v.mounts(s.Mounts)
}

func (v *validation) count(field string, n *int) {
	switch {
	case n == nil:
	case *n < 0:
		v.add(field, FieldInvalid, *n, "must not be negative")
	case *n > maxCount:
		v.atMost(field, *n, maxCount)
	}
}

func (v *validation) atMost(field string, n, limit int) {
	v.add(field, FieldInvalid, n, fmt.Sprintf("must be at most %d", limit))
}

func (v *validation) duration(field string, d *time.Duration) {
	if d != nil && *d < 0 {
		v.add(field, FieldInvalid, *d, "must not be negative")
	}
}

func (v *validation) nonIndexed(s *JobSpec) {
	const needsIndexed = "requires completionMode Indexed"
	if s.BackoffLimitPerIndex != nil {
		v.add("spec.backoffLimitPerIndex", FieldInvalid, *s.BackoffLimitPerIndex, needsIndexed)
	}
	if s.MaxFailedIndexes != nil {
		v.add("spec.maxFailedIndexes", FieldInvalid, *s.MaxFailedIndexes, needsIndexed)
	}
}

func (v *validation) indexed(s *JobSpec) {
	if s.Completions == nil {
		v.add("spec.completions", FieldRequired, nil, "must be set with completionMode Indexed")
	}
	many := s.Completions != nil && *s.Completions > manyCompletions && s.BackoffLimitPerIndex != nil
	v.indexedParallelism(s, many)
	v.maxFailedIndexes(s, many)
}

func (v *validation) indexedParallelism(s *JobSpec, many bool) {
	const field = "spec.parallelism"
	switch {
	case s.Parallelism == nil:
	case *s.Parallelism > maxIndexedParallelism:
		v.atMost(field, *s.Parallelism, maxIndexedParallelism)
	case many && *s.Parallelism > manyParallelismLimit:
		v.atMost(field, *s.Parallelism, manyParallelismLimit)
	}
}

func (v *validation) maxFailedIndexes(s *JobSpec, many bool) {
	const field = "spec.maxFailedIndexes"
	if s.MaxFailedIndexes == nil {
		if many {
			v.add(field, FieldRequired, nil, fmt.Sprintf("must be set with more than %d completions", manyCompletions))
		}
		return
	}
	n := *s.MaxFailedIndexes
	switch {
	case s.Completions != nil && n > *s.Completions:
		v.add(field, FieldInvalid, n, "must not be more than completions")
	case many && n > manyFailedIndexesLimit:
		v.atMost(field, n, manyFailedIndexesLimit)
	case n > maxMaxFailedIndexes:
		v.atMost(field, n, maxMaxFailedIndexes)
	}
}

func (v *validation) replacementPolicy(s *JobSpec) {
	allowed := []ReplacementPolicy{Failed, TerminatingOrFailed}
	if s.FailurePolicy != nil {
		allowed = allowed[:1] // the code must be known before the failure is judged
	}
	if !slices.Contains(allowed, s.ReplacementPolicy) {
		v.add("spec.podReplacementPolicy", FieldNotSupported, s.ReplacementPolicy, oneOf(allowed))
	}
}

// completionsUpdate lets an Indexed job grow and shrink. Only what it becomes
// matters: its old completions and parallelism may have differed.
func (v *validation) completionsUpdate(from, to *JobSpec) {
	const field = "spec.completions"
	switch {
	case to.CompletionMode != Indexed:
		v.immutable(field, from.Completions, to.Completions)
	case to.Completions == nil || reflect.DeepEqual(from.Completions, to.Completions):
	case *to.Completions != *to.Parallelism:
		v.add(field, FieldInvalid, *to.Completions, "can only be changed to the same number as parallelism")
	}
}

// immutable compares what would be stored, for which no list and an empty one
// are the same.
func (v *validation) immutable(field string, from, to any) {
	a, errA := json.Marshal(from)
	b, errB := json.Marshal(to)
	if errA != nil || errB != nil || string(a) != string(b) {
		v.add(field, FieldInvalid, pointee(to), "is immutable")
	}
}

// pointee is what v points to, nil for a nil pointer, and otherwise v.
func pointee(v any) any {
	rv := reflect.ValueOf(v)
	switch {
	case rv.Kind() != reflect.Pointer:
		return v
	case rv.IsNil():
		return nil
	default:
		return rv.Elem().Interface()
	}
}
