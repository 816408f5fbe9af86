package store

import (
	"context"
	"fmt"
	"strings"
)

// Fault is something in Redis that no sequence of transitions leaves.
type Fault struct {
	Rule   string // the number of what does not hold; see Audit in the root package
	Job    string
	Detail string
}

// jobFacts are what must agree about a job, read at one moment.
type jobFacts struct {
	now                           int64
	whole                         bool // not a further page of tasks
	asked, uid, name, phase       string
	kind, requests                string
	rules, state                  []int64
	tasks, ends, waits, done, bad int64
	timer, listed                 string
	tasksCursor, endsCursor       string
	rows                          [][]string
	completions, active, ending   int64
}

// Places of numbers in RULES_TEXT and STATE of record.lua.
const (
	ruleCompletions, ruleParallelism, ruleDeadline, ruleTTL     = 0, 1, 5, 6
	ruleSuspend, ruleStartAt, ruleReplaceFailed, rulesKept      = 7, 8, 9, 17
	stateFateAt, stateEndedAt, stateStartedAt, stateSucceeded   = 0, 1, 2, 5
	stateBad, stateNext, stateActive, stateEnding               = 7, 10, 11, 12
	stateDeleting, stateArmed, stateWaiting, stateKept          = 14, 15, 18, 19
	auditPage                                                   = 100 // rows that one call looks at
	ruleCounted, ruleFinal, ruleConserved, ruleGate, ruleRoom   = "I3", "I5", "I6", "I7", "I8"
	ruleCron, ruleLeft                                          = "I13", "I15"
	phaseComplete, phaseFailed, phaseSuccessMet, phaseFailureAt = "Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"
)

// AuditJobs looks at jobs, all of each at one moment, and at their tasks in
// pages.
func (s *Store) AuditJobs(ctx context.Context, jobs []JobKey) ([]Fault, error) {
	var all []*jobFacts
	for _, j := range jobs {
		keys := append([]string{s.keys.timers(), s.keys.jobs()}, s.keys.record(j.Name)...)
		keys = append(keys, s.keys.ready(j.lane()))
		for tasks, ends, more := "0", "0", true; more; more = tasks != "" || ends != "" {
			v, err := s.read(ctx, auditJobScript, keys, j.Name, tasks, ends, auditPage)
			if err != nil {
				return nil, err
			}
			f, err := readFacts(j.Name, v)
			if err != nil {
				return nil, err
			}
			if f.uid != "" && (f.kind != j.Kind || f.requests != j.Requests) {
				break // another job of that name by now
			}
			f.whole = tasks == "0" && ends == "0"
			all = append(all, f)
			tasks, ends = f.tasksCursor, f.endsCursor
		}
	}
	now, err := s.Now(ctx) // later than all that was read, so that nothing of it lies ahead
	if err != nil {
		return nil, err
	}
	var faults []Fault
	for _, f := range all {
		f.now = now
		faults = append(faults, f.judge()...)
	}
	return faults, nil
}

func readFacts(asked string, v any) (*jobFacts, error) {
	list, _ := v.([]any)
	const scalars = 16
	if len(list) < scalars {
		return nil, fmt.Errorf("audit of job %s answered %d values", asked, len(list))
	}
	w := make([]string, scalars)
	for i := range w {
		w[i], _ = list[i].(string)
	}
	f := &jobFacts{
		asked: asked, uid: w[0], name: w[1], kind: w[2], rules: numbers(w[3]), state: numbers(w[4]), phase: w[5], requests: w[6],
		tasks: atoi64(w[7]), ends: atoi64(w[8]), waits: atoi64(w[9]), done: atoi64(w[10]), bad: atoi64(w[11]),
		timer: w[12], listed: w[13], tasksCursor: w[14], endsCursor: w[15],
	}
	for _, v := range list[scalars:] {
		cells, _ := v.([]any)
		row := make([]string, 5)
		for i := 0; i < len(cells) && i < len(row); i++ {
			row[i], _ = cells[i].(string)
		}
		f.rows = append(f.rows, row)
	}
	return f, nil
}

func numbers(text string) []int64 {
	if text == "" {
		return nil
	}
	words := strings.Split(text, "|")
	out := make([]int64, len(words))
	for i, w := range words {
		out[i] = atoi64(w)
	}
	return out
}

// judge lists what does not hold.
func (f *jobFacts) judge() (faults []Fault) {
	add := func(rule, format string, args ...any) {
		faults = append(faults, Fault{rule, f.asked, fmt.Sprintf(format, args...)})
	}
	switch {
	case f.uid == "" && f.listed == "":
		return nil // it is gone
	case f.uid == "":
		add(ruleConserved, "it is listed and has no record")
		return faults
	case len(f.rules) < rulesKept || len(f.state) < stateKept || f.name != f.asked:
		add(ruleConserved, "its record cannot be read: name %.60q, %d rules, %d numbers of its state", f.name, len(f.rules), len(f.state))
		return faults
	}
	f.active, f.ending, f.completions = f.state[stateActive], f.state[stateEnding], f.rules[ruleCompletions]
	if f.whole {
		f.counts(add)
		switch {
		case f.state[stateDeleting] == 1:
			if f.timer == "" {
				add(ruleConserved, "its deletion has begun, and nothing goes on with it")
			}
		case f.finished():
			f.final(add)
		default:
			f.open(add)
		}
	}
	for _, row := range f.rows {
		f.row(add, row)
	}
	return faults
}

