package stint

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/seal"
	"github.com/stint-go/stint/internal/store"
)

// Queue is where jobs live and tasks wait: the unit of isolation, a namespace
// in Kubernetes's words, and one hash slot of a Redis Cluster. It is safe for
// concurrent use, starts no goroutine of its own, and needs no closing: the
// client stays the application's.
type Queue struct {
	name   string
	cfg    QueueConfig
	store  *store.Store
	ring   *seal.Ring
	err    error // the queue's name, its keys or its durability are bad
	submit submitters
	loners loners // of submissions that go by themselves
	codec  Codec
	log    *slog.Logger
}

// QueueConfig changes what NewQueue assumes. The zero value is fine.
type QueueConfig struct {
	// DefaultTTL is the TTLAfterFinished of jobs that name none; 0 stands for
	// [DefaultTTL]. Workers of the queue should have the same.
	DefaultTTL time.Duration
	// Codec turns args and results to bytes and back; nil is JSON.
	Codec Codec
	// Keys encrypt secrets, and jobs with EncryptJobs: the first encrypts, all
	// of them decrypt. All processes of a queue should have the same.
	Keys []Key
	// EncryptJobs encrypts the args, results and checkpoints of jobs. Their
	// names, specs, progress and errors are not; limits are on what is stored.
	// Give all processes the Keys first, since they read encrypted jobs by them
	// alone.
	EncryptJobs bool
	// AcceptPlain reads, with EncryptJobs, such as are not encrypted too, from
	// before. Otherwise they are refused with [ErrNotEncrypted].
	AcceptPlain bool
	// SubmitMiddleware wraps every submission but those of SubmitMany and of
	// cron jobs' schedules, the first outermost.
	SubmitMiddleware []SubmitMiddleware
	// Logger hears of what goes wrong; nil discards.
	Logger *slog.Logger
	// Durability is what every submission waits for; see [Queue.Durable].
	Durability Durability
}

// Codec turns args and results to bytes and back. It must be safe for
// concurrent use.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// jsonCodec is the default Codec.
type jsonCodec struct{}

