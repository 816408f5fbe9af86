// Package otelstint has OpenTelemetry traces and metrics of stint.
//
//	telemetry, err := otelstint.New(otelstint.Config{})
//	q := stint.NewQueue("media", rdb, stint.QueueConfig{
//		SubmitMiddleware: []stint.SubmitMiddleware{telemetry.SubmitMiddleware("media")},
//	})
//	w := stint.NewWorker(q, stint.WorkerConfig{Middleware: []stint.Middleware{telemetry.Middleware()}})
//
// A submission is a span of kind producer, and the job carries its context in
// annotations (stint.TracePrefix). Each attempt, in whatever process, is a span
// of kind consumer at the root of a trace of its own, and has a link to that of
// the submission: a job may have a million attempts, days later. With
// Config.Parent it is a child of it instead.
package otelstint

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/stint-go/stint"
)

// scope is the name of the instrumentation.
const scope = "github.com/stint-go/stint/otelstint"

// DefaultMaxKinds is the default of Config.MaxKinds.
const DefaultMaxKinds = 100

// Other is the kind in metrics of what is beyond Config.MaxKinds.
const Other = "other"

// Config changes what New assumes. The zero value is fine.
type Config struct {
	TracerProvider trace.TracerProvider // nil: the global one
	MeterProvider  metric.MeterProvider // nil: the global one
	// Propagator writes the context of a submission into the job; nil is that
	// of W3C's Trace Context. Baggage may hold what is not to be stored: add
	// its propagator only where it does not.
	Propagator propagation.TextMapPropagator
	// Parent makes attempts children of the submission, in one trace, in place
	// of linking them. It suits jobs of few attempts that start at once.
	Parent bool
	// MaxKinds is how many kinds metrics tell apart; 100 by default.
	MaxKinds int
}

// Telemetry makes middleware. It is safe for concurrent use.
type Telemetry struct {
	cfg    Config
	tracer trace.Tracer
	kinds  struct {
		sync.Mutex
		seen map[string]bool
	}

	submitted metric.Int64Counter
	attempts  metric.Int64Counter
	running   metric.Int64UpDownCounter
	duration  metric.Float64Histogram
	wait      metric.Float64Histogram
}

// New makes a Telemetry. It fails where the MeterProvider does.
func New(cfg Config) (*Telemetry, error) {
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	if cfg.Propagator == nil {
		cfg.Propagator = propagation.TraceContext{}
	}
	cfg.MaxKinds = cmp.Or(cfg.MaxKinds, DefaultMaxKinds)
	t := &Telemetry{cfg: cfg, tracer: cfg.TracerProvider.Tracer(scope)}
	t.kinds.seen = map[string]bool{}
	return t, t.instruments(cfg.MeterProvider.Meter(scope))
}

func (t *Telemetry) instruments(m metric.Meter) (err error) {
	buckets := metric.WithExplicitBucketBoundaries(.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600)
	if t.submitted, err = m.Int64Counter("stint.submitted", metric.WithUnit("{job}"),
		metric.WithDescription("Jobs that this process submitted, by outcome: ok or error.")); err != nil {
		return err
	}
	if t.attempts, err = m.Int64Counter("stint.attempts", metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts that this process ran, by outcome.")); err != nil {
		return err
	}
	if t.running, err = m.Int64UpDownCounter("stint.attempts.running", metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts that this process runs.")); err != nil {
		return err
	}
	if t.duration, err = m.Float64Histogram("stint.attempt.duration", metric.WithUnit("s"), buckets,
		metric.WithDescription("How long handlers of this process ran.")); err != nil {
		return err
	}
	t.wait, err = m.Float64Histogram("stint.attempt.wait", metric.WithUnit("s"), buckets,
		metric.WithDescription("How long tasks could have run before this process took them."))
	return err
}

// Attributes of spans; queue, kind and outcome are those of metrics too.
const (
	queueKey   = attribute.Key("stint.queue")
	kindKey    = attribute.Key("stint.kind")
	outcomeKey = attribute.Key("stint.outcome")
	jobKey     = attribute.Key("stint.job")
	uidKey     = attribute.Key("stint.job.uid")
	indexKey   = attribute.Key("stint.index")
	attemptKey = attribute.Key("stint.attempt")
	tokenKey   = attribute.Key("stint.token")
)

// messaging are the attributes by which others know a message queue.
func messaging(operation, queue string) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("messaging.system", "stint"), attribute.String("messaging.operation.type", operation),
		attribute.String("messaging.destination.name", queue),
	}
}

// kind is the kind for metrics.
func (t *Telemetry) kind(kind string) attribute.KeyValue {
	t.kinds.Lock()
	defer t.kinds.Unlock()
	if !t.kinds.seen[kind] {
		if len(t.kinds.seen) >= t.cfg.MaxKinds {
			return kindKey.String(Other)
		}
		t.kinds.seen[kind] = true
	}
	return kindKey.String(kind)
}

