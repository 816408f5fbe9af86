package stint

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// Limits of [Queue.IndexMap].
const (
	MaxMapIndexes = 8 << 20 // looked at in one call: a megabyte of each bitmap
	MaxMapTiles   = 4096    // answered by one call
)

// IndexTile is what became of the indexes From to To, both included. An index
// is counted once; the rest of them was not started.
type IndexTile struct {
	From      int `json:"from"`
	To        int `json:"to"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`   // given up, where BackoffLimitPerIndex is set
	Active    int `json:"active"`   // with an attempt that waits for a worker or runs
	Retrying  int `json:"retrying"` // that were tried, and wait for another attempt
}

// IndexMap is a job's indexes from a distance.
type IndexMap struct {
	UID   string      `json:"uid"`
	Tiles []IndexTile `json:"tiles"`
	// Partial: there are more than 5,000 active or waiting indexes in the job,
	// and Active and Retrying count only some of them.
	Partial bool `json:"partial,omitempty"`
}

// IndexMap sums up the indexes of a job from one to another, both included, in
// at most so many tiles of the same size. It costs Redis the two ranges of the
// job's bitmaps: at most [MaxMapIndexes] in a call. Indexes beyond the job's
// last one are left out; of a job that is not Indexed the slots of its
// attempts stand for indexes. It fails with [ErrNotFound], and with an
// [*InvalidError] beyond the limits.
func (q *Queue) IndexMap(ctx context.Context, name string, from, to, tiles int) (IndexMap, error) {
	var v validation
	if from < 0 {
		v.add("from", FieldInvalid, from, "must not be negative")
	}
	if to < from || to-from >= MaxMapIndexes {
		v.add("to", FieldInvalid, to, fmt.Sprintf("must be from, or up to %d more", MaxMapIndexes-1))
	}
	if tiles < 1 || tiles > MaxMapTiles {
		v.add("tiles", FieldInvalid, tiles, fmt.Sprintf("must be between 1 and %d", MaxMapTiles))
	}
	if err := firstError(q.err, v.err()); err != nil {
		return IndexMap{}, err
	}
	span, err := q.store.Span(ctx, name, from, to)
	if errors.Is(err, store.ErrGone) {
		span, err = q.plainSpan(ctx, name)
	}
	if err != nil {
		return IndexMap{}, err
	}
	last := span.Completions - 1
	if last < 0 {
		last = span.Parallelism - 1
	}
	m := IndexMap{UID: span.UID, Partial: !span.Whole}
	if to = min(to, last); to >= from {
		m.Tiles = tilesOf(span, from, to, tiles)
	}
	return m, nil
}

// plainSpan is the one slot of a plain job.
func (q *Queue) plainSpan(ctx context.Context, name string) (*store.Span, error) {
	r, err := q.find(ctx, name)
	if err != nil {
		return nil, err
	}
	span := &store.Span{UID: r.UID, Completions: 1, Parallelism: 1, Whole: true}
	switch {
	case r.Succeeded > 0:
		span.Done = []byte{0x80}
	case r.Active > 0:
		span.Active = []int{0}
	case r.Attempts > 0:
		span.Again = []int{0}
	}
	return span, nil
}

func tilesOf(span *store.Span, from, to, most int) []IndexTile {
	size := (to - from + most) / most
	base := from / 8 * 8
	tiles := make([]IndexTile, (to-from)/size+1)
	for i := range tiles {
		t := &tiles[i]
		t.From = from + i*size
		t.To = min(t.From+size-1, to)
		t.Succeeded = bitsIn(span.Done, t.From-base, t.To-base)
		t.Failed = bitsIn(span.Bad, t.From-base, t.To-base)
	}
	inside := func(slot int) bool {
		ended := bitsIn(span.Done, slot-base, slot-base)+bitsIn(span.Bad, slot-base, slot-base) > 0
		return slot >= from && slot <= to && !ended // it may have ended between two reads
	}
	active := map[int]bool{}
	for _, slot := range span.Active {
		if inside(slot) && !active[slot] {
			active[slot] = true
			tiles[(slot-from)/size].Active++
		}
	}
	for _, slot := range span.Again {
		if inside(slot) && !active[slot] {
			tiles[(slot-from)/size].Retrying++
		}
	}
	return tiles
}

