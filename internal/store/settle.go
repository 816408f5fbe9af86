package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stint-go/stint/internal/rules"
)

// Result is how a task ended.
type Result struct {
	Task    *Task
	Verdict rules.Verdict
	Ago     time.Duration // how long ago it ended
	Delay   time.Duration // before the next attempt; negative for the job's own
	Result  []byte        // of a success; nil for none
	Error   []byte        // a record of the failure, for readers
	Message string        // of a verdict on the whole job
	Hits    string        // see Hits
	Notes   bool          // the task has kept notes
	Wait    time.Duration // from when it could run until it was claimed
	Run     time.Duration // from then until its end

	// Of a plain job:
	Spec   func() rules.Spec // if it gets a record here
	TTL    time.Duration     // after a success; 0 keeps nothing
	Record []byte            // what is kept of a success

	recorded bool // it does get one
}

// verdicts are settle.lua's letters.
var verdicts = [...]string{
	rules.Succeeded: "S", rules.Failed: "F", rules.Ignored: "I", rules.IndexFailed: "X",
	rules.JobFailed: "J", rules.Lost: "L", rules.Released: "G",
}

// Outcome is what Settle did with a Result.
type Outcome struct {
	Counted bool // false: the task had lost its lease, nothing changed
	Err     error
}

// Guard names a worker whose tasks are given up, and its beat as last seen.
type Guard struct{ Worker, Beat string }

// Settle ends tasks, whole batches of them in one round trip. hint is
// Redis's time in ms as last seen, or 0.
func (s *Store) Settle(ctx context.Context, results []Result, g Guard, hint int64) []Outcome {
	out := make([]Outcome, len(results))
	ended, plain := group(results, g)
	batches := pack(ended)
	calls := make([]call, 0, len(batches)+len(plain))
	members := make([][]int, 0, cap(calls))
	for _, b := range batches {
		calls = append(calls, s.settleCall(results, b, g))
		members = append(members, slices.Concat(b...))
	}
	for _, idx := range plain {
		if results[idx[0]].finishes() {
			calls = append(calls, s.finishCall(results, idx, hint))
		} else {
			calls = append(calls, s.postponeCall(results, idx))
		}
		members = append(members, idx)
	}
	s.runAll(ctx, calls)
	for i, idx := range members {
		word, err := calls[i].cmd.Text()
		if now, late := strings.CutSuffix(word, " LATE"); late {
			s.settleAgain(ctx, results, idx, g, atoi64(now)+1000, out, func(*Result) {})
			continue
		}
		if word == "OLD" { // for the sake of workers of the layout before
			s.settleAgain(ctx, results, idx, g, 0, out, func(r *Result) { r.recorded = true })
			continue
		}
		_, flags, _ := strings.Cut(word, " ")
		if err == nil && strings.Contains(flags, "2") {
			s.settleAgain(ctx, results, adopted(idx, flags), g, 0, out, (*Result).adopted)
		}
		for n, at := range idx {
			switch {
			case err != nil:
				out[at].Err = err
			case n < len(flags) && flags[n] == '2': // settled above
			case n < len(flags):
				out[at].Counted = flags[n] == '1'
				if flags[n] == 'D' {
					out[at].Err = errRecord
				}
			default:
				out[at].Err = verdictOf(word)
			}
		}
	}
	return out
}

// settleAgain ends tasks that one script has left to another, after a change of
// their results.
func (s *Store) settleAgain(ctx context.Context, results []Result, idx []int, g Guard, hint int64, out []Outcome, change func(*Result)) {
	again := make([]Result, len(idx))
	for i, at := range idx {
		again[i] = results[at]
		change(&again[i])
	}
	for i, o := range s.Settle(ctx, again, g, hint) {
		out[idx[i]] = o
	}
}

// adopted are the plain tasks whose jobs have got a record meanwhile, which
// own.lua marks with 2.
func adopted(idx []int, flags string) (all []int) {
	for n, at := range idx {
		if n < len(flags) && flags[n] == '2' {
			all = append(all, at)
		}
	}
	return all
}

// adopted makes the result that of a task whose job has a record.
func (r *Result) adopted() {
	task := *r.Task
	task.Plain = false
	r.Task = &task
}

