//go:build unix

package chaos_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// told is what a submitter was told of a job, and what became of it.
type told struct {
	name        string
	parallelism int
	steered     bool // suspended or scaled: what runs then is Redis's to say
	deleted     bool // or perhaps
	evicted     int  // at most so many attempts: an eviction counts as a failure
	finished    *stint.Job
	seen        time.Time // when it was first seen finished
	now         *stint.Job
	gone        bool
}

// verdict is the sum of a phase.
type verdict struct {
	acknowledged, finished, lost, twice, over, late, stuck, cron int
	notes                                                        []string
}

func (v *verdict) add(o verdict) {
	v.acknowledged += o.acknowledged
	v.finished += o.finished
	v.lost += o.lost
	v.twice += o.twice
	v.over += o.over
	v.late += o.late
	v.stuck += o.stuck
	v.cron += o.cron
	v.notes = append(v.notes, o.notes...)
}

func (v *verdict) note(format string, args ...any) {
	v.notes = append(v.notes, fmt.Sprintf(format, args...))
}

func (v *verdict) bad() int { return v.lost + v.twice + v.over + v.late + v.stuck + v.cron }

func (v *verdict) String() string {
	return fmt.Sprintf("chaos: acknowledged %d, finished %d, lost %d, counted twice %d, over parallelism %d, ran after finish %d, stuck %d, cron fired twice %d",
		v.acknowledged, v.finished, v.lost, v.twice, v.over, v.late, v.stuck, v.cron)
}

// readSide reads all side files. The last line of a killed process may be torn.
func readSide(dir string) (all []line, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			var l line
			if json.Unmarshal(s.Bytes(), &l) == nil {
				all = append(all, l)
			}
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b line) int { return int(a.At - b.At) })
	return all, nil
}

// span is a time in which a process could not know better: it was stopped, or
// dead from then on.
type span struct {
	pid      int
	from, to int64
}

// check compares what handlers wrote, what Redis says and what submitters were
// told. outages are the times around failovers, in which Redis itself may lose
// what it acknowledged.
func check(jobs []*told, side []line, spans, outages []span) (v verdict) {
	byUID := map[string][]line{}
	for _, l := range side {
		byUID[l.UID] = append(byUID[l.UID], l)
	}
	for _, j := range jobs {
		v.acknowledged++
		switch {
		case j.deleted && j.now == nil:
			v.finished++
			continue
		case j.gone:
			v.lost++
			v.note("lost: %s", j.name)
			continue
		case j.now == nil || !j.now.Finished():
			v.stuck++
			v.note("stuck: %s", describe(j.now))
			continue
		}
		v.finished++
		lines := byUID[j.now.UID]
		v.counted(j, lines)
		if len(outages) == 0 {
			v.room(j, lines, spans)
		}
		v.final(j, lines, spans, outages)
	}
	v.fired(side)
	return v
}

func describe(j *stint.Job) string {
	if j == nil {
		return "a job that cannot be read"
	}
	return fmt.Sprintf("%s, %s, %s: %+v", j.Name, j.Args, j.Phase(), j.Status)
}

// counted holds what a job counts against what its handlers did: each success
// that is counted ended a handler, under a token of its own.
func (v *verdict) counted(j *told, lines []line) {
	ok, failed := map[string]bool{}, map[string]bool{}
	for _, l := range lines {
		switch {
		case l.What == "E" && l.Outcome == "ok":
			ok[l.Token] = true
		case l.What == "E", l.What == "C":
			failed[l.Token] = true
		}
	}
	s := j.now.Status
	most := len(ok)
	if n := j.now.Spec.Completions; n != nil {
		most = min(most, *n)
	}
	if s.Succeeded > most {
		v.twice++
		v.note("counted twice: %s counts %d successes, handlers had %d, completions %v", j.name, s.Succeeded, len(ok), j.now.Spec.Completions)
	} else if j.now.Phase() == stint.PhaseComplete && s.Failed > len(failed)+j.evicted {
		v.twice++
		v.note("counted twice: %s counts %d failures, handlers had %d", j.name, s.Failed, len(failed))
	}
}

// room looks at how many handlers ran at a time that held their leases.
func (v *verdict) room(j *told, lines []line, spans []span) {
	if j.steered {
		return
	}
	type edge struct {
		at int64
		by int
	}
	var edges []edge
	open := map[string]line{}
	end := func(key string, at int64) {
		b, ok := open[key]
		if !ok {
			return
		}
		delete(open, key)
		for _, s := range spans {
			if s.pid == b.PID && s.to > b.At && s.from < at {
				at = max(s.from, b.At)
			}
		}
		edges = append(edges, edge{b.At, 1}, edge{at, -1})
	}
	for _, l := range lines {
		key := fmt.Sprint(l.PID, l.Token)
		if l.What == "B" {
			open[key] = l
		} else {
			end(key, l.At)
		}
	}
	for key := range open {
		end(key, open[key].At) // nobody knows for how long
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return a.by - b.by
	})
	n, most := 0, 0
	for _, e := range edges {
		n += e.by
		most = max(most, n)
	}
	if most > j.parallelism {
		v.over++
		v.note("over parallelism: %s had %d handlers, %d may run", j.name, most, j.parallelism)
	}
}

// final looks for handlers that began after the job was seen finished, and at
// what changed since.
func (v *verdict) final(j *told, lines []line, spans, outages []span) {
	if j.finished == nil {
		return
	}
	seen := j.seen.UnixNano()
	for _, o := range outages {
		if o.from < seen && seen < o.to {
			return // what finished it may be lost
		}
	}
	if a, b := j.finished.Status, j.now.Status; a.Succeeded != b.Succeeded || a.Failed != b.Failed || a.CompletedIndexes != b.CompletedIndexes ||
		j.finished.Phase() != j.now.Phase() || j.finished.UID != j.now.UID {
		v.late++
		v.note("changed after finish: %s from %+v to %+v", j.name, a, b)
		return
	}
	for _, l := range lines {
		if l.What != "B" || l.At <= seen || slices.ContainsFunc(spans, func(s span) bool {
			return s.pid == l.PID && s.from <= l.At && l.At <= s.to+int64(lease)
		}) {
			continue
		}
		v.late++
		v.note("ran after finish: %s, %v later: %+v", j.name, time.Duration(l.At-seen), l)
		return
	}
}

// fired looks for scheduled times with more than one job.
func (v *verdict) fired(side []line) {
	jobs := map[string]string{}
	for _, l := range side {
		if l.Fired == "" {
			continue
		}
		cron := l.Job[:strings.LastIndexByte(l.Job, '-')] + " " + l.Fired
		if was, ok := jobs[cron]; ok && was != l.UID {
			v.cron++
			v.note("cron fired twice: %s", cron)
		}
		jobs[cron] = l.UID
	}
}
