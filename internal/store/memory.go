package store

import (
	"context"
	"strings"
)

// MemoryMark tells of running tasks of a job that their process has more
// memory than the limits of all that it runs, or no longer.
type MemoryMark struct {
	Job     JobKey
	UID     string
	Over    bool
	Entries []string // up to MarksAtOnce
}

// MarksAtOnce bounds the tasks of a MemoryMark.
const MarksAtOnce = 100

// MarkMemory notes marks, of up to Limit jobs in one round trip. Each mark has
// its own outcome.
func (s *Store) MarkMemory(ctx context.Context, marks []MemoryMark) []error {
	calls := make([]call, len(marks))
	for i, m := range marks {
		args := append(make([]any, 0, 3+len(m.Entries)), s.now(), m.UID, "-")
		if m.Over {
			args[2] = "+"
		}
		for _, e := range m.Entries {
			args = append(args, e)
		}
		calls[i] = call{script: memoryScript, keys: s.keys.transition(m.Job.Name, m.Job.lane()), args: args}
	}
	s.runAll(ctx, calls)
	errs := make([]error, len(marks))
	for i := range calls {
		word, err := calls[i].cmd.Text()
		if err == nil {
			err = verdictOf(word)
		}
		errs[i] = err
	}
	return errs
}

// MemoryOver reads what `mark` of record.lua has noted: whether some task is in
// a process with more memory than it may have, and since when that is so; 0
// where none ever was.
func (r *Record) MemoryOver() (over bool, since int64) {
	ms, list, _ := strings.Cut(r.Memory, " ")
	return strings.Contains(list, "+"), atoi64(ms)
}
