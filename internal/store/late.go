package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A plain job that starts later waits beside the stream of its kind. It is
// known by an id like that of an entry, of the time of its submission and a
// number so large that Redis gives it to none. When its time has come it gets
// an entry that names it, and the id leads to that until its task is settled.
// So does one that waits for another attempt: its id is its first entry.

// lateDigits is how many digits the number in such an id has.
const lateDigits = 19

// lateNumber is the number of a call that submits such jobs: with three digits
// more for each of them it is the job's. So jobs of one call and one start start
// in their order.
func lateNumber() string {
	const least, room = (1<<62)/1000 + 1, (1<<62)/1000 - 1 // all numbers up there have 16 digits
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return strconv.FormatUint(least+binary.LittleEndian.Uint64(b[:])%room, 10)
}

// isLate tells the id of a plain job that starts later from an entry.
func isLate(id string) bool { return len(id)-strings.LastIndexByte(id, '-')-1 == lateDigits }

// lateHeader is what put_off reads.
func (j *Submission) lateHeader(number string) string {
	return number + " " + itoa(j.Start) + " " + plainHeader(j.Spec)
}

// cutLate takes the header of a started job's entry apart.
func cutLate(header string) (id, rest string, ok bool) {
	text, late := strings.CutPrefix(header, "L")
	if !late {
		return "", header, false
	}
	id, rest, _ = strings.Cut(text, " ")
	if _, same, ok := SplitPlain("k-" + id); !ok || same != id {
		return "", header, false
	}
	return id, rest, true
}

// lateID is the id of a plain task's job, "" where its entry is that.
func (t *Task) lateID() string {
	if !t.Plain {
		return ""
	}
	if _, id, ok := SplitPlain(t.Job); ok && id != t.Entry {
		return id
	}
	return ""
}

// Ripen starts plain jobs of a kind whose time has come, up to a bound, and
// tells whether there are more: the timers go on with these.
func (s *Store) Ripen(ctx context.Context, kind string) (more bool, err error) {
	keys := []string{s.keys.timers(), s.keys.late(kind), s.keys.later(kind), s.keys.ready(kind), s.keys.bell(kind)}
	word, err := s.word(ctx, ripenScript, keys, s.now(), kind, atOnce)
	return word == "MORE", err
}

// getLate reads a plain job that waits for its start or next attempt, or the
// entry that it got when it started; neither where it is gone.
func (s *Store) getLate(ctx context.Context, kind, id string) (r *Record, entry string, err error) {
	var job *redis.StringCmd
	var due *redis.FloatCmd
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		job = p.HGet(ctx, s.keys.late(kind), id)
		due = p.ZScore(ctx, s.keys.later(kind), id)
		return nil
	})
	if redis.HasErrorPrefix(err, "WRONGTYPE") && !isLate(id) {
		return nil, "", nil // of most jobs nothing was there
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, "", s.seen(ctx, err)
	}
	text := job.Val()
	if entry, started := strings.CutPrefix(text, "@"); started || text == "" {
		return nil, entry, nil
	}
	r = lateRecord(kind, id, text, int64(due.Val()))
	return r, "", r.Err
}

// lateRecord reads what hold of putoff.lua keeps, or what others have put there.
func lateRecord(kind, id, text string, due int64) *Record {
	name := PlainName(kind, id)
	length, rest, ok := strings.Cut(text, " ")
	n := atoi(length)
	if !ok || n < 1 || n > len(rest) {
		n, rest = 0, ""
	}
	tries, spec := cutTries(rest[:n])
	if spec == "" || spec[0] != 'P' {
		return &Record{Name: name, Err: fmt.Errorf("%w: job %.300q: it cannot be started", ErrUnreadable, name)}
	}
	r := &Record{
		Name: name, UID: name, Kind: kind, Generation: 1, Created: EntryTime(id), Plain: true,
		Spec: []byte(spec[1:]), Args: []byte(rest[n:]),
	}
	if tries != nil {
		r.tell(tries, tries.count(), tries.Last)
		r.RetryAt = due
	}
	return r
}

