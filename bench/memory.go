package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// measureMemory takes what N tasks need while they wait, and what they need
// when they are finished and kept, where a system keeps them.
func measureMemory(ctx context.Context, r *rig) ([]Result, error) {
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	if err := fill(ctx, s, concurrency); err != nil { // that all connections are there
		return nil, err
	}
	empty, err := r.server.usage(ctx)
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, s, r.N); err != nil {
		return nil, err
	}
	full, err := r.server.usage(ctx)
	if err != nil {
		return nil, err
	}
	each := func(u usage) float64 { return float64(u.memory-empty.memory) / float64(r.N) }
	out := []Result{{Scenario: "memory", BytesPerTask: each(full), PeakMB: megabytes(full.peak)}}
	if r.System == "taskq" { // which keeps nothing
		return out, nil
	}
	c := newCounter(0, r.N+concurrency)
	stop, err := s.work(ctx, c.handle)
	if err != nil {
		return nil, err
	}
	if err := await(ctx, c); err != nil {
		return nil, err
	}
	if err := stop(); err != nil {
		return nil, err
	}
	kept, err := r.server.usage(ctx)
	if err != nil {
		return nil, err
	}
	return append(out, Result{Scenario: "memory-kept", BytesPerTask: each(kept), PeakMB: megabytes(kept.peak)}), nil
}

// measureIdle counts what a worker of three kinds asks of Redis while there is
// nothing to do, for N milliseconds.
func measureIdle(ctx context.Context, r *rig) ([]Result, error) {
	r.kinds = 3
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	c := newCounter(0, concurrency)
	if err := fill(ctx, s, concurrency); err != nil {
		return nil, err
	}
	stop, err := s.work(ctx, c.handle)
	if err != nil {
		return nil, err
	}
	if err := await(ctx, c); err != nil {
		return nil, err
	}
	pause(ctx, time.Second) // until it has settled down
	from, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	pause(ctx, time.Duration(r.N)*time.Millisecond)
	goroutines := runtime.NumGoroutine()
	to, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	seconds := to.at.Sub(from.at).Seconds()
	const own = 1 // the INFO of the first mark
	r.notes = append(r.notes, fmt.Sprintf("%s, idle: %.2f ms of client CPU and %.2f ms of Redis's a second, %d goroutines",
		r.System, micros(to.client-from.client)/1000/seconds, micros(to.server.cpu-from.server.cpu)/1000/seconds, goroutines))
	return []Result{{CommandsPerS: float64(to.server.commands-from.server.commands-own) / seconds}}, stop()
}
