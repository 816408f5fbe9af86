package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stint-go/stint/internal/rules"
)

// SplitPlain takes the name of a plain job apart; ok is false where it can't
// be one.
func SplitPlain(name string) (kind, entry string, ok bool) {
	at := strings.LastIndexByte(name, '-')
	if at <= 0 {
		return "", "", false
	}
	at = strings.LastIndexByte(name[:at], '-')
	if at <= 0 {
		return "", "", false
	}
	kind, entry = name[:at], name[at+1:]
	for _, r := range entry {
		if r != '-' && (r < '0' || r > '9') {
			return "", "", false
		}
	}
	return kind, entry, true
}

// GetPlain finds a plain job that has no record: in its stream, or among the
// finished ones that are kept.
func (s *Store) GetPlain(ctx context.Context, name string) (*Record, error) {
	kind, id, ok := SplitPlain(name)
	if !ok {
		return nil, ErrGone
	}
	// First what waits, then the stream, then the past: a job moves only in this
	// direction, but for one that fails and waits again.
	for before := "?"; ; {
		r, started, err := s.getLate(ctx, kind, id)
		if err != nil || r != nil {
			return r, err
		}
		if started == before {
			return nil, ErrGone
		}
		before = started
		entry := cmp.Or(started, id)
		if r, err = s.getEntry(ctx, kind, entry); err != nil || r != nil && r.Name == name {
			return r, err
		}
		if r, err = s.getPast(ctx, name); !errors.Is(err, ErrGone) {
			return r, err
		}
	}
}

// getEntry reads a plain job that waits for a worker or runs, nil where it does not.
func (s *Store) getEntry(ctx context.Context, kind, entry string) (*Record, error) {
	if isLate(entry) {
		return nil, nil
	}
	msgs, err := s.rdb.XRange(ctx, s.keys.ready(kind), entry, entry).Result()
	if err != nil || len(msgs) == 0 {
		return nil, s.seen(ctx, err)
	}
	held, err := s.held(ctx, kind, msgs)
	return plainRecord(kind, msgs[0], held[entry]), err
}

func plainRecord(kind string, m redis.XMessage, running bool) *Record {
	t := Task{Kind: kind, Entry: m.ID}
	header, _ := m.Values["t"].(string)
	args, _ := m.Values["a"].(string)
	t.read(header, args)
	if !t.Plain {
		return nil
	}
	r := &Record{
		Name: t.Job, UID: t.Job, Kind: kind, Generation: 1, Created: createdAt(t.Job), StartedAt: EntryTime(m.ID),
		Spec: t.Spec, Args: t.Args, Plain: true, Entry: m.ID, Running: running, Active: 1,
	}
	r.tell(t.Tries, t.Attempt, EntryTime(m.ID))
	return r
}

// getPast looks into the few hashes in which a finished plain job can be.
func (s *Store) getPast(ctx context.Context, name string) (*Record, error) {
	buckets, err := s.rdb.ZRange(ctx, s.keys.pasts(), 0, -1).Result()
	if err != nil {
		return nil, s.seen(ctx, err)
	}
	if len(buckets) == 0 {
		return nil, ErrGone
	}
	cmds := make([]*redis.StringCmd, len(buckets))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, b := range buckets {
			cmds[i] = p.HGet(ctx, s.keys.past(b), name)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, s.seen(ctx, err)
	}
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	for i, c := range cmds {
		if c.Err() == nil {
			if r := pastRecord(name, c.Val()); r != nil && r.ExpiresAt > now {
				r.Past = buckets[i]
				return r, nil
			}
		}
	}
	return nil, ErrGone
}

// createdAt is when a plain job of a name was submitted, in ms.
func createdAt(name string) int64 {
	_, id, _ := SplitPlain(name)
	return EntryTime(id)
}

// pastRecord reads what finish.lua keeps: end, expiry, with the entry of a job
// that started later, and the worker's record.
func pastRecord(name, text string) *Record {
	kind, entry, ok := SplitPlain(name)
	ended, rest, ok2 := strings.Cut(text, " ")
	expires, kept, ok3 := strings.Cut(rest, " ")
	if !ok || !ok2 || !ok3 {
		return nil
	}
	if before, started, late := strings.Cut(expires, "@"); late {
		expires, entry = before, started
	}
	k, err := ParseKept([]byte(kept))
	if err != nil {
		err = fmt.Errorf("%w: job %.300q: %w", ErrUnreadable, name, err)
	}
	r := &Record{
		Name: name, UID: name, Kind: kind, Generation: 1, Created: createdAt(name), StartedAt: EntryTime(entry), Plain: true, Entry: entry,
		Phase: rules.JobIsComplete, Reason: rules.ReasonCompletionsReached,
		FateAt: atoi64(ended), EndedAt: atoi64(ended), ExpiresAt: atoi64(expires), Succeeded: 1,
		Spec: k.Spec, Args: k.Args, Result: k.Result, Err: err,
	}
	r.tell(k.Tries, k.Tries.count()+1, EntryTime(entry))
	return r
}

