package promstint

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stint-go/stint"
)

// DefaultMaxValues is the default of Config.MaxValues.
const DefaultMaxValues = 50

// Config says what is measured of a process. The zero value is fine.
type Config struct {
	// Labels are keys of jobs' labels whose values become labels of the
	// metrics, at most ten: "tenant" becomes label_tenant, and "app.io/team"
	// label_app_io_team.
	Labels []string
	// MaxValues is how many values of each of these keys have series of their
	// own; 50 by default.
	MaxValues int
	// MaxKinds is the same for kinds; 100 by default.
	MaxKinds int
	// Buckets are those of the histograms, in seconds; nil is from 1 ms to an
	// hour.
	Buckets []float64
}

// Metrics are those of one process: register them, and give their middleware
// to its queues and workers. They are safe for concurrent use.
type Metrics struct {
	keys   []string
	values []*limit // of each key
	kinds  *limit

	submitted *prometheus.CounterVec
	attempts  *prometheus.CounterVec
	running   *prometheus.GaugeVec
	duration  *prometheus.HistogramVec
	wait      *prometheus.HistogramVec
}

// maxLabels bounds Config.Labels.
const maxLabels = 10

// NewMetrics makes metrics. Bad keys of labels are an error.
func NewMetrics(cfg Config) (*Metrics, error) {
	m := &Metrics{keys: cfg.Labels, kinds: newLimit(cmp.Or(cfg.MaxKinds, DefaultMaxKinds))}
	if len(cfg.Labels) > maxLabels {
		return nil, fmt.Errorf("promstint: labels: %d keys are more than %d", len(cfg.Labels), maxLabels)
	}
	var labels []string
	for _, key := range cfg.Labels {
		name := labelName(key)
		if key == "" || slices.Contains(labels, name) {
			return nil, fmt.Errorf("promstint: labels: %q is empty, or makes the label %s again", key, name)
		}
		labels = append(labels, name)
		m.values = append(m.values, newLimit(cmp.Or(cfg.MaxValues, DefaultMaxValues)))
	}
	buckets := cfg.Buckets
	if buckets == nil {
		buckets = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600}
	}
	with := func(more ...string) []string { return append(append([]string{"queue", "kind"}, more...), labels...) }
	m.submitted = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stint_submitted_total", Help: "Jobs that this process submitted, by outcome: ok or error.",
	}, with("outcome"))
	m.attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stint_attempts_total", Help: "Attempts that this process ran, by outcome.",
	}, with("outcome"))
	m.running = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "stint_attempts_running", Help: "Attempts that this process runs.",
	}, with())
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "stint_attempt_duration_seconds", Help: "How long handlers of this process ran.", Buckets: buckets,
	}, with("outcome"))
	m.wait = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "stint_attempt_wait_seconds", Help: "How long tasks could have run before this process took them.", Buckets: buckets,
	}, with())
	return m, nil
}

// labelName makes a label of a metric from a key: label_ and the key, with _
// for what Prometheus does not allow.
func labelName(key string) string {
	b := []byte("label_" + key)
	for i, c := range b {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			b[i] = '_'
		}
	}
	return string(b)
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.submitted, m.attempts, m.running, m.duration, m.wait}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(to)
	}
}

// SubmitMiddleware counts what is submitted to a queue, by Submit and
// SubmitRaw.
func (m *Metrics) SubmitMiddleware(queue string) stint.SubmitMiddleware {
	return func(next stint.SubmitFunc) stint.SubmitFunc {
		return func(ctx context.Context, s stint.Submission) (*stint.Job, error) {
			job, err := next(ctx, s)
			outcome, kind := "ok", s.Kind
			if err != nil {
				outcome = "error"
			}
			m.submitted.WithLabelValues(m.labels(queue, kind, s.Spec.Labels, outcome)...).Inc()
			return job, err
		}
	}
}

// Middleware measures attempts. Let it be the first, so that it sees what the
// others do.
func (m *Metrics) Middleware() stint.Middleware {
	return func(next stint.Handler) stint.Handler {
		return func(ctx context.Context, t *stint.RawTask) error {
			began, labels := time.Now(), t.Labels()
			m.wait.WithLabelValues(m.labels(t.Queue, t.Kind, labels)...).Observe(t.Waited().Seconds())
			running := m.running.WithLabelValues(m.labels(t.Queue, t.Kind, labels)...)
			running.Inc()
			verdict := stint.VerdictFailed // of one that panics
			defer func() {
				running.Dec()
				with := m.labels(t.Queue, t.Kind, labels, string(verdict))
				m.attempts.WithLabelValues(with...).Inc()
				m.duration.WithLabelValues(with...).Observe(time.Since(began).Seconds())
			}()
			err := next(ctx, t)
			verdict = stint.VerdictOf(ctx, err)
			return err
		}
	}
}

// labels are the values of a metric's labels: more comes after queue and kind.
func (m *Metrics) labels(queue, kind string, ofJob map[string]string, more ...string) []string {
	out := append(append(make([]string, 0, 3+len(m.keys)), queue, m.kinds.value(kind)), more...)
	for i, key := range m.keys {
		out = append(out, m.values[i].value(ofJob[key]))
	}
	return out
}
