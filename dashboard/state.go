package dashboard

import (
	"slices"
	"time"

	"github.com/stint-go/stint"
)

// queueState is what is read of a queue for the pages that show whole queues.
type queueState struct {
	queue   string
	at      time.Time
	kinds   []stint.KindInfo
	workers []stint.WorkerInfo
	points  []stint.StatPoint // of the last day
}

// state reads a queue: counters by the minute every few seconds, and the rest
// as often as pages are refreshed.
func (b *board) state(in *request, q *stint.Queue) (*queueState, error) {
	fresh := b.cfg.Refresh / 2
	s := &queueState{queue: q.Name(), at: time.Now()}
	var err error
	s.kinds, err = cached(&b.cache, "kinds "+s.queue, fresh, func() ([]stint.KindInfo, error) { return q.Kinds(in.ctx()) })
	if err != nil {
		return nil, err
	}
	s.workers, err = cached(&b.cache, "workers "+s.queue, fresh, func() ([]stint.WorkerInfo, error) { return q.Workers(in.ctx()) })
	if err != nil {
		return nil, err
	}
	s.points, err = b.points(in, q)
	return s, err
}

func (b *board) points(in *request, q *stint.Queue) ([]stint.StatPoint, error) {
	return cached(&b.cache, "stats "+q.Name(), b.cfg.Refresh, func() ([]stint.StatPoint, error) {
		return q.Stats(in.ctx(), time.Time{}, time.Now().Add(24*time.Hour))
	})
}

// binned adds points to bins, the last of which has the latest minute, and
// answers when the first begins. The newest point or the present tells when
// now is, since Redis may have another clock.
func binned(bins []tally, r statRange, points []stint.StatPoint, now time.Time, keep func(stint.StatPoint) bool) time.Time {
	if n := len(points); n > 0 && points[n-1].At.After(now) {
		now = points[n-1].At
	}
	first := now.Truncate(r.Width).Add(r.Width - r.length())
	for _, p := range points {
		at := int(p.At.Sub(first) / r.Width)
		if !p.At.Before(first) && at < len(bins) && (keep == nil || keep(p)) {
			bins[at].add(p)
		}
	}
	return first
}

func (s *queueState) kindRow(k stint.KindInfo, r statRange) kindRow {
	row := kindRow{Queue: s.queue, Kind: k.Kind, Ready: k.Ready, Running: k.Running}
	bins := make([]tally, r.Bins)
	binned(bins, r, s.points, s.at, func(p stint.StatPoint) bool { return p.Kind == k.Kind })
	for _, t := range bins {
		row.Total.merge(t)
	}
	row.Spark = spark(bins)
	crew, silent, full := 0, 0, true
	for _, w := range s.workers {
		if len(w.Kinds) == 0 { // it has only just come
			silent++
		}
		if slices.Contains(w.Kinds, k.Kind) {
			crew++
			full = full && w.Concurrency > 0 && w.Holds >= w.Concurrency
		}
	}
	row.Crew = crew
	row.NoWorker = k.Ready > 0 && crew+silent == 0
	row.AllWorkFull = k.Ready > 0 && crew > 0 && full
	return row
}

// meanRun is how long an attempt of a kind ran in the last hour; 0 where
// none is known.
func meanRun(points []stint.StatPoint, kind string) time.Duration {
	var t tally
	for _, p := range points {
		if p.Kind == kind && time.Since(p.At) < time.Hour {
			t.add(p)
		}
	}
	return t.MeanRun()
}
