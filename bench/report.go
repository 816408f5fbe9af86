package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report writes results.md.
type report struct {
	rounds  *rounds
	all     []Result // the medians
	took    time.Duration
	client  []string // where the client's CPU goes
	servers []string // versions
}

func (p *report) write(out io.Writer) error {
	w := bufio.NewWriter(out)
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // Flush tells
	say("# Benchmark\n\nWritten by `make bench`. Medians of several rounds in which the systems took turns; absolute numbers vary with the machine\nand the hour, ratios and Redis's own CPU much less.\n\n")
	say("![tasks/s](tasks.svg) ![Redis CPU](redis.svg)\n\n")
	say("## Targets\n\nRatio: measured over target, or target over measured where less is better; 1 or more is met.\n\n")
	p.targets(say)
	say("\n## Machine\n\n")
	for _, line := range append(machine(p.took), p.servers...) {
		say("- %s\n", line)
	}
	say("\n%s\n## Results\n\n`Redis µs`, `client µs` and `allocs` are per task; for River, `Redis` stands for all processes of PostgreSQL. Rounds and spread:\nhow often it was measured, and (max - min) / median of the first figure.\n", settingsText)
	p.results(say)
	p.costs(say)
	return w.Flush()
}

func (p *report) targets(say func(string, ...any)) {
	say("| scenario | target | measured | ratio | met |\n|---|---|---|---|---|\n")
	t := tableOf(p.all)
	for _, g := range targets {
		sign := "≥"
		if g.atMost {
			sign = "≤"
		}
		v, ok := g.value(t)
		if !ok {
			say("| `%s` | %s %s %s | - | - | not measured |\n", g.scenario, g.what, sign, number(g.limit))
			continue
		}
		met := "**no**"
		if g.ratio(v) >= 1 {
			met = "yes"
		}
		say("| `%s` | %s %s %s | %s | %s | %s |\n", g.scenario, g.what, sign, number(g.limit), number(v), number(g.ratio(v)), met)
	}
	slow := 0
	for name, scripts := range p.rounds.slow {
		if strings.HasPrefix(name, "stint many") {
			slow += len(scripts)
		}
	}
	met := "**no**"
	if slow == 0 {
		met = "yes"
	}
	say("| `many` | different scripts that took more than 5 ms ≤ 0 | %d | - | %s |\n", slow, met)
}

// results has a table for each scenario, with the columns that it has.
func (p *report) results(say func(string, ...any)) {
	var names []string
	for _, r := range p.all {
		if !slices.Contains(names, r.Scenario) {
			names = append(names, r.Scenario)
		}
	}
	for _, name := range names {
		var rows []Result
		for _, r := range p.all {
			if r.Scenario == name {
				rows = append(rows, r)
			}
		}
		say("\n### %s\n\n", name)
		p.table(say, rows)
	}
}

func (p *report) table(say func(string, ...any), rows []Result) {
	var columns []figure
	for _, f := range figures {
		if slices.ContainsFunc(rows, func(r Result) bool { return *f.of(&r) != 0 }) {
			columns = append(columns, f)
		}
	}
	say("| system |")
	for _, f := range columns {
		say(" %s |", f.name)
	}
	say(" rounds | spread |\n|---|%s---|---|\n", strings.Repeat("---|", len(columns)))
	for _, r := range rows {
		say("| %s |", r.System)
		for _, f := range columns {
			text := "-"
			if v := *f.of(&r); v != 0 {
				text = number(v)
			}
			say(" %s |", text)
		}
		of := p.rounds.results[key{r.System, r.Scenario}]
		say(" %d | %.0f %% |\n", len(of), spread(of))
	}
}

func (p *report) costs(say func(string, ...any)) {
	say("\n## Where the time goes\n\nIn `drain`, stint. What scripts call is counted by itself too, and is part of the time of `evalsha`.\n\n")
	say("Redis, by `INFO commandstats`; the three largest commands: %s.\n\n```\n%s\n```\n\n", strings.Join(largest(p.rounds.costs), ", "), strings.Join(p.rounds.costs, "\n"))
	say("The client, by its CPU profile:\n\n```\n%s\n```\n", strings.Join(p.client, "\n"))
	say("\n## Idle\n\n")
	for _, line := range p.rounds.notes {
		say("- %s\n", line)
	}
	say("\n## Slow log\n\nScripts of stint that took more than 5 ms: also those that had to wait for a CPU, on a machine that is busy.\n\n")
	if len(p.rounds.slow) == 0 {
		say("None.\n")
	}
	for _, name := range slices.Sorted(maps.Keys(p.rounds.slow)) {
		say("- %s\n", name)
		for _, script := range slices.Sorted(maps.Keys(p.rounds.slow[name])) {
			ms := p.rounds.slow[name][script]
			say("  - %s: %d times, median %s ms, longest %s ms\n", script, len(ms), number(percentile(ms, 50)), number(slices.Max(ms)))
		}
	}
}

