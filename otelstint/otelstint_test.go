package otelstint_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/otelstint"
)

// childEnv makes of the test binary a process that submits a job, and prints
// the span of that.
const childEnv = "OTELSTINT_TEST_REDIS"

func TestMain(m *testing.M) {
	if addr := os.Getenv(childEnv); addr != "" {
		submitAsChild(addr)
		return
	}
	os.Exit(m.Run())
}

func submitAsChild(addr string) {
	r := newRig(otelstint.Config{})
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	q := stint.NewQueue("media", rdb, stint.QueueConfig{SubmitMiddleware: []stint.SubmitMiddleware{r.telemetry.SubmitMiddleware("media")}})
	if _, err := q.SubmitRaw(context.Background(), stint.Submission{Kind: "ok", Spec: stint.JobSpec{Name: "from-child"}}); err != nil {
		_, _ = fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	sc := r.spans.Ended()[0].SpanContext()
	_, _ = fmt.Fprint(os.Stdout, sc.TraceID(), " ", sc.SpanID())
}

// rig records what a Telemetry makes.
type rig struct {
	spans     *tracetest.SpanRecorder
	reader    *sdkmetric.ManualReader
	telemetry *otelstint.Telemetry
}

func newRig(cfg otelstint.Config) *rig {
	r := &rig{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	cfg.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.spans))
	cfg.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader))
	var err error
	if r.telemetry, err = otelstint.New(cfg); err != nil {
		panic(err)
	}
	return r
}

func (r *rig) queue(rdb redis.UniversalClient) *stint.Queue {
	return stint.NewQueue("media", rdb, stint.QueueConfig{SubmitMiddleware: []stint.SubmitMiddleware{r.telemetry.SubmitMiddleware("media")}})
}

// work runs a worker until jobs have finished.
func (r *rig) work(t *testing.T, q *stint.Queue, names ...string) {
	t.Helper()
	w := stint.NewWorker(q, stint.WorkerConfig{Middleware: []stint.Middleware{r.telemetry.Middleware()}})
	w.HandleRaw("ok", func(context.Context, *stint.RawTask) error { return nil })
	w.HandleRaw("bad", func(context.Context, *stint.RawTask) error { return errors.New("no") })
	w.HandleRaw("panics", func(context.Context, *stint.RawTask) error { panic("no") })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	for _, name := range names {
		_, err := q.Wait(t.Context(), name)
		require.NoError(t, err)
	}
	stop()
	require.NoError(t, <-done)
}

// span finds the ended span of a kind of job, the first of several.
func (r *rig) span(t *testing.T, name, kind string) sdktrace.ReadOnlySpan {
	t.Helper()
	return r.spanWith(t, name, "stint.kind", kind)
}

// spanOf finds the ended span of a job.
func (r *rig) spanOf(t *testing.T, name, job string) sdktrace.ReadOnlySpan {
	t.Helper()
	return r.spanWith(t, name, "stint.job", job)
}

func (r *rig) spanWith(t *testing.T, name, key, value string) sdktrace.ReadOnlySpan {
	t.Helper()
	for _, s := range r.spans.Ended() {
		if s.Name() == name && attributes(s)[key] == value {
			return s
		}
	}
	t.Fatalf("there is no span %s with %s %s", name, key, value)
	return nil
}

func attributes(s sdktrace.ReadOnlySpan) map[string]string {
	out := map[string]string{}
	for _, a := range s.Attributes() {
		out[string(a.Key)] = a.Value.String()
	}
	return out
}

// points are the values of a metric, by their attributes.
func (r *rig) points(t *testing.T, name string) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, r.reader.Collect(t.Context(), &all))
	out := map[string]float64{}
	key := func(s attribute.Set) string {
		var parts []string
		for _, a := range s.ToSlice() {
			parts = append(parts, a.Value.String())
		}
		return strings.Join(parts, " ")
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if m.Name != name {
			continue
		}
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				out[key(p.Attributes)] = float64(p.Value)
			}
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				out[key(p.Attributes)] = float64(p.Count)
			}
		}
	}
	return out
}

