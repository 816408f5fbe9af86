package store

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/stint-go/stint/internal/rules"
)

// Tries are what earlier attempts of a plain job came to, all of which have
// failed. They go with the job, in what waits for the next attempt and in its
// entry, so that it needs no record. A nil one is that of a job that did not
// fail yet.
type Tries struct {
	Failed, Ignored int
	First, Last     int64       // when the first and the last of them started, ms
	Errors          []SlotError // the last ones, of each attempt one
}

// headerMost bounds the header of an entry with Tries: a job whose spec and
// errors are longer gets a record.
const headerMost = 16 << 10

// count is how many attempts there were.
func (t *Tries) count() int {
	if t == nil {
		return 0
	}
	return t.Failed + t.Ignored
}

// text is how Tries are written: R, the four numbers, the sizes of the errors,
// and after a colon each error after its time. It says by itself where it ends.
func (t *Tries) text() string {
	if t == nil {
		return ""
	}
	before, after := t.parts()
	return before + itoa(t.Errors[len(t.Errors)-1].At) + after
}

// parts is the text around the time of the last error, which Redis gives.
func (t *Tries) parts() (before, after string) {
	b := make([]byte, 0, 512)
	b = append(b, 'R')
	b = appendInts(b, int64(t.Failed), int64(t.Ignored), t.First, t.Last)
	for i, e := range t.Errors {
		b = append(b, " ,"[min(i, 1)])
		b = strconv.AppendInt(b, int64(len(e.Data)), 10)
	}
	b = append(b, ':')
	last := len(t.Errors) - 1
	for _, e := range t.Errors[:last] {
		b = append(strconv.AppendInt(b, e.At, 10), ' ')
		b = append(b, e.Data...)
	}
	return string(b), " " + string(t.Errors[last].Data)
}

// cutTries takes the text of Tries from the front of another one. Where it is
// torn, as a header that was cut is, there are the numbers alone, and the text
// stays, so that it is no spec.
func cutTries(text string) (t *Tries, rest string) {
	if !strings.HasPrefix(text, "R") {
		return nil, text
	}
	head, rest, ok := strings.Cut(text, ":")
	f := strings.Fields(head)
	if !ok || len(f) != 6 || f[0] != "R" {
		return nil, text
	}
	var n [4]uint64
	for i := range n {
		if n[i], ok = number(f[1+i]); !ok {
			return nil, text
		}
	}
	if t = (&Tries{Failed: int(n[0]), Ignored: int(n[1]), First: int64(n[2]), Last: int64(n[3])}); t.count() < 1 { //nolint:gosec // see number
		return nil, text
	}
	for size := range strings.SplitSeq(f[5], ",") {
		at, record, ok := strings.Cut(rest, " ")
		ms, ok2 := number(at)
		n, ok3 := number(size)
		if !ok || !ok2 || !ok3 || n > uint64(len(record)) || len(t.Errors) == errorsKept {
			t.Errors = []SlotError{{}}
			return t, text
		}
		t.Errors = append(t.Errors, SlotError{int64(ms), []byte(record[:n])}) //nolint:gosec // see number
		rest = record[n:]
	}
	return t, rest
}

// number reads what Lua reads too: digits alone, and no more than it writes in
// full.
func number(text string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(text, 10, 46)
	return n, err == nil
}

// tell adds to a record what earlier attempts of its job came to. last is when
// the latest attempt started, one more than these or the last of them.
func (r *Record) tell(t *Tries, attempts int, last int64) {
	r.Attempts, r.LastStart = attempts, last
	if t == nil {
		return
	}
	r.Tries, r.Failed, r.StartedAt = t, t.Failed, t.First
	if n := len(t.Errors); n > 0 {
		_, message, _ := strings.Cut(string(t.Errors[n-1].Data), `"message":"`)
		r.Error = message[:min(len(message), 400)] // as message_of of record.lua
	}
}

// Errors are the last ones of a plain job without a record.
func (r *Record) Errors() []SlotError {
	if r.Tries == nil {
		return nil
	}
	return r.Tries.Errors
}

// postpones tells a failure of a plain task after which its job only waits for
// the next attempt: it goes on without a record.
func (r *Result) postpones() bool {
	if !r.Task.Plain || r.recorded || r.Verdict != rules.Failed && r.Verdict != rules.Ignored {
		return false
	}
	spec, failed := r.Spec(), r.Task.Failures
	if r.Verdict == rules.Failed {
		failed++
	}
	return !spec.Backoff.JobScope && failed <= spec.BackoffLimit && len(r.Error)+len(r.Task.Tries.text())+len(r.Task.Spec) <= headerMost
}

// tried is what the attempts came to with the one that has just ended. Of its
// error the time is left to Redis.
func (r *Result) tried() *Tries {
	start := EntryTime(r.Task.Entry)
	t := Tries{First: start, Last: start}
	if before := r.Task.Tries; before != nil {
		t = *before
		t.Last = start
		t.Errors = before.Errors[max(0, len(before.Errors)-errorsKept+1):]
	}
	if r.Verdict == rules.Failed {
		t.Failed++
	} else {
		t.Ignored++
	}
	t.Errors = append(slices.Clip(t.Errors), SlotError{Data: r.Error})
	return &t
}

// backoff is how long the job waits, from the end of the attempt on.
func (r *Result) backoff(t *Tries) int64 {
	if r.Delay >= 0 {
		return r.Delay.Milliseconds()
	}
	ms, n := splitID(r.Task.Entry)
	return r.Spec().Backoff.Delay(t.count(), ms+n)
}

// postponeCall has jobs of failed plain tasks of one kind wait for their next attempts.
func (s *Store) postponeCall(results []Result, idx []int) call {
	kind := results[idx[0]].Task.Kind
	waited, ran := times(results, idx)
	args := append(make([]any, 0, 4+7*len(idx)), s.now(), kind, waited, ran)
	for _, i := range idx {
		r := &results[i]
		t := r.tried()
		before, after := t.parts()
		args = append(args, r.Task.Entry, cmp.Or(r.Task.lateID(), r.Task.Entry), max(0, r.Ago.Milliseconds()), r.backoff(t),
			before, after+plainHeader(r.Task.Spec), r.Task.Args)
	}
	keys := []string{
		s.keys.ready(kind), s.keys.bell(kind), s.keys.late(kind), s.keys.later(kind), s.keys.timers(), s.keys.ctl(), s.keys.layout(),
		s.keys.jobs(), s.keys.stats(kind),
	}
	return call{script: postponeScript, keys: keys, args: args}
}
