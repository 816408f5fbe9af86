package main

import (
	"context"
	"errors"
	"time"
)

// measureDrain fills a queue, then has one worker empty it. The first tasks
// warm it up and are not measured. CPU is taken when all is acknowledged.
func measureDrain(ctx context.Context, r *rig) ([]Result, error) {
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	warm := max(r.N/20, 500)
	if err := fill(ctx, s, warm+r.N); err != nil {
		return nil, err
	}
	c := newCounter(warm, warm+r.N)
	stopProfile, err := r.profile(ctx)
	if err != nil {
		return nil, err
	}
	stop, err := s.work(ctx, c.handle)
	if err != nil {
		return nil, err
	}
	res, err := r.between(ctx, c, stop)
	if err != nil {
		return nil, err
	}
	if err := stopProfile(warm + r.N); err != nil {
		return nil, err
	}
	if err := noneLeft(ctx, s); err != nil {
		return nil, err
	}
	if st, ok := s.(*stintSystem); ok && r.kept {
		if err := st.found(ctx, warm+r.N); err != nil {
			return nil, err
		}
	}
	return []Result{res}, nil
}

// between measures from the moment when c is warm until it has finished and
// the worker has stopped.
func (r *rig) between(ctx context.Context, c *counter, stop func() error) (Result, error) {
	var res Result
	select {
	case <-c.warmedUp:
	case <-ctx.Done():
		return res, await(ctx, c)
	}
	from, err := take(ctx, r.server, &c.done)
	if err != nil {
		return res, err
	}
	if err := await(ctx, c); err != nil {
		return res, err
	}
	if err := stop(); err != nil {
		return res, err
	}
	to, err := take(ctx, r.server, &c.done)
	if err != nil {
		return res, err
	}
	n := float64(to.done - from.done)
	if n == 0 {
		return res, errors.New("all was done before it could be measured: too few tasks")
	}
	perTask(&res, from, to, n)
	res.TasksPerS = n / c.finishedAt.Sub(from.at).Seconds()
	return res, nil
}

// measureE2E has 100 producers submit while one worker works.
func measureE2E(ctx context.Context, r *rig) ([]Result, error) {
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	warm := max(r.N/20, 500)
	c := newCounter(warm, warm+r.N)
	if err := s.submit(ctx, newArgs(0)); err != nil { // that there is a queue
		return nil, err
	}
	stop, err := s.work(ctx, c.handle)
	if err != nil {
		return nil, err
	}
	submitted := make(chan error, 1)
	go func() {
		submitted <- concurrently(concurrency, warm+r.N-1, func(i int) error { return s.submit(ctx, newArgs(i)) })
	}()
	res, err := r.between(ctx, c, stop)
	if err != nil {
		return nil, err
	}
	if err := <-submitted; err != nil {
		return nil, err
	}
	return []Result{res}, noneLeft(ctx, s)
}

// measureLatency submits 200 tasks a second to a worker that is idle
// otherwise, for N tasks, and takes the time until each is with its handler.
func measureLatency(ctx context.Context, r *rig) ([]Result, error) {
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	const warm, every = 20, 5 * time.Millisecond
	if err := s.submit(ctx, newArgs(0)); err != nil {
		return nil, err
	}
	took := make([]float64, warm+r.N)
	c := newCounter(warm, warm+r.N)
	stop, err := s.work(ctx, func(a Args, _ int) error {
		took[a.N-firstTask] = millis(time.Now().UnixNano() - a.At)
		c.one()
		return nil
	})
	if err != nil {
		return nil, err
	}
	submitted := make(chan error, 1)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 1; i < len(took); i++ {
			<-tick.C
			if err := s.submit(ctx, newArgs(i)); err != nil {
				submitted <- err
				return
			}
		}
		submitted <- nil
	}()
	res, err := r.between(ctx, c, stop)
	if err != nil {
		return nil, err
	}
	if err := <-submitted; err != nil {
		return nil, err
	}
	res.TasksPerS = 0 // it is that of the producer
	res.P50MS, res.P99MS = percentile(took[warm:], 50), percentile(took[warm:], 99)
	return []Result{res}, nil
}

func millis(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }
