package main

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestArgsHave100Bytes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 999_999, 8_999_999} {
		data, err := json.Marshal(newArgs(n))
		require.NoError(t, err)
		require.Len(t, data, argsBytes)
	}
}

func TestCounterCountsToWarmAndToTheEnd(t *testing.T) {
	t.Parallel()
	c := newCounter(1, 3)
	require.NoError(t, c.handle(Args{}, 1))
	<-c.warmedUp
	require.ErrorIs(t, c.failOnce(Args{}, 1), errOnce)
	require.NoError(t, c.failOnce(Args{}, 2))
	select {
	case <-c.finished:
		t.Fatal("two are not three")
	default:
	}
	require.NoError(t, c.handle(Args{}, 1))
	<-c.finished
	require.False(t, c.finishedAt.IsZero())
}

func TestConcurrentlyDoesEachOnce(t *testing.T) {
	t.Parallel()
	var did [10]atomic.Int32
	require.NoError(t, concurrently(3, len(did), func(i int) error {
		did[i].Add(1)
		return nil
	}))
	for i := range did {
		require.EqualValues(t, 1, did[i].Load(), i)
	}
	failure := errors.New("no")
	require.ErrorIs(t, concurrently(3, 10, func(i int) error {
		if i == 5 {
			return failure
		}
		return nil
	}), failure)
}

func TestUsageOfInfo(t *testing.T) {
	t.Parallel()
	const info = "# CPU\r\nused_cpu_sys:1.5\r\nused_cpu_user:2.25\r\nused_cpu_sys_children:9\r\n# Memory\r\n" +
		"used_memory:1000\r\nused_memory_human:1K\r\nused_memory_peak:2000\r\ntotal_commands_processed:7\r\n"
	u, err := usageOf(info)
	require.NoError(t, err)
	require.Equal(t, usage{cpu: 3750 * time.Millisecond, memory: 1000, peak: 2000, commands: 7}, u)
	_, err = usageOf("# CPU\r\n")
	require.ErrorContains(t, err, "used_memory_peak")
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	pid, parent, own, ended := parseStat("42 (post) gres (x) S 7 1 1 0 -1 4194304 1 2 3 4 100 20 5 6 20 0 1 0 9 8 7")
	require.Equal(t, 42, pid)
	require.Equal(t, 7, parent)
	require.Equal(t, 1200*time.Millisecond, own)
	require.Equal(t, 110*time.Millisecond, ended)
	pid, _, _, _ = parseStat("42 (short) S 7")
	require.Zero(t, pid)
}

func TestCommandCostsAreSorted(t *testing.T) {
	t.Parallel()
	lines := commandCosts("# Commandstats\r\ncmdstat_xack:calls=10,usec=50,usec_per_call=5.00,rejected_calls=0\r\n"+
		"cmdstat_evalsha:calls=2,usec=400,usec_per_call=200.00,rejected_calls=0\r\n", 100)
	require.Len(t, lines, 2)
	require.Regexp(t, `^evalsha +4\.000 µs a task, +0\.0200 calls a task, +200\.00 µs a call$`, lines[0])
	require.Regexp(t, `^xack +0\.500 µs a task`, lines[1])
}

func TestPlansNameWhatThereIs(t *testing.T) {
	t.Parallel()
	for _, m := range append(quickPlan(), fullPlan()...) {
		require.Contains(t, systems, m.System)
		require.Contains(t, scenarios, m.Scenario)
		require.Positive(t, m.N)
	}
}

// TestMeasurementsFinish has the program measure a few tasks: stint in every
// scenario, the others where `make bench-quick` does, and once besides.
func TestMeasurementsFinish(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, m := range append(quickPlan(), fullPlan()...) {
		name := m.System + " " + m.Scenario
		ours := m.System == "stint" || m.Scenario == "drain"
		if m.System == "river" || m.Profile != "" || seen[name] || len(seen) >= len(quickPlan()) && !ours {
			continue
		}
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireMeasured(t, few(m))
		})
	}
}

// few makes a measurement short.
func few(m measurement) measurement {
	switch {
	case m.Scenario == "latency" || m.Scenario == "many":
		m.N = 20
	case m.Scenario == "idle":
		m.N = 6000 // ms, in which each worker gives a sign of life
	case m.System == "streams":
		m.N = 20_000 // less is done before it can be measured
	default:
		m.N = 1200
	}
	return m
}

func requireMeasured(t *testing.T, m measurement) {
	t.Helper()
	out, err := runMeasurement(t.Context(), m)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(out.Results, func(r Result) bool { return r.Scenario == m.Scenario }))
	for _, r := range out.Results {
		require.Equal(t, m.System, r.System)
	}
}

func TestRiverFinishes(t *testing.T) {
	t.Parallel()
	if _, err := postgresBinaries(); err != nil {
		t.Skip(err)
	}
	pg, err := startPostgres(t.Context())
	require.NoError(t, err)
	t.Cleanup(pg.close)
	for _, scenario := range []string{"drain", "submit-many"} {
		m := few(measurement{System: "river", Scenario: scenario})
		m.Postgres = pg.url
		requireMeasured(t, m)
	}
}

func TestMeasurementsThatAreNone(t *testing.T) {
	t.Parallel()
	_, err := runMeasurement(t.Context(), measurement{System: "stint", Scenario: "sleep", N: 1})
	require.ErrorContains(t, err, "is no scenario")
	_, err = runMeasurement(t.Context(), measurement{System: "bullmq", Scenario: "drain", N: 1})
	require.ErrorContains(t, err, "is no system")
}

func TestMain(m *testing.M) {
	for _, arg := range os.Args[1:] {
		if arg == "-child" || arg == "-worker" { // this binary as the program: see runMeasurement
			main()
			return
		}
	}
	os.Exit(m.Run())
}
