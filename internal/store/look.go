package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Span is what became of the slots of a job from one on.
type Span struct {
	UID                      string
	Completions, Parallelism int    // of the job; completions -1: a work queue
	Done, Bad                []byte // bitmaps, from the byte of the first slot on
	Active, Again            []int  // slots of the whole job: with an attempt, and waiting for another
	Whole                    bool   // the last two are complete
}

// activeMost is how many slots of each sort Span looks at.
const activeMost = 10 * Limit

// Span reads the slots from one to another, both included, of a job with a
// record.
func (s *Store) Span(ctx context.Context, name string, from, to int) (*Span, error) {
	var job *redis.SliceCmd
	var done, bad *redis.StringCmd
	var again *redis.StringSliceCmd
	var waiting *redis.IntCmd
	first, last := int64(from/8), int64(to/8)
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		job = p.HMGet(ctx, s.keys.job(name), "uid", "rules", "deleting")
		done = p.GetRange(ctx, s.keys.done(name), first, last)
		bad = p.GetRange(ctx, s.keys.bad(name), first, last)
		again = p.ZRange(ctx, s.keys.wait(name), 0, activeMost-1)
		waiting = p.ZCard(ctx, s.keys.wait(name))
		return nil
	})
	if err != nil {
		return nil, s.seen(ctx, err)
	}
	v := job.Val()
	uid, _ := v[0].(string)
	rules, _ := v[1].(string)
	f := strings.SplitN(rules, "|", 3)
	if uid == "" || len(f) < 3 {
		return nil, ErrGone
	}
	out := &Span{
		UID: uid, Completions: atoi(f[0]), Parallelism: atoi(f[1]), Done: []byte(done.Val()), Bad: []byte(bad.Val()),
		Whole: waiting.Val() <= activeMost,
	}
	for _, slot := range again.Val() {
		out.Again = append(out.Again, atoi(slot))
	}
	return out, s.activeSlots(ctx, name, out)
}

func (s *Store) activeSlots(ctx context.Context, name string, out *Span) error {
	var cursor uint64
	for {
		page, next, err := s.rdb.HScan(ctx, s.keys.tasks(name), cursor, "", Limit).Result()
		if err != nil {
			return s.seen(ctx, err)
		}
		for i := 0; i+1 < len(page); i += 2 {
			out.Active = append(out.Active, atoi(page[i]))
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		if len(out.Active) >= activeMost {
			out.Whole = false
			return nil
		}
	}
}

// Pace is what ended in a span of time.
type Pace struct {
	From, For         int64 // ms
	Succeeded, Failed int
}

// Pace reads when how many of a job's attempts ended, as settle.lua counts
// it, by time. Spans in which nothing ended are left out.
func (s *Store) Pace(ctx context.Context, name string) ([]Pace, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	began, err := s.rdb.HGet(ctx, s.keys.data(name), "T").Int64()
	if err != nil || began > now {
		if err == redis.Nil { //nolint:errorlint // go-redis answers with the value itself
			err = nil
		}
		return nil, s.seen(ctx, err)
	}
	var all []Pace
	var fields []string
	for width, n := int64(1000), int64(0); n*width <= now-began; n++ {
		if n == 64 { // then spans are twice as wide
			n, width = 32, 2*width
		}
		all = append(all, Pace{From: began + n*width, For: width})
		span := fmt.Sprintf("t:%d:%d", width/1000, n)
		fields = append(fields, span+":s", span+":f")
	}
	v, err := s.rdb.HMGet(ctx, s.keys.data(name), fields...).Result()
	if err != nil {
		return nil, s.seen(ctx, err)
	}
	out := all[:0]
	for i, p := range all {
		good, _ := v[2*i].(string)
		bad, _ := v[2*i+1].(string)
		if p.Succeeded, p.Failed = atoi(good), atoi(bad); p.Succeeded+p.Failed > 0 {
			out = append(out, p)
		}
	}
	return out, nil
}

// Held is a task in a worker's hands.
type Held struct {
	Task

	Worker string
}

// Held lists up to Limit tasks that workers have, or the one that is named;
// oldest first within a kind. Their args and spec are not read.
func (s *Store) Held(ctx context.Context, lanes []string, worker string) ([]Held, error) {
	if len(lanes) == 0 {
		return nil, nil
	}
	keys := make([]string, len(lanes))
	for i, k := range lanes {
		keys[i] = s.keys.ready(k)
	}
	v, err := s.read(ctx, heldScript, keys, strconv.Itoa(Limit), worker)
	if err != nil {
		return nil, err
	}
	lines, _ := v.([]any)
	out := make([]Held, 0, len(lines))
	for _, l := range lines {
		f, _ := l.([]any)
		if len(f) != 4 {
			return nil, fmt.Errorf("held answered %T", l)
		}
		stream, _ := f[0].(int64)
		entry, _ := f[1].(string)
		holder, _ := f[2].(string)
		header, _ := f[3].(string)
		if stream < 1 || int(stream) > len(lanes) {
			return nil, fmt.Errorf("held answered stream %d of %d", stream, len(lanes))
		}
		t := ReadTask(lanes[stream-1], entry, header)
		t.Spec = nil // it may be cut
		out = append(out, Held{t, holder})
	}
	return out, nil
}

// Recent reads the latest n events, the latest first.
func (s *Store) Recent(ctx context.Context, n int) ([]Event, error) {
	msgs, err := s.rdb.XRevRangeN(ctx, s.keys.events(), "+", "-", int64(n)).Result()
	if err != nil {
		return nil, s.seen(ctx, err)
	}
	out := make([]Event, len(msgs))
	for i, m := range msgs {
		out[i] = eventFrom(m)
	}
	return out, nil
}
