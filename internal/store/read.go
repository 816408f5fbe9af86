package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/stint-go/stint/internal/indexset"
	"github.com/stint-go/stint/internal/rules"
)

// Record is a job as Redis holds it.
type Record struct {
	Name, UID, Kind, Owner string
	Requests               string // canonical; see Lane
	Generation             int
	Created                int64
	Spec, Args             []byte

	Phase           rules.Phase
	Reason, Message string
	Error           string // of the last attempt that failed: the beginning of a JSON string
	FateAt, EndedAt int64
	StartedAt       int64
	Suspended       bool
	SuspendedAt     int64
	Active, Ending  int
	Succeeded       int
	Failed          int
	RetryAt         int64
	Deleting        bool
	Log             string // of its own events; see Happened
	Lacks           string // until when at most it is parked, for want of which object, and why; "" for none
	Memory          string // which tasks use too much; see MemoryOver
	Done, Bad       indexset.Set

	// Of a plain job without a record:
	Plain     bool
	Entry     string
	Running   bool
	Attempts  int    // how many have started
	LastStart int64  // of the last one
	Tries     *Tries // what they came to, but for one that waits, runs or has succeeded
	ExpiresAt int64
	Result    []byte
	Past      string // the hash that keeps it

	Err error // it cannot be read: there is only its name; it wraps ErrUnreadable
}

// ErrUnreadable is what is there and was not written by a version known here.
var ErrUnreadable = errors.New("stint: unreadable record")

// lateFrom is where the scores of `wait` are due times: READY of prelude.lua.
const lateFrom = "(2147483647"

// Get reads a job with a record.
func (s *Store) Get(ctx context.Context, name string) (*Record, error) {
	all, err := s.GetAll(ctx, []string{name})
	if err != nil {
		return nil, err
	}
	if all[0] == nil {
		return nil, ErrGone
	}
	return all[0], all[0].Err
}

// GetAll reads jobs with a record, in one round trip; nil where there is none.
// One that is unreadable keeps nobody from reading the others: see Err.
func (s *Store) GetAll(ctx context.Context, names []string) ([]*Record, error) {
	out := make([]*Record, len(names))
	if len(names) == 0 {
		return out, nil
	}
	keys := make([]string, 0, 4*len(names))
	for _, n := range names {
		keys = append(keys, s.keys.job(n), s.keys.done(n), s.keys.bad(n), s.keys.wait(n))
	}
	v, err := s.read(ctx, readScript, keys, lateFrom)
	if err != nil {
		return nil, err
	}
	jobs, _ := v.([]any)
	if len(jobs) != len(names) {
		return nil, fmt.Errorf("read answered %d jobs of %d", len(jobs), len(names))
	}
	for i, j := range jobs {
		if out[i], err = readJob(j); err != nil {
			out[i] = &Record{Name: names[i], Err: fmt.Errorf("%w: job %.300q: %w", ErrUnreadable, names[i], err)}
		}
	}
	return out, nil
}

// readJob reads what read.lua says of a job; nil where it is gone.
func readJob(v any) (*Record, error) {
	f, _ := v.([]any)
	if text, ok := v.(string); ok {
		return nil, errors.New(text)
	}
	if len(f) != 4 {
		return nil, fmt.Errorf("read answered %T", v)
	}
	pairs, _ := f[0].([]any)
	h := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		field, _ := pairs[i].(string)
		h[field], _ = pairs[i+1].(string)
	}
	if len(h) == 0 || h["deleting"] == "1" {
		return nil, nil
	}
	r, err := readRecord(h)
	if err != nil {
		return nil, err
	}
	done, _ := f[1].(string)
	bad, _ := f[2].(string)
	late, _ := f[3].(string)
	r.Done, r.Bad = indexset.FromBitmap([]byte(done)), indexset.FromBitmap([]byte(bad))
	if !jobScope(h["rules"]) {
		r.RetryAt = 0 // each slot waits for itself
	}
	if late != "" && r.RetryAt == 0 {
		at, _ := strconv.ParseFloat(late, 64) // as Redis writes a score
		r.RetryAt = int64(at)
	}
	return r, nil
}

