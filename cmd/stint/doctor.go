package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
)

// level is how bad a finding is.
type level string

const (
	levelOK      level = "ok"
	levelUnknown level = "unknown" // the server does not tell
	levelWarn    level = "warning"
	levelBad     level = "error"
)

// finding is what one look of the doctor came to.
type finding struct {
	Node    string `json:"node,omitempty"` // where there are several
	Check   string `json:"check"`
	Level   level  `json:"level"`
	Message string `json:"message"`
}

func (a *app) doctorCommand() *cobra.Command {
	var most int
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look for settings and states of the Redis under which jobs may be lost or late",
		Long: "Look for settings and states of the Redis under which jobs may be lost or late, and with --queue for keys of the queue that belong to\n" +
			"nothing. It reads: PING, TIME, INFO, CLUSTER INFO, SCAN, and CONFIG GET for one setting. What is refused is unknown, and no error.\n" +
			"Exit code 8 where anything is a warning or an error.",
		Args: usage(cobra.NoArgs),
		RunE: a.scanning(&most, a.doctor),
	}
	c.Flags().IntVar(&most, "max-keys", 100_000, "how many keys of each shard are looked at for orphans")
	a.out.flags(c)
	return c
}

func (a *app) doctor(ctx context.Context, most int) error {
	rdb, err := a.client()
	if err != nil {
		return err
	}
	if err := rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("the Redis does not answer: %w", err)
	}
	d := &doctor{}
	_, cluster := rdb.(*redis.ClusterClient)
	if cluster {
		d.cluster(ctx, rdb)
	}
	_ = eachShard(ctx, rdb, func(ctx context.Context, c *redis.Client) error {
		node := &doctor{}
		if cluster {
			node.node = c.Options().Addr
		}
		node.server(ctx, c)
		d.join(node.found)
		return nil
	})
	if queue := cmp.Or(a.name, a.env("STINT_QUEUE")); queue != "" {
		d.orphans(ctx, rdb, queue, most)
	}
	if err := a.printFindings(d.found); err != nil {
		return err
	}
	n := 0
	for _, f := range d.found {
		if f.Level == levelBad || f.Level == levelWarn {
			n++
		}
	}
	if n > 0 {
		return fail(exitFindings, "%d of %d checks found something", n, len(d.found))
	}
	return nil
}

func (a *app) printFindings(all []finding) error {
	if a.out.format == "json" || a.out.format == "yaml" {
		return a.out.values(a.stdout, all)
	}
	colours := map[level]colour{levelOK: green, levelUnknown: faint, levelWarn: yellow, levelBad: red}
	t := &table{head: []string{"CHECK", "LEVEL", "MESSAGE"}}
	for _, f := range all {
		what := f.Check
		if f.Node != "" {
			what = f.Node + " " + what
		}
		t.add(text("%s", what), cell{string(f.Level), colours[f.Level]}, text("%s", f.Message))
	}
	return t.print(a.stdout, a.painter(), a.out.noHeaders)
}

// doctor gathers findings.
type doctor struct {
	node  string
	mu    sync.Mutex // guards found: a Cluster's nodes are looked at side by side
	found []finding
}

func (d *doctor) join(found []finding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.found = append(d.found, found...)
}

// tell notes a finding.
func (d *doctor) tell(check string, l level, format string, v ...any) {
	d.found = append(d.found, finding{d.node, check, l, fmt.Sprintf(format, v...)})
}

// server looks at one server.
func (d *doctor) server(ctx context.Context, c *redis.Client) {
	d.version(infoOf(ctx, c, "server"))
	d.memory(infoOf(ctx, c, "memory"), infoOf(ctx, c, "stats"))
	d.persistence(infoOf(ctx, c, "persistence"), configOf(ctx, c, "appendfsync"))
	d.replication(infoOf(ctx, c, "replication"))
	d.clock(ctx, c)
}

