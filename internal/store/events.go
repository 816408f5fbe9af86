package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Event is something that happened to a job.
type Event struct {
	ID           string // the resource version
	Type         string
	Name, UID    string
	Kind, Reason string
	Labels       []byte
	Kept         []byte // of a plain job whose end somebody waited for
	HasKept      bool
}

// ErrExpired is the answer to an ID that the events no longer reach back to.
var ErrExpired = errors.New("expired")

// Events waits for events after an ID, for at most the given time, and tells
// the ID to go on with. After "" it starts with the end of the stream.
func (s *Store) Events(ctx context.Context, after string, atMost time.Duration) ([]Event, string, error) {
	msgs, last, err := s.follow(ctx, s.keys.events(), after, atMost)
	if err != nil {
		return nil, last, err
	}
	out := make([]Event, 0, len(msgs))
	for _, m := range msgs {
		out = append(out, eventFrom(m))
	}
	return out, last, nil
}

func eventFrom(m redis.XMessage) Event {
	f := func(k string) string { v, _ := m.Values[k].(string); return v }
	kept, has := m.Values["o"].(string)
	return Event{
		ID: m.ID, Type: f("e"), Name: f("j"), UID: f("u"), Kind: f("k"), Reason: f("r"), Labels: []byte(f("l")), Kept: []byte(kept), HasKept: has,
	}
}

// Reaches tells whether the events still hold all that came after an ID.
func (s *Store) Reaches(ctx context.Context, after string) error {
	first, err := s.rdb.XRangeN(ctx, s.keys.events(), "-", "+", 1).Result()
	if err != nil {
		return s.seen(ctx, err)
	}
	if len(first) == 1 && CompareEntries(after, first[0].ID) < 0 {
		n, err := s.rdb.XLen(ctx, s.keys.events()).Result()
		if err != nil {
			return s.seen(ctx, err)
		}
		if n >= eventsKept {
			return ErrExpired
		}
	}
	return nil
}

// eventsKept is EVENTS of prelude.lua: below that many nothing was trimmed.
const eventsKept = 10_000

// Time is when the event was written, in ms.
func (e *Event) Time() int64 {
	ms, _ := splitID(e.ID)
	return ms
}

// LastEvent is the ID of the latest event, "0-0" where there is none.
func (s *Store) LastEvent(ctx context.Context) (string, error) {
	_, last, err := s.follow(ctx, s.keys.events(), "", 0)
	return last, err
}

// Happened is one of a job's own events.
type Happened struct {
	Reason      string
	Count       int
	First, Last int64 // ms
}

// Happened reads what `tell` of record.lua has noted.
func (r *Record) Happened() []Happened {
	var all []Happened
	for text := range strings.SplitSeq(r.Log, ";") {
		if f := strings.Fields(text); len(f) == 4 {
			all = append(all, Happened{f[0], atoi(f[1]), atoi64(f[2]), atoi64(f[3])})
		}
	}
	return all
}
