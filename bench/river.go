package main

import (
	"context"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

// riverSystem is River on PostgreSQL. It keeps finished jobs.
type riverSystem struct {
	settings
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
	worker *riverWorker
	opts   *river.InsertOpts
}

func openRiver(ctx context.Context, set settings) (*riverSystem, io.Closer, error) {
	pool, err := pgxpool.New(ctx, set.postgres+"&pool_max_conns=20")
	if err != nil {
		return nil, nil, err
	}
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet()})
	if err != nil {
		return nil, nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, nil, err
	}
	s := &riverSystem{settings: set, pool: pool, worker: &riverWorker{}}
	if !set.due.IsZero() {
		s.opts = &river.InsertOpts{ScheduledAt: set.due}
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, s.worker)
	cfg := &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: concurrency}}, Workers: workers,
		Logger: quiet(), RetryPolicy: atOnce{},
	}
	if set.tuned {
		cfg.FetchCooldown, cfg.FetchPollInterval = time.Millisecond, 10*time.Millisecond
	}
	s.client, err = river.NewClient(driver, cfg)
	return s, poolCloser{pool}, err
}

type poolCloser struct{ *pgxpool.Pool }

func (p poolCloser) Close() error {
	p.Pool.Close()
	return nil
}

// atOnce retries without a delay.
type atOnce struct{}

func (atOnce) NextRetry(*rivertype.JobRow) time.Time { return time.Now() }

type riverWorker struct {
	river.WorkerDefaults[Args]
	call handler
}

func (w *riverWorker) Work(_ context.Context, job *river.Job[Args]) error {
	return w.call(job.Args, job.Attempt)
}

func (s *riverSystem) submit(ctx context.Context, a Args) error {
	_, err := s.client.Insert(ctx, a, s.opts)
	return err
}

func (s *riverSystem) submitMany(ctx context.Context, as []Args) error {
	params := make([]river.InsertManyParams, len(as))
	for i, a := range as {
		params[i] = river.InsertManyParams{Args: a, InsertOpts: s.opts}
	}
	_, err := s.client.InsertManyFast(ctx, params)
	return err
}

func (s *riverSystem) work(ctx context.Context, h handler) (func() error, error) {
	s.worker.call = h
	return func() error { return s.client.Stop(ctx) }, s.client.Start(ctx)
}

func (s *riverSystem) left(ctx context.Context) (n int, err error) {
	err = s.pool.QueryRow(ctx, "select count(*) from river_job where state <> 'completed'").Scan(&n)
	return n, err
}
