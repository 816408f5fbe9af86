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
