package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"sync/atomic"
	"time"

	redisv8 "github.com/go-redis/redis/v8"
	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/taskq/v3"
	"github.com/vmihailenco/taskq/v3/redisq"
)

// taskqSystem is taskq on Redis, with 100 workers and its defaults otherwise.
type taskqSystem struct {
	settings
	rdb   *redisv8.Client
	queue taskq.Queue
	task  *taskq.Task
	call  atomic.Pointer[handler]
}

func openTaskq(set settings) (*taskqSystem, io.Closer) {
	taskq.SetLogger(log.New(io.Discard, "", 0))
	s := &taskqSystem{settings: set, rdb: redisv8.NewClient(&redisv8.Options{Addr: set.addrs[0]})}
	s.task = taskq.RegisterTask(&taskq.TaskOptions{
		Name: Args{}.Kind(), MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond,
		Handler: func(m *taskq.Message) error {
			a, err := decodeMessage(m)
			if err != nil {
				return err
			}
			return (*s.call.Load())(a, m.ReservedCount)
		},
	})
	s.queue = redisq.NewFactory().RegisterQueue(&taskq.QueueOptions{
		Name: "bench", Redis: s.rdb, MinNumWorker: concurrency, MaxNumWorker: concurrency, PauseErrorsThreshold: -1,
	})
	return s, s.rdb
}

func (s *taskqSystem) submit(ctx context.Context, a Args) error {
	m := s.task.WithArgs(ctx, a)
	if !s.due.IsZero() {
		m.SetDelay(time.Until(s.due))
	}
	return s.queue.Add(m)
}

// submitMany adds from many goroutines: taskq has no call for several.
func (s *taskqSystem) submitMany(ctx context.Context, as []Args) error {
	return concurrently(concurrency, len(as), func(i int) error { return s.submit(ctx, as[i]) })
}

func (s *taskqSystem) work(ctx context.Context, h handler) (func() error, error) {
	s.call.Store(&h)
	if err := s.queue.Consumer().Start(ctx); err != nil {
		return nil, err
	}
	return s.queue.Close, nil
}

func (s *taskqSystem) left(context.Context) (int, error) { return s.queue.Len() }

// decodeMessage reads the args of a message, in the form that taskq gives them.
func decodeMessage(m *taskq.Message) (a Args, err error) {
	data, err := m.MarshalArgs()
	if err != nil {
		return a, err
	}
	dec := msgpack.NewDecoder(bytes.NewReader(data))
	if _, err := dec.DecodeArrayLen(); err != nil {
		return a, err
	}
	return a, dec.Decode(&a)
}
