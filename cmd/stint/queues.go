package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
)

// kindsKey is a key that every queue has which was ever used.
var kindsKey = regexp.MustCompile(`^stint:\{([a-z0-9._-]{1,63})\}:kinds$`)

// found are the queues of a Redis.
type found struct {
	names   []string
	stopped bool // at the bound: there may be more
}

// scanPage is how many keys one SCAN looks at.
const scanPage = 1000

// findQueues looks for queues among the keys of all shards: at most about so
// many keys of each, a page at a time. Redis has no list of queues: one would
// be in another slot than they are.
func findQueues(ctx context.Context, rdb redis.UniversalClient, most int) (found, error) {
	var mu sync.Mutex
	names := map[string]bool{}
	stopped := false
	scan := func(ctx context.Context, c *redis.Client) error {
		var cursor uint64
		for looked := 0; looked == 0 || cursor != 0; looked += scanPage {
			if looked >= most {
				mu.Lock()
				stopped = true
				mu.Unlock()
				return nil
			}
			keys, next, err := c.Scan(ctx, cursor, "stint:{*}:kinds", scanPage).Result()
			if err != nil {
				return err
			}
			cursor = next
			mu.Lock()
			for _, k := range keys {
				if m := kindsKey.FindStringSubmatch(k); m != nil {
					names[m[1]] = true
				}
			}
			mu.Unlock()
		}
		return nil
	}
	err := eachShard(ctx, rdb, scan)
	if err != nil && strings.HasPrefix(err.Error(), "NOPERM") {
		err = fmt.Errorf("queues are found by SCAN, which this user may not call; name one by --queue: %w", err)
	}
	return found{slices.Sorted(func(yield func(string) bool) {
		for n := range names {
			if !yield(n) {
				return
			}
		}
	}), stopped}, err
}

// eachShard calls do with a client of each primary.
func eachShard(ctx context.Context, rdb redis.UniversalClient, do func(context.Context, *redis.Client) error) error {
	switch c := rdb.(type) {
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, do)
	case *redis.Client:
		return do(ctx, c)
	}
	return errors.New("a client of another sort")
}

// queueInfo is a line of stint queues.
type queueInfo struct {
	Name    string    `json:"name"`
	Kinds   int       `json:"kinds"`
	Ready   int       `json:"ready"`
	Running int       `json:"running"`
	Workers int       `json:"workers"`
	Late    string    `json:"timersLate"`
	Minute  stintRate `json:"lastHour"`
}

// stintRate is what ended within an hour.
type stintRate struct {
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Lost      int `json:"lost"`
}

func readQueue(ctx context.Context, rdb redis.UniversalClient, name string, now time.Time) (queueInfo, error) {
	q := stint.NewQueue(name, rdb)
	info := queueInfo{Name: name}
	kinds, err := q.Kinds(ctx)
	if err != nil {
		return info, err
	}
	info.Kinds = len(kinds)
	for _, k := range kinds {
		info.Ready += k.Ready
		info.Running += k.Running
	}
	h, err := q.Health(ctx)
	if err != nil {
		return info, err
	}
	info.Workers, info.Late = h.Workers, h.TimersLate.String()
	points, err := q.Stats(ctx, now.Add(-time.Hour), now)
	for _, p := range points {
		info.Minute.Succeeded += p.Succeeded
		info.Minute.Failed += p.Failed
		info.Minute.Lost += p.Lost
	}
	return info, err
}

func (a *app) queuesCommand() *cobra.Command {
	var most int
	c := &cobra.Command{
		Use:   "queues",
		Short: "List the queues of the Redis",
		Long: "List the queues of the Redis. There is no list of them in Redis, so the keys are looked through, a page of 1000 at a time and at most\n" +
			"--max-keys of each shard. SUCCEEDED, FAILED and LOST count attempts of the last hour.",
		Args: usage(cobra.NoArgs),
		RunE: a.scanning(&most, a.queues),
	}
	c.Flags().IntVar(&most, "max-keys", 1_000_000, "how many keys of each shard are looked at")
	a.out.flags(c)
	return c
}

// scanning runs what looks through keys, at most so many of each shard.
func (a *app) scanning(most *int, run func(context.Context, int) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		if err := a.out.validate(); err != nil {
			return err
		}
		if *most < 1 {
			return fail(exitUsage, "--max-keys: %d: must be 1 at least", *most)
		}
		return run(c.Context(), *most)
	}
}

