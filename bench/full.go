package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// runFull measures the full plan, or the scenarios that only matches, and
// writes results.md, results.json and the plots to a directory.
func runFull(ctx context.Context, dir, only string, budget time.Duration) error {
	begin := time.Now()
	match, err := regexp.Compile("^(?:" + only + ")$")
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "stint-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	plan := slices.DeleteFunc(fullPlan(), func(m measurement) bool { return only != "" && !match.MatchString(m.Scenario) })
	profile := ""
	for i := range plan {
		if plan[i].Profile != "" {
			profile = filepath.Join(temp, plan[i].Profile)
			plan[i].Profile = profile
		}
	}
	pg, err := startPostgres(ctx)
	if err != nil {
		return err
	}
	defer pg.close()
	const mostRounds = 5
	rs, err := runRounds(ctx, plan, budget, mostRounds, pg.url)
	if err != nil {
		return err
	}
	p := &report{rounds: rs, all: rs.medians()}
	if p.servers, err = serverVersions(ctx, pg.url); err != nil {
		return err
	}
	if profile != "" {
		if p.client, err = profileTop(profile); err != nil {
			return err
		}
	}
	p.took = time.Since(begin)
	return p.save(dir)
}

// save writes the files.
func (p *report) save(dir string) error {
	var md bytes.Buffer
	if err := p.write(&md); err != nil {
		return err
	}
	list, err := json.MarshalIndent(p.all, "", "  ")
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"results.md":   md.Bytes(),
		"results.json": append(list, '\n'),
		"tasks.svg":    []byte(plot("Tasks per second: more is better", panelsOf(p.all, tasksPanels, "tasks/s"))),
		"redis.svg":    []byte(plot("CPU of Redis (River: PostgreSQL) per task, µs: less is better", panelsOf(p.all, redisPanels, "Redis µs"))),
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// serverVersions asks the servers what they are.
func serverVersions(ctx context.Context, postgres string) ([]string, error) {
	bin, err := redisBinary()
	if err != nil {
		return nil, err
	}
	redis, err := exec.CommandContext(ctx, bin, "--version").Output()
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, postgres)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	var version string
	err = conn.QueryRow(ctx, "show server_version").Scan(&version)
	return []string{strings.TrimSpace(string(redis)) + ", PostgreSQL " + version}, err
}

// profileTop sums a CPU profile up: the packages with the most time of their
// own, and the functions.
func profileTop(file string) ([]string, error) {
	out, err := exec.Command("go", "tool", "pprof", "-top", "-nodecount=10000", "-nodefraction=0", file).Output()
	if err != nil {
		return nil, fmt.Errorf("go tool pprof: %w", err)
	}
	return sumUp(string(out)), nil
}

// sumUp reads what `pprof -top` prints.
func sumUp(top string) []string {
	type row struct {
		name      string
		flat, cum float64
	}
	var rows []row
	packages := map[string]float64{}
	_, lines, _ := strings.Cut(top, "flat%")
	for line := range strings.Lines(lines) {
		const columns = 6
		f := strings.Fields(line)
		var r row
		if len(f) < columns {
			continue
		}
		_, flatErr := fmt.Sscanf(f[1], "%f%%", &r.flat)
		_, cumErr := fmt.Sscanf(f[4], "%f%%", &r.cum)
		if flatErr != nil || cumErr != nil {
			continue
		}
		r.name = strings.TrimSuffix(strings.Join(f[5:], " "), " (inline)")
		rows = append(rows, r)
		packages[packageOf(r.name)] += r.flat
	}
	byTime := slices.SortedFunc(maps.Keys(packages), func(a, b string) int {
		return cmp.Or(cmp.Compare(packages[b], packages[a]), strings.Compare(a, b))
	})
	out := []string{"by package, what they do themselves:"}
	for _, name := range byTime[:min(len(byTime), 8)] {
		out = append(out, fmt.Sprintf("%6.1f %%  %s", packages[name], name))
	}
	out = append(out, "by function outside of Go's runtime, with what they call:")
	rows = slices.DeleteFunc(rows, func(r row) bool { return strings.Contains(packageOf(r.name), "runtime") })
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.cum, a.cum) })
	for _, r := range rows[:min(len(rows), 20)] {
		out = append(out, fmt.Sprintf("%6.1f %%  %s", r.cum, r.name))
	}
	return out
}

// packageOf is the package of a function's name. Assembly has none, and is the
// runtime's.
func packageOf(function string) string {
	function, _, _ = strings.Cut(function, "[") // of generic ones
	slash := strings.LastIndexByte(function, '/') + 1
	name, _, ok := strings.Cut(function[slash:], ".")
	if !ok {
		return "runtime"
	}
	return function[:slash] + name
}
