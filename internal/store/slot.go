package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// errorsKept is how many errors settle.lua keeps of a slot.
const errorsKept = 5

// Slot is what is kept of one slot of a job with a record.
type Slot struct {
	UID                          string
	Done, Bad                    bool
	Task                         *Running // the active one
	Again                        bool     // it waits to be started again
	Due                          int64    // when, in ms; 0: as soon as there is room
	Errors                       []SlotError
	Result, Checkpoint, Progress []byte
}

// SlotError is one kept error.
type SlotError struct {
	At   int64
	Data []byte
}

// Slot reads a slot in one round trip, and one more to see who has its task.
func (s *Store) Slot(ctx context.Context, name, lane string, slot int) (*Slot, error) {
	var uid, task *redis.StringCmd
	var done, bad *redis.IntCmd
	var wait *redis.FloatCmd
	var kept *redis.SliceCmd
	fields := []string{fmt.Sprintf("r:%d", slot), fmt.Sprintf("c:%d", slot), fmt.Sprintf("p:%d", slot)}
	for i := range errorsKept {
		fields = append(fields, fmt.Sprintf("e:%d:%d", slot, i))
	}
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		uid = p.HGet(ctx, s.keys.job(name), "uid")
		task = p.HGet(ctx, s.keys.tasks(name), itoa(int64(slot)))
		done = p.GetBit(ctx, s.keys.done(name), int64(slot))
		bad = p.GetBit(ctx, s.keys.bad(name), int64(slot))
		wait = p.ZScore(ctx, s.keys.wait(name), itoa(int64(slot)))
		kept = p.HMGet(ctx, s.keys.data(name), fields...)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, s.seen(ctx, err)
	}
	if uid.Val() == "" {
		return nil, ErrGone
	}
	out := &Slot{UID: uid.Val(), Done: done.Val() == 1, Bad: bad.Val() == 1, Again: wait.Err() == nil}
	const ready = 1<<31 - 1 // READY of prelude.lua: greater scores are due times
	if wait.Val() > ready {
		out.Due = int64(wait.Val())
	}
	out.keep(kept.Val())
	if f := strings.Fields(task.Val()); len(f) >= 2 {
		out.Task = &Running{Slot: slot, Entry: f[0], Attempt: atoi(f[1])}
		out.Task.Worker, err = s.Holder(ctx, lane, f[0])
		return out, err
	}
	return out, nil
}

func (o *Slot) keep(values []any) {
	for i, v := range values {
		text, ok := v.(string)
		switch {
		case !ok:
		case i == 0:
			o.Result = []byte(text)
		case i == 1:
			o.Checkpoint = []byte(text)
		case i == 2:
			o.Progress = []byte(text)
		default:
			at, record, _ := strings.Cut(text, " ")
			o.Errors = append(o.Errors, SlotError{atoi64(at), []byte(record)})
		}
	}
}
