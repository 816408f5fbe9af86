package main

import (
	"context"
	"time"
)

// measureRetry has each task fail once and then succeed. The time is from the
// start of the worker to the last success.
func measureRetry(ctx context.Context, r *rig) ([]Result, error) {
	r.retries = true
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	if err := fill(ctx, s, r.N); err != nil {
		return nil, err
	}
	c := newCounter(0, r.N)
	from, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	stop, err := s.work(ctx, c.failOnce)
	if err != nil {
		return nil, err
	}
	res, err := r.whole(ctx, c, from, stop)
	if err != nil {
		return nil, err
	}
	return []Result{res}, noneLeft(ctx, s)
}

// whole measures from a mark until c has finished and the worker has stopped.
func (r *rig) whole(ctx context.Context, c *counter, from mark, stop func() error) (Result, error) {
	var res Result
	if err := await(ctx, c); err != nil {
		return res, err
	}
	if err := stop(); err != nil {
		return res, err
	}
	to, err := take(ctx, r.server, nil)
	if err != nil {
		return res, err
	}
	n := float64(c.all)
	perTask(&res, from, to, n)
	res.TasksPerS = n / c.finishedAt.Sub(from.at).Seconds()
	return res, nil
}

// ahead is how long before they are due tasks are submitted.
const ahead = 2 * time.Second

// measureDelay submits N tasks that are due at one time, to an idle worker,
// and takes by how much each comes late to its handler; before its time is
// less than 0.
func measureDelay(ctx context.Context, r *rig) ([]Result, error) {
	r.due = time.Now().Add(ahead)
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	late := make([]float64, r.N)
	c := newCounter(0, r.N)
	stop, err := s.work(ctx, func(a Args, _ int) error {
		late[a.N-firstTask] = millis(int64(time.Since(r.due)))
		c.one()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, s, r.N); err != nil {
		return nil, err
	}
	from, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	res, err := r.whole(ctx, c, from, stop)
	if err != nil {
		return nil, err
	}
	res.TasksPerS = 0 // it waits for the time
	res.P50MS, res.P99MS = percentile(late, 50), percentile(late, 99)
	return []Result{res}, nil
}
