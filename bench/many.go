package main

import (
	"context"
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

// manyUnits is how many completions each job has.
const manyUnits = 100

// measureMany has a worker finish N jobs of 100 completions, all submitted at
// once, in a queue that holds N/10 cron jobs and 10 N delayed jobs.
func measureMany(ctx context.Context, r *rig) ([]Result, error) {
	s, closer := openStint(r.settings)
	defer func() { _ = closer.Close() }()
	if err := s.crowd(ctx, r.N/10, r.N*10); err != nil {
		return nil, err
	}
	c := newCounter(0, r.N*manyUnits)
	stop, err := s.work(ctx, c.handle)
	if err != nil {
		return nil, err
	}
	from, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	if err := s.submitJobs(ctx, r.N); err != nil {
		return nil, err
	}
	submitted := time.Now()
	res, err := r.whole(ctx, c, from, stop)
	if err != nil {
		return nil, err
	}
	res.SubmitS, res.TotalS = submitted.Sub(from.at).Seconds(), c.finishedAt.Sub(from.at).Seconds()
	u, err := r.server.usage(ctx)
	res.PeakMB = megabytes(u.peak)
	return []Result{res}, err
}

// crowd fills a queue with what waits for its time.
func (s *stintSystem) crowd(ctx context.Context, crons, delayed int) error {
	for i := range crons {
		c := stint.CronJob{Name: fmt.Sprint("cron-", i), Schedule: "@yearly", Args: newArgs(i)}
		if _, err := s.queue.ApplyCron(ctx, c); err != nil {
			return err
		}
	}
	spec := s.spec
	s.spec.StartAt = time.Now().Add(time.Hour)
	defer func() { s.spec = spec }()
	return fill(ctx, s, delayed)
}

// submitJobs submits n Indexed jobs.
func (s *stintSystem) submitJobs(ctx context.Context, n int) error {
	const batch = 1000
	spec := s.spec
	spec.CompletionMode, spec.Completions, spec.Parallelism = stint.Indexed, new(manyUnits), new(manyUnits)
	var jobs []stint.NewJob
	for i := range n {
		jobs = append(jobs, stint.NewJob{Args: newArgs(i), Spec: spec})
		if len(jobs) == batch || i == n-1 {
			if _, err := s.queue.SubmitMany(ctx, jobs); err != nil {
				return err
			}
			jobs = jobs[:0]
		}
	}
	return nil
}

// measureManyDelayed has N jobs become due at one time, and a worker finish
// them. The time begins when they are due, or when they are stored, should
// that take longer.
func measureManyDelayed(ctx context.Context, r *rig) ([]Result, error) {
	r.due = time.Now().Add(2 * ahead)
	s, closer := openStint(r.settings)
	defer func() { _ = closer.Close() }()
	if err := fill(ctx, s, r.N); err != nil {
		return nil, err
	}
	full, err := r.server.usage(ctx)
	if err != nil {
		return nil, err
	}
	pause(ctx, time.Until(r.due))
	c := newCounter(0, r.N)
	from, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	stop, err := s.work(ctx, c.handle)
	if err != nil {
		return nil, err
	}
	res, err := r.whole(ctx, c, from, stop)
	res.PeakMB = megabytes(full.peak)
	return []Result{res}, err
}

// measureHugeJob submits a job of N completions, and nothing works on it.
func measureHugeJob(ctx context.Context, r *rig) ([]Result, error) {
	s, closer := openStint(r.settings)
	defer func() { _ = closer.Close() }()
	if _, err := s.submitIndexed(ctx, 1, 1); err != nil { // that scripts and connections are there
		return nil, err
	}
	begin := time.Now()
	if _, err := s.submitIndexed(ctx, r.N, parallelism); err != nil {
		return nil, err
	}
	took := time.Since(begin)
	u, err := r.server.usage(ctx)
	return []Result{{SubmitS: took.Seconds(), PeakMB: megabytes(u.peak)}}, err
}
