package main

import (
	"context"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// A mark is what had been used, and done, at one moment.
type mark struct {
	at      time.Time
	server  usage
	client  time.Duration
	mallocs uint64
	done    int64
}

// take takes a mark. done is read last but for the time, since the server may
// take a moment to answer.
func take(ctx context.Context, srv server, done *atomic.Int64) (mark, error) {
	u, err := srv.usage(ctx)
	if err != nil {
		return mark{}, err
	}
	m := mark{server: u, client: cpuOf(syscall.RUSAGE_SELF)}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	m.mallocs = mem.Mallocs
	if done != nil {
		m.done = done.Load()
	}
	m.at = time.Now()
	return m, nil
}

// cpuOf is the CPU time, user and system, of this process or its children.
func cpuOf(who int) time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(who, &r) != nil {
		return 0 // it fails for an unknown who only
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// perTask fills in what each of n tasks cost between two marks.
func perTask(r *Result, from, to mark, n float64) {
	r.RedisUSPerTask = micros(to.server.cpu-from.server.cpu) / n
	r.ClientUSPer = micros(to.client-from.client) / n
	r.AllocsPerTask = float64(to.mallocs-from.mallocs) / n
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// counter counts what handlers have done.
type counter struct {
	done       atomic.Int64
	warm, all  int64
	warmedUp   chan struct{} // closed at warm
	finished   chan struct{} // closed at all
	finishedAt time.Time     // valid once finished is closed
}

func newCounter(warm, all int) *counter {
	return &counter{warm: int64(warm), all: int64(all), warmedUp: make(chan struct{}), finished: make(chan struct{})}
}

// one counts one task.
func (c *counter) one() {
	n := c.done.Add(1)
	if n == c.warm {
		close(c.warmedUp)
	}
	if n == c.all {
		c.finishedAt = time.Now()
		close(c.finished)
	}
}

// handle is a handler that does nothing but count.
func (c *counter) handle(Args, int) error {
	c.one()
	return nil
}

// failOnce is a handler whose first attempts fail.
func (c *counter) failOnce(_ Args, attempt int) error {
	if attempt == 1 {
		return errOnce
	}
	c.one()
	return nil
}
