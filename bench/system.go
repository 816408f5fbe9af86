package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// concurrency is how many handlers run at a time, and how many producers.
const concurrency = 100

// Args is what tasks carry: argsBytes bytes of JSON.
type Args struct {
	N   int    `json:"n"`
	At  int64  `json:"at"` // when it was submitted, in ns since 1970
	Pad string `json:"pad"`
}

const (
	argsBytes = 100
	firstTask = 1_000_000 // so that all numbers have as many digits
)

var padding = strings.Repeat("x", argsBytes-len(`{"n":1234567,"at":1234567890123456789,"pad":""}`))

// newArgs is the n-th task, of nine million at most.
func newArgs(n int) Args {
	return Args{N: firstTask + n, At: time.Now().UnixNano(), Pad: padding}
}

// Kind names the handler, for stint and River.
func (Args) Kind() string { return "bench" }

// errOnce is how a handler fails.
var errOnce = errors.New("fails once")

// handler works on a task; attempts count from 1.
type handler func(a Args, attempt int) error

// A system runs tasks.
type system interface {
	// submit stores one task; it may be called concurrently.
	submit(ctx context.Context, a Args) error
	// submitMany stores many, in the way that the system does it best.
	submitMany(ctx context.Context, as []Args) error
	// work starts a worker; stop lets it finish what it has, and waits.
	work(ctx context.Context, h handler) (stop func() error, err error)
	// left counts the tasks that wait or run.
	left(ctx context.Context) (int, error)
}

// settings are what a system is opened with.
type settings struct {
	addrs    []string  // of Redis
	cluster  bool      // they are a Cluster
	postgres string    // the URL of a database
	kept     bool      // finished tasks stay for an hour
	tuned    bool      // the shortest polling intervals
	retries  bool      // tasks fail, and are tried again without a delay
	kinds    int       // how many kinds a worker has handlers for
	due      time.Time // when submitted tasks are due, if not at once
}

// open connects to a system.
func open(ctx context.Context, name string, set settings) (system, io.Closer, error) {
	set.kinds = max(set.kinds, 1)
	switch name {
	case "stint":
		s, c := openStint(set)
		return s, c, nil
	case "asynq":
		s, c := openAsynq(set, 1)
		return s, c, nil
	case "asynq-4":
		s, c := openAsynq(set, 4)
		return s, c, nil
	case "taskq":
		s, c := openTaskq(set)
		return s, c, nil
	case "streams":
		s, c := openStreams(set)
		return s, c, nil
	case "river":
		return openRiver(ctx, set)
	}
	return nil, nil, fmt.Errorf("%q is no system", name)
}

// newClient is a client with go-redis's own settings.
func newClient(set settings) redis.UniversalClient {
	return redis.NewUniversalClient(&redis.UniversalOptions{Addrs: set.addrs, IsClusterMode: set.cluster})
}

// fill submits n tasks.
func fill(ctx context.Context, s system, n int) error {
	const batch = 1000
	as := make([]Args, 0, batch)
	for i := range n {
		as = append(as, newArgs(i))
		if len(as) == batch || i == n-1 {
			if err := s.submitMany(ctx, as); err != nil {
				return fmt.Errorf("submitting: %w", err)
			}
			as = as[:0]
		}
	}
	return nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
