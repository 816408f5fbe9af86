package main

import "context"

// measureMemory takes what N tasks need while they wait, and what they need
// when they are finished and kept, where a system keeps them.
func measureMemory(ctx context.Context, r *rig) ([]Result, error) {
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	if err := r.settleIn(ctx, s); err != nil {
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
	if err := workThrough(ctx, s, r.N); err != nil {
		return nil, err
	}
	kept, err := r.server.usage(ctx)
	if err != nil {
		return nil, err
	}
	return append(out, Result{Scenario: "memory-kept", BytesPerTask: each(kept), PeakMB: megabytes(kept.peak)}), nil
}

// settleIn has a system do what it does once, so that it is not counted as what
// its tasks need: that all connections are there, and that a worker has been at
// work, which has loaded its scripts and made its keys. The worker of taskq can't
// be started twice; its tasks are only measured while they wait.
func (r *rig) settleIn(ctx context.Context, s system) error {
	if err := fill(ctx, s, concurrency); err != nil || r.System == "taskq" {
		return err
	}
	return workThrough(ctx, s, concurrency)
}

// workThrough has a worker do the n tasks that wait, and stop.
func workThrough(ctx context.Context, s system, n int) error {
	c := newCounter(0, n)
	stop, err := s.work(ctx, c.handle)
	if err != nil {
		return err
	}
	if err := await(ctx, c); err != nil {
		return err
	}
	return stop()
}