// configOf reads a setting, "" where it is refused.
func configOf(ctx context.Context, c *redis.Client, name string) string {
	return c.ConfigGet(ctx, name).Val()[name]
}

var versionText = regexp.MustCompile(`^(\d+)\.(\d+)`)

func (d *doctor) version(server map[string]string) {
	name, version := "Redis", server["redis_version"]
	if v := server["valkey_version"]; v != "" {
		name, version = "Valkey", v
	}
	m := versionText.FindStringSubmatch(version)
	if m == nil {
		d.tell("version", levelUnknown, "the server does not tell its version; 7.0 or later is needed")
		return
	}
	if major, _ := strconv.Atoi(m[1]); major < 7 {
		d.tell("version", levelBad, "%s %s: 7.0 or later is needed", name, version)
		return
	}
	d.tell("version", levelOK, "%s %s", name, version)
}

func (d *doctor) memory(memory, stats map[string]string) {
	policy, most := memory["maxmemory_policy"], number(memory["maxmemory"])
	used := number(memory["used_memory"])
	switch {
	case policy == "":
		d.tell("eviction", levelUnknown, "the server does not tell its maxmemory-policy; it must be noeviction")
	case policy != "noeviction" && most > 0:
		d.tell("eviction", levelBad, "maxmemory-policy is %s: jobs can be evicted; set noeviction", policy)
	case policy != "noeviction":
		d.tell("eviction", levelWarn, "maxmemory-policy is %s, which will evict jobs if maxmemory is ever set; set noeviction", policy)
	default:
		d.tell("eviction", levelOK, "noeviction")
	}
	if n := number(stats["evicted_keys"]); n > 0 {
		d.tell("evicted", levelBad, "%d keys were evicted since the start of the server: jobs may be among them", n)
	}
	switch {
	case memory == nil:
	case most == 0:
		d.tell("memory", levelOK, "%d MiB used; no maxmemory, so mind the memory of the machine", used>>20)
	case used*10 > most*9:
		d.tell("memory", levelWarn, "%d of %d MiB used: at the limit submissions are refused", used>>20, most>>20)
	default:
		d.tell("memory", levelOK, "%d of %d MiB used", used>>20, most>>20)
	}
}

func (d *doctor) persistence(p map[string]string, fsync string) {
	switch {
	case p == nil || p["aof_enabled"] == "":
		d.tell("persistence", levelUnknown, "the server does not tell whether it has an append-only file")
		return
	case p["aof_enabled"] == "0":
		d.tell("persistence", levelWarn, "no append-only file: a restart loses what came after the last snapshot, or everything; set appendonly yes")
	case fsync == "no":
		d.tell("persistence", levelWarn, "appendfsync is no: a crash of the machine loses what the system has not written, some 30 s; set everysec")
	default:
		d.tell("persistence", levelOK, "append-only file, appendfsync %s", cmp.Or(fsync, "unknown"))
	}
	for field, what := range map[string]string{"aof_last_write_status": "the last write of the append-only file", "rdb_last_bgsave_status": "the last snapshot"} {
		if s := p[field]; s != "" && s != "ok" {
			d.tell("persistence", levelBad, "%s went wrong (%s): Redis refuses writes, or soon will", what, s)
		}
	}
	if p["loading"] == "1" {
		d.tell("persistence", levelWarn, "the server is loading its data")
	}
}

func (d *doctor) replication(r map[string]string) {
	switch role := r["role"]; {
	case role == "":
		d.tell("replication", levelUnknown, "the server does not tell its role")
	case role != "master":
		d.tell("replication", levelBad, "this is a %s: jobs must go to the primary", role)
	case r["connected_slaves"] == "0":
		d.tell("replication", levelOK, "primary without a replica: nothing takes over when it is lost")
	default:
		d.tell("replication", levelOK, "primary with %s replicas; a failover may lose the last writes", r["connected_slaves"])
	}
}

