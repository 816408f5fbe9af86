// Package store is the only one that speaks Redis: one Go function per
// transition, each a script that Redis runs as a whole.
//
// Every script may be repeated: go-redis sends it again when a reply was
// lost. Keys are made in keys.go alone and handed to the scripts as KEYS.
package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Limit is how many items one call of a script works on.
const Limit = 500

// ErrGone is the answer about a job that is not, or no longer, there.
var ErrGone = errors.New("gone")

// ErrConflict is the answer to a change of something that changed meanwhile.
var ErrConflict = errors.New("conflict")

// ErrFenced is the answer to a task that has lost its lease.
var ErrFenced = errors.New("fenced")

// ErrAlive is the answer to giving up a worker that beats again.
var ErrAlive = errors.New("alive")

// ErrFull is the answer to a job for which there would be one lane too many.
var ErrFull = errors.New("full")

// Store is one queue in Redis. It is safe for concurrent use.
type Store struct {
	rdb  redis.UniversalClient
	keys keys
	// Clock, if set, gives the scripts their time, in ms, instead of Redis's
	// TIME. It is for tests.
	Clock func() int64

	guarded  atomic.Pointer[time.Time] // when the layout was last found good
	guarding atomic.Bool               // it is looked at, though it was good before
	waits    atomic.Pointer[patience]  // by which WaitClaim waits
	reload   struct {
		mu sync.Mutex
		at time.Time // when a cluster client was last told to look again
	}
}

// New makes the store of a queue.
func New(rdb redis.UniversalClient, queue string) *Store {
	return &Store{rdb: rdb, keys: newKeys(queue)}
}

// now is the first argument of every script.
func (s *Store) now() string {
	if s.Clock == nil {
		return ""
	}
	return strconv.FormatInt(s.Clock(), 10)
}

// Now reads Redis's clock, in ms: that of the node which has the queue.
func (s *Store) Now(ctx context.Context) (int64, error) {
	if s.Clock != nil {
		return s.Clock(), nil
	}
	var node interface {
		Time(ctx context.Context) *redis.TimeCmd
	} = s.rdb
	if c, ok := s.rdb.(*redis.ClusterClient); ok {
		primary, err := c.MasterForKey(ctx, s.keys.timers())
		if err != nil {
			return 0, s.seen(ctx, err)
		}
		node = primary
	}
	now, err := node.Time(ctx).Result()
	return now.UnixMilli(), s.seen(ctx, err)
}

// call is one run of a script.
type call struct {
	script *redis.Script
	keys   []string
	args   []any
	cmd    *redis.Cmd
}

// run runs one script.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	if err := s.guard(ctx, true); err != nil {
		return nil, err
	}
	v, err := script.Run(ctx, s.rdb, keys, args...).Result()
	return v, s.seen(ctx, err)
}

// read runs a script that writes nothing: an observer may do so.
func (s *Store) read(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	if err := s.guard(ctx, false); err != nil {
		return nil, err
	}
	v, err := script.RunRO(ctx, s.rdb, keys, args...).Result()
	return v, s.seen(ctx, err)
}

// word runs a script that answers with a string.
func (s *Store) word(ctx context.Context, script *redis.Script, keys []string, args ...any) (string, error) {
	v, err := s.run(ctx, script, keys, args...)
	if err != nil {
		return "", err
	}
	return text(v)
}

func text(v any) (string, error) {
	t, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("script answered %T, want a string", v)
	}
	return t, nil
}

// runAll runs scripts that do not depend on each other in one round trip.
// Each call keeps its own outcome.
func (s *Store) runAll(ctx context.Context, calls []call) {
	if err := s.guard(ctx, true); err != nil {
		for i := range calls {
			calls[i].cmd = redis.NewCmd(ctx)
			calls[i].cmd.SetErr(err)
		}
		return
	}
	if len(calls) == 1 {
		c := &calls[0]
		c.cmd = c.script.Run(ctx, s.rdb, c.keys, c.args...)
		_ = s.seen(ctx, c.cmd.Err())
		return
	}
	pipe := s.rdb.Pipeline()
	for i := range calls {
		calls[i].cmd = calls[i].script.EvalSha(ctx, pipe, calls[i].keys, calls[i].args...)
	}
	_, err := pipe.Exec(ctx)
	_ = s.seen(ctx, err)
	for i := range calls {
		if c := &calls[i]; redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") {
			c.cmd = c.script.Eval(ctx, s.rdb, c.keys, c.args...)
		}
	}
}

// isReply tells an error that Redis answered from one of the connection.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// verdictOf maps a script's word to an error.
func verdictOf(word string) error {
	switch word, _, _ = strings.Cut(word, " "); word {
	case "OK", "MORE":
		return nil
	case "GONE":
		return ErrGone
	case "CONFLICT", "EARLY", "HOLDS":
		return ErrConflict
	case "FENCED":
		return ErrFenced
	case "ALIVE":
		return ErrAlive
	case "FULL":
		return ErrFull
	}
	return fmt.Errorf("script answered %q", word)
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func atoi64(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
