package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

func splitID(id string) (ms, seq int64) {
	a, b, _ := strings.Cut(id, "-")
	return atoi64(a), atoi64(b)
}

// EntryTime is when a task became ready, in ms.
func EntryTime(entry string) int64 {
	ms, _ := splitID(entry)
	return ms
}

// StateLost is the state of a task that its worker holds no more.
const StateLost = "lost"

// Renew bumps a worker's beat and tells of each of its tasks whether it is
// lost, or why it was told to stop; "" where all is well. info is what the
// worker says of itself.
func (s *Store) Renew(ctx context.Context, worker, beat string, lease time.Duration, info []byte, tasks []*Task) ([]string, error) {
	states := make([]string, len(tasks))
	type check struct {
		own  *redis.XPendingExtCmd
		stop *redis.StringCmd
		uid  *redis.StringCmd
	}
	_, err := s.word(ctx, renewScript, []string{s.keys.beats(), s.keys.worker(worker)}, worker, beat, lease.Milliseconds(), info)
	if err != nil || len(tasks) == 0 {
		return states, err
	}
	checks := make([]check, len(tasks))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, t := range tasks {
			checks[i].own = p.XPendingExt(ctx, &redis.XPendingExtArgs{
				Stream: s.keys.ready(t.lane()), Group: group1, Start: t.Entry, End: t.Entry, Count: 1, Consumer: worker,
			})
			checks[i].stop = p.HGet(ctx, s.keys.ends(t.Job), t.Entry)
			checks[i].uid = p.HGet(ctx, s.keys.job(t.Job), "uid")
		}
		return nil
	})
	if err != nil && !isReply(err) {
		return nil, s.seen(ctx, err)
	}
	for i, t := range tasks {
		c := checks[i]
		switch {
		case c.own.Err() != nil && !redis.HasErrorPrefix(c.own.Err(), "NOGROUP"):
			return nil, c.own.Err()
		case c.uid.Err() == nil && c.uid.Val() != t.UID || errors.Is(c.uid.Err(), redis.Nil) && (!t.Plain || len(c.own.Val()) == 0):
			states[i] = "deleted" // a plain job that nobody steers has no record
		case len(c.own.Val()) == 0:
			states[i] = StateLost
		case c.stop.Err() == nil:
			states[i] = c.stop.Val()[strings.LastIndexByte(c.stop.Val(), ' ')+1:]
		}
	}
	return states, nil
}

// Crew is who works on a queue, as the janitor sees it.
type Crew struct {
	Lanes []string
	Beats map[string]string         // worker -> beat and lease
	Holds map[string]map[string]int // worker -> lane -> tasks
}

// Sweep reads who works here. lanes are those known so far; a lane that is
// new is named in the answer and looked at the next time.
func (s *Store) Sweep(ctx context.Context, lanes []string) (Crew, error) {
	keys := []string{s.keys.beats(), s.keys.kinds(), s.keys.lanes()}
	for _, k := range lanes {
		keys = append(keys, s.keys.ready(k))
	}
	v, err := s.read(ctx, sweepScript, keys)
	if err != nil {
		return Crew{}, err
	}
	lines, ok := v.([]any)
	if !ok {
		return Crew{}, fmt.Errorf("sweep answered %T", v)
	}
	crew := Crew{Beats: map[string]string{}, Holds: map[string]map[string]int{}}
	for _, l := range lines {
		line, _ := l.(string)
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "K":
			crew.Lanes = append(crew.Lanes, f[1])
		case len(f) == 4 && f[0] == "B":
			crew.Beats[f[1]] = f[2] + " " + f[3]
		case len(f) == 4 && f[0] == "H" && atoi(f[1]) >= 1 && atoi(f[1]) <= len(lanes):
			if crew.Holds[f[2]] == nil {
				crew.Holds[f[2]] = map[string]int{}
			}
			crew.Holds[f[2]][lanes[atoi(f[1])-1]] = atoi(f[3])
		}
	}
	return crew, nil
}

