package promstint_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/promstint"
)

// scrape reads what a registry exposes, as Prometheus does.
func scrape(t *testing.T, reg *prometheus.Registry) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, 200, w.Code, w.Body.String())
	text := w.Body.String()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	return families
}

// value finds a series by its labels, in their order of names; -1 for none.
func value(families map[string]*dto.MetricFamily, name, labels string) float64 {
	for _, m := range families[name].GetMetric() {
		var all []string
		for _, l := range m.GetLabel() {
			all = append(all, l.GetName()+"="+l.GetValue())
		}
		if strings.Join(all, ",") != labels {
			continue
		}
		switch {
		case m.Counter != nil:
			return m.Counter.GetValue()
		case m.Gauge != nil:
			return m.Gauge.GetValue()
		case m.Histogram != nil:
			return float64(m.Histogram.GetSampleCount())
		}
	}
	return -1
}

// work runs a worker until jobs have finished.
func work(t *testing.T, q *stint.Queue, m *promstint.Metrics, names ...string) {
	t.Helper()
	w := stint.NewWorker(q, stint.WorkerConfig{Middleware: []stint.Middleware{m.Middleware()}})
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

func TestCollectorAndMetrics(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		m, err := promstint.NewMetrics(promstint.Config{Labels: []string{"app.io/tenant"}, MaxValues: 2})
		require.NoError(t, err)
		q := stint.NewQueue("media", rdb, stint.QueueConfig{SubmitMiddleware: []stint.SubmitMiddleware{m.SubmitMiddleware("media")}})
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(m, promstint.NewCollector(promstint.CollectorConfig{Every: -1}, q))
		submit := func(kind, name, tenant string) {
			_, err := q.SubmitRaw(t.Context(), stint.Submission{Kind: kind, Spec: stint.JobSpec{
				Name: name, BackoffLimit: new(0), Labels: map[string]string{"app.io/tenant": tenant},
			}})
			require.NoError(t, err)
		}
		submit("ok", "before", "acme")
		work(t, q, m, "before")
		scrape(t, reg)
		submit("ok", "one", "acme")
		submit("ok", "two", "bolt")
		submit("bad", "three", "core")
		submit("panics", "four", "acme")
		work(t, q, m, "one", "two", "three", "four")
		submit("ok", "waits", "acme")
		_, err = q.SubmitRaw(t.Context(), stint.Submission{Kind: "Bad Kind"})
		require.Error(t, err)

		got := scrape(t, reg)
		for series, want := range map[string]float64{
			"stint_queue_up queue=media":                                                                    1,
			"stint_queue_ready_tasks kind=ok,queue=media":                                                   1,
			"stint_queue_running_tasks kind=ok,queue=media":                                                 0,
			"stint_queue_attempts_total kind=ok,outcome=succeeded,queue=media":                              2, // what ended before the first look is not counted
			"stint_queue_attempts_total kind=bad,outcome=failed,queue=media":                                1,
			"stint_queue_attempts_total kind=bad,outcome=lost,queue=media":                                  0,
			"stint_queue_workers queue=media":                                                               0,
			"stint_submitted_total kind=ok,label_app_io_tenant=acme,outcome=ok,queue=media":                 3,
			"stint_submitted_total kind=bad,label_app_io_tenant=other,outcome=ok,queue=media":               1,
			"stint_attempts_total kind=panics,label_app_io_tenant=acme,outcome=failed,queue=media":          1,
			"stint_attempts_running kind=ok,label_app_io_tenant=acme,queue=media":                           0,
			"stint_attempt_duration_seconds kind=ok,label_app_io_tenant=bolt,outcome=succeeded,queue=media": 1,
			"stint_attempt_wait_seconds kind=bad,label_app_io_tenant=other,queue=media":                     1,
		} {
			name, labels, _ := strings.Cut(series, " ")
			require.InDelta(t, want, value(got, name, labels), 0, series)
		}
		again := scrape(t, reg)
		require.InDelta(t, 2, value(again, "stint_queue_attempts_total", "kind=ok,outcome=succeeded,queue=media"), 0, "nothing is counted twice")
	})
}

func TestKindsAreLimited(t *testing.T) {
	t.Parallel()
	rdb := redistest.Mini(t)
	q := stint.NewQueue("many", rdb)
	for i := range 12 {
		_, err := q.SubmitRaw(t.Context(), stint.Submission{Kind: fmt.Sprintf("kind-%02d", i)})
		require.NoError(t, err)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(promstint.NewCollector(promstint.CollectorConfig{MaxKinds: 5}, q))
	got := scrape(t, reg)
	require.Len(t, got["stint_queue_ready_tasks"].GetMetric(), 6)
	require.InDelta(t, 7, value(got, "stint_queue_ready_tasks", "kind=other,queue=many"), 0)
	require.InDelta(t, 1, value(got, "stint_queue_ready_tasks", "kind=kind-00,queue=many"), 0)
}

func TestQueueThatCannotBeRead(t *testing.T) {
	t.Parallel()
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: 100 * time.Millisecond, DialerRetries: 1})
	t.Cleanup(func() { _ = c.Close() })
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(promstint.NewCollector(promstint.CollectorConfig{Timeout: time.Second}, stint.NewQueue("gone", c)))
	got := scrape(t, reg)
	require.Len(t, got, 1)
	require.InDelta(t, 0, value(got, "stint_queue_up", "queue=gone"), 0)
}

// Who asks sooner than Every gets what was read last.
func TestCollectorDoesNotReadTooOften(t *testing.T) {
	t.Parallel()
	rdb := redistest.Mini(t)
	q := stint.NewQueue("calm", rdb)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(promstint.NewCollector(promstint.CollectorConfig{Every: time.Hour}, q))
	scrape(t, reg)
	_, err := q.SubmitRaw(t.Context(), stint.Submission{Kind: "new"})
	require.NoError(t, err)
	require.Nil(t, scrape(t, reg)["stint_queue_ready_tasks"])
}

func TestNewMetricsRefuses(t *testing.T) {
	t.Parallel()
	for _, labels := range [][]string{{""}, {"a.b", "a-b"}, strings.Split("a b c d e f g h i j k", " ")} {
		_, err := promstint.NewMetrics(promstint.Config{Labels: labels})
		require.ErrorContains(t, err, "promstint: labels: ")
	}
}
