package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Waiting is what a job has to start again later.
type Waiting struct {
	Late int   // slots that are not due yet; in place up to Limit are looked at
	Next int64 // when the first of them is, in ms; 0 for none
}

// Waiting reads which slots of a job wait out a backoff. In place means that
// waiting slots keep their order, and their due times are with their counts.
func (s *Store) Waiting(ctx context.Context, name string, now int64, inPlace bool) (w Waiting, err error) {
	if inPlace {
		return s.waitingInPlace(ctx, name, now)
	}
	var late *redis.IntCmd
	var next *redis.ZSliceCmd
	from := "(" + itoa(now)
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		late = p.ZCount(ctx, s.keys.wait(name), from, "+inf")
		next = p.ZRangeByScoreWithScores(ctx, s.keys.wait(name), &redis.ZRangeBy{Min: from, Max: "+inf", Count: 1})
		return nil
	})
	if err != nil {
		return w, s.seen(ctx, err)
	}
	w.Late = int(late.Val())
	if first := next.Val(); len(first) == 1 {
		w.Next = int64(first[0].Score)
	}
	return w, nil
}

func (s *Store) waitingInPlace(ctx context.Context, name string, now int64) (w Waiting, err error) {
	slots, err := s.rdb.ZRange(ctx, s.keys.wait(name), 0, Limit-1).Result()
	if err != nil || len(slots) == 0 {
		return w, s.seen(ctx, err)
	}
	for i := range slots {
		slots[i] = "u:" + slots[i]
	}
	counts, err := s.rdb.HMGet(ctx, s.keys.data(name), slots...).Result()
	if err != nil {
		return w, s.seen(ctx, err)
	}
	for _, c := range counts {
		text, _ := c.(string)
		f := strings.Fields(text) // attempts, failures, ignored, lost, due, held
		const due = 4
		if len(f) <= due || atoi64(f[due]) <= now {
			continue
		}
		w.Late++
		if at := atoi64(f[due]); w.Next == 0 || at < w.Next {
			w.Next = at
		}
	}
	return w, nil
}

// Holder names the worker that has an entry, "" for none.
func (s *Store) Holder(ctx context.Context, lane, entry string) (string, error) {
	held, err := s.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: s.keys.ready(lane), Group: group1, Start: entry, End: entry, Count: 1,
	}).Result()
	if err != nil && !redis.HasErrorPrefix(err, "NOGROUP") {
		return "", s.seen(ctx, err)
	}
	if len(held) == 0 {
		return "", nil
	}
	return held[0].Consumer, nil
}

// Bounds of what Ahead reads in one go, in entries, and in all, in bytes.
const (
	aheadPage  = 50
	aheadBytes = 1 << 20
)

// Ahead counts the tasks of a lane that will be handed over before an entry
// that no worker has: exactly where all is true, and otherwise at least.
func (s *Store) Ahead(ctx context.Context, lane, entry string) (n int, all bool, err error) {
	// Entries are handed over in their order and go when they are settled: so
	// all that are younger than the last one in a worker's hands wait.
	held, err := s.rdb.XPending(ctx, s.keys.ready(lane), group1).Result()
	if err != nil && !redis.HasErrorPrefix(err, "NOGROUP") && !errors.Is(err, redis.Nil) {
		return 0, false, s.seen(ctx, err)
	}
	from, bytes := "-", 0
	if held != nil && held.Higher != "" {
		from = "(" + held.Higher
	}
	for n < Limit && bytes < aheadBytes {
		msgs, err := s.rdb.XRangeN(ctx, s.keys.ready(lane), from, "("+entry, aheadPage).Result()
		if err != nil {
			return 0, false, s.seen(ctx, err)
		}
		n += len(msgs)
		if len(msgs) < aheadPage {
			return n, true, nil
		}
		for _, m := range msgs {
			args, _ := m.Values["a"].(string)
			bytes += len(args)
		}
		from = "(" + msgs[len(msgs)-1].ID
	}
	return n, false, nil
}

// Sign is a worker's last sign of life.
type Sign struct {
	Info []byte        // what it says of itself; nothing before its first renewal
	Age  time.Duration // of its last renewal; 0 before the first
}

// Signs reads the last renewals of workers.
func (s *Store) Signs(ctx context.Context, workers []string) ([]Sign, error) {
	const kept = 24 * time.Hour // PEXPIRE of renew.lua
	infos := make([]*redis.StringCmd, len(workers))
	ttls := make([]*redis.DurationCmd, len(workers))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, w := range workers {
			infos[i] = p.HGet(ctx, s.keys.worker(w), "info")
			ttls[i] = p.PTTL(ctx, s.keys.worker(w))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, s.seen(ctx, err)
	}
	out := make([]Sign, len(workers))
	for i := range workers {
		out[i].Info = []byte(infos[i].Val())
		switch ttl := ttls[i].Val(); {
		case ttl >= 0:
			out[i].Age = kept - ttl
		case ttl == -2: // the key is gone
			out[i].Age = kept
		}
	}
	return out, nil
}
