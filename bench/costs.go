package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
)

// profile begins a CPU profile of this process and forgets what Redis has
// counted, where one was asked for; done writes both for n tasks.
func (r *rig) profile(ctx context.Context) (done func(n int) error, err error) {
	if r.Profile == "" {
		return func(int) error { return nil }, nil
	}
	if err := r.redis.rdbs[0].ConfigResetStat(ctx).Err(); err != nil {
		return nil, err
	}
	file, err := os.Create(r.Profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, err
	}
	return func(n int) error {
		pprof.StopCPUProfile()
		if err := file.Close(); err != nil {
			return err
		}
		info, err := r.redis.rdbs[0].Info(ctx, "commandstats").Result()
		if err != nil {
			return err
		}
		r.costs = commandCosts(info, n)
		return nil
	}, nil
}

// commandCosts are the commands that took the most of Redis's time, a line
// each. What scripts call is counted too, and is part of the scripts' time.
func commandCosts(info string, tasks int) []string {
	type cost struct {
		name        string
		calls, usec float64
	}
	var costs []cost
	for line := range strings.Lines(info) {
		name, rest, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "cmdstat_")), ":")
		if !ok || !strings.HasPrefix(line, "cmdstat_") {
			continue
		}
		c := cost{name: name}
		for pair := range strings.SplitSeq(rest, ",") {
			key, text, _ := strings.Cut(pair, "=")
			v, err := strconv.ParseFloat(text, 64)
			switch {
			case err != nil:
			case key == "calls":
				c.calls = v
			case key == "usec":
				c.usec = v
			}
		}
		costs = append(costs, c)
	}
	slices.SortFunc(costs, func(a, b cost) int { return int(b.usec - a.usec) })
	var out []string
	for _, c := range costs[:min(len(costs), 12)] {
		out = append(out, fmt.Sprintf("%-12s %8.3f µs a task, %8.4f calls a task, %8.2f µs a call",
			c.name, c.usec/float64(tasks), c.calls/float64(tasks), c.usec/max(c.calls, 1)))
	}
	return out
}
