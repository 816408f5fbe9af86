package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Due is what is due now, and when the next timer will be.
type Due struct {
	Now  int64
	Next int64 // 0: there is none
	Jobs []string
	Cron []string
	Past []string
	Late []string // kinds of which plain jobs start
	Lack []string // objects that jobs may wait for, and that have changed
}

// Due takes up to Limit timers that are due. Whoever takes one has the given
// time to look at what it names; then it is due again.
func (s *Store) Due(ctx context.Context, hold time.Duration) (Due, error) {
	v, err := s.run(ctx, dueScript, []string{s.keys.timers()}, s.now(), Limit, hold.Milliseconds())
	if err != nil {
		return Due{}, err
	}
	list, ok := v.([]any)
	if !ok || len(list) < 2 {
		return Due{}, fmt.Errorf("due answered %v", v)
	}
	words := make([]string, len(list))
	for i, w := range list {
		words[i], _ = w.(string)
	}
	d := Due{Now: atoi64(words[0])}
	if words[1] != "" {
		d.Next = atoi64(words[1])
	}
	for _, w := range words[2:] {
		if name, ok := strings.CutPrefix(w, "cron/"); ok {
			d.Cron = append(d.Cron, name)
		} else if name, ok := strings.CutPrefix(w, "past/"); ok {
			d.Past = append(d.Past, name)
		} else if kind, ok := strings.CutPrefix(w, "late/"); ok {
			d.Late = append(d.Late, kind)
		} else if id, ok := strings.CutPrefix(w, "lack/"); ok {
			d.Lack = append(d.Lack, id)
		} else {
			d.Jobs = append(d.Jobs, w)
		}
	}
	return d, nil
}

// AdvanceNamed looks at jobs of which only the names are known.
func (s *Store) AdvanceNamed(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	jobs, err := s.KeysOf(ctx, names)
	if err != nil {
		return err
	}
	return s.Advance(ctx, jobs)
}

// Forget removes finished plain jobs that have expired together.
func (s *Store) Forget(ctx context.Context, past string) error {
	_, err := s.word(ctx, forgetScript, []string{s.keys.timers(), s.keys.pasts(), s.keys.past(past)}, s.now(), past)
	return err
}

// Order is a message of the control stream: a job whose tasks were told to
// stop, a timer that is now the first, or an object that has changed.
type Order struct {
	Job    string
	At     int64
	Object string
}

// Orders waits for messages after an ID, for at most the given time, and
// tells the ID to go on with. After "" it starts with the end of the stream.
func (s *Store) Orders(ctx context.Context, seats *Seats, after string, atMost time.Duration) ([]Order, string, error) {
	leave := s.sit(ctx, seats)
	if leave == nil {
		stand(ctx)
		atMost = -1 // which is not to wait
	} else {
		defer leave()
	}
	msgs, last, err := s.follow(ctx, s.keys.ctl(), after, atMost)
	orders := make([]Order, 0, len(msgs))
	for _, m := range msgs {
		job, _ := m.Values["j"].(string)
		at, _ := m.Values["t"].(string)
		object, _ := m.Values["c"].(string)
		orders = append(orders, Order{job, atoi64(at), object})
	}
	return orders, last, err
}

// follow reads a stream after an ID, waiting for at most the given time.
func (s *Store) follow(ctx context.Context, stream, after string, atMost time.Duration) ([]redis.XMessage, string, error) {
	if err := s.guard(ctx, false); err != nil {
		return nil, after, err
	}
	if after == "" {
		last, err := s.rdb.XRevRangeN(ctx, stream, "+", "-", 1).Result()
		if err != nil {
			return nil, "", s.seen(ctx, err)
		}
		after = "0-0"
		if len(last) == 1 {
			after = last[0].ID
		}
		return nil, after, nil
	}
	got, err := s.rdb.XRead(ctx, &redis.XReadArgs{Streams: []string{stream, after}, Count: Limit, Block: atMost}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, after, nil
	}
	if err != nil {
		return nil, after, s.seen(ctx, err)
	}
	msgs := got[0].Messages
	return msgs, msgs[len(msgs)-1].ID, nil
}