// ListLate reads up to n plain jobs of a kind that wait for their start or next
// attempt, by this, after a token that it gave before; next is "" at the end.
func (s *Store) ListLate(ctx context.Context, kind, token string, n int, newest bool) (jobs []*Record, next string, err error) {
	ids, next, err := s.page(ctx, s.keys.later(kind), token, n, newest)
	if err != nil || len(ids) == 0 {
		return nil, "", err
	}
	var values *redis.SliceCmd
	dues := make([]*redis.FloatCmd, len(ids))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		values = p.HMGet(ctx, s.keys.late(kind), ids...)
		for i, id := range ids {
			dues[i] = p.ZScore(ctx, s.keys.later(kind), id)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, "", s.seen(ctx, err)
	}
	for i, v := range values.Val() {
		if text, ok := v.(string); ok && !strings.HasPrefix(text, "@") { // it has not started meanwhile
			jobs = append(jobs, lateRecord(kind, ids[i], text, int64(dues[i].Val())))
		}
	}
	return jobs, next, nil
}

// lateFaults are what auditlate.lua finds.
var lateFaults = map[string]Fault{
	"missing":    {Rule: ruleConserved, Detail: "it has a start to wait for, and is not there"},
	"forgotten":  {Rule: ruleConserved, Detail: "it waits for its start, which nothing tells"},
	"twice":      {Rule: ruleConserved, Detail: "it has started, and waits for its start"},
	"unreadable": {Rule: ruleConserved, Detail: "it cannot be read, nor started"},
	"lost":       {Rule: ruleConserved, Detail: "it has started, and its entry is not there"},
	"recorded":   {Rule: ruleConserved, Detail: "it has a record, and is a plain job too"},
}

// AuditLate looks at a page of the plain jobs of a kind that start later or
// again, or have, from a place on that it gave before. next is "" at the end.
func (s *Store) AuditLate(ctx context.Context, kind, from string) (faults []Fault, next string, err error) {
	if KindOf(kind) != kind {
		return nil, "", nil
	}
	cursor, token, _ := strings.Cut(from, " ")
	var ids []string
	if cursor = cmp.Or(cursor, "0"); cursor != "-" {
		page, after, err := s.rdb.HScan(ctx, s.keys.late(kind), uint64(atoi64(cursor)), "", auditPage).Result() //nolint:gosec // as Redis gave it
		if err != nil {
			return nil, "", s.seen(ctx, err)
		}
		for i := 0; i < len(page); i += 2 {
			ids = append(ids, page[i])
		}
		if cursor = "-"; after != 0 {
			cursor = fmt.Sprint(after)
		}
	}
	more := cursor != "-"
	if token != "-" {
		page, after, err := s.page(ctx, s.keys.later(kind), token, auditPage, false)
		if err != nil {
			return nil, "", err
		}
		ids, token, more = append(ids, page...), cmp.Or(after, "-"), more || after != ""
	}
	now, err := s.Now(ctx)
	if err != nil {
		return nil, "", err
	}
	keys := []string{s.keys.timers(), s.keys.late(kind), s.keys.later(kind), s.keys.ready(kind)}
	args := []any{now, kind}
	for _, id := range ids {
		keys, args = append(keys, s.keys.job(PlainName(kind, id))), append(args, id)
	}
	lines, err := s.lines(ctx, auditLateScript, keys, args...)
	for _, line := range lines {
		what, id, _ := strings.Cut(line, " ")
		if f, ok := lateFaults[what]; ok {
			f.Job = PlainName(kind, id)
			faults = append(faults, f)
		} else {
			faults = append(faults, Fault{Rule: ruleConserved, Detail: fmt.Sprintf("jobs of kind %s wait for their start, and no timer is set", kind)})
		}
	}
	if more {
		next = cursor + " " + token
	}
	return faults, next, err
}
