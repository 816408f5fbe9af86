package stint

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// janitor ends the tasks of workers that died, and removes these. Any number
// of janitors may work at once. It goes by the signs of life of the workers
// and by its own monotonic clock, and by no other.
type janitor struct {
	queue *Queue
	log   *slog.Logger
	every time.Duration
	lanes []string
	seen  map[string]sighting
	swept *pulse
}

// sighting is the last sign of life of a worker.
type sighting struct {
	beat  string
	since time.Time
}

// sweepEvery is how often the janitor looks.
const sweepEvery = DefaultLease / 3

// reapAtOnce bounds what one look ends of a worker's tasks.
const reapAtOnce = 100

// newJanitor makes a janitor that looks at once after a third of the lease.
func newJanitor(q *Queue, lease time.Duration, log *slog.Logger) *janitor {
	return &janitor{queue: q, log: log, every: min(sweepEvery, lease/3), seen: map[string]sighting{}}
}

func (j *janitor) run(ctx context.Context) {
	for pause(ctx, j.every) {
		j.swept.begin(max(DefaultLease, j.every))
		shortest, err := j.sweep(ctx)
		j.swept.end(err)
		if err != nil && ctx.Err() == nil {
			j.log.Warn("janitor cannot look", "error", err)
		}
		j.every = min(j.every, max(shortest/3, 100*time.Millisecond))
	}
}

// sweep looks at all workers once. It answers the shortest lease that it saw.
func (j *janitor) sweep(ctx context.Context) (time.Duration, error) {
	crew, err := j.queue.store.Sweep(ctx, j.lanes)
	if err != nil {
		return DefaultLease, err
	}
	j.lanes = crew.Lanes
	shortest := DefaultLease
	present := map[string]bool{}
	for _, worker := range workersOf(crew) {
		present[worker] = true
		beat := crew.Beats[worker]
		lease := leaseOf(beat)
		shortest = min(shortest, lease)
		s, known := j.seen[worker]
		if !known || s.beat != beat {
			j.seen[worker] = sighting{beat, time.Now()}
			continue
		}
		silent := time.Since(s.since)
		holds := len(crew.Holds[worker]) > 0
		if holds && silent >= lease || silent >= 20*lease {
			if err := j.reap(ctx, worker, beat); err != nil {
				j.log.Warn("tasks of a lost worker cannot be ended", "lost", worker, "error", err)
			}
		}
	}
	for worker := range j.seen {
		if !present[worker] {
			delete(j.seen, worker)
		}
	}
	return shortest, nil
}

func workersOf(c store.Crew) []string {
	all := make([]string, 0, len(c.Beats))
	for w := range c.Beats {
		all = append(all, w)
	}
	for w := range c.Holds {
		if _, ok := c.Beats[w]; !ok {
			all = append(all, w)
		}
	}
	return all
}

// leaseOf reads the lease in a beat.
func leaseOf(beat string) time.Duration {
	_, text, _ := strings.Cut(beat, " ")
	if ms, err := strconv.Atoi(text); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return DefaultLease
}

// reap ends what a silent worker holds, up to a bound, and removes the worker
// when it holds nothing.
func (j *janitor) reap(ctx context.Context, worker, beat string) error {
	var failed error
	for _, lane := range j.lanes {
		tasks, err := j.queue.store.HeldBy(ctx, worker, lane, reapAtOnce)
		if err != nil || len(tasks) == 0 {
			continue // no worker has ever come for this kind
		}
		j.log.Warn("worker was lost with its tasks", "lost", worker, "lane", lane, "tasks", len(tasks))
		results, err := j.queue.lost(ctx, tasks)
		if err != nil {
			return err
		}
		for _, o := range j.queue.store.Settle(ctx, results, store.Guard{Worker: worker, Beat: beat}, 0) {
			if errors.Is(o.Err, store.ErrAlive) {
				return nil
			}
			failed = cmp.Or(failed, o.Err)
		}
	}
	if failed != nil {
		return failed
	}
	err := j.queue.store.Leave(ctx, worker, beat, j.lanes)
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrAlive) {
		return nil // it holds more, or beats again
	}
	return err
}

// lost says for each task what its loss means to its job.
func (q *Queue) lost(ctx context.Context, tasks []store.Task) ([]store.Result, error) {
	cache := newWorkCache(q)
	work, err := cache.fill(ctx, q.store, tasks)
	if err != nil {
		return nil, err
	}
	out := make([]store.Result, 0, len(tasks))
	for i := range tasks {
		t := &tasks[i]
		spec := cache.plain
		if w := work[t.UID]; w != nil && w.spec != nil {
			spec = w.spec
		} else if t.Plain {
			if s, err := cache.decode(t.Spec); err == nil {
				spec = s
			}
		}
		o := outcome{verb: verbFail, delay: -1, lost: true, message: "the worker was lost"}
		out = append(out, resultOf(t, spec, o, ""))
	}
	return out, nil
}

// checkServer warns of settings under which Redis may lose jobs.
func (q *Queue) checkServer(ctx context.Context, log *slog.Logger) {
	for _, w := range q.store.Warnings(ctx) {
		log.Warn(w)
	}
}

// WorkerInfo is a worker at a queue, as others see it.
type WorkerInfo struct {
	ID          string   `json:"-"`
	Host        string   `json:"host"`
	PID         int      `json:"pid"`
	Kinds       []string `json:"kinds"`
	Concurrency int      `json:"concurrency"`
	Running     int      `json:"running"`
	StartedMs   int64    `json:"startedAt"`
	Holds       int      `json:"-"` // tasks that it has leased

	// Stuck is how many handlers did not heed their cancelled contexts, and
	// keep their slots and requests.
	Stuck int `json:"stuck,omitempty"`
	// MemoryBytes is what its process has of Go's memory, the handlers of all
	// tasks and everything else together. It is observed, and limits nothing.
	MemoryBytes int64 `json:"memory,omitempty"`
	// MemoryPressure: that was more than the memory limits of all attempts
	// that it ran, at its last sign of life. It is false while one of them
	// has no such limit.
	MemoryPressure bool `json:"memoryPressure,omitempty"`
	// Capacity is what it declares in [WorkerConfig], and InUse what its tasks
	// in all its queues requested of that, at its last sign of life.
	Capacity ResourceList `json:"capacity,omitempty"`
	InUse    ResourceList `json:"inUse,omitempty"`
}

// Workers lists the workers of a queue that have given a sign of life and not
// left.
func (q *Queue) Workers(ctx context.Context) ([]WorkerInfo, error) {
	if q.err != nil {
		return nil, q.err
	}
	lanes, err := q.store.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	crew, err := q.store.Sweep(ctx, lanes)
	if err != nil {
		return nil, err
	}
	ids := workersOf(crew)
	infos, err := q.store.Infos(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]WorkerInfo, len(ids))
	for i, id := range ids {
		_ = json.Unmarshal(infos[i], &out[i]) // what is unreadable stays empty
		out[i].ID = id
		for _, n := range crew.Holds[id] {
			out[i].Holds += n
		}
	}
	return out, nil
}
