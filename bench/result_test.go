package main

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	require.Zero(t, percentile(nil, 50))
	require.InDelta(t, 7, percentile([]float64{7}, 99), 0)
	vs := []float64{5, 1, 3, 2, 4}
	require.InDelta(t, 3, percentile(vs, 50), 0)
	require.InDelta(t, 1, percentile(vs, 0), 0)
	require.InDelta(t, 5, percentile(vs, 100), 0)
	require.InDelta(t, 4.6, percentile(vs, 90), 1e-9)
	require.InDelta(t, 2.5, percentile([]float64{4, 1, 2, 3}, 50), 0)
	require.Equal(t, []float64{5, 1, 3, 2, 4}, vs, "the argument stays as it is")
}

func TestMedianIsOfEachFigureByItself(t *testing.T) {
	t.Parallel()
	rs := []Result{
		{System: "stint", Scenario: "drain", TasksPerS: 100, RedisUSPerTask: 9},
		{System: "stint", Scenario: "drain", TasksPerS: 300, RedisUSPerTask: 8},
		{System: "stint", Scenario: "drain", TasksPerS: 200, RedisUSPerTask: 1},
	}
	require.Equal(t, Result{System: "stint", Scenario: "drain", TasksPerS: 200, RedisUSPerTask: 8}, median(rs))
	require.InDelta(t, 100, spread(rs), 0)
	require.Zero(t, spread([]Result{{System: "stint", Scenario: "drain"}}))
}

func TestRounded(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]float64{
		0: 0, 123456.7: 123457, 12.34567: 12.35, 0.0012346: 0.001235, -3.14159: -3.142, 9999.6: 10000,
	} {
		require.InDelta(t, want, rounded(v), 1e-12, "%v", v)
	}
	require.True(t, math.IsNaN(rounded(math.NaN())))
}

func TestCheckRefusesWhatIsNoResult(t *testing.T) {
	t.Parallel()
	good := Result{System: "asynq-4", Scenario: "drain", TasksPerS: 1}
	require.NoError(t, good.check())
	for name, spoil := range map[string]func(*Result){
		"a system that is not one": func(r *Result) { r.System = "bullmq" },
		"no scenario":              func(r *Result) { r.Scenario = "" },
		"no figure":                func(r *Result) { r.TasksPerS = 0 },
		"not a number":             func(r *Result) { r.P50MS = math.NaN() },
		"endless":                  func(r *Result) { r.RedisUSPerTask = math.Inf(1) },
	} {
		bad := good
		spoil(&bad)
		require.Error(t, bad.check(), name)
	}
}

func TestResultsAreJSONWithTheNamesThatReadersKnow(t *testing.T) {
	t.Parallel()
	full := Result{System: "river", Scenario: "bigjob"}
	for i, f := range figures {
		*f.of(&full) = float64(i + 1)
	}
	data, err := json.Marshal(full)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(data, &fields))
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	require.Equal(t, []string{
		"allocs_per_task", "bytes_per_task", "client_us_per_task", "commands_per_s", "p50_ms", "p99_ms", "peak_mb",
		"redis_us_per_task", "scenario", "submit_s", "system", "tasks_per_s", "total_s",
	}, names, "each figure is a field of its own")

	data, err = json.Marshal(Result{System: "stint", Scenario: "latency", P50MS: 0.3})
	require.NoError(t, err)
	require.JSONEq(t, `{"system":"stint","scenario":"latency","p50_ms":0.3}`, string(data), "what does not apply is left out")
}
