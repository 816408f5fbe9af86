package stint

import (
	"context"
	"errors"
	"math"

	"github.com/stint-go/stint/internal/store"
)

// watchMemory compares the memory of the process with the limits of all that
// runs in it.
func (w *Worker) watchMemory() {
	limit, known := w.memoryLimit()
	used := w.cfg.MemoryInUse()
	over := known && used > limit
	switch was := w.over.Swap(over); {
	case over && !was:
		w.log.Warn("the process has more memory than the limits of all that it runs", "bytes", used, "limit", limit)
	case was && !over:
		w.log.Info("the process has no more memory than the limits of all that it runs", "bytes", used)
	}
}

// memoryLimit is the sum of the memory limits of all running attempts. It is
// known only where each of them has one: Go does not tell whose memory it is.
func (w *Worker) memoryLimit() (sum int64, known bool) {
	w.mu.Lock()
	stations := w.stations
	w.mu.Unlock()
	limits := map[*JobSpec]int64{}
	for _, s := range stations {
		for _, t := range s.held() {
			limit, seen := limits[t.spec]
			if !seen {
				limit = t.spec.Resources.Limits.amounts()[ResourceMemory]
				limits[t.spec] = limit
			}
			if limit == 0 { // which means none in Kubernetes, too
				return 0, false
			}
			sum = min(sum, math.MaxInt64-limit) + limit
		}
	}
	return sum, sum > 0
}

// markMemory tells the jobs of tasks, where it has changed, that they run in a
// process with more memory than they may have. What is too much for one call,
// or fails, is done with the next renewal.
func (s *station) markMemory(ctx context.Context, tasks []*RawTask) {
	over := s.w.over.Load()
	byJob := map[string]int{}
	var marks []store.MemoryMark
	var marked [][]*RawTask
	for _, t := range tasks {
		if t.over == over || t.snapshot().Plain { // which has no record to note it in
			continue
		}
		i, has := byJob[t.UID]
		if !has {
			if i = len(marks); i == store.Limit {
				continue
			}
			byJob[t.UID] = i
			key := store.JobKey{Name: t.Job, Kind: t.Kind, Requests: t.task.Requests}
			marks, marked = append(marks, store.MemoryMark{Job: key, UID: t.UID, Over: over}), append(marked, nil)
		}
		if len(marked[i]) < store.MarksAtOnce {
			marks[i].Entries, marked[i] = append(marks[i].Entries, t.task.Entry), append(marked[i], t)
		}
	}
	if len(marks) == 0 {
		return
	}
	for i, err := range s.store.MarkMemory(ctx, marks) {
		if err != nil && !errors.Is(err, store.ErrGone) {
			s.log.Warn("memory pressure cannot be noted", "job", marks[i].Job.Name, "error", err)
			continue
		}
		for _, t := range marked[i] {
			t.over = over
		}
	}
}