func TestSpansAreLinked(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := newRig(otelstint.Config{})
		q := r.queue(rdb)
		for _, kind := range []string{"ok", "bad", "panics"} {
			_, err := q.SubmitRaw(t.Context(), stint.Submission{Kind: kind, Spec: stint.JobSpec{Name: "job-" + kind, BackoffLimit: new(0)}})
			require.NoError(t, err)
		}
		plain, err := q.SubmitRaw(t.Context(), stint.Submission{Kind: "ok"})
		require.NoError(t, err)
		_, err = q.SubmitRaw(t.Context(), stint.Submission{Kind: "Bad Kind"})
		require.Error(t, err)
		r.work(t, q, "job-ok", "job-bad", "job-panics", plain.Name)
		for _, kind := range []string{"ok", "bad", "panics"} {
			sent, ran := r.spanOf(t, "send media", "job-"+kind), r.spanOf(t, "process media", "job-"+kind)
			require.Equal(t, trace.SpanKindProducer, sent.SpanKind())
			require.Equal(t, trace.SpanKindConsumer, ran.SpanKind())
			require.NotEqual(t, sent.SpanContext().TraceID(), ran.SpanContext().TraceID())
			require.False(t, ran.Parent().IsValid())
			require.Len(t, ran.Links(), 1)
			require.Equal(t, sent.SpanContext().SpanID(), ran.Links()[0].SpanContext.SpanID())
			require.Equal(t, sent.SpanContext().TraceID(), ran.Links()[0].SpanContext.TraceID())
			a := attributes(ran)
			require.Equal(t, "1", a["stint.attempt"])
			require.Equal(t, "job-"+kind, a["stint.job"])
			require.Equal(t, "media", a["messaging.destination.name"])
		}
		require.Equal(t, "succeeded", attributes(r.span(t, "process media", "ok"))["stint.outcome"])
		require.Equal(t, codes.Unset, r.span(t, "process media", "ok").Status().Code)
		require.Equal(t, "failed", attributes(r.span(t, "process media", "bad"))["stint.outcome"])
		require.Equal(t, codes.Error, r.span(t, "process media", "bad").Status().Code)
		require.Equal(t, codes.Error, r.span(t, "process media", "panics").Status().Code)
		require.Equal(t, codes.Error, r.span(t, "send media", "Bad Kind").Status().Code)

		require.Equal(t, map[string]float64{"ok ok media": 2, "bad ok media": 1, "panics ok media": 1, "Bad Kind error media": 1}, r.points(t, "stint.submitted"))
		require.Equal(t, map[string]float64{"ok succeeded media": 2, "bad failed media": 1, "panics failed media": 1}, r.points(t, "stint.attempts"))
		require.Equal(t, map[string]float64{"ok media": 0, "bad media": 0, "panics media": 0}, r.points(t, "stint.attempts.running"))
		require.Equal(t, map[string]float64{"ok succeeded media": 2, "bad failed media": 1, "panics failed media": 1}, r.points(t, "stint.attempt.duration"))
		require.InDelta(t, 2, r.points(t, "stint.attempt.wait")["ok media"], 0)
	})
}

func TestSpansAcrossProcesses(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+s.Addr())
	sent, err := cmd.Output()
	require.NoError(t, err, string(sent))
	r := newRig(otelstint.Config{})
	r.work(t, r.queue(s.Client()), "from-child")
	link := r.span(t, "process media", "ok").Links()[0].SpanContext
	require.Equal(t, string(sent), link.TraceID().String()+" "+link.SpanID().String())
	require.True(t, link.IsRemote())
}

func TestParent(t *testing.T) {
	t.Parallel()
	r := newRig(otelstint.Config{Parent: true})
	q := r.queue(redistest.Mini(t))
	_, err := q.SubmitRaw(t.Context(), stint.Submission{Kind: "ok", Spec: stint.JobSpec{Name: "one"}})
	require.NoError(t, err)
	r.work(t, q, "one")
	sent, ran := r.span(t, "send media", "ok"), r.span(t, "process media", "ok")
	require.Equal(t, sent.SpanContext().TraceID(), ran.SpanContext().TraceID())
	require.Equal(t, sent.SpanContext().SpanID(), ran.Parent().SpanID())
	require.Empty(t, ran.Links())
}

// A job that nobody traced has no link, and a named one can be submitted again
// from another trace.
func TestWithoutAndWithOtherTraces(t *testing.T) {
	t.Parallel()
	rdb := redistest.Mini(t)
	r := newRig(otelstint.Config{})
	_, err := stint.NewQueue("media", rdb).SubmitRaw(t.Context(), stint.Submission{Kind: "bad", Spec: stint.JobSpec{Name: "untraced", BackoffLimit: new(0)}})
	require.NoError(t, err)
	q := r.queue(rdb)
	spec := stint.JobSpec{Name: "named", Annotations: map[string]string{"mine": "1"}}
	first, err := q.SubmitRaw(t.Context(), stint.Submission{Kind: "ok", Spec: spec})
	require.NoError(t, err)
	again, err := q.SubmitRaw(t.Context(), stint.Submission{Kind: "ok", Spec: spec})
	require.NoError(t, err)
	require.Equal(t, first.UID, again.UID)
	require.Equal(t, map[string]string{"mine": "1"}, spec.Annotations, "the caller's map is left alone")
	r.work(t, q, "untraced", "named")
	require.Empty(t, r.span(t, "process media", "bad").Links())
}

func TestInjectForSubmitMany(t *testing.T) {
	t.Parallel()
	r := newRig(otelstint.Config{})
	require.Empty(t, r.telemetry.Inject(t.Context(), stint.JobSpec{}).Annotations, "there is no span")
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "batch")
	defer span.End()
	spec := r.telemetry.Inject(ctx, stint.JobSpec{})
	got := trace.SpanContextFromContext(r.telemetry.Extract(t.Context(), spec.Annotations))
	require.Equal(t, span.SpanContext().SpanID(), got.SpanID())
}

func TestKindsAreLimited(t *testing.T) {
	t.Parallel()
	r := newRig(otelstint.Config{MaxKinds: 2})
	q := r.queue(redistest.Mini(t))
	for i := range 5 {
		_, err := q.SubmitRaw(t.Context(), stint.Submission{Kind: fmt.Sprint("kind-", i)})
		require.NoError(t, err)
	}
	require.Equal(t, map[string]float64{"kind-0 ok media": 1, "kind-1 ok media": 1, "other ok media": 3}, r.points(t, "stint.submitted"))
}