// largest are the three commands that cost most, but for those that are made
// of others.
func largest(costs []string) []string {
	var out []string
	for _, line := range costs {
		name, _, _ := strings.Cut(line, " ")
		if name != "evalsha" && name != "eval" && len(out) < 3 {
			out = append(out, "`"+name+"`")
		}
	}
	return out
}

// number writes a figure with its thousands apart.
func number(v float64) string {
	text := strconv.FormatFloat(rounded(v), 'f', -1, 64)
	whole, rest, _ := strings.Cut(text, ".")
	sign := strings.HasPrefix(whole, "-")
	whole = strings.TrimPrefix(whole, "-")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	if sign {
		whole = "-" + whole
	}
	return whole
}

// machine is where and when, and with which versions.
func machine(took time.Duration) []string {
	out := []string{
		fmt.Sprintf("%s, %d CPUs%s, %s/%s", time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), cpuModel(), runtime.GOOS, runtime.GOARCH),
		fmt.Sprintf("the whole run took %v; load when it ended: %s", took.Round(time.Second), load()),
	}
	if commit, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		out = append(out, "commit "+strings.TrimSpace(string(commit)))
	}
	versions := []string{runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			switch m.Path {
			case "github.com/hibiken/asynq", "github.com/riverqueue/river", "github.com/vmihailenco/taskq/v3", "github.com/redis/go-redis/v9":
				versions = append(versions, m.Path+" "+m.Version)
			}
		}
	}
	return append(out, strings.Join(versions, ", "))
}

func cpuModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	_, rest, ok := strings.Cut(string(data), "model name\t: ")
	if !ok {
		return ""
	}
	model, _, _ := strings.Cut(rest, "\n")
	return " (" + model + ")"
}

func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}

const settingsText = `## Settings

All on loopback with servers of their own for each measurement, and each measurement in a process of its own. 100 handlers at a time, or
100 producers; args are 100 bytes of JSON, decoded into a struct for each system's handler (taskq: msgpack), by stint once for all
tasks of a job (bigjob and many), as they share its args; handlers do nothing. Redis has no persistence, but
in the scenarios that end in ` + "`-aof`" + ` (appendfsync everysec). Clients have their own defaults.

| system | settings |
|---|---|
| stint | defaults; jobs have TTL 0, and in ` + "`drain-kept`, `memory` and `bigjob`" + ` the default of an hour. Backoff of 1 ms in ` + "`retry`" + ` |
| asynq | one server of concurrency 100, defaults; retention of an hour in ` + "`drain-kept` and `memory`" + `; no delay of retries. ` + "`-tuned`" + `: both task check intervals 10 ms instead of 1 s and 5 s |
| asynq-4 | four servers in one process, of concurrency 25 each |
| River | pgx, 100 workers, ` + "`FetchCooldown` 1 ms and `FetchPollInterval` 10 ms" + `, retries at once; ` + "`-default`" + `: its own 100 ms and 1 s. PostgreSQL with fsync, synchronous_commit and full_page_writes off, shared_buffers 256 MB. It keeps what is finished |
| taskq | 100 workers, defaults otherwise; backoff of 1 ms |
| streams | go-redis alone, batches of 100: pipelined XADD, XREADGROUP, variadic XACK and XDEL (` + "`drain-kept`, `memory`" + `: no XDEL). One reader, 100 handlers, one acker that sends what has gathered; concurrent submissions share a pipeline. No retries, no leases, nothing counted |

` + "`submit`" + ` is ` + "`submit-100`" + `: one by one from 100 goroutines. ` + "`submit-many`" + `: 1,000 in a call. ` + "`bigjob`" + `: 100,000 units for a running worker, as one Indexed job in
stint and as so many tasks elsewhere. ` + "`many`" + `: 10,000 jobs of 100 completions at once in a queue with 1,000 cron jobs and 100,000 delayed jobs; ` + "`many-delayed`" + `:
100,000 jobs due at one time. ` + "`memory`" + `: what tasks add to a server at which a worker has already done 100 of them and stopped, so that the scripts which
it loads once, 400 kB, are not counted as theirs (taskq: at which 100 wait). ` + "`workers-N`" + `: one queue, N processes; ` + "`workers-cluster-N`" + `: six queues on N primaries, two processes.
`