// group sorts results: plain successes by kind and time to live, plain failures
// that postpone their jobs by kind, the others by job.
func group(results []Result, g Guard) (ended, plain [][]int) {
	type key struct {
		job, uid string
		ttl      time.Duration
	}
	const postponed = -1 // as a time to live
	at := make(map[key]int, 4)
	for i := range results {
		r := &results[i]
		k, groups := key{job: r.Task.Job, uid: r.Task.UID}, &ended
		switch {
		case r.finishes():
			k, groups = key{job: r.Task.Kind, ttl: r.TTL}, &plain
		case g.Worker == "" && r.postpones():
			k, groups = key{job: r.Task.Kind, ttl: postponed}, &plain
		}
		n, ok := at[k]
		if !ok || len((*groups)[n]) == atOnce {
			n = len(*groups)
			at[k] = n
			*groups = append(*groups, make([]int, 0, min(atOnce, len(results)-i)))
		}
		(*groups)[n] = append((*groups)[n], i)
	}
	return ended, plain
}

// atOnce bounds the tasks that one script ends, so that it takes a
// millisecond or two; a job costs as much as jobWeight tasks.
const (
	atOnce    = 200
	jobWeight = 8
)

// pack makes calls of groups, each of one job. No call has a job twice: a
// group is only followed by another of its job when it fills a call.
func pack(groups [][]int) (batches [][][]int) {
	weight := atOnce
	for _, idx := range groups {
		if w := len(idx) + jobWeight; weight+w > atOnce {
			batches = append(batches, nil)
			weight = 0
		}
		weight += len(idx) + jobWeight
		last := len(batches) - 1
		batches[last] = append(batches[last], idx)
	}
	return batches
}

// finishes tells a plain success.
func (r *Result) finishes() bool { return r.Task.Plain && r.Verdict == rules.Succeeded }

// settleCall ends the tasks of jobs, each with its indexes into results.
func (s *Store) settleCall(results []Result, jobs [][]int, g Guard) call {
	keys := append(make([]string, 0, 11+7*len(jobs)), s.keys.queue()...)
	keys = append(keys, s.keys.beats())
	args := append(make([]any, 0, 8+8*len(jobs)+3*atOnce), s.now(), g.Worker, g.Beat, 0)
	lanes, late, more := map[string]int{}, []string(nil), []string(nil)
	for _, idx := range jobs {
		waited, ran := times(results, idx)
		t := results[idx[0]].Task
		if t.Requests != "" {
			more = s.keys.laneKeys()
		}
		lane := t.lane()
		n := lanes[lane]
		if n == 0 {
			lanes[lane] = len(lanes) + 1
			keys = append(keys, s.keys.ready(lane), s.keys.bell(lane), s.keys.stats(t.Kind))
			args = append(args, waited, ran)
			continue
		}
		args[2+2*n] = args[2+2*n].(int64) + waited //nolint:forcetypeassert // put there above
		args[3+2*n] = args[3+2*n].(int64) + ran    //nolint:forcetypeassert // put there above
	}
	args[3] = len(lanes)
	for _, idx := range jobs {
		first := &results[idx[0]]
		t := first.Task
		keys = append(keys, s.keys.record(t.Job)...)
		won, ago := wonFirst(results, idx)
		args = append(args, t.UID, lanes[t.lane()], won, ago.Milliseconds(), len(idx)-won, "")
		if t.Plain {
			args[len(args)-1] = "P"
			args = append(args, t.Job, t.Kind, rulesText(first.Spec()), t.Spec, t.Args, labelsText(t.Spec), t.Entry, t.lateID(), t.Tries.text())
			if t.lateID() != "" {
				late = append(late, s.keys.late(t.Kind))
			}
		}
		for _, i := range idx[:won] {
			args = append(args, results[i].Task.Entry)
		}
		for _, i := range idx[:won] {
			args = append(args, results[i].Task.Slot)
		}
		for _, i := range idx[won:] {
			args = results[i].append(args)
		}
	}
	return call{script: settleScript, keys: append(append(keys, late...), more...), args: args}
}

// wonFirst puts the results in front that say nothing but that a task has
// succeeded. It answers how many these are, and how long ago the last of them
// was.
func wonFirst(results []Result, idx []int) (n int, ago time.Duration) {
	others := make([]int, 0, len(idx))
	for _, i := range idx {
		r := &results[i]
		if r.Verdict != rules.Succeeded || r.Result != nil || r.Hits != "" || r.Notes {
			others = append(others, i)
			continue
		}
		if a := max(0, r.Ago); n == 0 || a < ago {
			ago = a
		}
		idx[n] = i
		n++
	}
	copy(idx[n:], others)
	return n, ago
}

// times are the ms that tasks waited and ran, in all.
func times(results []Result, idx []int) (waited, ran int64) {
	for _, i := range idx {
		waited += max(0, results[i].Wait.Milliseconds())
		ran += max(0, results[i].Run.Milliseconds())
	}
	return waited, ran
}

