package main

import (
	"context"
	"time"
)

// measureSubmit submits N tasks: from 100 goroutines one by one, from one
// goroutine one by one, or a thousand in a call.
func measureSubmit(ctx context.Context, r *rig) ([]Result, error) {
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	submit := func(n int) error {
		switch r.Scenario {
		case "submit-1":
			return concurrently(1, n, func(i int) error { return s.submit(ctx, newArgs(i)) })
		case "submit-many":
			return fill(ctx, s, n)
		default:
			return concurrently(concurrency, n, func(i int) error { return s.submit(ctx, newArgs(i)) })
		}
	}
	if err := submit(1000); err != nil {
		return nil, err
	}
	from, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	if err := submit(r.N); err != nil {
		return nil, err
	}
	ended := time.Now()
	to, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	var res Result
	perTask(&res, from, to, float64(r.N))
	res.TasksPerS = float64(r.N) / ended.Sub(from.at).Seconds()
	if r.Scenario != "submit" {
		return []Result{res}, nil
	}
	same := res
	same.Scenario = "submit-100"
	return []Result{res, same}, nil
}
