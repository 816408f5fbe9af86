package stinttest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// Drain works on a queue until nothing is left that h's handlers can do now or
// later: where all that is left waits for a time, as a retry or a job with a
// delay does, it moves time there. Times of cron jobs are passed on the way,
// but not waited for. It answers the jobs that are unfinished then, because
// they are suspended, of another kind, or wait for something else. A worker of
// cfg's is used, if there is one.
//
// Outside a bubble it ends the test when nothing has happened for a minute.
func (s *Server) Drain(q *stint.Queue, h Handlers, cfg ...stint.WorkerConfig) (left []*stint.Job) {
	s.t.Helper()
	d := drain{s: s, q: q, ended: make(chan struct{}, 1)}
	c := first(cfg)
	c.Middleware = append([]stint.Middleware{d.note}, c.Middleware...)
	w := stint.NewWorker(q, c)
	h(w)
	d.kinds = w.Kinds()
	gone, stop := s.start(w)
	defer stop()
	for !d.idle() {
		select {
		case <-gone: // it cannot run, as stop tells
			return nil
		default:
		}
	}
	return d.left
}

type drain struct {
	s     *Server
	q     *stint.Queue
	kinds []string
	ended chan struct{} // holds a token when a handler has returned since
	left  []*stint.Job
	quiet time.Duration // how long nothing has happened
	pause time.Duration
}

// note sees handlers return.
func (d *drain) note(next stint.Handler) stint.Handler {
	return func(ctx context.Context, t *stint.RawTask) error {
		defer func() {
			select {
			case d.ended <- struct{}{}:
			default:
			}
		}()
		return next(ctx, t)
	}
}

// idle tells whether nothing is left to do. If there is, it waits a moment, or
// moves time.
func (d *drain) idle() bool {
	d.s.t.Helper()
	busy, next := d.look()
	switch {
	case busy:
		d.wait()
		return false
	case next.IsZero():
		return true
	}
	if by := next.Sub(d.s.Now()); by > 0 {
		d.s.Advance(by)
		return false
	}
	d.wait()
	return false
}

// wait waits for a handler to return, or for a moment: what has ended is not
// settled at once.
func (d *drain) wait() {
	d.s.t.Helper()
	const patience = time.Minute
	longest := 20 * time.Millisecond
	if d.s.bubble {
		longest = time.Minute // in which nobody waits for it
	}
	d.pause = min(max(2*d.pause, time.Millisecond), longest)
	timer := time.NewTimer(d.pause)
	defer timer.Stop()
	select {
	case <-d.ended:
		d.pause, d.quiet = 0, 0
	case <-timer.C:
		d.quiet += d.pause
	}
	if d.quiet > patience && !d.s.bubble {
		d.s.t.Fatalf("stinttest: Drain: nothing has happened for %v, and yet there is to do: %s", patience, names(d.left))
	}
}

func names(jobs []*stint.Job) string {
	all := make([]string, len(jobs))
	for i, j := range jobs {
		all[i] = j.Name
	}
	return strings.Join(all, ", ")
}

// look tells whether there is something to do now, and if not, when there will
// be; the zero time is never.
func (d *drain) look() (busy bool, next time.Time) {
	d.s.t.Helper()
	ctx := context.Background()
	q := d.s.direct(d.q.Name())
	if d.active(ctx, q) {
		return true, next
	}
	d.left = nil
	for job, err := range q.List(ctx, stint.ListOptions{}) {
		if err != nil {
			d.s.t.Fatalf("stinttest: Drain: %v", err)
		}
		if job.Finished() {
			continue
		}
		d.left = append(d.left, job)
		if !slices.Contains(d.kinds, job.Kind) {
			continue
		}
		now, at := d.waits(ctx, q, job.Name)
		busy = busy || now
		if next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return busy || d.active(ctx, q), next // it may have become so meanwhile
}

// active tells whether there are attempts that the handlers can run, or do.
func (d *drain) active(ctx context.Context, q *stint.Queue) bool {
	d.s.t.Helper()
	kinds, err := q.Kinds(ctx)
	if err != nil {
		d.s.t.Fatalf("stinttest: Drain: %v", err)
	}
	return slices.ContainsFunc(kinds, func(k stint.KindInfo) bool {
		return k.Ready+k.Running > 0 && slices.Contains(d.kinds, k.Kind)
	})
}

// waits tells whether a job has something to do now, or when it will have.
func (d *drain) waits(ctx context.Context, q *stint.Queue, name string) (busy bool, next time.Time) {
	e, err := q.Explain(ctx, name)
	if err != nil {
		return true, next // it may have gone meanwhile: look again
	}
	held, silent := false, false
	for _, r := range e.Reasons {
		switch {
		case slices.Contains(toCome, r.Code):
			held = true
			if next.IsZero() || r.Until.Before(next) {
				next = r.Until
			}
		case slices.Contains(underWay, r.Code):
			busy = true
		case r.Code == stint.WhyNoWorker: // ours, which has not said its kinds yet
			silent = true
		case r.Code != stint.WhyParallelism && r.Code != stint.WhyDeadline:
			held = true // until somebody does something about it
		}
	}
	return busy || silent && !held, next
}

// toCome are the reasons to wait that time ends, and underWay those that end by
// themselves.
var (
	toCome   = []stint.Why{stint.WhyNotBefore, stint.WhyBackoff}
	underWay = []stint.Why{
		stint.WhyFinished, stint.WhyDeleting, stint.WhyFateDecided, stint.WhyTerminating, stint.WhyTimers,
		stint.WhyWorkerSlot, stint.WhyLost, stint.WhyRunning,
	}
)
