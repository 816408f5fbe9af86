package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// asynqSystem is asynq: one server with a concurrency of 100, or several that
// share it, since each takes one task in a round trip.
type asynqSystem struct {
	settings
	servers int
	redis   asynq.RedisClientOpt
	client  *asynq.Client
	options []asynq.Option
}

func openAsynq(set settings, servers int) (*asynqSystem, io.Closer) {
	s := &asynqSystem{settings: set, servers: servers, redis: asynq.RedisClientOpt{Addr: set.addrs[0]}}
	s.client = asynq.NewClient(s.redis)
	if set.kept {
		s.options = append(s.options, asynq.Retention(time.Hour))
	}
	if !set.due.IsZero() {
		s.options = append(s.options, asynq.ProcessAt(set.due))
	}
	return s, s.client
}

func (s *asynqSystem) submit(ctx context.Context, a Args) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = s.client.EnqueueContext(ctx, asynq.NewTask(a.Kind(), data), s.options...)
	return err
}

// submitMany enqueues from many goroutines: asynq has no call for several.
func (s *asynqSystem) submitMany(ctx context.Context, as []Args) error {
	return concurrently(concurrency, len(as), func(i int) error { return s.submit(ctx, as[i]) })
}

// concurrently does f(0) to f(n-1) from so many goroutines.
func concurrently(goroutines, n int, f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, goroutines)
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < n && errs[g] == nil; i += goroutines {
				errs[g] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (s *asynqSystem) work(_ context.Context, h handler) (func() error, error) {
	mux := asynq.NewServeMux()
	mux.HandleFunc(Args{}.Kind(), func(ctx context.Context, t *asynq.Task) error {
		var a Args
		if err := json.Unmarshal(t.Payload(), &a); err != nil {
			return err
		}
		retried, _ := asynq.GetRetryCount(ctx)
		return h(a, retried+1)
	})
	for i := range s.kinds - 1 {
		mux.HandleFunc(fmt.Sprint("other-", i), func(context.Context, *asynq.Task) error { return nil })
	}
	cfg := asynq.Config{
		Concurrency:    concurrency / s.servers,
		Logger:         silence{},
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return 0 },
	}
	if s.tuned {
		cfg.TaskCheckInterval, cfg.DelayedTaskCheckInterval = 10*time.Millisecond, 10*time.Millisecond
	}
	var servers []*asynq.Server
	for range s.servers {
		server := asynq.NewServer(s.redis, cfg)
		if err := server.Start(mux); err != nil {
			return nil, err
		}
		servers = append(servers, server)
	}
	return func() error {
		var wg sync.WaitGroup
		for _, server := range servers {
			wg.Go(server.Shutdown)
		}
		wg.Wait()
		return nil
	}, nil
}

func (s *asynqSystem) left(context.Context) (int, error) {
	inspector := asynq.NewInspector(s.redis)
	defer func() { _ = inspector.Close() }()
	info, err := inspector.GetQueueInfo("default")
	if err != nil {
		return 0, err
	}
	return info.Pending + info.Active + info.Scheduled + info.Retry, nil
}

// silence is a logger for asynq that says nothing.
type silence struct{}

func (silence) Debug(...any) {}
func (silence) Info(...any)  {}
func (silence) Warn(...any)  {}
func (silence) Error(...any) {}
func (silence) Fatal(...any) {}