// append adds a result in settle.lua's form.
func (r *Result) append(args []any) []any {
	t := r.Task
	verdict := verdicts[r.Verdict]
	if r.Verdict == rules.Succeeded && r.Result != nil {
		verdict = "R"
	}
	hits := r.Hits
	if hits == "" {
		hits = "-"
	}
	if r.Notes {
		hits = "n" + hits
	}
	delay := int64(rules.Unset)
	if r.Delay >= 0 {
		delay = r.Delay.Milliseconds()
	}
	b := make([]byte, 0, 64)
	b = append(b, verdict...)
	b = append(append(b, ' '), t.Entry...)
	b = appendInts(b, int64(t.Slot), max(0, r.Ago.Milliseconds()))
	b = append(append(b, ' '), hits...)
	b = appendInts(b, delay, int64(t.Attempt), int64(t.Failures), int64(t.Ignored), int64(t.Lost))
	args = append(args, b)
	switch verdict {
	case "S", "G":
		return args
	case "R":
		return append(args, r.Result)
	default:
		return append(args, r.Error, r.Message)
	}
}

func appendInts(b []byte, all ...int64) []byte {
	for _, n := range all {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	return b
}

func (s *Store) finishCall(results []Result, idx []int, hint int64) call {
	first := &results[idx[0]]
	ttl := first.TTL.Milliseconds()
	name, goes := "-", int64(0)
	if ttl > 0 {
		name, goes = bucket(hint+ttl, ttl)
	}
	step := 1
	for _, i := range idx {
		switch {
		case results[i].Task.lateID() != "":
			step = 3
		case ttl > 0 || results[i].Record != nil:
			step = max(step, 2)
		}
	}
	args := make([]any, 0, 8+step*len(idx))
	waited, ran := times(results, idx)
	args = append(args, s.now(), ttl, goes, name, first.Task.Kind, waited, ran, step)
	for _, i := range idx {
		args = append(args, results[i].Task.Entry)
		if step > 1 {
			args = append(args, results[i].Record)
		}
		if step > 2 {
			args = append(args, results[i].Task.lateID())
		}
	}
	keys := []string{
		s.keys.ready(first.Task.Kind), s.keys.waits(), s.keys.events(), s.keys.past(name), s.keys.pasts(), s.keys.timers(),
		s.keys.stats(first.Task.Kind), s.keys.jobs(), s.keys.late(first.Task.Kind),
	}
	return call{script: finishScript, keys: keys, args: args}
}

// Note keeps a checkpoint ('c') or the progress ('p') of a running task.
func (s *Store) Note(ctx context.Context, t *Task, field byte, value []byte) error {
	word, err := s.word(ctx, noteScript, []string{s.keys.tasks(t.Job), s.keys.data(t.Job)}, t.Slot, t.Entry, string(field), value)
	if err != nil {
		return err
	}
	return verdictOf(word)
}

// Checkpoint reads what an earlier attempt has kept, nil for nothing.
func (s *Store) Checkpoint(ctx context.Context, t *Task) ([]byte, error) {
	v, err := s.rdb.HMGet(ctx, s.keys.data(t.Job), "c:"+strconv.Itoa(t.Slot)).Result()
	if err != nil {
		return nil, s.seen(ctx, err)
	}
	if c, ok := v[0].(string); ok {
		return []byte(c), nil
	}
	return nil, nil
}

// Adopt gives the job of a running plain task its record; the task is no
// longer plain then.
func (s *Store) Adopt(ctx context.Context, t *Task, worker string, spec rules.Spec) error {
	if err := s.adopt(ctx, t, worker, spec, &Record{}); err != nil {
		return err
	}
	t.Plain = false
	return nil
}

// AdoptFor gives a plain job that is to be steered its record, whether it
// waits, also for its start, runs or has finished. r is how it was found.
func (s *Store) AdoptFor(ctx context.Context, t *Task, spec rules.Spec, r *Record) error {
	return s.adopt(ctx, t, "", spec, r)
}

func (s *Store) adopt(ctx context.Context, t *Task, worker string, spec rules.Spec, r *Record) error {
	keys := s.keys.transition(t.Job, t.Kind, s.keys.past(r.Past), s.keys.late(t.Kind), s.keys.later(t.Kind))
	word, err := s.word(ctx, adoptScript, keys,
		s.now(), worker, t.Job, t.Kind, rulesText(spec), t.Spec, t.Args, labelsText(t.Spec), t.Entry, t.lateID(), t.Tries.text(),
		r.Past, r.EndedAt, r.Result)
	if err != nil {
		return err
	}
	if err := verdictOf(word); err != nil {
		return fmt.Errorf("adopt %s: %w", t.Job, err)
	}
	return nil
}
