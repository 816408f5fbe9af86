package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 1: "1", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234.5: "-1,235", 12.345: "12.35", 0.5: "0.5",
	} {
		require.Equal(t, want, number(v))
	}
}

// measured are results in which stint reaches some targets and misses others.
func measured() *rounds {
	rs := &rounds{results: map[key][]Result{}, slow: map[string]map[string][]float64{}}
	for _, r := range []Result{
		{System: "stint", Scenario: "drain", TasksPerS: 100_000, RedisUSPerTask: 7},
		{System: "stint", Scenario: "drain", TasksPerS: 120_000, RedisUSPerTask: 7},
		{System: "stint", Scenario: "drain", TasksPerS: 110_000, RedisUSPerTask: 7},
		{System: "asynq", Scenario: "drain", TasksPerS: 10_000, RedisUSPerTask: 38},
		{System: "stint", Scenario: "workers-1", TasksPerS: 1, RedisUSPerTask: 5},
		{System: "stint", Scenario: "workers-2", TasksPerS: 1, RedisUSPerTask: 6},
		{System: "stint", Scenario: "workers-4", TasksPerS: 1, RedisUSPerTask: 5},
		{System: "stint", Scenario: "workers-8", TasksPerS: 1, RedisUSPerTask: 5.5},
	} {
		rs.add(measurement{}, outcome{Results: []Result{r}})
	}
	rs.add(measurement{System: "stint", Scenario: "many"}, outcome{Slow: map[string][]float64{"script": {6, 8}}, Notes: []string{"idle"}, Costs: []string{"evalsha 1", "xack 2"}})
	return rs
}

func TestTargetsAreMetOrNot(t *testing.T) {
	t.Parallel()
	rows := written(t)
	require.Contains(t, rows, "| `drain` | tasks/s, × asynq ≥ 10 | 11 | 1.1 | yes |")
	require.Contains(t, rows, "| `drain` | Redis µs a task ≤ 6 | 7 | 0.8571 | **no** |")
	require.Contains(t, rows, "| `workers` | 1, 2, 4, 8 processes: Redis µs a task, most / least ≤ 1.2 | 1.2 | 1 | yes |")
	require.Contains(t, rows, "| `delay` | lateness p50 ms ≤ 5 | - | - | not measured |")
	require.Contains(t, rows, "different scripts that took more than 5 ms ≤ 0 | 1 | - | **no** |")
}

func TestReportHasTheResults(t *testing.T) {
	t.Parallel()
	rows := written(t)
	require.Contains(t, rows, "| system | tasks/s | Redis µs | rounds | spread |")
	require.Contains(t, rows, "| stint | 110,000 | 7 | 3 | 18 % |")
	require.Contains(t, rows, "the three largest commands: `xack`.")
	require.Contains(t, rows, "- stint many\n  - script: 2 times, median 7 ms, longest 8 ms\n")
}

func written(t *testing.T) string {
	t.Helper()
	rs := measured()
	p := &report{rounds: rs, all: rs.medians(), took: time.Minute}
	dir := t.TempDir()
	require.NoError(t, p.save(dir))
	data, err := os.ReadFile(filepath.Join(dir, "results.md"))
	require.NoError(t, err)
	for _, name := range []string{"results.json", "tasks.svg", "redis.svg"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
	return string(data)
}

func TestEveryTargetReadsFiguresThatThereAre(t *testing.T) {
	t.Parallel()
	all := table{}
	for _, m := range fullPlan() {
		for _, scenario := range []string{m.Scenario, m.Scenario + "-kept"} {
			r := Result{System: m.System, Scenario: scenario}
			for _, f := range figures {
				*f.of(&r) = 1
			}
			all[key{m.System, scenario}] = r
		}
	}
	for _, g := range targets {
		v, ok := g.value(all)
		require.True(t, ok, g.what)
		require.InDelta(t, 1, v, 1e-9, g.what)
	}
}

func TestPlotIsXMLWithABarForEach(t *testing.T) {
	t.Parallel()
	panels := panelsOf(measured().medians(), tasksPanels, "tasks/s")
	require.Equal(t, []panel{{"drain", []bar{{"stint", 110_000}, {"asynq", 10_000}}}}, panels)
	svg := plot("a < b", panels)
	dec := xml.NewDecoder(strings.NewReader(svg))
	bars := 0
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	require.Equal(t, 2, bars)
	require.Contains(t, svg, "110,000")
}

func TestSumUpOfAProfile(t *testing.T) {
	t.Parallel()
	lines := sumUp(`File: bench
      flat  flat%   sum%        cum   cum%
     0.50s 50.00% 50.00%      0.60s 60.00%  runtime.mallocgc
     0.20s 20.00% 70.00%      0.90s 90.00%  github.com/x/y.(*T).Do
     0.10s 10.00% 80.00%      0.10s 10.00%  memmove
     0.05s  5.00% 85.00%      0.95s 95.00%  github.com/x/y.Map[go.shape.int] (inline)
`)
	require.Equal(t, []string{
		"by package, what they do themselves:",
		"  60.0 %  runtime",
		"  25.0 %  github.com/x/y",
		"by function outside of Go's runtime, with what they call:",
		"  95.0 %  github.com/x/y.Map[go.shape.int]",
		"  90.0 %  github.com/x/y.(*T).Do",
	}, lines)
}

func TestScriptOfACall(t *testing.T) {
	t.Parallel()
	name, ok := scriptOf([]string{"evalsha", "0123456789abcdef0123", "7", "stint:{q}:sub:XWR5EOSVG", "x"})
	require.True(t, ok)
	require.Equal(t, "0123456789abcde on `sub`", name)
	name, ok = scriptOf([]string{"eval", "-- What every", "7", "stint:{q}:timers", "x"})
	require.True(t, ok)
	require.Equal(t, "first run on `timers`", name)
	_, ok = scriptOf([]string{"XDEL", "stint:{q}:ready:bench", "1-1", "1-2"})
	require.False(t, ok)
	_, ok = scriptOf([]string{"evalsha", "0123"})
	require.False(t, ok)
}

func TestScenariosNameHowMany(t *testing.T) {
	t.Parallel()
	require.Equal(t, 8, lastNumber("workers-8"))
	require.Equal(t, 3, lastNumber("workers-cluster-3"))
	require.Equal(t, 0, primaryOf(5460, 3))
	require.Equal(t, 1, primaryOf(5461, 3))
	require.Equal(t, 2, primaryOf(16383, 3))
	require.Equal(t, 0, primaryOf(16383, 1))
}
