package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A measurement is one scenario of one system.
type measurement struct {
	System   string
	Scenario string // one of scenarios
	Suffix   string // added to the scenario's name in the results, for other settings
	Rounds   int    // how often at most; 0 is any
	N        int    // how many tasks
	Postgres string // the URL of the server, for River
	Profile  string // a file for a CPU profile of the client; the results then don't count
}

// Suffixes of a measurement.
const (
	tuned     = "-tuned"   // the shortest polling intervals
	byDefault = "-default" // a system's own polling intervals, where else they are tuned
	onAOF     = "-aof"     // Redis appends to a file and syncs it every second
)

// outcome is what a measurement found.
type outcome struct {
	Results []Result
	Costs   []string // of the server, a line each
	Notes   []string // what figures do not say, a line each
	Slow    []string // scripts in Redis's slow log, a line each
}

// rig is a measurement under way.
type rig struct {
	measurement
	settings
	server server
	redis  *redisServers // nil for River
	db     *database     // nil for others
	costs  []string
	notes  []string
}

// scenarios measure, by name.
var scenarios = map[string]func(context.Context, *rig) ([]Result, error){
	"drain":       measureDrain,
	"drain-kept":  measureDrain,
	"submit":      measureSubmit,
	"submit-1":    measureSubmit,
	"submit-many": measureSubmit,
	"latency":     measureLatency,
	"e2e":         measureE2E,
	"bigjob":      measureBigJob,
	"bigjob-10m":  measureHugeJob,
	"retry":       measureRetry,
	"delay":       measureDelay,
	"memory":      measureMemory,
	"idle":        measureIdle,

	"many":         measureMany,
	"many-delayed": measureManyDelayed,

	"workers-1":         measureWorkers,
	"workers-2":         measureWorkers,
	"workers-4":         measureWorkers,
	"workers-8":         measureWorkers,
	"workers-cluster-1": measureCluster,
	"workers-cluster-3": measureCluster,
}

// patience is how long a measurement may take before it has failed.
const patience = 3 * time.Minute

// runChild measures, and writes the outcome to standard output.
func runChild(ctx context.Context, text string) error {
	var m measurement
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return err
	}
	measure, ok := scenarios[m.Scenario]
	if !ok {
		return fmt.Errorf("%q is no scenario", m.Scenario)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := newRig(ctx, m)
	if err != nil {
		return err
	}
	defer r.close(context.WithoutCancel(ctx))
	results, err := measure(ctx, r)
	if err != nil {
		return err
	}
	for i := range results {
		results[i].System = m.System
		if results[i].Scenario == "" {
			results[i].Scenario = m.Scenario
		}
		results[i].Scenario += m.Suffix
	}
	slow, err := r.slow(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(outcome{results, r.costs, r.notes, slow})
}

// newRig starts the servers of a measurement.
func newRig(ctx context.Context, m measurement) (*rig, error) {
	r := &rig{measurement: m}
	r.tuned = m.Suffix == tuned || m.System == "river" && m.Suffix != byDefault
	r.kept = m.Scenario == "drain-kept" || m.Scenario == "memory"
	var err error
	if m.System == "river" {
		r.db, err = createDatabase(ctx, m.Postgres)
		if err != nil {
			return nil, err
		}
		r.server, r.postgres = r.db, r.db.url
		return r, nil
	}
	var args []string
	if m.Suffix == onAOF {
		args = []string{"--appendonly", "yes", "--appendfsync", "everysec"}
	}
	r.redis, err = startRedis(ctx, 1, args...)
	if err != nil {
		return nil, err
	}
	r.server, r.addrs = r.redis, r.redis.addrs
	return r, nil
}

func (r *rig) open(ctx context.Context) (system, io.Closer, error) {
	return open(ctx, r.System, r.settings)
}

func (r *rig) close(ctx context.Context) {
	if r.redis != nil {
		r.redis.close()
	}
	if r.db != nil {
		r.db.close(ctx)
	}
}

// slow reads the slow log of stint's scripts: a line for each script that took
// more than 5 ms.
func (r *rig) slow(ctx context.Context) ([]string, error) {
	if r.System != "stint" {
		return nil, nil
	}
	var out []string
	for _, rdb := range r.redis.rdbs {
		entries, err := rdb.SlowLogGet(ctx, slowMost).Result()
		if err != nil {
			return nil, err
		}
		out = append(out, slowScripts(entries)...)
	}
	return out, nil
}

// slowMicros is how long a call may take before it is called slow, and
// slowMost how many of those are kept.
const (
	slowMicros = "5000"
	slowMost   = 1000
)

// slowScripts sums up the scripts in a slow log, by their digests.
func slowScripts(entries []redis.SlowLog) []string {
	times := map[string][]float64{}
	for _, e := range entries {
		if len(e.Args) < 4 || !strings.HasPrefix(strings.ToLower(e.Args[0]), "eval") {
			continue // scripts are what is promised to be short
		}
		name := fmt.Sprintf("%s %.12q, %s keys from %s", strings.ToLower(e.Args[0]), e.Args[1], e.Args[2], e.Args[3])
		times[name] = append(times[name], millis(int64(e.Duration)))
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(times)) {
		ts := times[name]
		out = append(out, fmt.Sprintf("%d × %s: median %s ms, longest %s ms", len(ts), name, number(percentile(ts, 50)), number(slices.Max(ts))))
	}
	return out
}

// await waits for a counter to finish.
func await(ctx context.Context, c *counter) error {
	select {
	case <-c.finished:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("after %v only %d of %d tasks are done", patience, c.done.Load(), c.all)
	}
}

// noneLeft tells an error where a system has tasks left that it should have
// finished.
func noneLeft(ctx context.Context, s system) error {
	n, err := s.left(ctx)
	if err == nil && n != 0 {
		err = errors.New(fmt.Sprint(n, " tasks are left"))
	}
	return err
}
