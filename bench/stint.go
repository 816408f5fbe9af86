package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/stint-go/stint"
)

// stintSystem is stint with its defaults, but for concurrency.
type stintSystem struct {
	settings
	queue *stint.Queue
	spec  stint.JobSpec
}

func openStint(set settings) (*stintSystem, io.Closer) {
	rdb := newClient(set)
	s := &stintSystem{settings: set, queue: stint.NewQueue("bench", rdb)}
	if !set.kept {
		s.spec.TTLAfterFinished = new(time.Duration(0))
	}
	if set.retries {
		s.spec.Backoff = &stint.Backoff{Initial: time.Millisecond, Max: time.Millisecond}
	}
	s.spec.StartAt = set.due
	return s, rdb
}

func (s *stintSystem) submit(ctx context.Context, a Args) error {
	_, err := s.queue.Submit(ctx, a, s.spec)
	return err
}

func (s *stintSystem) submitMany(ctx context.Context, as []Args) error {
	jobs := make([]stint.NewJob, len(as))
	for i, a := range as {
		jobs[i] = stint.NewJob{Args: a, Spec: s.spec}
	}
	_, err := s.queue.SubmitMany(ctx, jobs)
	return err
}

// submitIndexed stores one job of n completions, of which at most parallelism
// are active.
func (s *stintSystem) submitIndexed(ctx context.Context, n, parallelism int) (*stint.Job, error) {
	spec := s.spec
	spec.CompletionMode, spec.Completions, spec.Parallelism = stint.Indexed, &n, &parallelism
	return s.queue.Submit(ctx, newArgs(0), spec)
}

func (s *stintSystem) work(ctx context.Context, h handler) (func() error, error) {
	return runStintWorker(ctx, stint.NewWorker(s.queue, stint.WorkerConfig{Concurrency: concurrency}), s.kinds, h)
}

func runStintWorker(ctx context.Context, w *stint.Worker, kinds int, h handler) (func() error, error) {
	stint.Handle(w, func(_ context.Context, t *stint.Task[Args]) error { return h(t.Args, t.Attempt) })
	for i := range kinds - 1 {
		w.HandleRaw(fmt.Sprint("other-", i), func(context.Context, *stint.RawTask) error { return nil })
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}, nil
}

func (s *stintSystem) left(ctx context.Context) (int, error) {
	kinds, err := s.queue.Kinds(ctx)
	n := 0
	for _, k := range kinds {
		n += k.Ready + k.Running
	}
	return n, err
}

// found tells an error unless n finished jobs are kept, and what Get and List
// say of some of them agrees.
func (s *stintSystem) found(ctx context.Context, n int) error {
	const sample = 1000
	seen := 0
	for job, err := range s.queue.List(ctx, stint.ListOptions{Phase: stint.PhaseComplete}) {
		if err != nil {
			return err
		}
		if seen%sample == 0 {
			got, err := s.queue.Get(ctx, job.Name)
			if err != nil {
				return fmt.Errorf("job %s: %w", job.Name, err)
			}
			if !got.Finished() || got.UID != job.UID {
				return fmt.Errorf("job %s is another one when it is read by its name", job.Name)
			}
		}
		seen++
	}
	if seen != n {
		return fmt.Errorf("%d of %d kept jobs are found", seen, n)
	}
	return nil
}
