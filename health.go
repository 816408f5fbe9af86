package stint

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Health is how a worker fares at one of its queues. Times are by this
// process's clock, the zero time where there was nothing of the sort yet.
type Health struct {
	Queue  string
	Worker string // its ID at that queue; see [Queue.Workers]

	ClaimedAt time.Time // Redis last answered a claim, or a wait for something to claim
	RenewedAt time.Time // Redis last took a sign of life; a claim is one too
	SettledAt time.Time // results were last stored
	HeardAt   time.Time // Redis last told whether there are orders
	TimersAt  time.Time // timers were last looked at; never with HandlersOnly
	SweptAt   time.Time // lost workers were last looked for; never with HandlersOnly

	// RoundTrip is what the question that Health itself asks took.
	RoundTrip time.Duration
}

// Health tells how the worker fares at each of its queues, in their order. It
// asks Redis one question for each. The error names every queue that does not
// answer, or that the worker has tried to claim from, to renew at, to settle
// at or to look after without success for a whole lease; it wraps the error
// that was met last. A worker that does not run, or no more, has none of
// these times and an error; one that shuts down has [ErrShutdown].
//
// It suits a readiness probe and an alert. As a liveness probe it does harm: a
// restart mends no outage of Redis, and a worker goes on by itself after one.
// It is safe for concurrent use.
func (w *Worker) Health(ctx context.Context) ([]Health, error) {
	w.mu.Lock()
	stations := w.stations
	w.mu.Unlock()
	if len(stations) == 0 {
		return nil, errors.New("stint: the worker does not run")
	}
	out, errs := make([]Health, len(stations)), make([]error, len(stations))
	var all sync.WaitGroup
	for i, s := range stations {
		all.Go(func() { out[i], errs[i] = s.health(ctx) })
	}
	all.Wait()
	return out, errors.Join(errs...)
}

func (s *station) health(ctx context.Context) (Health, error) {
	h := Health{Queue: s.queue.name, Worker: s.id}
	began := time.Now()
	_, err := s.store.Now(ctx)
	h.RoundTrip = time.Since(began)
	errs := []error{err}
	look := func(what string, p *pulse) time.Time {
		at, late := p.look()
		if late != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, late))
		}
		return at
	}
	h.ClaimedAt = look("claims", &s.pulse.claims)
	h.RenewedAt = look("renewals", &s.pulse.renewals)
	h.SettledAt = look("results", &s.pulse.results)
	h.HeardAt = look("orders", &s.pulse.orders)
	h.TimersAt = look("timers", &s.pulse.timers)
	h.SweptAt = look("lost workers", &s.pulse.sweeps)
	if at := s.began.Add(time.Duration(s.beatAt.Load())); s.beatAt.Load() > 0 && at.After(h.RenewedAt) {
		h.RenewedAt = at
	}
	if s.draining.Load() {
		errs = append(errs, ErrShutdown)
	}
	if err = errors.Join(errs...); err != nil {
		err = fmt.Errorf("queue %s: %w", h.Queue, err)
	}
	return h, err
}

// pulses are those of a worker's loops at one queue.
type pulses struct{ claims, renewals, results, orders, timers, sweeps pulse }

// pulse tells how a loop fares that calls Redis again and again.
type pulse struct {
	mu  sync.Mutex
	ok  time.Time // when a call last succeeded
	due time.Time // when the present one should have; zero: there is none
	err error     // what it met last
}

// begin says that a call should succeed within a time. Of calls that fail the
// first one counts. A nil pulse is of a loop that nobody asks after.
func (p *pulse) begin(within time.Duration) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due.IsZero() {
		p.due = time.Now().Add(within)
	}
}

// end says how a call ended.
func (p *pulse) end(err error) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	if err == nil {
		p.ok, p.due = time.Now(), time.Time{}
	}
}

// errNoAnswer is a call that has neither succeeded nor failed.
var errNoAnswer = errors.New("no answer")

// look tells when a call last succeeded, and an error when the present one
// should have.
func (p *pulse) look() (time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := time.Since(p.due)
	if p.due.IsZero() || late <= 0 {
		return p.ok, nil
	}
	err := p.err
	if err == nil {
		err = errNoAnswer
	}
	return p.ok, fmt.Errorf("late by %v: %w", late.Round(time.Millisecond), err)
}

// QueueHealth is how a queue fares, whoever works there.
type QueueHealth struct {
	RoundTrip  time.Duration // what the questions took
	Workers    int           // that have given a sign of life and not left, dead or alive; see [Queue.Workers]
	TimersLate time.Duration // how long the first timer is overdue: seconds tell that nobody keeps timers
}

// Health asks Redis how the queue fares. The error is that of Redis, or a
// layout that this version can't read: see [ErrLayout].
func (q *Queue) Health(ctx context.Context) (QueueHealth, error) {
	if q.err != nil {
		return QueueHealth{}, q.err
	}
	began := time.Now()
	workers, late, err := q.store.Health(ctx)
	return QueueHealth{RoundTrip: time.Since(began), Workers: workers, TimersLate: late}, err
}
