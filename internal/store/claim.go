package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Task is a stream entry in a worker's hands: one attempt.
type Task struct {
	Kind     string
	Requests string // canonical; see Lane
	Entry    string // the fencing token: greater for every later attempt

	Plain bool
	Spec  []byte // of a plain job
	Args  []byte // of a plain job

	Job, UID string
	Slot     int
	Attempt  int // from 1
	Failures int
	Ignored  int
	Lost     int
	Tries    *Tries // earlier attempts of a plain job
}

// Claim is a worker's wish for tasks.
type Claim struct {
	Worker string
	Op     string // names the claim, so that a repeated one gets the same tasks
	Lanes  []string
	Most   []int // of each lane; nil for Max of each
	Max    int
	Lease  time.Duration
}

// Claimed is what a claim got.
type Claimed struct {
	Tasks []Task
	Now   int64  // Redis's time, ms
	Lanes string // version of the list of lanes with requests; "" for none
}

// Claim hands over up to c.Max tasks.
func (s *Store) Claim(ctx context.Context, c Claim) (Claimed, error) {
	keys, args := s.claim(c)
	word, err := s.word(ctx, claimScript, keys, args...)
	if err != nil {
		return Claimed{}, err
	}
	return c.parse(word)
}

func (s *Store) claim(c Claim) (keys []string, args []any) {
	keys = make([]string, 3, 3+2*len(c.Lanes))
	keys[0], keys[1], keys[2] = s.keys.beats(), s.keys.worker(c.Worker), s.keys.lanes()
	for _, lane := range c.Lanes {
		keys = append(keys, s.keys.ready(lane), s.keys.bell(lane))
	}
	args = append(make([]any, 0, 5+len(c.Most)), s.now(), c.Worker, c.Op, c.Max, c.Lease.Milliseconds())
	for _, n := range c.Most {
		args = append(args, n)
	}
	return keys, args
}

func (c Claim) parse(word string) (Claimed, error) {
	head, rest, _ := strings.Cut(word, "\n")
	now, lanes, _ := strings.Cut(head, " ")
	tasks, err := parseTasks(rest, c.Lanes, c.Max)
	return Claimed{tasks, atoi64(now), lanes}, err
}

// parseTasks reads what claim.lua hands over. The tasks share the memory of
// the reply, and of one copy for what is bytes.
func parseTasks(text string, lanes []string, room int) ([]Task, error) {
	if text == "" {
		return nil, nil
	}
	tasks, data := make([]Task, 0, room), []byte(text)
	for text != "" {
		var head [4]string
		for i := range head {
			var ok bool
			if head[i], text, ok = strings.Cut(text, " "); !ok {
				return tasks, errors.New("claim: torn reply")
			}
		}
		stream, nt, na := atoi(head[0]), atoi(head[2]), atoi(head[3])
		if stream < 1 || stream > len(lanes) || min(nt, na) < 0 || nt > len(text) || na > len(text)-nt {
			return tasks, errors.New("claim: torn reply")
		}
		lane := lanes[stream-1]
		t := Task{Kind: KindOf(lane), Requests: RequestsOf(lane), Entry: head[1]}
		if spec := t.readHeader(text[:nt]); t.Plain {
			end := len(data) - len(text) + nt
			t.Spec, t.Args = data[end-len(spec):end:end], data[end:end+na:end+na]
		}
		tasks = append(tasks, t)
		text = strings.TrimPrefix(text[nt+na:], "\n")
	}
	return tasks, nil
}

// read takes a task's data from its entry.
func (t *Task) read(header, args string) {
	if spec := t.readHeader(header); t.Plain {
		t.Spec, t.Args = []byte(spec), []byte(args)
	}
}

// readHeader takes what an entry's header says, the end of which may be the spec
// of a plain job. A header that it does not understand is one: that job fails to
// decode.
func (t *Task) readHeader(header string) (spec string) {
	if text, ok := strings.CutPrefix(header, "J "); ok && t.readRecorded(text) {
		return ""
	}
	t.Slot, t.Attempt, t.Failures, t.Ignored, t.Lost = 0, 1, 0, 0, 0
	t.Plain = true
	t.Job = PlainName(t.Kind, t.Entry)
	if id, rest, ok := cutLate(header); ok {
		t.Job, header = PlainName(t.Kind, id), rest
	}
	t.UID = t.Job
	t.Tries, header = cutTries(header)
	if t.Tries != nil {
		t.Attempt, t.Failures, t.Ignored = t.Tries.count()+1, t.Tries.Failed, t.Tries.Ignored
	}
	return strings.TrimPrefix(header, "P")
}

// readRecorded takes a task of a job with a record from its header: job, uid,
// slot, attempts, failures, ignored, lost.
func (t *Task) readRecorded(text string) bool {
	t.Job, text, _ = strings.Cut(text, " ")
	t.UID, text, _ = strings.Cut(text, " ")
	more := true
	for _, n := range []*int{&t.Slot, &t.Attempt, &t.Failures, &t.Ignored, &t.Lost} {
		if !more {
			return false
		}
		var word string
		word, text, more = strings.Cut(text, " ")
		*n = atoi(word)
	}
	return !more && t.Job != "" && t.UID != "" && t.Attempt > 0 && min(t.Slot, t.Failures, t.Ignored, t.Lost) >= 0
}

