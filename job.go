package stint

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stint-go/stint/internal/indexset"
	"github.com/stint-go/stint/internal/rules"
)

// Args is the input of a job. The kind decides which handler works on it, and
// must be the same for every value of the type: it is asked of a zero value
// too, so a pointer receiver has to bear nil.
//
// A kind is at most 63 bytes of lower-case letters, digits, '-', '_' and '.',
// and begins and ends with a letter or digit.
type Args interface {
	Kind() string
}

// CompletionMode says whether the completions of a job can be told apart.
type CompletionMode string

// The completion modes.
const (
	// NonIndexed completions are alike: any N successes complete the job.
	NonIndexed CompletionMode = "NonIndexed"
	// Indexed completions are numbered 0..N-1, and each has to succeed.
	Indexed CompletionMode = "Indexed"
)

// Defaults of a [JobSpec], those of Kubernetes. DefaultLostLimit is stint's.
const (
	DefaultBackoffLimit = 6
	DefaultLostLimit    = 3
)

// JobSpec is a job's goal and how it gives up. The zero value asks for one
// success, with at most six retries.
//
// Where nil and zero differ the field is a pointer; nil means the default.
// Counts are at most 2147483647. Durations are kept to the millisecond and
// rounded up. In JSON the fields have the names that batch/v1 gives them, and
// durations are strings such as "1m30s"; a batch/v1 spec can be read too, its
// pod template being ignored.
//
// Fields marked mutable can be changed while the job runs, the others never.
type JobSpec struct {
	// Name is unique in its queue: a DNS-1123 subdomain of at most 253 bytes.
	// For an Indexed job, name and highest index joined by '-' must be a DNS
	// label of at most 63. Empty: a name is generated.
	Name string `json:"name,omitempty"`

	// Labels are for selecting jobs: at most 64, keys and values as in
	// Kubernetes (63 bytes each, keys with an optional DNS prefix). Mutable.
	Labels map[string]string `json:"labels,omitempty"`

	// Annotations are notes for people and tools: at most 64, 64 KiB in all,
	// with keys as those of labels. Mutable.
	Annotations map[string]string `json:"annotations,omitempty"`

	// Completions is how many successes the job needs; 0 completes at once.
	// Nil while Parallelism is set makes a work-queue job: its attempts share
	// the work, and after the first success nothing new starts. Nil with
	// Parallelism nil is 1. Mutable for Indexed jobs only, and only to the
	// same number as Parallelism.
	Completions *int `json:"completions,omitempty"`

	// Parallelism is the most attempts that are active at a time, 1 by
	// default and at most 100000 for an Indexed job; 0 pauses. Mutable.
	Parallelism *int `json:"parallelism,omitempty"`

	// CompletionMode is NonIndexed by default. Indexed needs Completions.
	CompletionMode CompletionMode `json:"completionMode,omitempty"`

	// BackoffLimit is how many failures are retried: one more fails the job.
	// The default is 6, or no limit where BackoffLimitPerIndex is set. Mutable.
	BackoffLimit *int `json:"backoffLimit,omitempty"`

	// BackoffLimitPerIndex is how many failures of one index are retried: one
	// more fails the index, while the job goes on with the others. For
	// Indexed jobs.
	BackoffLimitPerIndex *int `json:"backoffLimitPerIndex,omitempty"`

	// MaxFailedIndexes is how many indexes may fail before the job does, nil
	// for any number. It needs BackoffLimitPerIndex. Mutable.
	MaxFailedIndexes *int `json:"maxFailedIndexes,omitempty"`

	// FailurePolicy decides what a failure means; nil counts every one.
	FailurePolicy *FailurePolicy `json:"podFailurePolicy,omitempty"`

	// SuccessPolicy declares success early. For Indexed jobs.
	SuccessPolicy *SuccessPolicy `json:"successPolicy,omitempty"`

	// ReplacementPolicy is TerminatingOrFailed by default, and always Failed
	// with a FailurePolicy. Mutable.
	ReplacementPolicy ReplacementPolicy `json:"podReplacementPolicy,omitempty"`

	// ActiveDeadline fails the job when it has been active for so long, over
	// all its attempts; the time suspended or before StartAt is not counted.
	// It is more than 0. Mutable.
	ActiveDeadline *time.Duration `json:"activeDeadline,omitempty"`

	// AttemptTimeout cancels the context of a handler that runs for so long,
	// with cause [ErrAttemptTimeout]; 0 is no limit. Mutable.
	AttemptTimeout time.Duration `json:"attemptTimeout,omitempty"`

	// TTLAfterFinished is how long the finished job is kept. 0 removes it
	// with its finish, nil takes the queue's default, and NeverExpire keeps
	// it for ever. Mutable, also after the finish.
	TTLAfterFinished *time.Duration `json:"ttlAfterFinished,omitempty"`

	// Suspend stops all attempts and starts none until it is false again.
	// Attempts stopped by it are no failures. Mutable.
	Suspend bool `json:"suspend,omitempty"`

	// StartAt holds back every start until then, by the clock of Redis. The
	// zero time is at once. Mutable; attempts under way are left alone.
	StartAt time.Time `json:"startAt,omitzero"`

	// Delay is StartAt counted from the submission; only one may be set. An
	// update finds StartAt in its place.
	Delay time.Duration `json:"delay,omitempty"`

	// Resources is what each attempt requests of a worker's Capacity, and its
	// limits: Kubernetes's resources of the one container.
	Resources Resources `json:"resources,omitzero"`

	// Backoff is how long a failure is waited out; nil takes the defaults of
	// [Backoff]. Mutable.
	Backoff *Backoff `json:"backoff,omitempty"`

	// LostLimit is how many attempts in a row a slot may lose with their
	// workers; one more fails its index, where BackoffLimitPerIndex is set,
	// or the job. The default is 3. Mutable.
	LostLimit *int `json:"lostLimit,omitempty"`

	// Mounts are the config maps and secrets that the handlers read; at most
	// 64. Mutable, for attempts that start later.
	Mounts []Mount `json:"mounts,omitempty"`

	// LostCounts counts lost attempts as failures against BackoffLimit, as
	// Kubernetes does, and ignores LostLimit. Mutable.
	LostCounts bool `json:"lostCounts,omitempty"`
}