// jobScope tells whether a failure holds back the whole job, by its rules.
func jobScope(text string) bool {
	const scope = 14 // RULES_TEXT of record.lua
	f := strings.Split(text, "|")
	return len(f) <= scope || f[scope] == "1"
}

// readRecord reads the hash of a job, which others may have written.
func readRecord(h map[string]string) (*Record, error) {
	f := strings.Split(h["state"], "|")
	const numbers = 19 // STATE of record.lua
	if len(f) < numbers {
		return nil, fmt.Errorf("state %.60q: want %d numbers", h["state"], numbers)
	}
	n := make([]int64, numbers)
	for i := range n {
		v, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("state %.60q: %w", h["state"], err)
		}
		n[i] = v
	}
	if h["name"] == "" || h["uid"] == "" || h["kind"] == "" {
		return nil, errors.New("it has no name, uid or kind")
	}
	return &Record{
		Name: h["name"], UID: h["uid"], Kind: h["kind"], Owner: h["owner"], Requests: h["requests"],
		Generation: atoi(h["gen"]), Created: atoi64(h["created"]),
		Spec: []byte(h["spec"]), Args: []byte(h["args"]),
		Phase: rules.Phase(h["phase"]), Reason: h["reason"], Message: h["message"], Error: h["error"],
		FateAt: n[0], EndedAt: n[1], StartedAt: n[2], Suspended: n[3] == 1, SuspendedAt: n[4],
		Succeeded: int(n[5]), Failed: int(n[6] - n[16]), RetryAt: n[9],
		Active: int(n[11]), Ending: int(n[12]), Deleting: n[14] == 1, Log: h["log"], Lacks: h["lacks"], Memory: h["memory"],
	}, nil
}

// List reads up to n names of jobs with a record, oldest or newest first,
// after a token that it gave before, and the token to go on with; "" at the
// end. A token is the last job's time and name: jobs of one time lie in the
// order of names.
func (s *Store) List(ctx context.Context, token string, n int, newest bool) (names []string, next string, err error) {
	return s.page(ctx, s.keys.jobs(), token, n, newest)
}

// page reads a page of a zset, by score and member; see List.
func (s *Store) page(ctx context.Context, key, token string, n int, newest bool) (names []string, next string, err error) {
	from, last, _ := strings.Cut(token, " ")
	page, whole, err := s.pageFrom(ctx, key, from, n, newest, func(z redis.Z) bool {
		passed := cmp.Compare(memberText(z), last)
		if newest {
			passed = -passed
		}
		return scoreText(z) == from && passed <= 0
	})
	if err != nil {
		return nil, "", err
	}
	more := len(page) > n || !whole
	page = page[:min(n, len(page))]
	for _, z := range page {
		names = append(names, memberText(z))
	}
	if more {
		next = scoreText(page[n-1]) + " " + names[n-1]
	}
	return names, next, nil
}

// pageFrom reads more than n members from a score on, without those that were
// seen before, or the whole rest.
func (s *Store) pageFrom(ctx context.Context, key, from string, n int, newest bool, seen func(redis.Z) bool) (page []redis.Z, whole bool, err error) {
	for limit := 2*n + 1; ; limit *= 2 {
		by := &redis.ZRangeBy{Min: cmp.Or(from, "-inf"), Max: "+inf", Count: int64(limit)}
		if newest {
			by.Min, by.Max = "-inf", cmp.Or(from, "+inf")
			page, err = s.rdb.ZRevRangeByScoreWithScores(ctx, key, by).Result()
		} else {
			page, err = s.rdb.ZRangeByScoreWithScores(ctx, key, by).Result()
		}
		if err != nil {
			return nil, false, s.seen(ctx, err)
		}
		whole = len(page) < limit
		if page = slices.DeleteFunc(page, seen); len(page) > n || whole {
			return page, whole, nil
		}
	}
}