// Waited is how long a task was ready before a time in ms.
func (t *Task) Waited(now int64) time.Duration {
	ms, _ := splitID(t.Entry)
	return time.Duration(max(0, now-ms)) * time.Millisecond
}

// PlainName is the name of a plain job.
func PlainName(kind, entry string) string { return kind + "-" + entry }

// Wait waits until there may be a task of one of the lanes, Wake is called
// for the worker, or for at most the given time. It does not tell which.
func (s *Store) Wait(ctx context.Context, seats *Seats, worker string, lanes []string, atMost time.Duration) error {
	leave := s.sit(ctx, seats)
	if leave == nil {
		stand(ctx)
		return nil
	}
	defer leave()
	err := s.rdb.BLPop(ctx, atMost, s.bells(worker, lanes)...).Err()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return s.seen(ctx, err)
}

func (s *Store) bells(worker string, lanes []string) []string {
	bells := make([]string, len(lanes), len(lanes)+2)
	for i, lane := range lanes {
		bells[i] = s.keys.bell(lane)
	}
	return append(bells, s.keys.bell(NewLanes), s.keys.bell("@"+worker))
}

// WaitClaim waits as Wait does and then claims, in one round trip. After an
// error nobody knows whether it has claimed: the same Claim must follow. ok is
// false, and nothing done, where the client can't wait in a pipeline, or has no
// connection to wait with.
func (s *Store) WaitClaim(ctx context.Context, seats *Seats, c Claim, atMost time.Duration) (got Claimed, ok bool, err error) {
	leave := s.sit(ctx, seats)
	if leave == nil {
		stand(ctx)
		return Claimed{}, false, nil
	}
	defer leave()
	node, err := s.patient(ctx, atMost)
	if node == nil || err != nil {
		return Claimed{}, err != nil, s.seen(ctx, err)
	}
	if err := s.guard(ctx, true); err != nil {
		return Claimed{}, true, err
	}
	keys, args := s.claim(c)
	pipe := node.Pipeline()
	pipe.BLPop(ctx, atMost, s.bells(c.Worker, c.Lanes)...)
	cmd := claimScript.EvalSha(ctx, pipe, keys, args...)
	_, _ = pipe.Exec(ctx) // that nothing came is an error of the first
	word, err := cmd.Text()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		got, err = s.Claim(ctx, c)
		return got, true, err
	}
	if err != nil {
		return Claimed{}, true, s.seen(ctx, err)
	}
	got, err = c.parse(word)
	return got, true, err
}

// patient is a client of the node that has the queue, whose pipelines may take
// as long as a wait; nil where there is none such.
func (s *Store) patient(ctx context.Context, atMost time.Duration) (*redis.Client, error) {
	node, err := s.node(ctx)
	if node == nil {
		return nil, err
	}
	if p := s.waits.Load(); p != nil && p.node == node && p.atMost == atMost {
		return p.client, nil
	}
	const slack = 10 * time.Second // as go-redis allows for a BLPOP
	p := &patience{node, node.WithTimeout(atMost + slack), atMost}
	s.waits.Store(p)
	return p.client, nil
}

// patience is a client made of another, for waits.
type patience struct {
	node, client *redis.Client
	atMost       time.Duration
}

// Wake ends a worker's wait for tasks.
func (s *Store) Wake(ctx context.Context, worker string) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.LPush(ctx, s.keys.bell("@"+worker), 1)
		p.PExpire(ctx, s.keys.bell("@"+worker), time.Minute)
		return nil
	})
	return s.seen(ctx, err)
}

// WakeAll ends all waits of a worker: go-redis does not heed a cancelled
// context while it reads.
func (s *Store) WakeAll(ctx context.Context, worker string) error {
	if err := s.Wake(ctx, worker); err != nil {
		return err
	}
	return s.seen(ctx, s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: s.keys.ctl(), MaxLen: ordersKept, Approx: true, Values: []any{"t", 0}}).Err())
}

// ordersKept is ORDERS of prelude.lua.
const ordersKept = 1000

// Work is what a worker must know of a job with a record to run its tasks.
type Work struct {
	UID        string
	Spec       []byte
	Args       []byte
	Generation int
}

// Work reads spec and args of jobs; one that is gone, or whose record is damaged,
// has no UID.
func (s *Store) Work(ctx context.Context, names []string) ([]Work, error) {
	cmds := make([]*redis.SliceCmd, len(names))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			cmds[i] = p.HMGet(ctx, s.keys.job(name), "uid", "spec", "args", "gen")
		}
		return nil
	})
	if err != nil && !isReply(err) {
		return nil, s.seen(ctx, err)
	}
	out := make([]Work, len(names))
	for i, c := range cmds {
		v, err := c.Result()
		if err != nil && !Damaged(err) {
			return nil, err
		}
		if len(v) != 4 {
			continue // what is wrong with one keeps nobody from the others
		}
		uid, _ := v[0].(string)
		spec, _ := v[1].(string)
		args, _ := v[2].(string)
		gen, _ := v[3].(string)
		out[i] = Work{uid, []byte(spec), []byte(args), atoi(gen)}
	}
	return out, nil
}

// ReadTask reads a task from the header of its entry.
func ReadTask(lane, entry, header string) Task {
	t := Task{Kind: KindOf(lane), Requests: RequestsOf(lane), Entry: entry}
	t.read(header, "")
	return t
}