// Kinds lists the kinds that the queue has seen.
func (s *Store) Kinds(ctx context.Context) ([]string, error) {
	kinds, err := s.rdb.SMembers(ctx, s.keys.kinds()).Result()
	return kinds, s.seen(ctx, err)
}

// ListPlain reads up to n plain jobs of a kind that have no record and are not
// finished, oldest or newest first, after an entry; next is "" at the end.
func (s *Store) ListPlain(ctx context.Context, kind, after string, n int, newest bool) (jobs []*Record, next string, err error) {
	from := ""
	if after != "" {
		from = "(" + after
	}
	var msgs []redis.XMessage
	if newest {
		msgs, err = s.rdb.XRevRangeN(ctx, s.keys.ready(kind), cmp.Or(from, "+"), "-", int64(n)).Result()
	} else {
		msgs, err = s.rdb.XRangeN(ctx, s.keys.ready(kind), cmp.Or(from, "-"), "+", int64(n)).Result()
	}
	if err != nil {
		return nil, "", s.seen(ctx, err)
	}
	held, err := s.held(ctx, kind, msgs)
	if err != nil {
		return nil, "", err
	}
	for _, m := range msgs {
		if r := plainRecord(kind, m, held[m.ID]); r != nil {
			jobs = append(jobs, r)
		}
		next = m.ID
	}
	if len(msgs) < n {
		next = ""
	}
	jobs, err = s.unrecorded(ctx, jobs)
	return jobs, next, err
}

// unrecorded leaves out jobs that have got records, under which they are found.
func (s *Store) unrecorded(ctx context.Context, jobs []*Record) ([]*Record, error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	names := make([]string, len(jobs))
	for i, r := range jobs {
		names[i] = r.Name
	}
	created, err := s.rdb.ZMScore(ctx, s.keys.jobs(), names...).Result()
	if err != nil {
		return nil, s.seen(ctx, err)
	}
	out := jobs[:0]
	for i, r := range jobs {
		if created[i] == 0 {
			out = append(out, r)
		}
	}
	return out, nil
}

// held tells which entries some worker has.
func (s *Store) held(ctx context.Context, kind string, msgs []redis.XMessage) (map[string]bool, error) {
	if len(msgs) == 0 {
		return nil, nil
	}
	first, last := msgs[0].ID, msgs[len(msgs)-1].ID
	if CompareEntries(first, last) > 0 {
		first, last = last, first
	}
	pending, err := s.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: s.keys.ready(kind), Group: group1, Start: first, End: last, Count: int64(len(msgs)),
	}).Result()
	if err != nil && !redis.HasErrorPrefix(err, "NOGROUP") {
		return nil, s.seen(ctx, err)
	}
	held := make(map[string]bool, len(pending))
	for _, p := range pending {
		held[p.ID] = true
	}
	return held, nil
}

// Pasts lists the hashes of finished plain jobs, those that go first at first.
func (s *Store) Pasts(ctx context.Context) ([]string, error) {
	all, err := s.rdb.ZRange(ctx, s.keys.pasts(), 0, -1).Result()
	return all, s.seen(ctx, err)
}

// ListPast reads finished plain jobs from one such hash, a page at a time.
func (s *Store) ListPast(ctx context.Context, past string, cursor uint64, n int, now int64) ([]*Record, uint64, error) {
	page, next, err := s.rdb.HScan(ctx, s.keys.past(past), cursor, "", int64(n)).Result()
	if err != nil {
		return nil, 0, s.seen(ctx, err)
	}
	var out []*Record
	for i := 0; i+1 < len(page); i += 2 {
		if r := pastRecord(page[i], page[i+1]); r != nil && r.ExpiresAt > now {
			out = append(out, r)
		}
	}
	return out, next, nil
}

// Await says that somebody waits for the end of a job, so that it is told
// among the events even where nothing of the job is kept. When memory is out,
// or whoever waits may only read, nobody can be told; it then goes by the
// record alone.
func (s *Store) Await(ctx context.Context, name string) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, s.keys.waits(), name, 1)
		p.PExpire(ctx, s.keys.waits(), time.Hour)
		return nil
	})
	if redis.HasErrorPrefix(err, "OOM") || redis.HasErrorPrefix(err, "NOPERM") {
		return nil
	}
	return s.seen(ctx, err)
}
