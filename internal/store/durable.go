package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Durability is what a submission waits for when the primary has stored it.
type Durability struct {
	Replicas int  // that have it
	Fsync    bool // on the disk of the primary and of that many replicas
	Timeout  time.Duration
}

// Reached is how far a submission got.
type Reached struct {
	Replicas int  // that have acknowledged it
	Fsynced  bool // by the primary
	Err      error
}

// SubmitDurably is Submit, and then waits on the same connection: what WAIT
// says is only of what its own connection has written before.
func (s *Store) SubmitDurably(
	ctx context.Context, submitter, op string, all bool, jobs []Submission, d Durability,
) ([]Answer, Reached, error) {
	if err := s.guard(ctx, true); err != nil {
		return nil, Reached{}, err
	}
	node, err := s.primary(ctx)
	if err != nil {
		return nil, Reached{}, err
	}
	node = node.WithTimeout(d.Timeout + 3*time.Second) // WAIT answers when its own time is up
	c := s.submission(submitter, op, all, jobs)
	send := func(run func(redis.Pipeliner) *redis.Cmd) (submit, wait *redis.Cmd) {
		_, _ = node.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
			submit = run(p)
			// A submission that was sent again, on another connection, writes
			// nothing: then this is what WAIT waits for.
			p.PExpire(ctx, s.keys.submitter(submitter), submitterTTL)
			if d.Fsync {
				wait = p.Do(ctx, "WAITAOF", 1, d.Replicas, d.Timeout.Milliseconds())
			} else {
				wait = p.Do(ctx, "WAIT", d.Replicas, d.Timeout.Milliseconds())
			}
			return nil
		})
		return submit, wait
	}
	submit, wait := send(func(p redis.Pipeliner) *redis.Cmd { return c.script.EvalSha(ctx, p, c.keys, c.args...) })
	if redis.HasErrorPrefix(submit.Err(), "NOSCRIPT") {
		submit, wait = send(func(p redis.Pipeliner) *redis.Cmd { return c.script.Eval(ctx, p, c.keys, c.args...) })
	}
	word, err := submit.Text()
	if err != nil {
		if redis.HasErrorPrefix(err, "MOVED") {
			s.lookAgain(ctx)
		}
		return nil, Reached{}, s.seen(ctx, err)
	}
	out, err := answers(word, len(jobs))
	return out, reached(wait, d), err
}

// submitterTTL is how long a submitter's last operation is remembered.
const submitterTTL = 10 * time.Minute

// errNoPrimary is a client of which it is not known how it finds the primary.
var errNoPrimary = errors.New("waiting for replicas or the disk needs a client of one server, of Sentinel or of a Cluster")

// primary is a client of the one server that has the queue.
func (s *Store) primary(ctx context.Context) (*redis.Client, error) {
	switch c := s.rdb.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		node, err := c.MasterForKey(ctx, s.keys.timers())
		return node, s.seen(ctx, err)
	default:
		return nil, fmt.Errorf("%w, not %T", errNoPrimary, s.rdb)
	}
}

// reached reads the answer of WAIT or WAITAOF.
func reached(wait *redis.Cmd, d Durability) Reached {
	v, err := wait.Result()
	if err != nil {
		return Reached{Err: err}
	}
	if !d.Fsync {
		n, ok := v.(int64)
		if !ok {
			return Reached{Err: fmt.Errorf("WAIT answered %v", v)}
		}
		return Reached{Replicas: int(n)}
	}
	both, _ := v.([]any)
	if len(both) != 2 {
		return Reached{Err: fmt.Errorf("WAITAOF answered %v", v)}
	}
	local, _ := both[0].(int64)
	n, _ := both[1].(int64)
	return Reached{Replicas: int(n), Fsynced: local > 0}
}

// Enough tells whether all was reached that was asked.
func (r Reached) Enough(d Durability) bool {
	return r.Err == nil && r.Replicas >= d.Replicas && (r.Fsynced || !d.Fsync)
}
