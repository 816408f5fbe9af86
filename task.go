package stint

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// maxNoteBytes bounds the note of a task's progress.
const maxNoteBytes = 1 << 10

// Task is one attempt at one completion of a job, as its handler receives it.
type Task[A Args] struct {
	*RawTask
	Args A
}

// RawTask is a task whose args are not decoded: what middleware sees. Its
// methods may be called from several goroutines, until the handler returns.
type RawTask struct {
	// Queue, Kind, Job and UID name the task's job.
	Queue, Kind, Job, UID string
	// Index is the completion index of an Indexed job. In other jobs it is a
	// number that no two active attempts share, 0 in a job of one completion.
	Index int
	// Attempt counts the attempts at this index, from 1. An attempt given
	// back, by Snooze or a worker's shutdown, does not count.
	Attempt int
	// RawArgs are the args as submitted, encoded, and decrypted.
	RawArgs []byte

	task    *store.Task
	spec    *JobSpec
	station *station
	ctx     context.Context //nolint:containedctx // of this one run of the handler
	cancel  context.CancelCauseFunc
	started time.Time
	waited  time.Duration // before it was claimed
	result  []byte
	notes   atomic.Bool
	settled atomic.Bool
	warned  atomic.Bool
	over    bool          // it is marked so, as Worker.over; of the goroutine that renews leases
	badArgs error         // they do not open
	work    *cachedWork   // nil for a plain job
	changed chan struct{} // closed when a mount changes; guarded by the station's mounts
	told    atomic.Int64  // when it was told to stop, in ns since the station's start; 0: it was not

	progress struct {
		mu   sync.Mutex
		sent time.Time
	}
}

// Token is the task's fencing token: of two attempts at the same index, in
// whatever process, the later one has the greater token in the order of
// [CompareTokens]. Give it to what the handler changes elsewhere, and let
// that refuse a lesser token than it has seen.
func (t *RawTask) Token() string { return t.task.Entry }

// Waited is how long the task could have run before its worker took it, by
// the clock of Redis.
func (t *RawTask) Waited() time.Duration { return t.waited }

// Labels are those of the job. The map is the caller's.
func (t *RawTask) Labels() map[string]string { return maps.Clone(t.spec.Labels) }

// Annotations are those of the job. The map is the caller's.
func (t *RawTask) Annotations() map[string]string { return maps.Clone(t.spec.Annotations) }

// Completions is how many successes the job needs; 0 for a work-queue job.
func (t *RawTask) Completions() int {
	if t.spec.Completions == nil {
		return 0
	}
	return *t.spec.Completions
}

// Logger is the worker's, with the task's queue, job, index and attempt.
func (t *RawTask) Logger() *slog.Logger {
	return t.station.log.With("job", t.Job, "kind", t.Kind, "index", t.Index, "attempt", t.Attempt)
}

// SetResult keeps a value as the result of this index if the handler then
// succeeds. Encoded it has MaxArgsBytes at most.
func (t *RawTask) SetResult(v any) error {
	data, err := t.station.queue.encode("result", v)
	if err != nil {
		return err
	}
	if data == nil {
		data = []byte{}
	}
	t.result, err = t.seal(sealedResult, data)
	return err
}

// seal encrypts something of this index, if the queue does so.
func (t *RawTask) seal(what string, data []byte) ([]byte, error) {
	q := t.station.queue
	return q.sealJob(data, q.indexPlace(what, t.Kind, t.Job, t.Index)...)
}

// SaveCheckpoint keeps a value for the next attempt at this index, should
// there be one; it is dropped with the success. Encoded it has
// MaxArgsBytes at most. A task that has lost its lease gets
// [ErrLeaseLost].
func (t *RawTask) SaveCheckpoint(ctx context.Context, v any) error {
	data, err := t.station.queue.encode("checkpoint", v)
	if err != nil {
		return err
	}
	if data, err = t.seal(sealedCheckpoint, data); err != nil {
		return err
	}
	return t.note(ctx, 'c', data)
}

// Checkpoint reads into v what an earlier attempt has kept, and tells whether
// there was anything.
func (t *RawTask) Checkpoint(ctx context.Context, v any) (bool, error) {
	if t.task.Plain {
		return false, nil
	}
	data, err := t.station.store.Checkpoint(ctx, t.task)
	if err != nil || data == nil {
		return false, err
	}
	q := t.station.queue
	data, err = q.openJob(data, q.indexPlace(sealedCheckpoint, t.Kind, t.Job, t.Index)...)
	if err == nil {
		err = q.codec.Unmarshal(data, v)
	}
	if err != nil {
		return false, fmt.Errorf("checkpoint: %w", err)
	}
	return true, nil
}

// Progress says how far the task is; total 0 is unknown, and the note has
// 1 KiB at most. At most one call a second is passed on, and the last one
// where done equals total.
func (t *RawTask) Progress(ctx context.Context, done, total int64, note string) error {
	t.progress.mu.Lock()
	if time.Since(t.progress.sent) < time.Second && (done != total || total == 0) {
		t.progress.mu.Unlock()
		return nil
	}
	t.progress.sent = time.Now()
	t.progress.mu.Unlock()
	data, err := json.Marshal(IndexProgress{Done: done, Total: total, Note: bounded(note, maxNoteBytes)})
	if err != nil {
		return err
	}
	return t.note(ctx, 'p', data)
}

// note keeps something of the task in its job's record, which a plain job
// first has to get.
func (t *RawTask) note(ctx context.Context, field byte, data []byte) error {
	s := t.station
	t.progress.mu.Lock()
	defer t.progress.mu.Unlock()
	if t.settled.Load() {
		return ErrLeaseLost
	}
	if t.task.Plain {
		if err := s.store.Adopt(ctx, t.task, s.id, t.spec.rules()); err != nil {
			return fenced(err)
		}
	}
	t.notes.Store(true)
	return fenced(s.store.Note(ctx, t.task, field, data))
}

// CompareTokens orders fencing tokens: negative where a is the older one.
func CompareTokens(a, b string) int { return store.CompareEntries(a, b) }