// clock compares the clocks, less what the question took. stint itself never
// does: it is for people who read times.
func (d *doctor) clock(ctx context.Context, c *redis.Client) {
	best, drift := time.Duration(0), time.Duration(0)
	for i := range 5 {
		sent := time.Now()
		t, err := c.Time(ctx).Result()
		if err != nil {
			d.tell("clock", levelUnknown, "TIME: %v", err)
			return
		}
		if trip := time.Since(sent); i == 0 || trip < best {
			best, drift = trip, t.Sub(sent.Add(trip/2))
		}
	}
	l, off := levelOK, drift.Abs()
	if off > 5*time.Second {
		l = levelWarn
	}
	d.tell("clock", l, "the server's clock is %v from this machine's (asked in %v); schedules go by the server's", off.Round(time.Millisecond), best.Round(time.Microsecond))
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

func (d *doctor) cluster(ctx context.Context, rdb redis.UniversalClient) {
	reply, err := rdb.ClusterInfo(ctx).Result()
	if err != nil {
		d.tell("cluster", levelUnknown, "CLUSTER INFO: %v", err)
		return
	}
	info := map[string]string{}
	for line := range strings.Lines(reply) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), ":")
		info[k] = v
	}
	const slots = "16384"
	if info["cluster_state"] != "ok" || info["cluster_slots_ok"] != slots {
		d.tell("cluster", levelBad, "state %s, %s of %s slots served, %s failing", info["cluster_state"], info["cluster_slots_ok"], slots, info["cluster_slots_fail"])
		return
	}
	d.tell("cluster", levelOK, "all slots served by %s primaries", info["cluster_size"])
}

// orphans looks for keys of jobs that have no record.
func (d *doctor) orphans(ctx context.Context, rdb redis.UniversalClient, queue string, most int) {
	prefix := "stint:{" + queue + "}:job:"
	looked, orphans, example := 0, 0, ""
	stopped := false
	err := eachShard(ctx, rdb, func(ctx context.Context, c *redis.Client) error {
		var cursor uint64
		for n := 0; n == 0 || cursor != 0; n += scanPage {
			if n >= most {
				d.mu.Lock()
				stopped = true
				d.mu.Unlock()
				return nil
			}
			keys, next, err := c.Scan(ctx, cursor, escapeGlob(prefix)+"*", scanPage).Result()
			if err != nil {
				return err
			}
			cursor = next
			found, err := ownerless(ctx, c, prefix, keys)
			if err != nil {
				return err
			}
			d.mu.Lock()
			looked += len(keys)
			if orphans += len(found); example == "" && len(found) > 0 {
				example = found[0]
			}
			d.mu.Unlock()
		}
		return nil
	})
	part := ""
	if stopped {
		part = "; not all keys were looked at, see --max-keys"
	}
	switch {
	case err != nil:
		d.tell("orphans", levelUnknown, "keys cannot be looked through: %v", err)
	case orphans > 0:
		d.tell("orphans", levelWarn, "%d keys belong to jobs without a record, as %s%s", orphans, oneLine(example), part)
	default:
		d.tell("orphans", levelOK, "%d keys of jobs, none without its record%s", looked, part)
	}
}

// parts are the keys that a job has beside its record.
var parts = []string{":done", ":bad", ":tasks", ":ends", ":wait", ":data"}

// ownerless are keys of jobs whose record is not there.
func ownerless(ctx context.Context, c *redis.Client, prefix string, keys []string) (found []string, err error) {
	cmds := map[string]*redis.IntCmd{}
	_, err = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, k := range keys {
			for _, part := range parts {
				if job, ok := strings.CutSuffix(k, part); ok && len(job) > len(prefix) {
					cmds[k] = p.Exists(ctx, job)
				}
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	for _, k := range sortedKeys(cmds) {
		if cmds[k].Val() == 0 {
			found = append(found, k)
		}
	}
	return found, nil
}

func escapeGlob(s string) string {
	return strings.NewReplacer("[", "\\[", "]", "\\]", "*", "\\*", "?", "\\?", "\\", "\\\\").Replace(s)
}
