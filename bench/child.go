package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

// A measurement is one scenario of one system.
type measurement struct {
	System   string
	Scenario string // one of scenarios
	Suffix   string // added to the scenario's name in the results: "-tuned", "-aof"
	N        int    // how many tasks
	Postgres string // the URL of the server, for River
	Profile  string // a file for a CPU profile of the client
}

// outcome is what a measurement found.
type outcome struct {
	Results []Result
	Costs   []string // a line each
	Slow    []string // calls in Redis's slow log, a line each
}

// rig is a measurement under way.
type rig struct {
	measurement
	settings
	server server
	redis  *redisServers // nil for River
	db     *database     // nil for others
	costs  []string
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
	return json.NewEncoder(os.Stdout).Encode(outcome{results, r.costs, slow})
}

// newRig starts the servers of a measurement.
func newRig(ctx context.Context, m measurement) (*rig, error) {
	r := &rig{measurement: m}
	r.tuned = m.Suffix == "-tuned"
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
	nodes := 1
	var args []string
	if m.Suffix == "-aof" {
		args = []string{"--appendonly", "yes", "--appendfsync", "everysec"}
	}
	r.redis, err = startRedis(ctx, nodes, args...)
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

// slowMicros is how long a call may take before it is called slow.
const slowMicros = "5000"

// slow reads the slow log: the calls of scripts and commands that took more
// than 5 ms, but for those that begin a connection.
func (r *rig) slow(ctx context.Context) ([]string, error) {
	if r.redis == nil {
		return nil, nil
	}
	var out []string
	for _, rdb := range r.redis.rdbs {
		entries, err := rdb.SlowLogGet(ctx, 1000).Result()
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			out = append(out, slowLine(e))
		}
	}
	return out, nil
}

func slowLine(e redis.SlowLog) string {
	args := e.Args[:min(len(e.Args), 4)]
	return fmt.Sprintf("%v %.60q", e.Duration, args)
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
