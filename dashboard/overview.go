package dashboard

import (
	"cmp"
	"slices"
	"time"

	"github.com/stint-go/stint"
)

// overviewData is what the first page shows.
type overviewData struct {
	Range                         statRange
	Ranges                        []statRange
	Total                         tally
	Ready, Running, Slots, Crew   int
	Throughput, Latency, Failures chart
	Kinds                         []kindRow
	Events                        []eventRow
	Stuck                         []stuckRow
}

// statRange is how far a chart goes back.
type statRange struct {
	Name, Label string
	Bins        int
	Width       time.Duration // of a bin
	Chosen      bool
}

func (r statRange) length() time.Duration { return time.Duration(r.Bins) * r.Width }

var statRanges = []statRange{
	{Name: "1h", Label: "1 hour", Bins: 60, Width: time.Minute},
	{Name: "6h", Label: "6 hours", Bins: 72, Width: 5 * time.Minute},
	{Name: "24h", Label: "24 hours", Bins: 72, Width: 20 * time.Minute},
}

// rangeOf is the range that a request asks for, and all of them.
func rangeOf(in *request) (statRange, []statRange) {
	all := slices.Clone(statRanges)
	i := max(0, slices.IndexFunc(all, func(r statRange) bool { return r.Name == in.URL.Query().Get("range") }))
	all[i].Chosen = true
	return all[i], all
}

// tally is what ended.
type tally struct {
	Succeeded, Failed, Lost, GaveBack int
	Wait, Run                         time.Duration
}

func (t *tally) add(p stint.StatPoint) {
	t.Succeeded += p.Succeeded
	t.Failed += p.Failed
	t.Lost += p.Lost
	t.GaveBack += p.GaveBack
	t.Wait += p.Wait
	t.Run += p.Run
}

// Ended is how many attempts ended.
func (t tally) Ended() int { return t.Succeeded + t.Failed + t.Lost + t.GaveBack }

// Bad is how many of them did not do what they should.
func (t tally) Bad() int { return t.Failed + t.Lost }

// FailureRate is Bad of all that succeeded or not, in percent.
func (t tally) FailureRate() float64 {
	if n := t.Succeeded + t.Bad(); n > 0 {
		return 100 * float64(t.Bad()) / float64(n)
	}
	return 0
}

// MeanWait and MeanRun are of one attempt.
func (t tally) MeanWait() time.Duration { return t.Wait / time.Duration(max(1, t.Ended())) }

// MeanRun is how long an attempt ran.
func (t tally) MeanRun() time.Duration { return t.Run / time.Duration(max(1, t.Ended())) }

type kindRow struct {
	Queue, Kind           string
	Ready, Running, Crew  int
	OneQueue              bool
	Total                 tally
	Spark                 chart
	NoWorker, AllWorkFull bool
}

type eventRow struct {
	Queue string
	stint.Event
}

// stuckRow is a kind of which something waits, and why.
type stuckRow struct{ Queue, Kind, Why string }

func (b *board) overview(in *request) (any, error) {
	chosen, all := rangeOf(in)
	d := &overviewData{Range: chosen, Ranges: all}
	bins := make([]tally, chosen.Bins)
	var first time.Time
	for _, q := range b.chosen(in) {
		s, err := b.state(in, q)
		if err != nil {
			return nil, err
		}
		first = binned(bins, chosen, s.points, s.at, nil)
		d.addQueue(s, chosen)
		events, err := b.recent(in, q)
		if err != nil {
			return nil, err
		}
		d.Events = append(d.Events, events...)
	}
	for _, t := range bins {
		d.Total.merge(t)
	}
	slices.SortStableFunc(d.Events, func(a, b eventRow) int { return b.At.Compare(a.At) })
	d.Events = d.Events[:min(len(d.Events), 12)]
	slices.SortStableFunc(d.Kinds, func(a, b kindRow) int {
		return cmp.Or(cmp.Compare(b.Total.Ended(), a.Total.Ended()), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Queue, b.Queue))
	})
	d.Throughput, d.Latency, d.Failures = throughput(bins, first, chosen.Width), latency(bins, first, chosen.Width), failures(bins, first, chosen.Width)
	return d, nil
}

func (t *tally) merge(o tally) {
	t.Succeeded += o.Succeeded
	t.Failed += o.Failed
	t.Lost += o.Lost
	t.GaveBack += o.GaveBack
	t.Wait += o.Wait
	t.Run += o.Run
}

// addQueue counts one queue.
func (d *overviewData) addQueue(s *queueState, chosen statRange) {
	d.Crew += len(s.workers)
	for _, w := range s.workers {
		d.Slots += w.Concurrency
	}
	for _, k := range s.kinds {
		d.Ready += k.Ready
		d.Running += k.Running
		row := s.kindRow(k, chosen)
		d.Kinds = append(d.Kinds, row)
		switch {
		case row.NoWorker:
			d.Stuck = append(d.Stuck, stuckRow{s.queue, k.Kind, count(k.Ready, "task") + " wait, and no worker takes this kind."})
		case row.AllWorkFull:
			d.Stuck = append(d.Stuck, stuckRow{s.queue, k.Kind, count(k.Ready, "task") + " wait, and all slots of its workers are taken."})
		}
	}
}

// chosen are the queues that a page is about: that of the request, or all.
func (b *board) chosen(in *request) []*stint.Queue {
	if in.queue != nil {
		return []*stint.Queue{in.queue}
	}
	return b.visible(in.Request)
}

// recent reads the latest events of jobs that may be seen.
func (b *board) recent(in *request, q *stint.Queue) ([]eventRow, error) {
	events, err := cached(&b.cache, "events "+q.Name(), b.cfg.Refresh/2, func() ([]stint.Event, error) { return q.RecentEvents(in.ctx(), 30) })
	var out []eventRow
	for _, e := range events {
		if in.may(View, q.Name(), e.Name) {
			out = append(out, eventRow{q.Name(), e})
		}
	}
	return out, err
}
