package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stint-go/stint/internal/rules"
)

// Submission is a job to be stored.
type Submission struct {
	Kind  string
	Args  []byte
	Spec  []byte // as the caller wants it back; of a plain job empty for all defaults
	Plain bool
	Start int64 // of a plain job, in ms; negative: so long from when it is stored, 0: at once

	// Only with a record:
	Name, UID, Owner string
	Sums             string // parted by ' ', tell whether a job of that name is the same one
	Requests         string // canonical; see Lane
	Rules            rules.Spec
}

// Answer is what became of a Submission.
type Answer struct {
	Entry    string // of a plain job
	Existing string // UID of the same job, submitted before
	Conflict string // UID of another job with that name
	Full     bool   // not stored, because there are too many lanes
	Spoilt   bool   // not stored, because a key of it, or the stream of its kind, holds something else
	Refused  bool   // not stored, because another of the batch was in conflict, or there were too many lanes for it
}

// Submit stores jobs, as many as AtOnce says, in one step. op names the step to the
// submitter, so that a repeated one is answered and not done again; with all,
// nothing is stored if one is in conflict.
func (s *Store) Submit(ctx context.Context, submitter, op string, all bool, jobs []Submission) ([]Answer, error) {
	c := s.submission(submitter, op, all, jobs)
	word, err := s.word(ctx, c.script, c.keys, c.args...)
	if err != nil {
		return nil, err
	}
	return answers(word, len(jobs))
}

// AtOnce is how many of the submissions, from the first on, one step stores:
// Limit plain ones, half of that of such as start later, or a fifth with
// records, which cost Redis ten times as much: so that a step takes it a few
// milliseconds.
func AtOnce(jobs []Submission) int {
	const late, record = 2, 5
	weight := 0
	for i := range jobs {
		switch weight++; {
		case !jobs[i].Plain:
			weight += record - 1
		case jobs[i].Start != 0:
			weight += late - 1
		}
		if weight > Limit {
			return i
		}
	}
	return len(jobs)
}

// submission is the call that stores jobs.
func (s *Store) submission(submitter, op string, all bool, jobs []Submission) call {
	if !slices.ContainsFunc(jobs, func(j Submission) bool { return !j.Plain }) {
		return s.enqueue(submitter, op, jobs)
	}
	keys := append(s.keys.queue(), s.keys.submitter(submitter), s.keys.kinds())
	lanes := map[string]int{}
	var more []string
	mode := "each"
	if all {
		mode = "all"
	}
	args := make([]any, 4, 4+8*len(jobs))
	for i := range jobs {
		if jobs[i].Requests != "" {
			more = s.keys.laneKeys()
		}
		if lane := jobs[i].lane(); lanes[lane] == 0 {
			lanes[lane] = len(lanes) + 1
			keys = append(keys, s.keys.ready(lane), s.keys.bell(lane))
			args = append(args, lane)
		}
	}
	args[0], args[1], args[2], args[3] = s.now(), op, mode, len(lanes)
	number, late := lateNumber(), false
	for i := range jobs {
		j := &jobs[i]
		switch {
		case j.Plain && j.Start != 0:
			late = true
			args = append(args, "L", lanes[j.lane()], j.lateHeader(number), j.Args)
			continue
		case j.Plain:
			args = append(args, "P", lanes[j.lane()], plainHeader(j.Spec), j.Args)
			continue
		}
		keys = append(keys, s.keys.record(j.Name)...)
		args = append(args, "J", lanes[j.lane()], j.Name, j.UID, rulesText(j.Rules), successText(j.Rules.Success),
			j.Spec, j.Args, j.Owner, j.Sums, labelsText(j.Spec))
	}
	if late {
		keys = s.keys.lateKeys(keys, args[4:4+len(lanes)], s.keys.layout())
	}
	return call{script: submitScript, keys: append(keys, more...), args: args}
}

// enqueue stores plain jobs: these cannot be in conflict.
func (s *Store) enqueue(submitter, op string, jobs []Submission) call {
	keys := append(make([]string, 0, 4), s.keys.submitter(submitter), s.keys.kinds())
	args := append(make([]any, 0, 7+len(jobs)), s.now(), op, 0)
	for i := range jobs {
		if kind := jobs[i].Kind; (i == 0 || kind != jobs[i-1].Kind) && !slices.Contains(args[3:], any(kind)) {
			keys = append(keys, s.keys.ready(kind), s.keys.bell(kind))
			args = append(args, kind)
		}
	}
	kinds := args[3:]
	args[2] = len(kinds)
	number := ""
	for len(jobs) > 0 {
		run := alike(jobs)
		kind, header := 1+slices.Index(kinds, any(jobs[0].Kind)), ""
		if jobs[0].Start == 0 {
			header = plainHeader(jobs[0].Spec)
		} else {
			number = cmp.Or(number, lateNumber())
			kind, header = -kind, jobs[0].lateHeader(number)
		}
		args = append(args, kind, header, run)
		for i := range run {
			args = append(args, jobs[i].Args)
		}
		jobs = jobs[run:]
	}
	if number == "" {
		return call{script: enqueueScript, keys: keys, args: args[1:]} // it asks for no time
	}
	keys = s.keys.lateKeys(keys, kinds, s.keys.timers(), s.keys.ctl(), s.keys.layout())
	return call{script: lateScript, keys: keys, args: args}
}

// alike is how many plain jobs, from the first on, differ in their args alone.
func alike(jobs []Submission) int {
	for i := range jobs {
		if jobs[i].Kind != jobs[0].Kind || jobs[i].Start != jobs[0].Start || !bytes.Equal(jobs[i].Spec, jobs[0].Spec) {
			return i
		}
	}
	return len(jobs)
}

// labelsText are the labels of a stored spec, by themselves: events carry them.
func labelsText(spec []byte) string {
	if !bytes.Contains(spec, []byte(`"labels"`)) {
		return ""
	}
	var s struct {
		Labels json.RawMessage `json:"labels"`
	}
	_ = json.Unmarshal(spec, &s) // an unreadable spec shows where it is read
	return string(s.Labels)
}

func plainHeader(spec []byte) string { return "P" + string(spec) }

func answers(word string, n int) ([]Answer, error) {
	out := make([]Answer, n)
	i := 0
	for line := range strings.SplitSeq(word, "\n") {
		if i == n {
			return nil, fmt.Errorf("submit answered more than %d jobs", n)
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "NEW":
		case "OLD":
			out[i].Existing = rest
		case "CONFLICT":
			out[i].Conflict = rest
		case "FULL":
			out[i].Full = true
		case "SPOILT":
			out[i].Spoilt = true
		case "REFUSED":
			out[i].Refused = true
		default:
			if line == "" || line[0] < '0' || line[0] > '9' {
				return nil, fmt.Errorf("submit answered %q", line)
			}
			out[i].Entry = line
		}
		i++
	}
	if i != n {
		return nil, fmt.Errorf("submit answered %d jobs of %d", i, n)
	}
	return out, nil
}
