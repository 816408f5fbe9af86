package store

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Minute is what ended in one minute, of one kind.
type Minute struct {
	At                                int64 // its beginning, ms
	Succeeded, Failed, Lost, GaveBack int
	WaitedMs, RanMs                   int64 // all of these together
}

// Minutes reads what ended, of each kind in turn, in no order: at most a day
// by the minute, less those that begin before from or after to.
func (s *Store) Minutes(ctx context.Context, kinds []string, from, to int64) ([][]Minute, error) {
	cmds := make([]*redis.StringSliceCmd, len(kinds))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, kind := range kinds {
			cmds[i] = p.HVals(ctx, s.keys.stats(kind))
		}
		return nil
	})
	if err != nil {
		return nil, s.seen(ctx, err)
	}
	out := make([][]Minute, len(kinds))
	for i, c := range cmds {
		for _, text := range c.Val() {
			if m, ok := readMinute(text); ok && m.At >= from && m.At <= to {
				out[i] = append(out[i], m)
			}
		}
	}
	return out, nil
}

// readMinute reads what tally of prelude.lua writes.
func readMinute(text string) (Minute, bool) {
	f := strings.Fields(text)
	if len(f) != 7 {
		return Minute{}, false
	}
	return Minute{
		At: atoi64(f[0]) * 60_000, Succeeded: atoi(f[1]), Failed: atoi(f[2]), Lost: atoi(f[3]), GaveBack: atoi(f[4]),
		WaitedMs: atoi64(f[5]), RanMs: atoi64(f[6]),
	}, true
}

// Load is how many tasks of a kind there are.
type Load struct{ Ready, Running int }

// Loads counts the tasks of lanes: those that wait for a worker, and those
// that one has.
func (s *Store) Loads(ctx context.Context, lanes []string) ([]Load, error) {
	all := make([]*redis.IntCmd, len(lanes))
	held := make([]*redis.XPendingCmd, len(lanes))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, lane := range lanes {
			all[i] = p.XLen(ctx, s.keys.ready(lane))
			held[i] = p.XPending(ctx, s.keys.ready(lane), group1)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOGROUP") {
		return nil, s.seen(ctx, err)
	}
	out := make([]Load, len(lanes))
	for i := range lanes {
		if p := held[i].Val(); p != nil { // nil where no worker has ever come
			out[i].Running = int(p.Count)
		}
		out[i].Ready = max(0, int(all[i].Val())-out[i].Running)
	}
	return out, nil
}