// HeldBy reads up to n tasks of one lane in a worker's hands.
func (s *Store) HeldBy(ctx context.Context, worker, lane string, n int) ([]Task, error) {
	pending, err := s.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: s.keys.ready(lane), Group: group1, Start: "-", End: "+", Count: int64(n), Consumer: worker,
	}).Result()
	if err != nil {
		return nil, s.seen(ctx, err)
	}
	cmds := make([]*redis.XMessageSliceCmd, len(pending))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, e := range pending {
			cmds[i] = p.XRange(ctx, s.keys.ready(lane), e.ID, e.ID)
		}
		return nil
	})
	if err != nil {
		return nil, s.seen(ctx, err)
	}
	tasks := make([]Task, len(pending))
	for i, c := range cmds {
		t := Task{Kind: KindOf(lane), Requests: RequestsOf(lane), Entry: pending[i].ID}
		if m := c.Val(); len(m) == 1 {
			header, _ := m[0].Values["t"].(string)
			args, _ := m[0].Values["a"].(string)
			t.read(header, args)
		} else {
			t.Job, t.UID = "deleted", "deleted" // the entry is gone: there is nothing to count
		}
		tasks[i] = t
	}
	return tasks, nil
}

// ActiveEntry reads the entry of the active task of a slot, ErrGone where there
// is none.
func (s *Store) ActiveEntry(ctx context.Context, name string, slot int) (string, error) {
	text, err := s.rdb.HGet(ctx, s.keys.tasks(name), strconv.Itoa(slot)).Result()
	if errors.Is(err, redis.Nil) {
		return "", ErrGone
	}
	entry, _, _ := strings.Cut(text, " ")
	return entry, s.seen(ctx, err)
}

// TaskAt reads the active task of a slot, ErrGone where no worker has one.
func (s *Store) TaskAt(ctx context.Context, j JobKey, slot int) (Task, error) {
	entry, err := s.ActiveEntry(ctx, j.Name, slot)
	if err != nil {
		return Task{}, err
	}
	var msgs *redis.XMessageSliceCmd
	var held *redis.XPendingExtCmd
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		msgs = p.XRange(ctx, s.keys.ready(j.lane()), entry, entry)
		held = p.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: s.keys.ready(j.lane()), Group: group1, Start: entry, End: entry, Count: 1})
		return nil
	})
	if err != nil && !redis.HasErrorPrefix(err, "NOGROUP") {
		return Task{}, s.seen(ctx, err)
	}
	if len(msgs.Val()) == 0 || len(held.Val()) == 0 {
		return Task{}, ErrGone
	}
	t := Task{Kind: j.Kind, Requests: j.Requests, Entry: entry}
	header, _ := msgs.Val()[0].Values["t"].(string)
	args, _ := msgs.Val()[0].Values["a"].(string)
	t.read(header, args)
	return t, nil
}

// Order has the workers that hold tasks of a job look whether these are
// still their own.
func (s *Store) Order(ctx context.Context, job string) error {
	err := s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: s.keys.ctl(), MaxLen: ordersKept, Approx: true, Values: []any{"j", job}}).Err()
	return s.seen(ctx, err)
}

// Leave removes a worker that holds nothing any more. beat is "" where the
// worker itself leaves.
func (s *Store) Leave(ctx context.Context, worker, beat string, lanes []string) error {
	keys := []string{s.keys.beats(), s.keys.worker(worker)}
	for _, k := range lanes {
		keys = append(keys, s.keys.ready(k))
	}
	word, err := s.word(ctx, leaveScript, keys, worker, beat)
	if err != nil {
		return err
	}
	return verdictOf(word)
}

// CompareEntries orders entries by age: negative where a is the older.
func CompareEntries(a, b string) int {
	am, as := splitID(a)
	bm, bs := splitID(b)
	return cmp.Or(cmp.Compare(am, bm), cmp.Compare(as, bs))
}

// Infos reads what workers say of themselves.
func (s *Store) Infos(ctx context.Context, workers []string) ([][]byte, error) {
	cmds := make([]*redis.StringCmd, len(workers))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, w := range workers {
			cmds[i] = p.HGet(ctx, s.keys.worker(w), "info")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, s.seen(ctx, err)
	}
	out := make([][]byte, len(workers))
	for i, c := range cmds {
		out[i] = []byte(c.Val())
	}
	return out, nil
}