func (f *jobFacts) finished() bool { return f.phase == phaseComplete || f.phase == phaseFailed }

type report func(rule, format string, args ...any)

// counts are kept beside what they count.
func (f *jobFacts) counts(add report) {
	if n := f.state[stateSucceeded]; n != f.done {
		add(ruleCounted, "it counts %d successes, and %d slots are done", n, f.done)
	}
	if n := f.state[stateBad]; n != f.bad {
		add(ruleCounted, "it counts %d failed indexes, and %d are marked", n, f.bad)
	}
	if f.active != f.tasks {
		add(ruleConserved, "it counts %d active tasks, and has %d", f.active, f.tasks)
	}
	if f.ending != f.ends {
		add(ruleConserved, "it counts %d ending tasks, and has %d", f.ending, f.ends)
	}
	if f.listed == "" {
		add(ruleConserved, "it has a record and is not listed")
	}
	if f.state[stateArmed] > 0 && f.timer == "" {
		add(ruleConserved, "its timer is set for %d, and is not there", f.state[stateArmed])
	}
}

// final holds of finished jobs.
func (f *jobFacts) final(add report) {
	if f.active+f.ending+f.tasks+f.ends > 0 {
		add(ruleGate, "it is %s, with %d active and %d ending tasks", f.phase, f.active+f.tasks, f.ending+f.ends)
	}
	if f.waits > 0 {
		add(ruleLeft, "it is %s, and %d slots wait", f.phase, f.waits)
	}
	if f.state[stateEndedAt] <= 0 || f.state[stateFateAt] <= 0 {
		add(ruleFinal, "it is %s without a time", f.phase)
	}
	if f.rules[ruleTTL] >= 0 && f.timer == "" {
		add(ruleLeft, "it is %s, and no timer removes it", f.phase)
	}
}

// open holds of jobs that are not finished. What takes several looks has its
// timer set for at once, and may be half done.
func (f *jobFacts) open(add report) {
	underway := f.state[stateArmed] > 0 && f.state[stateArmed] <= f.now
	switch {
	case underway:
		return
	case f.phase != "":
		if f.active+f.ending == 0 {
			add(ruleConserved, "it is %s with nothing to wait for, and not finished", f.phase)
		} else if f.active > 0 {
			add(ruleGate, "it is %s, and %d tasks were not told to stop", f.phase, f.active)
		}
		return
	case f.rules[ruleSuspend] == 1:
		if f.active > 0 {
			add(ruleRoom, "it is suspended, with %d active tasks", f.active)
		}
		return
	}
	if most := f.rules[ruleParallelism]; f.active > most {
		add(ruleRoom, "%d of its tasks are active, and %d may be", f.active, most)
	}
	if f.completions >= 0 && f.state[stateSucceeded] >= f.completions && f.active == 0 {
		add(ruleConserved, "it has its %d completions, and is not finished", f.completions)
	}
	if f.timer == "" {
		f.unarmed(add)
	}
}

// unarmed holds of open jobs without a timer.
func (f *jobFacts) unarmed(add report) {
	switch started := f.state[stateStartedAt] > 0; {
	case !started && f.rules[ruleStartAt] > f.now:
		add(ruleConserved, "it starts at %d, and no timer is set", f.rules[ruleStartAt])
	case started && f.rules[ruleDeadline] >= 0:
		add(ruleConserved, "it has a deadline, and no timer is set")
	}
	missing := f.want() - f.active
	if f.rules[ruleReplaceFailed] == 1 {
		missing -= f.ending
	}
	fresh := f.completions < 0 || f.state[stateNext] < f.completions
	if missing > 0 && (f.waits > 0 || fresh) {
		add(ruleConserved, "it wants %d more tasks, %d slots wait, and no timer is set", missing, f.waits)
	}
	if f.active+f.ending == 0 && f.want() > 0 {
		add(ruleConserved, "nothing of it runs, nothing has its timer set, and it is not finished")
	}
}

// want is want of attempts.lua.
func (f *jobFacts) want() int64 {
	switch {
	case f.completions >= 0:
		return max(0, min(f.rules[ruleParallelism], f.completions-f.state[stateSucceeded]))
	case f.state[stateSucceeded] > 0:
		return f.active
	}
	return f.rules[ruleParallelism]
}

// row holds of each task, and of each slot that waits.
func (f *jobFacts) row(add report, row []string) {
	where, key, value, header, bits := row[0], row[1], row[2], row[3], row[4]
	slot, entry := key, ""
	switch where {
	case "t":
		entry, _, _ = strings.Cut(value, " ")
	case "e":
		entry = key
		slot, _, _ = strings.Cut(value, " ")
	case "w":
		if f.phase == "" && len(bits) == 3 && bits[1:] != "00" {
			add(ruleCounted, "slot %s waits, and has ended for good (done, failed: %s)", slot, bits[1:])
		}
		return
	}
	if header == "" {
		add(ruleConserved, "the task of slot %s names entry %s, which is not there", slot, entry)
		return
	}
	var t Task
	t.Kind, t.Entry = f.kind, entry
	t.read(header, "")
	if t.Job != f.name || !t.Plain && (t.UID != f.uid || itoa(int64(t.Slot)) != slot) {
		add(ruleConserved, "the task of slot %s names entry %s, which is slot %d of job %s", slot, entry, t.Slot, t.Job)
	}
	if where == "t" && len(bits) == 3 && bits != "000" {
		add(ruleCounted, "slot %s is active, and elsewhere too (waits, done, failed: %s)", slot, bits)
	}
}