func (a *app) queues(ctx context.Context, most int) error {
	rdb, err := a.client()
	if err != nil {
		return err
	}
	queues, err := findQueues(ctx, rdb, most)
	if err != nil {
		return err
	}
	if queues.stopped {
		a.notef("not all keys were looked at: there may be more queues; see --max-keys\n")
	}
	if a.out.format == "name" {
		for _, n := range queues.names {
			a.printf("%s\n", n)
		}
		return nil
	}
	now, err := a.now(ctx)
	if err != nil {
		return err
	}
	infos := make([]queueInfo, 0, len(queues.names))
	for _, n := range queues.names {
		info, err := readQueue(ctx, rdb, n, now)
		if err != nil {
			return fmt.Errorf("queue %s: %w", n, err)
		}
		infos = append(infos, info)
	}
	if a.out.format == "json" || a.out.format == "yaml" {
		return a.out.values(a.stdout, infos)
	}
	return queueTable(infos).print(a.stdout, a.painter(), a.out.noHeaders)
}

func queueTable(infos []queueInfo) *table {
	t := &table{head: []string{"NAME", "KINDS", "READY", "RUNNING", "WORKERS", "SUCCEEDED", "FAILED", "LOST"}}
	for _, i := range infos {
		failed, lost := text("%d", i.Minute.Failed), text("%d", i.Minute.Lost)
		if i.Minute.Failed > 0 {
			failed.colour = red
		}
		if i.Minute.Lost > 0 {
			lost.colour = red
		}
		t.add(text("%s", i.Name), text("%d", i.Kinds), text("%d", i.Ready), text("%d", i.Running), text("%d", i.Workers),
			text("%d", i.Minute.Succeeded), failed, lost)
	}
	return t
}

// workerLine is a worker as it is printed.
type workerLine struct {
	ID          string    `json:"id"`
	Host        string    `json:"host"`
	PID         int       `json:"pid"`
	Kinds       []string  `json:"kinds"`
	Concurrency int       `json:"concurrency"`
	Running     int       `json:"running"`
	StartedAt   time.Time `json:"startedAt,omitzero"`
}

func lineOf(w stint.WorkerInfo) workerLine {
	l := workerLine{ID: w.ID, Host: w.Host, PID: w.PID, Kinds: w.Kinds, Concurrency: w.Concurrency, Running: w.Holds}
	if w.StartedMs > 0 {
		l.StartedAt = time.UnixMilli(w.StartedMs).UTC()
	}
	return l
}

func (a *app) workersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "workers",
		Short: "List the workers of a queue",
		Long:  "List the workers of a queue that have given a sign of life and not left. A new one tells its host and kinds within a third of its lease.",
		Args:  usage(cobra.NoArgs),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, _ []string) error {
			all, err := q.Workers(ctx)
			if err != nil {
				return err
			}
			slices.SortFunc(all, func(x, y stint.WorkerInfo) int {
				return cmp.Or(cmp.Compare(x.Host, y.Host), cmp.Compare(x.PID, y.PID), cmp.Compare(x.ID, y.ID))
			})
			lines := make([]workerLine, len(all))
			for i, w := range all {
				lines[i] = lineOf(w)
			}
			switch a.out.format {
			case "json", "yaml":
				return a.out.values(a.stdout, lines)
			case "name":
				for _, l := range lines {
					a.printf("worker/%s\n", oneLine(l.ID))
				}
				return nil
			}
			if len(lines) == 0 {
				a.notef("No workers found at queue %s.\n", q.Name())
				return nil
			}
			now, err := a.now(ctx)
			if err != nil {
				return err
			}
			return workerTable(lines, now).print(a.stdout, a.painter(), a.out.noHeaders)
		}),
	}
	a.out.flags(c)
	return c
}

func workerTable(lines []workerLine, now time.Time) *table {
	t := &table{head: []string{"ID", "HOST", "PID", "RUNNING", "AGE", "KINDS"}}
	for _, l := range lines {
		t.add(text("%s", l.ID), text("%s", cmp.Or(l.Host, "<unknown>")), text("%d", l.PID), text("%d/%d", l.Running, l.Concurrency),
			text("%s", since(now, l.StartedAt)), text("%s", cmp.Or(strings.Join(l.Kinds, ","), "<unknown>")))
	}
	return t
}
