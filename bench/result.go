package main

import (
	"fmt"
	"math"
	"slices"
)

// Result is what one system reached in one scenario. Fields that do not apply
// are 0 and left out. Where River is concerned "redis" stands for PostgreSQL,
// all its processes together.
type Result struct {
	System         string  `json:"system"`
	Scenario       string  `json:"scenario"`
	TasksPerS      float64 `json:"tasks_per_s,omitempty"`
	RedisUSPerTask float64 `json:"redis_us_per_task,omitempty"` // the server's own CPU, user and system
	ClientUSPer    float64 `json:"client_us_per_task,omitempty"`
	AllocsPerTask  float64 `json:"allocs_per_task,omitempty"`
	P50MS          float64 `json:"p50_ms,omitempty"`
	P99MS          float64 `json:"p99_ms,omitempty"`
	BytesPerTask   float64 `json:"bytes_per_task,omitempty"`
	SubmitS        float64 `json:"submit_s,omitempty"`
	TotalS         float64 `json:"total_s,omitempty"`
	PeakMB         float64 `json:"peak_mb,omitempty"`        // the most memory that the server used
	CommandsPerS   float64 `json:"commands_per_s,omitempty"` // of an idle worker
}

// systems are the names that a Result may have, in the order of the tables.
var systems = []string{"stint", "asynq", "asynq-4", "river", "taskq", "streams"}

// A figure is one of the numbers of a Result.
type figure struct {
	name string
	of   func(*Result) *float64
}

// figures are all of them, in the order of the tables.
var figures = []figure{
	{"tasks/s", func(r *Result) *float64 { return &r.TasksPerS }},
	{"Redis µs", func(r *Result) *float64 { return &r.RedisUSPerTask }},
	{"client µs", func(r *Result) *float64 { return &r.ClientUSPer }},
	{"allocs", func(r *Result) *float64 { return &r.AllocsPerTask }},
	{"p50 ms", func(r *Result) *float64 { return &r.P50MS }},
	{"p99 ms", func(r *Result) *float64 { return &r.P99MS }},
	{"bytes", func(r *Result) *float64 { return &r.BytesPerTask }},
	{"submit s", func(r *Result) *float64 { return &r.SubmitS }},
	{"total s", func(r *Result) *float64 { return &r.TotalS }},
	{"peak MB", func(r *Result) *float64 { return &r.PeakMB }},
	{"commands/s", func(r *Result) *float64 { return &r.CommandsPerS }},
}

// check tells what is wrong with a result that was measured.
func (r Result) check() error {
	if !slices.Contains(systems, r.System) {
		return fmt.Errorf("%q is no system", r.System)
	}
	if r.Scenario == "" {
		return fmt.Errorf("a result of %s has no scenario", r.System)
	}
	some := false
	for _, f := range figures {
		v := *f.of(&r)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s %s: %s is %v", r.System, r.Scenario, f.name, v)
		}
		some = some || v != 0
	}
	if !some {
		return fmt.Errorf("%s %s: nothing was measured", r.System, r.Scenario)
	}
	return nil
}

// median takes the median of each figure. The results are of one system and
// scenario, and there is at least one.
func median(rs []Result) Result {
	out := rs[0]
	for _, f := range figures {
		var vs []float64
		for _, r := range rs {
			vs = append(vs, *f.of(&r))
		}
		*f.of(&out) = rounded(percentile(vs, 50))
	}
	return out
}

// spread is how far apart the rounds are in the first figure that they have,
// in percent of the median: (max - min) / median.
func spread(rs []Result) float64 {
	for _, f := range figures {
		var vs []float64
		for _, r := range rs {
			vs = append(vs, *f.of(&r))
		}
		if mid := percentile(vs, 50); mid != 0 {
			return 100 * (slices.Max(vs) - slices.Min(vs)) / math.Abs(mid)
		}
	}
	return 0
}

// percentile is the p-th percentile of vs, between neighbours in proportion,
// and 0 for none.
func percentile(vs []float64, p float64) float64 {
	if len(vs) == 0 {
		return 0
	}
	vs = slices.Sorted(slices.Values(vs))
	at := p / 100 * float64(len(vs)-1)
	low := int(at)
	high := min(low+1, len(vs)-1)
	return vs[low] + (vs[high]-vs[low])*(at-float64(low))
}

// rounded keeps four digits, or all before the point.
func rounded(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	scale := math.Pow(10, max(0, 3-math.Floor(math.Log10(math.Abs(v)))))
	return math.Round(v*scale) / scale
}
