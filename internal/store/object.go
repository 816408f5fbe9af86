package store

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Object is a config map or secret as Redis holds it. Its ID is the kind and
// the name, as in "config/app".
type Object struct {
	Version string // "" where there is none
	Data    []byte
}

// Objects reads objects, in one round trip.
func (s *Store) Objects(ctx context.Context, ids []string) ([]Object, error) {
	cmds := make([]*redis.SliceCmd, len(ids))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = p.HMGet(ctx, s.keys.object(id), "v", "d")
		}
		return nil
	})
	if err != nil && !isReply(err) {
		return nil, s.seen(ctx, err)
	}
	out := make([]Object, len(ids))
	for i, c := range cmds {
		v, err := c.Result()
		switch {
		case Damaged(err):
			out[i].Version = damagedVersion
		case err != nil:
			return nil, err
		default:
			version, _ := v[0].(string)
			data, _ := v[1].(string)
			out[i] = Object{version, []byte(data)}
		}
	}
	return out, nil
}

// damagedVersion is that of what is no object: it has no data, which is
// unreadable, and keeps nobody from reading the others.
const damagedVersion = "damaged"

// Versions reads the versions of objects; "" where there is none.
func (s *Store) Versions(ctx context.Context, ids []string) ([]string, error) {
	cmds := make([]*redis.SliceCmd, len(ids))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = p.HMGet(ctx, s.keys.object(id), "v")
		}
		return nil
	})
	if err != nil && !isReply(err) {
		return nil, s.seen(ctx, err)
	}
	out := make([]string, len(ids))
	for i, c := range cmds {
		v, err := c.Result()
		switch {
		case Damaged(err):
			out[i] = damagedVersion
		case err != nil:
			return nil, err
		default:
			out[i], _ = v[0].(string)
		}
	}
	return out, nil
}

// ListObjects reads up to n IDs of a kind in the order of names, after a name.
func (s *Store) ListObjects(ctx context.Context, kind, after string, n int) ([]string, error) {
	from := "(" + kind + "/" + after
	to := "(" + kind + "0" // what follows '/'
	ids, err := s.rdb.ZRangeByLex(ctx, s.keys.objects(), &redis.ZRangeBy{Min: from, Max: to, Count: int64(n)}).Result()
	return ids, s.seen(ctx, err)
}

// PutObject stores an object over the version that was read, "" for none, and
// answers its new version; no data removes it. Workers hear of it, and jobs
// that wait for it are looked at. op names the step, so that a repeated one is
// answered and not done again.
func (s *Store) PutObject(ctx context.Context, id, op, read string, data []byte) (string, error) {
	keys := []string{s.keys.timers(), s.keys.ctl(), s.keys.objects(), s.keys.object(id), s.keys.lacks(id)}
	word, err := s.word(ctx, objectScript, keys, s.now(), id, op, read, data)
	if err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(word, " ")
	return version, verdictOf(word)
}

// Lack is why a job's tasks cannot start: an object, its version as it was
// seen, what is wrong with it, and for how many ms at most to wait for it.
type Lack struct {
	Object, Version, Reason string
	AtMost                  int64
	Generation              int // of the job, as it was looked at
}

// Park lets a job start nothing while it lacks an object. It answers false
// where the object or the job's spec has changed meanwhile.
func (s *Store) Park(ctx context.Context, k JobKey, uid string, l Lack) (bool, error) {
	keys := s.keys.transition(k.Name, k.lane(), s.keys.object(l.Object), s.keys.lacks(l.Object))
	word, err := s.word(ctx, parkScript, keys, s.now(), uid, l.Object, l.Version, l.Generation, l.AtMost, l.Reason)
	if err != nil || word == "READY" {
		return false, err
	}
	return true, verdictOf(word)
}

// Lift looks at up to Limit jobs that were parked for want of an object which
// has changed. It answers whether there may be more.
func (s *Store) Lift(ctx context.Context, id string) (more bool, err error) {
	word, err := s.word(ctx, lackingScript, []string{s.keys.timers(), s.keys.lacks(id)}, id, Limit)
	if err != nil || word == "" {
		return false, err
	}
	var calls []call
	for pair := range strings.SplitSeq(word, "\n") {
		name, lane, _ := strings.Cut(pair, " ")
		keys := s.keys.transition(name, lane, s.keys.lacks(id))
		calls = append(calls, call{script: liftScript, keys: keys, args: []any{s.now(), pair}})
	}
	s.runAll(ctx, calls)
	for i := range calls {
		if err := calls[i].cmd.Err(); err != nil {
			return true, err
		}
	}
	return true, nil
}
