package promstint

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stint-go/stint"
)

// Defaults of CollectorConfig and Config.
const (
	DefaultTimeout  = 5 * time.Second
	DefaultEvery    = 5 * time.Second
	DefaultMaxKinds = 100
)

// CollectorConfig changes what NewCollector assumes. The zero value is fine.
type CollectorConfig struct {
	// Timeout bounds how long the queues are read, all side by side; 5 s by
	// default.
	Timeout time.Duration
	// Every bounds how often they are: who asks sooner gets what was read
	// last. 5 s by default; negative is each time.
	Every time.Duration
	// MaxKinds is how many kinds of a queue have a series of their own; 100 by
	// default.
	MaxKinds int
}

// Collector reads queues when it is collected. For each queue it asks Redis for
// the kinds, two counts of each kind, the minutes of the last day of each kind,
// and three things more: the cost grows with the number of kinds, and with
// nothing else. It is safe for concurrent use.
type Collector struct {
	cfg    CollectorConfig
	queues []*queueReader
	mu     sync.Mutex // guards what follows
	read   time.Time
	last   []prometheus.Metric
}

// NewCollector makes a collector of queues, to be registered. What ended is
// counted from its first collection on, as a process counts from its start.
func NewCollector(cfg CollectorConfig, queues ...*stint.Queue) *Collector {
	cfg.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
	cfg.Every = cmp.Or(cfg.Every, DefaultEvery)
	cfg.MaxKinds = cmp.Or(cfg.MaxKinds, DefaultMaxKinds)
	c := &Collector{cfg: cfg}
	for _, q := range queues {
		c.queues = append(c.queues, &queueReader{queue: q, kinds: newLimit(cfg.MaxKinds), totals: map[string]*total{}, seen: map[minute]stint.StatPoint{}})
	}
	return c
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("stint_queue_"+name, help, append([]string{"queue"}, labels...), nil)
}

var (
	upDesc      = desc("up", "1 if the queue could be read, 0 if not.")
	readyDesc   = desc("ready_tasks", "Tasks that wait for a worker.", "kind")
	runningDesc = desc("running_tasks", "Tasks that a worker has.", "kind")
	endedDesc   = desc("attempts_total", "Attempts that ended, whoever ran them, by outcome: succeeded, failed, lost, gave_back.", "kind", "outcome")
	waitedDesc  = desc("wait_seconds_total", "How long attempts that ended had waited for a worker, in all.", "kind")
	ranDesc     = desc("run_seconds_total", "How long attempts that ended were in the hands of workers, in all.", "kind")
	workersDesc = desc("workers", "Workers that have given a sign of life and not left.")
	lateDesc    = desc("timers_late_seconds", "How long the first timer is overdue: seconds tell that nobody keeps timers.")
	tripDesc    = desc("round_trip_seconds", "How long Redis took for a few questions.")
)

// Describe implements prometheus.Collector.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		upDesc, readyDesc, runningDesc, endedDesc, waitedDesc, ranDesc, workersDesc, lateDesc, tripDesc,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || time.Since(c.read) >= c.cfg.Every {
		c.last, c.read = c.collect(), time.Now()
	}
	for _, m := range c.last {
		to <- m
	}
}

func (c *Collector) collect() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Timeout)
	defer cancel()
	parts := make([][]prometheus.Metric, len(c.queues))
	var all sync.WaitGroup
	for i, q := range c.queues {
		all.Go(func() { parts[i] = q.collect(ctx) })
	}
	all.Wait()
	out := []prometheus.Metric{}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// queueReader reads one queue, and adds up what ended.
type queueReader struct {
	queue  *stint.Queue
	kinds  *limit
	totals map[string]*total
	seen   map[minute]stint.StatPoint // of the last minutes: what was added of them
	begun  bool
}

// minute names a minute's counts of a kind.
type minute struct {
	at   int64
	kind string
}

// total is what ended of a kind since the first look.
type total struct {
	succeeded, failed, lost, gaveBack int
	wait, run                         time.Duration
}

// reading is what one look at a queue found.
type reading struct {
	kinds  []stint.KindInfo
	health stint.QueueHealth
	points []stint.StatPoint
}

func (q *queueReader) collect(ctx context.Context) []prometheus.Metric {
	name := q.queue.Name()
	r, err := q.look(ctx)
	if err != nil {
		return append(q.counters(), gauge(upDesc, 0, name))
	}
	q.add(r.points)
	type load struct{ ready, running int }
	loads := map[string]load{}
	for _, k := range r.kinds {
		kind := q.kinds.value(k.Kind)
		l := loads[kind]
		loads[kind] = load{l.ready + k.Ready, l.running + k.Running}
	}
	out := []prometheus.Metric{
		gauge(upDesc, 1, name), gauge(workersDesc, float64(r.health.Workers), name), gauge(lateDesc, r.health.TimersLate.Seconds(), name),
		gauge(tripDesc, r.health.RoundTrip.Seconds(), name),
	}
	for kind, l := range loads {
		if q.totals[kind] == nil {
			q.totals[kind] = &total{}
		}
		out = append(out, gauge(readyDesc, float64(l.ready), name, kind), gauge(runningDesc, float64(l.running), name, kind))
	}
	return append(out, q.counters()...)
}

func (q *queueReader) look(ctx context.Context) (r reading, err error) {
	if r.kinds, err = q.queue.Kinds(ctx); err != nil {
		return r, err
	}
	if r.health, err = q.queue.Health(ctx); err != nil {
		return r, err
	}
	r.points, err = q.queue.Stats(ctx, time.Unix(0, 0), time.Unix(1<<40, 0))
	return r, err
}

// add adds what has ended since the last look. Minutes only grow, and become a
// day old: what is more than was seen of one is new. The first look counts
// nothing, but is what later ones compare with.
func (q *queueReader) add(points []stint.StatPoint) {
	seen := make(map[minute]stint.StatPoint, len(points))
	for _, p := range points {
		key := minute{p.At.Unix(), p.Kind}
		seen[key] = p
		if !q.begun {
			continue
		}
		old := q.seen[key]
		kind := q.kinds.value(p.Kind)
		t := q.totals[kind]
		if t == nil {
			t = &total{}
			q.totals[kind] = t
		}
		t.succeeded += max(0, p.Succeeded-old.Succeeded)
		t.failed += max(0, p.Failed-old.Failed)
		t.lost += max(0, p.Lost-old.Lost)
		t.gaveBack += max(0, p.GaveBack-old.GaveBack)
		t.wait += max(0, p.Wait-old.Wait)
		t.run += max(0, p.Run-old.Run)
	}
	q.seen, q.begun = seen, true
}

func (q *queueReader) counters() []prometheus.Metric {
	name := q.queue.Name()
	var out []prometheus.Metric
	for kind, t := range q.totals {
		for outcome, n := range map[string]int{"succeeded": t.succeeded, "failed": t.failed, "lost": t.lost, "gave_back": t.gaveBack} {
			out = append(out, counter(endedDesc, float64(n), name, kind, outcome))
		}
		out = append(out, counter(waitedDesc, t.wait.Seconds(), name, kind), counter(ranDesc, t.run.Seconds(), name, kind))
	}
	return out
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}
