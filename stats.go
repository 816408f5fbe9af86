package stint

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// KindInfo is how much of one kind there is to do.
type KindInfo struct {
	Kind    string `json:"kind"`
	Ready   int    `json:"ready"`   // tasks that wait for a worker
	Running int    `json:"running"` // tasks that a worker has
}

// StatPoint is what ended in one minute, of one kind. Kubernetes has no such
// thing.
type StatPoint struct {
	At        time.Time     `json:"at"` // when the minute begins, by Redis's clock
	Kind      string        `json:"kind"`
	Succeeded int           `json:"succeeded"` // attempts, as all that follows
	Failed    int           `json:"failed"`    // also such as do not count against a limit
	Lost      int           `json:"lost"`      // whose worker was lost
	GaveBack  int           `json:"gaveBack"`  // snoozed, or given back at a shutdown
	Wait      time.Duration `json:"wait"`      // all of them together, from when they could run until a worker had them
	Run       time.Duration `json:"run"`       // all of them together, in the hands of workers
}

// statKinds bounds how many kinds are read in one round trip.
const statKinds = 100

// Kinds lists the kinds that the queue has seen, in order, with their tasks.
// Tasks that wait for a time, or for others of their job, are not counted: see
// [Queue.Explain].
func (q *Queue) Kinds(ctx context.Context) ([]KindInfo, error) {
	lanes, err := q.store.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(lanes) // that of a kind itself stands before those with requests
	at := map[string]int{}
	out := make([]KindInfo, 0, len(lanes))
	for page := range slices.Chunk(lanes, statKinds) {
		loads, err := q.store.Loads(ctx, page)
		if err != nil {
			return nil, err
		}
		for i, l := range loads {
			kind := store.KindOf(page[i])
			n, known := at[kind]
			if !known {
				n = len(out)
				at[kind] = n
				out = append(out, KindInfo{Kind: kind})
			}
			out[n].Ready += l.Ready
			out[n].Running += l.Running
		}
	}
	return out, nil
}

// Stats tells what ended in the minutes that begin from one time to another,
// both included, ordered by time and kind. Queues remember the last day; a
// minute in which nothing ended is left out.
func (q *Queue) Stats(ctx context.Context, from, to time.Time) ([]StatPoint, error) {
	kinds, err := q.store.Kinds(ctx)
	if err != nil {
		return nil, err
	}
	now, err := q.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	first := max(from.UnixMilli(), now-24*time.Hour.Milliseconds())
	var out []StatPoint
	for page := range slices.Chunk(kinds, statKinds) {
		found, err := q.store.Minutes(ctx, page, first, to.UnixMilli())
		if err != nil {
			return nil, err
		}
		for i, minutes := range found {
			for _, m := range minutes {
				out = append(out, StatPoint{
					At: at(m.At), Kind: page[i], Succeeded: m.Succeeded, Failed: m.Failed, Lost: m.Lost, GaveBack: m.GaveBack,
					Wait: time.Duration(m.WaitedMs) * time.Millisecond, Run: time.Duration(m.RanMs) * time.Millisecond,
				})
			}
		}
	}
	slices.SortFunc(out, func(a, b StatPoint) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind)) })
	return out, nil
}
