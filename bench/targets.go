package main

import "slices"

// A target is what the project wants of stint in one scenario. The value is
// a figure, or how it relates to that of another system.
type target struct {
	scenario string
	what     string
	value    func(table) (float64, bool)
	limit    float64
	atMost   bool // else it is at least
}

// A table finds medians.
type table map[key]Result

func tableOf(rs []Result) table {
	t := table{}
	for _, r := range rs {
		t[key{r.System, r.Scenario}] = r
	}
	return t
}

// is reads a figure of stint.
func is(scenario, name string) func(table) (float64, bool) {
	return func(t table) (float64, bool) { return t.figure("stint", scenario, name) }
}

// figure reads one that was measured.
func (t table) figure(system, scenario, name string) (float64, bool) {
	r, ok := t[key{system, scenario}]
	if !ok {
		return 0, false
	}
	i := slices.IndexFunc(figures, func(f figure) bool { return f.name == name })
	v := *figures[i].of(&r)
	return v, v != 0
}

// times is a figure of stint, as a multiple of that of another system.
func times(system, scenario, name string) func(table) (float64, bool) {
	return over(is(scenario, name), func(t table) (float64, bool) { return t.figure(system, scenario, name) })
}

func over(a, b func(table) (float64, bool)) func(table) (float64, bool) {
	return func(t table) (float64, bool) {
		x, okX := a(t)
		y, okY := b(t)
		if !okX || !okY {
			return 0, false
		}
		return x / y, true
	}
}

// flat is the greatest of a figure over scenarios, as a multiple of the least.
func flat(name string, scenarios ...string) func(table) (float64, bool) {
	return func(t table) (float64, bool) {
		var vs []float64
		for _, s := range scenarios {
			v, ok := t.figure("stint", s, name)
			if !ok {
				return 0, false
			}
			vs = append(vs, v)
		}
		return slices.Max(vs) / slices.Min(vs), true
	}
}

// targets are those of the project, side by side in one run.
var targets = []target{
	{"drain", "tasks/s, × asynq", times("asynq", "drain", "tasks/s"), 10, false},
	{"drain", "tasks/s, × four asynq servers", times("asynq-4", "drain", "tasks/s"), 4.5, false},
	{"drain", "tasks/s, × bare Streams", times("streams", "drain", "tasks/s"), 0.5, false},
	{"drain", "Redis µs a task", is("drain", "Redis µs"), 6, true},
	{"drain", "client µs a task", is("drain", "client µs"), 8, true},
	{"drain", "allocations a task", is("drain", "allocs"), 20, true},
	{"drain-kept", "Redis µs a task", is("drain-kept", "Redis µs"), 9, true},
	{"drain-kept", "tasks/s, × asynq with retention", times("asynq", "drain-kept", "tasks/s"), 6, false},
	{"submit", "100 goroutines: tasks/s, × asynq", times("asynq", "submit", "tasks/s"), 4, false},
	{"submit", "1 goroutine: tasks/s, × asynq", times("asynq", "submit-1", "tasks/s"), 1, false},
	{"submit", "`SubmitMany` of 1,000: tasks/s, × pipelined XADD", times("streams", "submit-many", "tasks/s"), 0.7, false},
	{"latency", "p50 ms", is("latency", "p50 ms"), 0.3, true},
	{"latency", "p99 ms", is("latency", "p99 ms"), 1, true},
	{"latency", "p50, × bare Streams", times("streams", "latency", "p50 ms"), 1.5, true},
	{"e2e", "tasks/s, × asynq", times("asynq", "e2e", "tasks/s"), 4, false},
	{"bigjob", "seconds to submit", is("bigjob", "submit s"), 0.002, true},
	{"bigjob", "tasks/s in total, × asynq", times("asynq", "bigjob", "tasks/s"), 10, false},
	{"bigjob", "peak MB of Redis", is("bigjob", "peak MB"), 3, true},
	{"bigjob", "10,000,000 completions: seconds to submit", is("bigjob-10m", "submit s"), 0.002, true},
	{"retry", "tasks/s, × asynq", times("asynq", "retry", "tasks/s"), 10, false},
	{"delay", "lateness p50 ms", is("delay", "p50 ms"), 5, true},
	{"delay", "lateness p99 ms", is("delay", "p99 ms"), 30, true},
	{"memory", "bytes a pending plain job", is("memory", "bytes"), 130, true},
	{"memory", "bytes a kept finished one", is("memory-kept", "bytes"), 250, true},
	{"idle", "commands sent a second", is("idle", "commands/s"), 1, true},
	{"many", "10,000 jobs of 100: Redis µs a task, × `bigjob`", over(is("many", "Redis µs"), is("bigjob", "Redis µs")), 1.5, true},
	{"many", "100,000 delayed jobs: Redis µs a task, × `drain`", over(is("many-delayed", "Redis µs"), is("drain", "Redis µs")), 1.5, true},
	{"workers", "1, 2, 4, 8 processes: Redis µs a task, most / least", flat("Redis µs", "workers-1", "workers-2", "workers-4", "workers-8"), 1.2, true},
	{"workers", "1 and 3 primaries: Redis µs a task, most / least", flat("Redis µs", "workers-cluster-1", "workers-cluster-3"), 1.2, true},
}

// ratio is how far a target is reached: 1 or more is met.
func (g target) ratio(v float64) float64 {
	if g.atMost {
		return g.limit / v
	}
	return v / g.limit
}
