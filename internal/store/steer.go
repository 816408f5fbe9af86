package store

import (
	"context"
	"slices"

	"github.com/stint-go/stint/internal/indexset"
	"github.com/stint-go/stint/internal/rules"
)

// Advance looks at jobs because their timers are due. It does not matter who
// does, or how often.
func (s *Store) Advance(ctx context.Context, jobs []JobKey) error {
	var calls []call
	for some := range slices.Chunk(jobs, advanceAtOnce) {
		calls = append(calls, s.advanceCall(some))
	}
	s.runAll(ctx, calls)
	for _, c := range calls {
		if err := c.cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}

// advanceAtOnce bounds the jobs that one script looks at, so that it takes a
// millisecond or two.
const advanceAtOnce = 25

func (s *Store) advanceCall(jobs []JobKey) call {
	keys := s.keys.queue()
	args := append(make([]any, 0, 4+2*len(jobs)), s.now(), 0)
	lanes, more := map[string]int{}, []string(nil)
	for _, j := range jobs {
		if j.Requests != "" {
			more = s.keys.laneKeys()
		}
		if lane := j.lane(); lanes[lane] == 0 {
			lanes[lane] = len(lanes) + 1
			keys = append(keys, s.keys.ready(lane), s.keys.bell(lane))
			args = append(args, lane)
		}
	}
	args[1] = len(lanes)
	for _, j := range jobs {
		keys = append(keys, s.keys.record(j.Name)...)
		args = append(args, j.Name, lanes[j.lane()])
	}
	return call{script: advanceScript, keys: append(keys, more...), args: args}
}

// JobKey names a job, its kind and its requests, which its keys are made of.
type JobKey struct{ Name, Kind, Requests string }

// Delete takes one step at removing a job; more tells that there are further
// ones. uid may be "" for any job of that name.
func (s *Store) Delete(ctx context.Context, j JobKey, uid string) (more bool, err error) {
	word, err := s.word(ctx, deleteScript, s.keys.steering(j.Name, j.lane()), s.now(), uid)
	if err != nil {
		return false, err
	}
	return word == "MORE", verdictOf(word)
}

// Update stores a changed spec, if the job still is of the generation that
// was read.
func (s *Store) Update(ctx context.Context, j JobKey, uid string, generation int, spec []byte, r rules.Spec) error {
	word, err := s.word(ctx, updateScript, s.keys.steering(j.Name, j.lane()),
		s.now(), uid, generation, rulesText(r), successText(r.Success), spec, labelsText(spec))
	if err != nil {
		return err
	}
	return verdictOf(word)
}

// Evict tells the running task of a slot to stop. uid may be "" for any job of
// that name, and entry for any task.
func (s *Store) Evict(ctx context.Context, j JobKey, uid string, slot int, entry string) error {
	word, err := s.word(ctx, evictScript, s.keys.steering(j.Name, j.lane()), s.now(), uid, slot, entry)
	if err != nil {
		return err
	}
	return verdictOf(word)
}

// Retry puts a new job in the place of a finished one, with what succeeded.
func (s *Store) Retry(ctx context.Context, r *Record, newUID string, done, bad indexset.Set, hits string, sp rules.Spec, spec []byte) error {
	word, err := s.word(ctx, retryScript, s.keys.steering(r.Name, r.Lane()),
		s.now(), r.UID, newUID, done.Bitmap(), bad.Bitmap(), done.Len(), bad.Len(), hits, rulesText(sp), spec, r.Generation)
	if err != nil {
		return err
	}
	return verdictOf(word)
}
