package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// KeysOf says of which kinds jobs are, and what they request, "" where there is none.
func (s *Store) KeysOf(ctx context.Context, names []string) ([]JobKey, error) {
	cmds := make([]*redis.SliceCmd, len(names))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, n := range names {
			cmds[i] = p.HMGet(ctx, s.keys.job(n), "kind", "requests")
		}
		return nil
	})
	if err != nil && !isReply(err) {
		return nil, s.seen(ctx, err)
	}
	jobs := make([]JobKey, 0, len(names))
	for i, n := range names {
		switch err := cmds[i].Err(); {
		case err == nil:
			job := JobKey{Name: n}
			if v := cmds[i].Val(); len(v) == 2 {
				job.Kind, _ = v[0].(string)
				job.Requests, _ = v[1].(string)
			}
			jobs = append(jobs, job)
		case !Damaged(err): // what is wrong with one keeps nobody from the others
			return nil, err
		}
	}
	return jobs, nil
}

// AuditStream looks at a page of the entries of a lane, after an entry: each
// must be known to its job. next is "" at the end.
func (s *Store) AuditStream(ctx context.Context, lane, after string) (faults []Fault, next string, err error) {
	from := "-"
	if after != "" {
		from = "(" + after
	}
	msgs, err := s.rdb.XRangeN(ctx, s.keys.ready(lane), from, "+", auditPage).Result()
	if err != nil || len(msgs) == 0 {
		return nil, "", s.seen(ctx, err)
	}
	keys, args := []string{s.keys.ready(lane), s.keys.late(lane)}, []any{}
	jobs := map[string]string{}
	for _, m := range msgs {
		header, _ := m.Values["t"].(string)
		t := ReadTask(lane, m.ID, header)
		keys = append(keys, s.keys.job(t.Job), s.keys.tasks(t.Job), s.keys.ends(t.Job))
		slot := itoa(int64(t.Slot))
		if t.Plain {
			slot = ""
		}
		args = append(args, m.ID, t.UID, slot, t.lateID())
		jobs[m.ID] = t.Job
	}
	lost, err := s.lines(ctx, auditStreamScript, keys, args...)
	for _, entry := range lost {
		faults = append(faults, Fault{ruleConserved, jobs[entry], fmt.Sprintf("entry %s of kind %s is a task that its job does not know of", entry, lane)})
	}
	if len(msgs) == auditPage {
		next = msgs[len(msgs)-1].ID
	}
	return faults, next, err
}

// lines runs a script that writes nothing and answers with strings.
func (s *Store) lines(ctx context.Context, script *redis.Script, keys []string, args ...any) ([]string, error) {
	v, err := s.read(ctx, script, keys, args...)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("script answered %T, want a list", v)
	}
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = fmt.Sprint(w)
	}
	return out, nil
}

// AuditLane looks at a page of what workers hold of a lane, from an entry on,
// and with the first page at the workers. next is "" at the end.
func (s *Store) AuditLane(ctx context.Context, lane, from string) (faults []Fault, next string, err error) {
	args := []any{from, auditPage}
	if from == "" {
		args[0] = "-"
		for c := range s.consumers(ctx, lane) {
			args = append(args, c)
		}
	}
	lines, err := s.lines(ctx, auditLaneScript, []string{s.keys.ready(lane), s.keys.bell(lane), s.keys.beats()}, args...)
	if err != nil || len(lines) == 0 {
		return nil, "", err
	}
	var still map[string]bool
	for _, line := range lines[1:] {
		what, id, _ := strings.Cut(line, " ")
		switch what {
		case "P":
			faults = append(faults, Fault{Rule: ruleLeft, Detail: fmt.Sprintf("entry %s of kind %s is held, and not there", id, lane)})
		case "C":
			if still == nil {
				still = s.consumers(ctx, lane)
			}
			if !still[id] {
				continue // it has left meanwhile
			}
			faults = append(faults, Fault{Rule: ruleLeft, Detail: fmt.Sprintf("consumer %s of kind %s is no worker and holds nothing", id, lane)})
		case "B":
			faults = append(faults, Fault{Rule: ruleLeft, Detail: fmt.Sprintf("the bell of kind %s has %s tokens", lane, id)})
		}
	}
	if ms, seq := splitID(lines[0]); lines[0] != "" {
		next = itoa(ms) + "-" + itoa(seq+1)
	}
	return faults, next, nil
}

// consumers are those of a kind, up to Limit; none where no worker has come.
func (s *Store) consumers(ctx context.Context, kind string) map[string]bool {
	out := map[string]bool{}
	for _, c := range s.rdb.XInfoConsumers(ctx, s.keys.ready(kind), group1).Val() {
		if len(out) < Limit {
			out[c.Name] = true
		}
	}
	return out
}

// CronFacts are a cron job and its timer, read at one moment.
type CronFacts struct {
	Name  string
	Cron  Cron
	Timer bool
}