// bitsIn counts the bits of a bitmap from one to another, both included. What
// the bitmap does not reach is 0.
func bitsIn(bitmap []byte, from, to int) int {
	if to = min(to, 8*len(bitmap)-1); from < 0 || to < from {
		return 0
	}
	first, last := from/8, to/8
	head, tail := byte(0xff)>>(from%8), byte(0xff)<<(7-to%8)
	if first == last {
		return bits.OnesCount8(bitmap[first] & head & tail)
	}
	n := bits.OnesCount8(bitmap[first]&head) + bits.OnesCount8(bitmap[last]&tail)
	for _, b := range bitmap[first+1 : last] {
		n += bits.OnesCount8(b)
	}
	return n
}

// PacePoint is how many attempts of a job ended in a span of time.
type PacePoint struct {
	At        time.Time     `json:"at"`  // when it begins, by Redis's clock
	For       time.Duration `json:"for"` // a second, or longer: at most a 32nd of the time from the job's first end to At
	Succeeded int           `json:"succeeded"`
	Failed    int           `json:"failed"` // also such as do not count against a limit
}

// Pace tells when how many attempts of a job ended, in order; spans in which
// none did are left out. It is kept of jobs with 16 completions or more, or
// without a number of them, as long as the job; a retried job begins anew. It
// fails with [ErrNotFound].
func (q *Queue) Pace(ctx context.Context, name string) ([]PacePoint, error) {
	if q.err != nil {
		return nil, q.err
	}
	all, err := q.store.Pace(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		_, err = q.find(ctx, name)
		return nil, err
	}
	out := make([]PacePoint, len(all))
	for i, p := range all {
		out[i] = PacePoint{At: at(p.From), For: time.Duration(p.For) * time.Millisecond, Succeeded: p.Succeeded, Failed: p.Failed}
	}
	return out, nil
}

// HeldTask is a task in a worker's hands.
type HeldTask struct {
	Worker  string    `json:"worker"`
	Kind    string    `json:"kind"`
	Job     string    `json:"job"`
	Index   int       `json:"index"`
	Attempt int       `json:"attempt"`
	Token   string    `json:"token"`
	ReadyAt time.Time `json:"readyAt"` // since when a worker could have it
}

// Held lists what the workers of a queue have in hand, or the one that is
// named: at most 500 tasks, by kind, oldest first. It is one read.
func (q *Queue) Held(ctx context.Context, worker string) ([]HeldTask, error) {
	if q.err != nil {
		return nil, q.err
	}
	lanes, err := q.store.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := q.store.Held(ctx, lanes, worker)
	if err != nil {
		return nil, err
	}
	out := make([]HeldTask, len(tasks))
	for i, t := range tasks {
		out[i] = HeldTask{
			Worker: t.Worker, Kind: t.Kind, Job: t.Job, Index: t.Slot, Attempt: t.Attempt, Token: t.Entry, ReadyAt: entryTime(t.Entry),
		}
	}
	return out, nil
}

// entryTime is when a task became ready.
func entryTime(entry string) time.Time { return at(store.EntryTime(entry)) }

// RecentEvents reads the latest events of a queue, at most so many, the latest
// first. n is between 1 and 500. For those to come see [Queue.Watch], which
// also says which jobs have events.
func (q *Queue) RecentEvents(ctx context.Context, n int) ([]Event, error) {
	if q.err != nil {
		return nil, q.err
	}
	if n < 1 || n > store.Limit {
		return nil, &InvalidError{Fields: []FieldError{{Field: "n", Cause: FieldInvalid, Value: n, Detail: "must be between 1 and 500"}}}
	}
	events, err := q.store.Recent(ctx, n)
	if err != nil {
		return nil, err
	}
	out := make([]Event, len(events))
	for i, e := range events {
		out[i] = eventOf(e)
	}
	return out, nil
}
