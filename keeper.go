package stint

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/stint-go/stint/internal/store"
)

// keeper serves the timers of a queue: whatever is due it has looked at. Any
// number of keepers may do so at once.
type keeper struct {
	queue   *Queue
	log     *slog.Logger
	seats   *store.Seats
	timers  bool             // or only orders are heard of
	onOrder func(job string) // tasks of a job were told to stop
	changed func(id string)  // a config map or secret has changed
	heard   *pulse           // nil: nobody asks
	looked  *pulse
	retry   *backoff.ExponentialBackOff // of looking at the timers
	within  time.Duration               // in which calls should succeed, by Health
	ready   chan struct{}               // closed when no order is missed any more
	next    chan time.Time              // when the first timer is due, by this process's clock
	offset  struct {
		mu    sync.Mutex
		redis int64     // Redis's time in ms
		at    time.Time // when it was seen
	}
}

// timerHold is how long a keeper has for the timers that it takes, and how
// seldom it looks though nobody told it to.
const timerHold = 10 * time.Second

func newKeeper(q *Queue, log *slog.Logger, seats *store.Seats, timers bool) *keeper {
	return &keeper{queue: q, log: log, seats: seats, timers: timers, retry: newRetry(), onOrder: func(string) {}, changed: func(string) {}, ready: make(chan struct{}), next: make(chan time.Time, 16)}
}

// newSeats bounds the calls in which a process waits for Redis.
func newSeats(log *slog.Logger) *store.Seats {
	return store.NewSeats(func(pool int) {
		log.Warn("there are more queues than the client's pool has connections to wait at: some are looked at ten times a second instead; raise PoolSize", "poolSize", pool)
	})
}

func (k *keeper) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { k.listen(ctx) })
	if k.timers {
		all.Go(func() { k.serve(ctx) })
	}
	all.Wait()
}

// listen hears of orders and of timers that are due earlier than the others.
func (k *keeper) listen(ctx context.Context) {
	last, retry := "", newRetry()
	for ctx.Err() == nil {
		k.heard.begin(waitAtMost + k.within)
		orders, at, err := k.queue.store.Orders(ctx, k.seats, last, waitAtMost)
		if k.heard.end(err); err != nil {
			k.log.Debug("listening failed", "error", err)
			pause(ctx, retry.NextBackOff())
			continue
		}
		retry.Reset()
		if last == "" {
			close(k.ready)
			k.look(ctx, time.Now()) // what was told of before is not heard any more
		}
		last = at
		seen := map[string]bool{}
		for _, o := range orders {
			switch {
			case o.Job == "" && o.At > 0:
				k.look(ctx, k.local(o.At))
			case o.Job != "" && !seen[o.Job]:
				seen[o.Job] = true
				k.onOrder(o.Job)
			case o.Object != "":
				k.changed(o.Object)
			}
		}
	}
}

// look has serve look at the timers at a time, if it would not do so before.
func (k *keeper) look(ctx context.Context, at time.Time) {
	if !k.timers {
		return
	}
	select {
	case k.next <- at:
	case <-ctx.Done():
	}
}

// local says when a time of Redis comes, by this process's clock. It is for
// waking up in time; what is due Redis decides.
func (k *keeper) local(ms int64) time.Time {
	k.offset.mu.Lock()
	defer k.offset.mu.Unlock()
	if k.offset.redis == 0 {
		return time.Now()
	}
	return k.offset.at.Add(time.Duration(ms-k.offset.redis) * time.Millisecond)
}

// serve looks at what is due, and then waits until the next timer is.
func (k *keeper) serve(ctx context.Context) {
	wake := time.NewTimer(0)
	defer wake.Stop()
	at := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case next := <-k.next:
			if next.Before(at) {
				at = next
				wake.Reset(time.Until(at))
			}
		case <-wake.C:
			at = k.turn(ctx)
			wake.Reset(time.Until(at))
		}
	}
}

// ripenAtOnce bounds the calls for one kind while others wait.
const ripenAtOnce = 10

// ripen starts plain jobs of a kind. What is left stays due.
func (k *keeper) ripen(ctx context.Context, kind string) {
	for range ripenAtOnce {
		more, err := k.queue.store.Ripen(ctx, kind)
		if err != nil {
			k.log.Warn("jobs cannot be started", "kind", kind, "error", err)
		}
		if err != nil || !more {
			return
		}
	}
}

// turn looks at what is due and answers when to do so again.
func (k *keeper) turn(ctx context.Context) time.Time {
	k.looked.begin(k.within)
	due, err := k.queue.store.Due(ctx, timerHold)
	if k.looked.end(err); err != nil {
		if ctx.Err() == nil {
			k.log.Warn("timers cannot be read", "error", err)
		}
		return time.Now().Add(k.retry.NextBackOff())
	}
	k.retry.Reset()
	k.offset.mu.Lock()
	k.offset.redis, k.offset.at = due.Now, time.Now()
	k.offset.mu.Unlock()
	if err := k.queue.store.AdvanceNamed(ctx, due.Jobs); err != nil {
		k.log.Warn("jobs cannot be looked at", "jobs", len(due.Jobs), "error", err)
	}
	for _, name := range due.Cron {
		if err := k.queue.fire(ctx, name); err != nil {
			k.log.Warn("cron job cannot be looked at", "cronjob", name, "error", err)
		}
	}
	for _, past := range due.Past {
		if err := k.queue.store.Forget(ctx, past); err != nil {
			k.log.Warn("finished jobs cannot be removed", "error", err)
		}
	}
	for _, kind := range due.Late {
		k.ripen(ctx, kind)
	}
	for _, object := range due.Lack {
		if err := k.queue.lift(ctx, object); err != nil {
			k.log.Warn("jobs that wait for an object cannot be looked at", "object", object, "error", err)
		}
	}
	latest := time.Now().Add(timerHold)
	if len(due.Jobs)+len(due.Cron)+len(due.Past)+len(due.Late)+len(due.Lack) > 0 {
		return time.Now() // these have set their timers anew
	}
	if due.Next == 0 {
		return latest
	}
	if next := k.local(due.Next); next.Before(latest) {
		return next
	}
	return latest
}