// withDefaults fills in what was left out, as Kubernetes does on creation. It
// changes nothing that the caller's spec points to, and nothing when called a
// second time.
func (s JobSpec) withDefaults(defaultTTL time.Duration) JobSpec {
	s.setDefaults(defaultTTL, new(specDefaults))
	return s
}

// specDefaults are what a spec's pointers point to where they were nil: all in
// one piece, which costs a submission one allocation and not seven.
type specDefaults struct {
	completions, parallelism, backoffLimit, lostLimit int

	ttl     time.Duration
	backoff Backoff
}

// setDefaults is withDefaults in place.
func (s *JobSpec) setDefaults(defaultTTL time.Duration, d *specDefaults) {
	*d = specDefaults{1, 1, DefaultBackoffLimit, DefaultLostLimit, defaultTTL, s.Backoff.withDefaults()}
	if s.Completions == nil && s.Parallelism == nil {
		s.Completions = &d.completions
	}
	s.Parallelism = cmp.Or(s.Parallelism, &d.parallelism)
	if s.CompletionMode == "" {
		s.CompletionMode = NonIndexed
	}
	if s.BackoffLimitPerIndex != nil {
		d.backoffLimit = math.MaxInt32
	}
	s.BackoffLimit = cmp.Or(s.BackoffLimit, &d.backoffLimit)
	s.FailurePolicy = s.FailurePolicy.withDefaults()
	if s.ReplacementPolicy == "" {
		s.ReplacementPolicy = TerminatingOrFailed
		if s.FailurePolicy != nil {
			s.ReplacementPolicy = Failed
		}
	}
	s.TTLAfterFinished = cmp.Or(s.TTLAfterFinished, &d.ttl)
	s.Resources = s.Resources.withDefaults()
	s.Backoff = &d.backoff
	s.LostLimit = cmp.Or(s.LostLimit, &d.lostLimit)
}

func orDefault[T any](p *T, v T) *T {
	if p != nil {
		return p
	}
	return &v
}

// rules is what the rules see of a spec that has its defaults and is valid.
// A Delay is not in it: only the store knows the time it counts from.
func (s JobSpec) rules() rules.Spec {
	r := rules.Spec{
		Indexed:       s.CompletionMode == Indexed,
		Completions:   orUnset(s.Completions),
		Parallelism:   *s.Parallelism,
		BackoffLimit:  *s.BackoffLimit,
		PerIndex:      orUnset(s.BackoffLimitPerIndex),
		MaxFailed:     orUnset(s.MaxFailedIndexes),
		Deadline:      rules.Unset,
		TTL:           rules.Unset,
		Suspend:       s.Suspend,
		ReplaceFailed: s.ReplacementPolicy == Failed,
		Backoff:       s.Backoff.rules(),
		LostLimit:     *s.LostLimit,
		LostCounts:    s.LostCounts,
	}
	if s.ActiveDeadline != nil {
		r.Deadline = millis(*s.ActiveDeadline)
	}
	if s.TTLAfterFinished != nil && *s.TTLAfterFinished != math.MaxInt64 {
		r.TTL = millis(*s.TTLAfterFinished)
	}
	if !s.StartAt.IsZero() {
		r.StartAt = s.StartAt.UnixMilli()
	}
	if s.SuccessPolicy != nil {
		for _, rule := range s.SuccessPolicy.Rules {
			r.Success = append(r.Success, rule.rules(r.Completions))
		}
	}
	return r
}