// AuditTimers looks at a page of timers, from the n-th on, and at a page of
// cron jobs. Both are over when next and cursor are "".
func (s *Store) AuditTimers(ctx context.Context, n int, cursor string) (faults []Fault, crons []CronFacts, next int, after string, err error) {
	var names []string
	if n >= 0 {
		page, err := s.rdb.ZRange(ctx, s.keys.timers(), int64(n), int64(n+auditPage-1)).Result()
		if err != nil {
			return nil, nil, 0, "", s.seen(ctx, err)
		}
		for _, m := range page {
			if !strings.Contains(m, "/") {
				names = append(names, m)
			}
		}
		if n += len(page); len(page) < auditPage {
			n = -1
		}
	}
	keys, args := []string{s.keys.timers(), s.keys.pasts(), s.keys.cron()}, []any{cursor, auditPage}
	for _, name := range names {
		keys, args = append(keys, s.keys.job(name)), append(args, name)
	}
	v, err := s.read(ctx, auditTimersScript, keys, args...)
	if err != nil {
		return nil, nil, 0, "", err
	}
	list, _ := v.([]any)
	if len(list) < 1 {
		return nil, nil, 0, "", fmt.Errorf("audit of timers answered %v", v)
	}
	after, _ = list[0].(string)
	for _, row := range list[1:] {
		var w [4]string
		cells, _ := row.([]any)
		for i := 0; i < len(cells) && i < len(w); i++ {
			w[i], _ = cells[i].(string)
		}
		switch w[0] {
		case "j":
			faults = append(faults, Fault{ruleLeft, w[1], "it has a timer and no record"})
		case "p":
			faults = append(faults, Fault{Rule: ruleLeft, Detail: fmt.Sprintf("no timer removes the finished jobs of %s", w[1])})
		case "c":
			version, data, _ := strings.Cut(w[2], " ")
			crons = append(crons, CronFacts{w[1], Cron{version, []byte(data)}, w[3] != ""})
		}
	}
	return faults, crons, n, after, nil
}

// AuditKeys looks at a page of all keys in the database, and at those of the
// queue among them: something must refer to each. next is 0 at the end.
func (s *Store) AuditKeys(ctx context.Context, cursor uint64) (faults []Fault, next uint64, err error) {
	var node redis.Cmdable = s.rdb
	if c, ok := s.rdb.(*redis.ClusterClient); ok {
		if node, err = c.MasterForKey(ctx, s.keys.jobs()); err != nil {
			return nil, 0, s.seen(ctx, err)
		}
	}
	page, next, err := node.Scan(ctx, cursor, s.keys.prefix+"*", Limit).Result()
	if err != nil {
		return nil, 0, s.seen(ctx, err)
	}
	for ; len(page) > 0; page = page[min(len(page), Limit):] {
		more, err := s.auditKeys(ctx, page[:min(len(page), Limit)])
		if err != nil {
			return nil, 0, err
		}
		faults = append(faults, more...)
	}
	return faults, next, nil
}

func (s *Store) auditKeys(ctx context.Context, page []string) (faults []Fault, err error) {
	var keys []string
	var args []any
	for _, key := range page {
		by, how, member := s.referrer(strings.TrimPrefix(key, s.keys.prefix))
		switch how {
		case "":
		case "?":
			faults = append(faults, Fault{Rule: ruleLeft, Detail: fmt.Sprintf("key %.300q is none of a queue's", key)})
		default:
			keys, args = append(keys, key, by), append(args, how, member)
		}
	}
	if len(keys) == 0 {
		return faults, nil
	}
	lost, err := s.lines(ctx, auditKeysScript, keys, args...)
	for _, n := range lost {
		faults = append(faults, Fault{Rule: ruleLeft, Detail: fmt.Sprintf("nothing refers to key %.300q", keys[2*atoi(n)-2])})
	}
	return faults, err
}

// referrer says what must refer to a key of the queue, and how; "" where
// nothing has to, "?" where the key is unknown.
func (s *Store) referrer(key string) (by, how, member string) {
	family, rest, _ := strings.Cut(key, ":")
	switch family {
	case "job":
		name, part, _ := strings.Cut(rest, ":")
		if part == "" {
			return s.keys.jobs(), "Z", name
		}
		return s.keys.job(name), "E", ""
	case "past":
		return s.keys.pasts(), "Z", rest
	case "worker":
		return s.keys.beats(), "H", rest
	case "object":
		return s.keys.objects(), "Z", rest
	case "sub", "stats", "waits", "lacks":
		return s.keys.jobs(), "T", ""
	case "late", "later":
		return "", "", ""
	case "ready":
		if KindOf(rest) != rest {
			return s.keys.lanes(), "H", rest
		}
		return "", "", ""
	case "bell":
		if strings.HasPrefix(rest, "@") {
			return s.keys.jobs(), "T", ""
		}
		return "", "", ""
	case "lanes", "timers", "jobs", "cron", "beats", "kinds", "layout", "pasts", "events", "ctl", "objects":
		return "", "", ""
	}
	return "", "?", ""
}