func scoreText(z redis.Z) string { return itoa(int64(z.Score)) }

func memberText(z redis.Z) string {
	name, _ := z.Member.(string)
	return name
}

// Results reads what handlers left, by slot, a page at a time.
func (s *Store) Results(ctx context.Context, name string, cursor uint64, each func(slot int, v []byte)) (uint64, error) {
	return s.scan(ctx, name, "r:*", cursor, func(field, v string) { each(atoi(field[2:]), []byte(v)) })
}

// Failures reads the last errors of a job's slots, a page at a time.
func (s *Store) Failures(ctx context.Context, name string, cursor uint64, each func(slot int, at int64, v []byte)) (uint64, error) {
	return s.scan(ctx, name, "e:*", cursor, func(field, v string) {
		slot, _, _ := strings.Cut(field[2:], ":")
		at, record, _ := strings.Cut(v, " ")
		each(atoi(slot), atoi64(at), []byte(record))
	})
}

// Progress reads what running handlers say of their progress, a page at a time.
func (s *Store) Progress(ctx context.Context, name string, cursor uint64, each func(slot int, v []byte)) (uint64, error) {
	return s.scan(ctx, name, "p:*", cursor, func(field, v string) { each(atoi(field[2:]), []byte(v)) })
}

func (s *Store) scan(ctx context.Context, name, match string, cursor uint64, each func(field, v string)) (uint64, error) {
	page, next, err := s.rdb.HScan(ctx, s.keys.data(name), cursor, match, Limit).Result()
	if err != nil {
		return 0, s.seen(ctx, err)
	}
	for i := 0; i+1 < len(page); i += 2 {
		each(page[i], page[i+1])
	}
	return next, nil
}

// Running is an active task of a job.
type Running struct {
	Slot    int
	Entry   string
	Attempt int
	Worker  string // "" while no worker has it
}

// Tasks reads the active tasks of a job in a lane, up to Limit of them.
func (s *Store) Tasks(ctx context.Context, name, lane string) ([]Running, error) {
	page, _, err := s.rdb.HScan(ctx, s.keys.tasks(name), 0, "", Limit).Result()
	if err != nil {
		return nil, s.seen(ctx, err)
	}
	out := make([]Running, 0, len(page)/2)
	cmds := make([]*redis.XPendingExtCmd, 0, len(page)/2)
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := 0; i+1 < len(page) && len(out) < Limit; i += 2 {
			f := strings.Fields(page[i+1])
			if len(f) < 2 {
				return fmt.Errorf("job %s: unreadable task %.60q", name, page[i+1])
			}
			out = append(out, Running{Slot: atoi(page[i]), Entry: f[0], Attempt: atoi(f[1])})
			cmds = append(cmds, p.XPendingExt(ctx, &redis.XPendingExtArgs{
				Stream: s.keys.ready(lane), Group: group1, Start: f[0], End: f[0], Count: 1,
			}))
		}
		return nil
	})
	if err != nil && !redis.HasErrorPrefix(err, "NOGROUP") {
		return nil, s.seen(ctx, err)
	}
	for i, c := range cmds {
		if held := c.Val(); len(held) == 1 {
			out[i].Worker = held[0].Consumer
		}
	}
	slices.SortFunc(out, func(a, b Running) int { return a.Slot - b.Slot })
	return out, nil
}

// group1 is the one consumer group of every ready stream.
const group1 = "w"

// Result reads the result of a slot, nil for none.
func (s *Store) Result(ctx context.Context, name string, slot int) ([]byte, error) {
	v, err := s.rdb.HGet(ctx, s.keys.data(name), "r:"+strconv.Itoa(slot)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return v, s.seen(ctx, err)
}
