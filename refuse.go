package stint

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// refuse gives back a task that cannot be run here, because its job is gone
// or cannot be read.
func (s *station) refuse(ctx context.Context, t *RawTask, err error) {
	s.release(ctx, t)
	wait, first := s.refused.next(t.UID)
	if first && !errors.Is(err, ErrJobDeleted) {
		s.log.Warn("tasks given back: their job cannot be read", "job", t.Job, "error", err)
	}
	if _, torn := errors.AsType[*json.SyntaxError](err); torn && t.task.Plain {
		t.spec = s.cache.plain // no version could have written it
		s.settle(t, outcome{verb: verbFailJob, code: CodeUndecodable, message: bounded(err.Error(), maxMessageBytes)})
		return
	}
	s.settle(t, outcome{verb: verbSnooze, delay: wait})
}

// refusals are how often tasks of jobs were given back, by UID, since one of
// them could be read. They belong to the claiming goroutine.
type refusals map[string]int

// A task that this worker cannot read is left to others for 5 s at first, and
// twice as long each time, up to a minute.
const (
	unreadableFor    = 5 * time.Second
	unreadableAtMost = time.Minute
)

// next says how long to leave a job's task to others, and whether it is the
// first one of that job.
func (r refusals) next(uid string) (wait time.Duration, first bool) {
	const known = 1000
	n := r[uid]
	if n == 0 && len(r) >= known {
		clear(r)
	}
	r[uid] = n + 1
	return min(unreadableFor<<min(n, 10), unreadableAtMost), n == 0
}