// SubmitMiddleware traces and counts what is submitted to a queue by Submit
// and SubmitRaw. For SubmitMany and cron jobs see [Telemetry.Inject].
func (t *Telemetry) SubmitMiddleware(queue string) stint.SubmitMiddleware {
	return func(next stint.SubmitFunc) stint.SubmitFunc {
		return func(ctx context.Context, s stint.Submission) (*stint.Job, error) {
			ctx, span := t.tracer.Start(ctx, "send "+queue, trace.WithSpanKind(trace.SpanKindProducer),
				trace.WithAttributes(append(messaging("send", queue), queueKey.String(queue), kindKey.String(s.Kind))...))
			defer span.End()
			s.Spec = t.Inject(ctx, s.Spec)
			job, err := next(ctx, s)
			outcome := "ok"
			if err != nil {
				outcome = "error"
				span.RecordError(err)
				span.SetStatus(codes.Error, err.Error())
			} else {
				span.SetAttributes(jobKey.String(job.Name), uidKey.String(job.UID))
			}
			t.submitted.Add(ctx, 1, metric.WithAttributes(queueKey.String(queue), t.kind(s.Kind), outcomeKey.String(outcome)))
			return job, err
		}
	}
}

// Inject writes the context of the span in ctx into a spec, for a job that is
// submitted without the middleware. It leaves the caller's map alone.
func (t *Telemetry) Inject(ctx context.Context, spec stint.JobSpec) stint.JobSpec {
	carrier := propagation.MapCarrier{}
	t.cfg.Propagator.Inject(ctx, carrier)
	if len(carrier) == 0 {
		return spec
	}
	all := maps.Clone(spec.Annotations)
	if all == nil {
		all = map[string]string{}
	}
	for k, v := range carrier {
		all[stint.TracePrefix+k] = v
	}
	spec.Annotations = all
	return spec
}

// Extract reads the context of the submission from a job's annotations.
func (t *Telemetry) Extract(ctx context.Context, annotations map[string]string) context.Context {
	return t.cfg.Propagator.Extract(ctx, annotationCarrier(annotations))
}

// annotationCarrier reads what Inject wrote.
type annotationCarrier map[string]string

func (c annotationCarrier) Get(key string) string { return c[stint.TracePrefix+key] }

func (c annotationCarrier) Set(key, value string) { c[stint.TracePrefix+key] = value }

func (c annotationCarrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		if len(k) > len(stint.TracePrefix) && k[:len(stint.TracePrefix)] == stint.TracePrefix {
			keys = append(keys, k[len(stint.TracePrefix):])
		}
	}
	return keys
}

// Middleware traces and measures attempts. Let it be the first, so that spans
// of others are within its own.
func (t *Telemetry) Middleware() stint.Middleware {
	return func(next stint.Handler) stint.Handler {
		return func(ctx context.Context, task *stint.RawTask) error {
			with := metric.WithAttributeSet(attribute.NewSet(queueKey.String(task.Queue), t.kind(task.Kind)))
			t.wait.Record(ctx, task.Waited().Seconds(), with)
			t.running.Add(ctx, 1, with)
			ctx, span := t.start(ctx, task)
			began, verdict := time.Now(), stint.VerdictFailed // of one that panics
			defer func() {
				span.SetAttributes(outcomeKey.String(string(verdict)))
				span.End()
				t.running.Add(ctx, -1, with)
				ended := metric.WithAttributeSet(attribute.NewSet(queueKey.String(task.Queue), t.kind(task.Kind), outcomeKey.String(string(verdict))))
				t.attempts.Add(ctx, 1, ended)
				t.duration.Record(ctx, time.Since(began).Seconds(), ended)
			}()
			err := t.call(ctx, span, task, next)
			verdict = stint.VerdictOf(ctx, err)
			if verdict == stint.VerdictFailed || verdict == stint.VerdictJobFailed || verdict == stint.VerdictIndexFailed {
				span.RecordError(err)
				span.SetStatus(codes.Error, err.Error())
			}
			return err
		}
	}
}

// call has a panic marked in the span.
func (t *Telemetry) call(ctx context.Context, span trace.Span, task *stint.RawTask, next stint.Handler) error {
	returned := false
	defer func() {
		if !returned {
			span.SetStatus(codes.Error, "the handler panicked or called runtime.Goexit")
		}
	}()
	err := next(ctx, task)
	returned = true
	return err
}

// start begins the span of an attempt.
func (t *Telemetry) start(ctx context.Context, task *stint.RawTask) (context.Context, trace.Span) {
	submitted := t.Extract(ctx, task.Annotations())
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(append(messaging("process", task.Queue), queueKey.String(task.Queue), kindKey.String(task.Kind), jobKey.String(task.Job),
			uidKey.String(task.UID), indexKey.Int(task.Index), attemptKey.Int(task.Attempt), tokenKey.String(task.Token()))...),
	}
	if t.cfg.Parent {
		return t.tracer.Start(submitted, "process "+task.Queue, options...)
	}
	options = append(options, trace.WithNewRoot())
	if from := trace.SpanContextFromContext(submitted); from.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
	}
	return t.tracer.Start(ctx, "process "+task.Queue, options...)
}
