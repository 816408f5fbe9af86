package main

import (
	"context"
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

// parallelism of a big job.
const parallelism = 1000

// measureBigJob submits N units of work to a running worker: one Indexed job
// in stint, N tasks elsewhere. The total time begins with the submission and
// ends with the last unit.
func measureBigJob(ctx context.Context, r *rig) ([]Result, error) {
	const warm = 1000
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	if err := fill(ctx, s, warm); err != nil {
		return nil, err
	}
	first, second := newCounter(0, warm), newCounter(0, r.N)
	stop, err := s.work(ctx, func(Args, int) error {
		if first.done.Load() < warm {
			first.one()
		} else {
			second.one()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := await(ctx, first); err != nil {
		return nil, err
	}
	from, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	job, err := submitUnits(ctx, s, r.N)
	if err != nil {
		return nil, err
	}
	submitted := time.Now()
	if err := await(ctx, second); err != nil {
		return nil, err
	}
	if err := stop(); err != nil {
		return nil, err
	}
	to, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	res := Result{SubmitS: submitted.Sub(begin).Seconds(), TotalS: second.finishedAt.Sub(begin).Seconds()}
	perTask(&res, from, to, float64(r.N))
	res.TasksPerS = float64(r.N) / res.TotalS
	res.PeakMB = megabytes(to.server.peak)
	if job != nil {
		if err := complete(ctx, s.(*stintSystem), job.Name); err != nil {
			return nil, err
		}
	}
	return []Result{res}, nil
}

// submitUnits submits n units, as one job where the system knows jobs.
func submitUnits(ctx context.Context, s system, n int) (*stint.Job, error) {
	if st, ok := s.(*stintSystem); ok {
		st.spec.TTLAfterFinished = nil // it is kept for an hour, as by default
		return st.submitIndexed(ctx, n, parallelism)
	}
	return nil, fill(ctx, s, n)
}

// complete tells an error unless a job is complete.
func complete(ctx context.Context, s *stintSystem, name string) error {
	job, err := s.queue.Get(ctx, name)
	if err == nil && job.Phase() != stint.PhaseComplete {
		err = fmt.Errorf("job %s is %s", name, job.Phase())
	}
	return err
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }
