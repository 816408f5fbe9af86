package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	stream      = "bench"
	streamGroup = "w"
	streamBatch = 100
)

// streams are bare Redis Streams, as fast as go-redis goes: the limit, with no
// promise kept but that of the stream. Concurrent submissions share a
// pipeline, one goroutine reads, and one acknowledges what has gathered.
type streams struct {
	settings
	rdb redis.UniversalClient

	mu      sync.Mutex // guards what follows
	waiting []*streamEntry
	sending bool
}

type streamEntry struct {
	data []byte
	done chan error
}

func openStreams(set settings) (*streams, io.Closer) {
	s := &streams{settings: set, rdb: newClient(set)}
	return s, s.rdb
}

func (s *streams) submit(ctx context.Context, a Args) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	e := &streamEntry{data: data, done: make(chan error, 1)}
	s.mu.Lock()
	s.waiting = append(s.waiting, e)
	if s.sending {
		s.mu.Unlock()
		return <-e.done
	}
	s.sending = true
	for len(s.waiting) > 0 { // whoever sends goes on for all who come meanwhile
		batch := s.waiting
		s.waiting = nil
		s.mu.Unlock()
		err := s.add(ctx, batch)
		for _, e := range batch {
			e.done <- err
		}
		s.mu.Lock()
	}
	s.sending = false
	s.mu.Unlock()
	return <-e.done
}

func (s *streams) add(ctx context.Context, batch []*streamEntry) error {
	pipe := s.rdb.Pipeline()
	for _, e := range batch {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{"a", e.data}})
	}
	_, err := pipe.Exec(ctx)
	return err
}

func (s *streams) submitMany(ctx context.Context, as []Args) error {
	batch := make([]*streamEntry, 0, streamBatch)
	for i, a := range as {
		data, err := json.Marshal(a)
		if err != nil {
			return err
		}
		batch = append(batch, &streamEntry{data: data})
		if len(batch) == streamBatch || i == len(as)-1 {
			if err := s.add(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return nil
}

func (s *streams) work(ctx context.Context, h handler) (func() error, error) {
	err := s.rdb.XGroupCreateMkStream(ctx, stream, streamGroup, "0").Err()
	if err != nil && !redis.HasErrorPrefix(err, "BUSYGROUP") { // there from a worker before
		return nil, err
	}
	reading, stop := context.WithCancel(ctx)
	tasks, acks := make(chan redis.XMessage, streamBatch), make(chan string, streamBatch)
	readErr, ackErr := make(chan error, 1), make(chan error, 1)
	go func() { readErr <- s.read(reading, tasks) }()
	var handlers sync.WaitGroup
	for range concurrency {
		handlers.Go(func() {
			for m := range tasks {
				var a Args
				data, _ := m.Values["a"].(string)
				if json.Unmarshal([]byte(data), &a) == nil && h(a, 1) == nil {
					acks <- m.ID
				}
			}
		})
	}
	go func() { ackErr <- s.ack(ctx, acks) }()
	return func() error {
		stop()
		err := <-readErr
		handlers.Wait()
		close(acks)
		return errors.Join(err, <-ackErr)
	}, nil
}

func (s *streams) read(ctx context.Context, tasks chan<- redis.XMessage) error {
	defer close(tasks)
	for ctx.Err() == nil {
		got, err := s.rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: streamGroup, Consumer: "c", Streams: []string{stream, ">"}, Count: streamBatch, Block: 100 * time.Millisecond,
		}).Result()
		if errors.Is(err, redis.Nil) || ctx.Err() != nil {
			continue
		}
		if err != nil {
			return err
		}
		for _, m := range got[0].Messages {
			tasks <- m
		}
	}
	return nil
}

// ack sends what has gathered until acks is closed.
func (s *streams) ack(ctx context.Context, acks <-chan string) error {
	var first error
	for id := range acks {
		ids := append(make([]string, 0, streamBatch), id)
	gather:
		for len(ids) < streamBatch {
			select {
			case id, ok := <-acks:
				if !ok {
					break gather
				}
				ids = append(ids, id)
			default:
				break gather
			}
		}
		pipe := s.rdb.Pipeline()
		pipe.XAck(ctx, stream, streamGroup, ids...)
		if !s.kept {
			pipe.XDel(ctx, stream, ids...)
		}
		if _, err := pipe.Exec(ctx); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (s *streams) left(ctx context.Context) (int, error) {
	groups, err := s.rdb.XInfoGroups(ctx, stream).Result()
	if err != nil {
		return 0, err
	}
	return int(groups[0].Pending + max(groups[0].Lag, 0)), nil
}
