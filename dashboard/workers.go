package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// workersData is the page of workers.
type workersData struct {
	Rows []workerRow
	Part bool // not all that they run was read
}

type workerRow struct {
	Queue string
	stint.WorkerInfo

	StartedAt time.Time
	Tasks     []stint.HeldTask
	Share     int // of its slots that are taken, in percent
}

func (b *board) workers(in *request) (any, error) {
	d := &workersData{}
	for _, q := range b.chosen(in) {
		s, err := b.state(in, q)
		if err != nil {
			return nil, err
		}
		held, err := cached(&b.cache, "held "+q.Name(), b.cfg.Refresh/2, func() ([]stint.HeldTask, error) { return q.Held(in.ctx(), "") })
		if err != nil {
			return nil, err
		}
		d.Part = d.Part || len(held) >= 500
		tasks := map[string][]stint.HeldTask{}
		for _, t := range held {
			if in.may(View, q.Name(), t.Job) {
				tasks[t.Worker] = append(tasks[t.Worker], t)
			}
		}
		for _, w := range s.workers {
			d.Rows = append(d.Rows, workerRowOf(q.Name(), w, tasks[w.ID]))
		}
	}
	slices.SortFunc(d.Rows, func(a, b workerRow) int {
		return cmp.Or(strings.Compare(a.Queue, b.Queue), strings.Compare(a.Host, b.Host), a.PID-b.PID, strings.Compare(a.ID, b.ID))
	})
	return d, nil
}

func workerRowOf(queue string, w stint.WorkerInfo, tasks []stint.HeldTask) workerRow {
	slices.SortFunc(tasks, func(a, b stint.HeldTask) int { return a.ReadyAt.Compare(b.ReadyAt) })
	r := workerRow{Queue: queue, WorkerInfo: w, Tasks: tasks}
	if w.StartedMs > 0 {
		r.StartedAt = time.UnixMilli(w.StartedMs)
	}
	if w.Concurrency > 0 {
		r.Share = min(100, 100*w.Holds/w.Concurrency)
	}
	return r
}

// queuesData is the page of queues.
type queuesData struct {
	Range  statRange
	Ranges []statRange
	Rows   []queueRow
}

type queueRow struct {
	Queue          string
	Kinds          []kindRow
	Total          tally
	Ready, Running int
	Crew, Slots    int
	Spark          chart
}

func (b *board) queuesPage(in *request) (any, error) {
	chosen, all := rangeOf(in)
	d := &queuesData{Range: chosen, Ranges: all}
	for _, q := range b.chosen(in) {
		s, err := b.state(in, q)
		if err != nil {
			return nil, err
		}
		row := queueRow{Queue: q.Name(), Crew: len(s.workers)}
		for _, w := range s.workers {
			row.Slots += w.Concurrency
		}
		bins := make([]tally, chosen.Bins)
		binned(bins, chosen, s.points, s.at, nil)
		row.Spark = spark(bins)
		for _, t := range bins {
			row.Total.merge(t)
		}
		for _, k := range s.kinds {
			row.Ready += k.Ready
			row.Running += k.Running
			row.Kinds = append(row.Kinds, s.kindRow(k, chosen))
		}
		d.Rows = append(d.Rows, row)
	}
	return d, nil
}