func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// NewQueue makes the handle of a queue. The name is a DNS-like word of at
// most 63 bytes; a bad one is reported by the first use. rdb may be a
// standalone, Sentinel or Cluster client.
func NewQueue(name string, rdb redis.UniversalClient, cfg ...QueueConfig) *Queue {
	var c QueueConfig
	if len(cfg) > 0 {
		c = cfg[0]
	}
	c.DefaultTTL = cmp.Or(c.DefaultTTL, DefaultTTL)
	if c.Codec == nil {
		c.Codec = jsonCodec{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return newQueue(name, store.New(rdb, name), c)
}

func newQueue(name string, st *store.Store, c QueueConfig) *Queue {
	c.Durability.Timeout = cmp.Or(c.Durability.Timeout, DefaultDurabilityTimeout)
	ring, err := newRing(&c)
	return &Queue{
		name: name, cfg: c, store: st, ring: ring, err: firstError(validateQueue(name, c.Durability), err), codec: c.Codec, log: c.Logger,
		submit: submitters{id: rand.Text()},
	}
}

// Name is the queue's name.
func (q *Queue) Name() string { return q.name }

// Submission is a job on its way into the queue, as middleware sees it.
type Submission struct {
	Kind string
	Args []byte // encoded
	Spec JobSpec
}

// SubmitFunc submits one job.
type SubmitFunc func(ctx context.Context, s Submission) (*Job, error)

// SubmitMiddleware wraps the submission of a job: it may change what is
// submitted, refuse it, or note what became of it.
type SubmitMiddleware func(next SubmitFunc) SubmitFunc

// Submit stores a job to run args's kind. With no spec, or its zero value,
// the job needs one completion, and a failure is retried six times.
//
// A named job is submitted once: submitting the same again answers the job
// that is there, and another one under its name is [ErrExists]. Bad input is
// an [*InvalidError], and nothing is stored. When the connection fails it
// cannot always be known whether the job was stored: the error then is
// [ErrUncertain], and a named job may be submitted again.
//
// The Job that it returns is as submitted; Get reads its status.
func (q *Queue) Submit(ctx context.Context, args Args, spec ...JobSpec) (*Job, error) {
	s := Submission{Kind: args.Kind()}
	if len(spec) > 0 {
		s.Spec = spec[0]
	}
	var err error
	if s.Args, err = q.encode("args", args); err != nil {
		return nil, err
	}
	return q.SubmitRaw(ctx, s)
}

// SubmitRaw is Submit for args that are encoded already.
func (q *Queue) SubmitRaw(ctx context.Context, s Submission) (*Job, error) {
	if len(q.cfg.SubmitMiddleware) == 0 {
		return q.submitOne(ctx, s)
	}
	next := q.submitOne
	for i := len(q.cfg.SubmitMiddleware) - 1; i >= 0; i-- {
		next = q.cfg.SubmitMiddleware[i](next)
	}
	return next(ctx, s)
}

func (q *Queue) submitOne(ctx context.Context, s Submission) (*Job, error) {
	job, sub, err := q.prepare(s)
	if err != nil {
		return nil, err
	}
	if q.cfg.Durability.waits() {
		return q.submitDurably(ctx, job, sub)
	}
	answer, err := q.submit.one(ctx, q.store, sub)
	if err != nil {
		return nil, err
	}
	return job, q.answered(job, answer)
}

// encode turns a value to bytes; what names it in errors.
func (q *Queue) encode(what string, v any) ([]byte, error) {
	const most = MaxArgsBytes
	data, err := q.codec.Marshal(v)
	if err != nil {
		return nil, &InvalidError{Fields: []FieldError{{Field: what, Cause: FieldInvalid, Detail: "cannot be encoded: " + err.Error()}}}
	}
	if n := len(data) + q.overhead(); n > most {
		return nil, &InvalidError{Fields: []FieldError{{
			Field: what, Cause: FieldTooLong, Value: n,
			Detail: fmt.Sprintf("must be at most %d bytes encoded", most),
		}}}
	}
	return data, nil
}

// prepare checks a submission and gives it the form of the store.
func (q *Queue) prepare(s Submission) (*Job, store.Submission, error) {
	if q.err != nil {
		return nil, store.Submission{}, q.err
	}
	job := newJob(q.name, &s, q.cfg.DefaultTTL)
	if err := validateCreate(job.Spec, s.Kind, len(s.Args)+q.overhead()); err != nil {
		return nil, store.Submission{}, err
	}
	for _, w := range warnings(&job.Spec) {
		q.log.Warn(w, "job", job.Spec.Name)
	}
	sub := store.Submission{Kind: s.Kind, Plain: isPlain(&job.Spec)}
	var err error
	if sub.Plain {
		sub.Start = startOf(&job.Spec)
		if sub.Args, err = q.sealArgs(s.Args, s.Kind, ""); err == nil {
			sub.Spec, err = q.plainSpec(&s.Spec)
		}
		return job, sub, err
	}
	if job.Spec.Name == "" {
		job.Spec.Name = generateName(s.Kind)
	}
	spec := job.Spec
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, sub, err
	}
	job.Name, job.UID = spec.Name, uuid.NewString()
	if sub.Args, err = q.sealArgs(s.Args, s.Kind, job.Name); err != nil {
		return nil, sub, err
	}
	sub.Name, sub.UID, sub.Spec = job.Name, job.UID, data
	same, err := withoutTrace(spec, data)
	if err != nil {
		return nil, sub, err
	}
	sub.Sums = q.sums(s.Kind, s.Args, same)
	sub.Rules, sub.Requests = submittedRules(spec), spec.requests()
	return job, sub, nil
}

// newJob is a job that is being submitted, in one piece with its defaults.
func newJob(queue string, s *Submission, defaultTTL time.Duration) *Job {
	j := &struct {
		Job

		defaults specDefaults
	}{Job: Job{Queue: queue, Kind: s.Kind, Generation: 1, Spec: s.Spec, Args: s.Args}}
	j.Spec.setDefaults(defaultTTL, &j.defaults)
	return &j.Job
}

// submittedRules are the rules of a job that is being submitted: a delay
// counts from the time that Redis stores it.
func submittedRules(spec JobSpec) rules.Spec {
	r := spec.rules()
	r.StartAt = startOf(&spec)
	return r
}

// startOf is when a job starts, in ms: 0 for at once, and less for a delay.
func startOf(spec *JobSpec) int64 {
	switch {
	case spec.Delay > 0:
		return -millis(spec.Delay)
	case !spec.StartAt.IsZero():
		return spec.StartAt.UnixMilli()
	}
	return 0
}

// isPlain tells a job that needs no record while it waits and runs: one
// completion with no name, and no more to keep time for than its start.
func isPlain(s *JobSpec) bool {
	return s.Name == "" && s.CompletionMode == NonIndexed && s.Completions != nil && *s.Completions == 1 && *s.Parallelism > 0 &&
		!s.Suspend && s.ActiveDeadline == nil && s.requests() == ""
}

// plainSpec is the stored spec of a plain job, nothing where all is default.
func (q *Queue) plainSpec(given *JobSpec) ([]byte, error) {
	ttl := given.TTLAfterFinished
	if ttl == nil && q.cfg.DefaultTTL != DefaultTTL {
		ttl = &q.cfg.DefaultTTL
	}
	switch {
	case !given.asksOnlyTTL():
		s := *given
		s.Completions, s.Parallelism, s.TTLAfterFinished = nil, nil, ttl
		data, err := json.Marshal(s.stored())
		if string(data) == "{}" {
			data = nil
		}
		return data, err
	case ttl == nil:
		return nil, nil
	default: // what JSON makes of it, for a fraction of the cost
		return []byte(`{"ttlAfterFinished":"` + ttl.String() + `"}`), nil
	}
}

// asksOnlyTTL tells the spec of a plain job in which nothing else is set that
// would be stored.
func (s *JobSpec) asksOnlyTTL() bool {
	return s.Labels == nil && s.Annotations == nil && s.CompletionMode == "" &&
		s.BackoffLimit == nil && s.BackoffLimitPerIndex == nil && s.MaxFailedIndexes == nil &&
		s.FailurePolicy == nil && s.SuccessPolicy == nil && s.ReplacementPolicy == "" &&
		s.ActiveDeadline == nil && s.AttemptTimeout == 0 && s.StartAt.IsZero() && s.Delay == 0 &&
		s.Resources.Requests == nil && s.Resources.Limits == nil && s.Backoff == nil &&
		s.LostLimit == nil && s.Mounts == nil && !s.LostCounts && !s.Suspend && s.Name == ""
}

// answered completes a job with what the store says of it.
func (q *Queue) answered(job *Job, a store.Answer) error {
	switch {
	case a.Spoilt:
		return fmt.Errorf("%w: job %s: a key of it, or of its kind, holds something else", ErrUnreadable, job.Name)
	case a.Full:
		return fmt.Errorf("%w: job %s", ErrTooManyLanes, job.Name)
	case a.Conflict != "":
		return fmt.Errorf("%w: job %s", ErrExists, job.Name)
	case a.Entry != "":
		job.Name = store.PlainName(job.Kind, a.Entry)
		job.UID = job.Name
		job.Spec.Name = job.Name
	case a.Existing != "":
		job.UID = a.Existing
	}
	return nil
}
