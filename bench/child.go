package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
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
	Costs   []string             // of the server, a line each
	Notes   []string             // what figures do not say, a line each
	Slow    map[string][]float64 // scripts in Redis's slow log, with their ms
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
const patience = 5 * time.Minute

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

// slowMicros is how long a call may take before it is called slow, and
// slowMost how many of those are kept.
const (
	slowMicros = "5000"
	slowMost   = 1000
)

// slow reads the slow log of stint's scripts: for how many ms each was slow.
func (r *rig) slow(ctx context.Context) (map[string][]float64, error) {
	out := map[string][]float64{}
	if r.System != "stint" {
		return out, nil
	}
	for _, rdb := range r.redis.rdbs {
		entries, err := rdb.SlowLogGet(ctx, slowMost).Result()
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if name, ok := scriptOf(e.Args); ok {
				out[name] = append(out[name], millis(int64(e.Duration)))
			}
		}
	}
	return out, nil
}

// scriptOf names the script that a call runs, by its digest and its first key
// without what differs between jobs. Calls of other commands have none: scripts
// are what shall be short, and what they call is part of them.
func scriptOf(args []string) (string, bool) {
	const script, firstKey = 1, 3
	if len(args) <= firstKey || !strings.HasPrefix(strings.ToLower(args[0]), "eval") {
		return "", false
	}
	digest := args[script]
	if strings.EqualFold(args[0], "eval") {
		digest = "first run"
	}
	_, key, _ := strings.Cut(args[firstKey], "}:")
	key, _, _ = strings.Cut(key, ":")
	return fmt.Sprintf("%.15s on `%s`", digest, key), true
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
