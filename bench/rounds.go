package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// rounds are what several rounds of a plan have found.
type rounds struct {
	results map[key][]Result // in the order of the rounds
	order   []key            // in which they first came
	costs   []string
	notes   []string
	slow    map[string]map[string][]float64 // by measurement and script, in ms
}

type key struct{ system, scenario string }

// runRounds measures everything once, and then again and again, system beside
// system, as long as there is time: so that a change of the machine's mood
// meets all of them. What no longer fits into the time is left out of a
// further round.
func runRounds(ctx context.Context, plan []measurement, budget time.Duration, most int, postgres string) (*rounds, error) {
	begin := time.Now()
	rs := &rounds{results: map[key][]Result{}, slow: map[string]map[string][]float64{}}
	took := make([]time.Duration, len(plan))
	for round := range most {
		for i, m := range plan {
			if round > 0 && (time.Since(begin)+took[i] > budget || m.Rounds > 0 && round >= m.Rounds) {
				continue
			}
			m.Postgres = postgres
			start := time.Now()
			out, err := runMeasurement(ctx, m)
			if err != nil {
				return nil, fmt.Errorf("%s %s%s: %w", m.System, m.Scenario, m.Suffix, err)
			}
			took[i] = time.Since(start)
			rs.add(m, out)
			fmt.Fprintf(os.Stderr, "%d %-8s %-20s %6.1fs\n", round+1, m.System, m.Scenario+m.Suffix, took[i].Seconds())
		}
	}
	return rs, nil
}

func (rs *rounds) add(m measurement, out outcome) {
	for _, r := range out.Results {
		if m.Profile != "" {
			break
		}
		k := key{r.System, r.Scenario}
		if !slices.Contains(rs.order, k) {
			rs.order = append(rs.order, k)
		}
		rs.results[k] = append(rs.results[k], r)
	}
	rs.notes = append(rs.notes, out.Notes...)
	if len(out.Costs) > 0 {
		rs.costs = out.Costs
	}
	for script, ms := range out.Slow {
		name := m.System + " " + m.Scenario + m.Suffix
		if rs.slow[name] == nil {
			rs.slow[name] = map[string][]float64{}
		}
		rs.slow[name][script] = append(rs.slow[name][script], ms...)
	}
}

// medians has one result for each system and scenario, in order.
func (rs *rounds) medians() []Result {
	var out []Result
	for _, k := range rs.order {
		out = append(out, median(rs.results[k]))
	}
	return out
}

// runMeasurement measures in a process of its own.
func runMeasurement(ctx context.Context, m measurement) (outcome, error) {
	var out outcome
	text, err := json.Marshal(m)
	if err != nil {
		return out, err
	}
	self, err := os.Executable()
	if err != nil {
		return out, err
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "-child", string(text))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return out, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	dec := json.NewDecoder(&stdout)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		return out, err
	}
	if len(out.Results) == 0 {
		return out, errors.New("there are no results")
	}
	for _, r := range out.Results {
		if err := r.check(); err != nil {
			return out, err
		}
	}
	return out, nil
}