func (r SuccessRule) rules(completions int) rules.SuccessRule {
	out := rules.SuccessRule{Count: orUnset(r.SucceededCount)}
	if r.SucceededIndexes != nil {
		// A text that cannot be read names no index, and never matches.
		set, _ := indexset.Parse(*r.SucceededIndexes, completions)
		out.Indexes = &set
	}
	return out
}

func orUnset(p *int) int {
	if p == nil {
		return rules.Unset
	}
	return *p
}

// millis rounds up, so that a positive duration never becomes none.
func millis(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// jsonDuration is a duration as text, as in "1m30s".
type jsonDuration time.Duration

// MarshalText writes the duration as time.Duration.String does.
func (d jsonDuration) MarshalText() ([]byte, error) {
	return []byte(time.Duration(d).String()), nil
}

// UnmarshalText reads what time.ParseDuration can.
func (d *jsonDuration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = jsonDuration(v)
	return err
}

// specFields is a JobSpec without its methods.
type specFields JobSpec

// storedSpec is the JSON form of a JobSpec: its fields win over the embedded
// ones of the same name.
type storedSpec struct {
	specFields
	ActiveDeadline   *jsonDuration `json:"activeDeadline,omitempty"`
	AttemptTimeout   jsonDuration  `json:"attemptTimeout,omitempty"`
	TTLAfterFinished *jsonDuration `json:"ttlAfterFinished,omitempty"`
	Delay            jsonDuration  `json:"delay,omitempty"`

	// Kubernetes's own, which are only read.
	ActiveDeadlineSeconds   *int64 `json:"activeDeadlineSeconds,omitempty"`
	TTLSecondsAfterFinished *int64 `json:"ttlSecondsAfterFinished,omitempty"`
}

func (s JobSpec) stored() storedSpec {
	return storedSpec{
		specFields:       specFields(s),
		ActiveDeadline:   (*jsonDuration)(s.ActiveDeadline),
		AttemptTimeout:   jsonDuration(s.AttemptTimeout),
		TTLAfterFinished: (*jsonDuration)(s.TTLAfterFinished),
		Delay:            jsonDuration(s.Delay),
	}
}

// MarshalJSON writes the form in which specs are stored, with durations as
// text.
func (s JobSpec) MarshalJSON() ([]byte, error) {
	return json.Marshal(s.stored())
}

// UnmarshalJSON reads what MarshalJSON wrote, and the fields
// activeDeadlineSeconds and ttlSecondsAfterFinished of batch/v1, which win over
// their counterparts. Absent fields stay as they are, unknown ones are ignored.
func (s *JobSpec) UnmarshalJSON(data []byte) error {
	st := s.stored()
	if err := json.Unmarshal(data, &st); err != nil {
		return err
	}
	out := JobSpec(st.specFields)
	out.ActiveDeadline = (*time.Duration)(st.ActiveDeadline)
	out.AttemptTimeout = time.Duration(st.AttemptTimeout)
	out.TTLAfterFinished = (*time.Duration)(st.TTLAfterFinished)
	out.Delay = time.Duration(st.Delay)
	if err := setSeconds(&out.ActiveDeadline, st.ActiveDeadlineSeconds); err != nil {
		return fmt.Errorf("activeDeadlineSeconds: %w", err)
	}
	if err := setSeconds(&out.TTLAfterFinished, st.TTLSecondsAfterFinished); err != nil {
		return fmt.Errorf("ttlSecondsAfterFinished: %w", err)
	}
	*s = out
	return nil
}

// setSeconds sets *d to so many seconds, unless there are none.
func setSeconds(d **time.Duration, seconds *int64) error {
	const most = int64(math.MaxInt64 / time.Second)
	switch {
	case seconds == nil:
	case *seconds > most || *seconds < -most:
		return fmt.Errorf("%d seconds are more than a duration can hold", *seconds)
	default:
		*d = new(time.Duration(*seconds) * time.Second)
	}
	return nil
}

// ConditionType names an aspect of a job's fate; see the constants.
type ConditionType string

// The conditions of a job, in Kubernetes's words. A condition is recorded when
// it first becomes true, in the same script as what made it true; so a crash
// of any process leaves either both or neither.
const (
	// JobSuspended is set by the update, or submission, that suspends the
	// job, and becomes false when it is resumed. Attempts told to stop may
	// still be ending.
	JobSuspended ConditionType = "Suspended"

	// JobFailureTarget is set by whatever decides that the job fails: the
	// settling of an attempt, the deadline's timer, or the janitor that ends
	// a lost attempt. It is never taken back. A crash leaves attempts whose
	// ends are awaited; their leases end them.
	JobFailureTarget ConditionType = "FailureTarget"

	// JobSuccessCriteriaMet is set by the settling of the attempt that
	// completes the job, and by whatever lowers the goal to what is done. It
	// is never taken back; a crash leaves what one at JobFailureTarget does.
	JobSuccessCriteriaMet ConditionType = "SuccessCriteriaMet"

	// JobComplete is set when the last attempt has ended after
	// JobSuccessCriteriaMet. Nothing changes after it but the TTL.
	JobComplete ConditionType = "Complete"

	// JobFailed is set when the last attempt has ended after
	// JobFailureTarget. Nothing changes after it but the TTL.
	JobFailed ConditionType = "Failed"

	// JobMemoryPressure is true while an attempt runs in a process that has
	// more memory than the memory limits of all its attempts together; it
	// becomes false when that ends, or the attempts do. It decides nothing.
	// Its name is that of a condition of Kubernetes's nodes; see
	// docs/resources.md.
	JobMemoryPressure ConditionType = "MemoryPressure"

	// DisruptionTarget is a condition of an attempt, not of a job: it was
	// lost with its worker or evicted. A [FailurePolicy] can look for it.
	DisruptionTarget ConditionType = "DisruptionTarget"
)

// Reasons of conditions. All but ReasonLostLimitExceeded and those of
// JobMemoryPressure are Kubernetes's.
const (
	// ReasonPodFailurePolicy of FailureTarget and Failed: an attempt's
	// failure matched a rule with action FailJob, or its handler returned
	// [FailJob].
	ReasonPodFailurePolicy = rules.ReasonPodFailurePolicy
	// ReasonBackoffLimitExceeded of FailureTarget and Failed: more failures
	// were counted than BackoffLimit.
	ReasonBackoffLimitExceeded = rules.ReasonBackoffLimitExceeded
	// ReasonLostLimitExceeded of FailureTarget and Failed: a slot lost more
	// attempts in a row than LostLimit.
	ReasonLostLimitExceeded = rules.ReasonLostLimitExceeded
	// ReasonDeadlineExceeded of FailureTarget and Failed: ActiveDeadline
	// passed.
	ReasonDeadlineExceeded = rules.ReasonDeadlineExceeded
	// ReasonMaxFailedIndexesExceeded of FailureTarget and Failed: more
	// indexes failed than MaxFailedIndexes.
	ReasonMaxFailedIndexesExceeded = rules.ReasonMaxFailedIndexesExceeded
	// ReasonFailedIndexes of FailureTarget and Failed: every index has
	// succeeded or failed, and at least one failed.
	ReasonFailedIndexes = rules.ReasonFailedIndexes
	// ReasonSuccessPolicy of SuccessCriteriaMet and Complete: a rule of the
	// SuccessPolicy matched.
	ReasonSuccessPolicy = rules.ReasonSuccessPolicy
	// ReasonCompletionsReached of SuccessCriteriaMet and Complete: there are
	// as many successes as Completions asks for.
	ReasonCompletionsReached = rules.ReasonCompletionsReached
	// ReasonJobSuspended of Suspended while it is true.
	ReasonJobSuspended = rules.ReasonJobSuspended
	// ReasonJobResumed of Suspended when it has become false.
	ReasonJobResumed = rules.ReasonJobResumed
	// ReasonMemoryLimitExceeded of MemoryPressure while it is true.
	ReasonMemoryLimitExceeded = "MemoryLimitExceeded"
	// ReasonMemoryWithinLimits of MemoryPressure when it has become false.
	ReasonMemoryWithinLimits = "MemoryWithinLimits"
)

// ConditionStatus is the state of a condition.
type ConditionStatus string

// The states of a condition. Those of jobs are never Unknown.
const (
	ConditionTrue    ConditionStatus = "True"
	ConditionFalse   ConditionStatus = "False"
	ConditionUnknown ConditionStatus = "Unknown"
)

// Condition is one recorded aspect of a job's fate.
type Condition struct {
	Type    ConditionType   `json:"type"`
	Status  ConditionStatus `json:"status"`
	Reason  string          `json:"reason,omitempty"`  // one of the Reason constants
	Message string          `json:"message,omitempty"` // for people; may change between versions
	// TransitionAt is when the status last changed, by the clock of Redis.
	TransitionAt time.Time `json:"transitionAt"`
}

// Phase sums a job's conditions up in one word.
type Phase string

// The phases of a job.
const (
	// PhasePending: it waits for its StartAt, and nothing was started.
	PhasePending Phase = "Pending"
	// PhaseSuspended: its spec says so; it can be resumed.
	PhaseSuspended Phase = "Suspended"
	// PhaseRunning: it is open for attempts, or awaits the ends of its last
	// ones, its fate being decided.
	PhaseRunning Phase = "Running"
	// PhaseComplete is final: it has reached its goal.
	PhaseComplete Phase = "Complete"
	// PhaseFailed is final: it has given up.
	PhaseFailed Phase = "Failed"
)

// Job is a snapshot of a job, as the calls that return it saw it. Changing it
// changes nothing in the queue.
type Job struct {
	Name  string `json:"name"`
	UID   string `json:"uid"` // tells apart two jobs that had the same name in turn
	Queue string `json:"queue"`
	Kind  string `json:"kind"`
	// Generation begins at 1 and grows with every change of the spec.
	Generation int64     `json:"generation"`
	CreatedAt  time.Time `json:"createdAt"`       // by the clock of Redis
	Owner      string    `json:"owner,omitempty"` // the cron job that submitted it, if one did

	Spec JobSpec `json:"spec"`           // with its defaults
	Args []byte  `json:"args,omitempty"` // as submitted, encoded: JSON by default
	// Encrypted: the args are stored encrypted. Args is empty where the queue
	// has not the key.
	Encrypted bool      `json:"encrypted,omitempty"`
	Status    JobStatus `json:"status"`
}

// JobStatus is what has become of a job so far.
type JobStatus struct {
	Conditions []Condition `json:"conditions,omitempty"` // at most one of a type, in order of first appearance

	// StartedAt is zero until the job may run its first attempt, and while it
	// is suspended; a resumption sets it anew. ActiveDeadline counts from it.
	StartedAt time.Time `json:"startedAt,omitzero"`
	// CompletedAt is zero unless the job is Complete.
	CompletedAt time.Time `json:"completedAt,omitzero"`

	Active      int `json:"active"`      // attempts waiting for a worker or running
	Ready       int `json:"ready"`       // those of Active that a worker has taken; Get counts up to 500, List none
	Terminating int `json:"terminating"` // attempts told to stop that have not ended
	// Succeeded counts the distinct indexes of an Indexed job, and otherwise
	// the attempts that succeeded.
	Succeeded int `json:"succeeded"`
	// Failed counts failures, without ignored ones, but with the attempts
	// that were stopped because the job failed. It never decreases.
	Failed int `json:"failed"`

	// CompletedIndexes lists the succeeded indexes of an Indexed job as text
	// such as "1,3-5,7".
	CompletedIndexes string `json:"completedIndexes,omitempty"`
	// FailedIndexes lists in the same form the indexes that were given up. It
	// is empty where BackoffLimitPerIndex is not set.
	FailedIndexes string `json:"failedIndexes,omitempty"`

	// LastError is what the last attempt failed with that did, at most 200
	// bytes of it; an attempt that was lost is a failure here too.
	LastError string `json:"lastError,omitempty"`

	// NextRetryAt is when the earliest waiting retry is due, or zero.
	NextRetryAt time.Time `json:"nextRetryAt,omitzero"`
}

// Condition returns the job's condition of type t, and whether it has one.
func (j *Job) Condition(t ConditionType) (Condition, bool) {
	i := slices.IndexFunc(j.Status.Conditions, func(c Condition) bool { return c.Type == t })
	if i < 0 {
		return Condition{}, false
	}
	return j.Status.Conditions[i], true
}

// Finished tells whether the job is Complete or Failed: nothing of it runs,
// and nothing changes until it is removed.
func (j *Job) Finished() bool { return j.is(JobComplete) || j.is(JobFailed) }

// Phase sums the job's status up in one word.
func (j *Job) Phase() Phase {
	switch {
	case j.is(JobComplete):
		return PhaseComplete
	case j.is(JobFailed):
		return PhaseFailed
	case j.is(JobFailureTarget) || j.is(JobSuccessCriteriaMet):
		return PhaseRunning
	case j.is(JobSuspended):
		return PhaseSuspended
	case j.Status.StartedAt.IsZero():
		return PhasePending
	default:
		return PhaseRunning
	}
}

func (j *Job) is(t ConditionType) bool {
	c, ok := j.Condition(t)
	return ok && c.Status == ConditionTrue
}
