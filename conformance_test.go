package stint

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/robfig/cron/v3"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/conformance"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

var tracesDir = flag.String("traces", "internal/conformance/testdata/traces", "directory of traces for TestConformance")

// epoch is when the scenarios of jobs begin.
const epoch = int64(1_900_000_000_000)

// TestConformance replays what Kubernetes's controllers did through the
// engine, on miniredis, whose clock the scenarios move.
func TestConformance(t *testing.T) {
	t.Parallel()
	files, err := conformance.Load(*tracesDir)
	require.NoError(t, err)
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	n := 0
	report := conformance.Run(files, conformance.Options{
		Decisions: conformance.Decisions(timetable),
		NewCron: func(start time.Time) (conformance.CronSystem, error) {
			n++
			return newTracedCron(fmt.Sprintf("t%d", n), rdb, m, start), nil
		},
		NewJob: func() (conformance.JobSystem, error) {
			n++
			return newTracedJob(fmt.Sprintf("t%d", n), rdb, m), nil
		},
	})
	_, _ = fmt.Fprint(os.Stdout, report)
	if report.Count(conformance.Differ) > 0 {
		t.Fail()
	}
}

// timetable reads the schedules that Kubernetes accepts.
func timetable(expr, zone string) (func(time.Time) time.Time, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, err
	}
	s, err := cron.ParseStandard(expr)
	if err != nil {
		return nil, err
	}
	return func(t time.Time) time.Time { return s.Next(t.In(loc)) }, nil
}

// tracedJob is one job in the engine, with a worker that does as it is told.
type tracedJob struct {
	mini    *miniredis.Miniredis
	rdb     redis.UniversalClient
	queue   *Queue
	name    string
	raw     map[string]any // the spec, as Kubernetes has it
	spec    JobSpec
	now     int64
	tasks   map[string]*tracedTask
	ends    []store.Result
	ended   []int64
	shadow  *shadow
	deleted bool
	todo    []func() error // for the next look, in order
}

type tracedTask struct {
	entry, header string
	slot          int
	started       bool
	over          bool
	ended         int64 // when it was over
	disrupted     bool
}

func newTracedJob(queue string, rdb redis.UniversalClient, m *miniredis.Miniredis) *tracedJob {
	j := &tracedJob{mini: m, rdb: rdb, queue: NewQueue(queue, rdb), name: "job", tasks: map[string]*tracedTask{}}
	j.queue.store.Clock = func() int64 { return epoch + j.now*1000 }
	j.setTime()
	return j
}

func (j *tracedJob) setTime() {
	if j.mini != nil {
		j.mini.SetTime(time.UnixMilli(epoch + j.now*1000))
	}
}

func (j *tracedJob) Create(spec json.RawMessage) ([]conformance.Rejection, error) {
	if err := json.Unmarshal(spec, &j.raw); err != nil {
		return nil, err
	}
	s, err := specFrom(j.raw)
	if err != nil {
		return nil, err
	}
	if err := validateCreate(s, "trace", 0); err != nil {
		return rejections(err), nil
	}
	j.spec = s
	j.todo = append(j.todo, func() error {
		_, err := j.queue.SubmitRaw(context.Background(), Submission{Kind: "trace", Args: []byte("{}"), Spec: s})
		j.shadow = newShadow(s.rules(), j.ms())
		return err
	})
	return nil, nil
}

func (j *tracedJob) Patch(patch json.RawMessage) ([]conformance.Rejection, error) {
	var p map[string]any
	if err := json.Unmarshal(patch, &p); err != nil {
		return nil, err
	}
	// A field that defaulting has set stays set when a patch does not name it.
	data, err := json.Marshal(j.spec)
	if err != nil {
		return nil, err
	}
	stored := map[string]any{}
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, err
	}
	for _, k := range []string{"activeDeadline", "ttlAfterFinished", "backoff", "lostCounts", "lostLimit", "name"} {
		delete(stored, k)
	}
	raw := merge(merge(stored, j.raw), p)
	s, err := specFrom(raw)
	if err != nil {
		return nil, err
	}
	if err := validateUpdate(j.spec, s); err != nil {
		return rejections(err), nil
	}
	j.raw, j.spec = merge(j.raw, p), s
	j.later(func() error { return j.update(s) })
	return nil, nil
}

// later has something done at the next look, in the order in which things
// were asked for, and by the clock of now.
func (j *tracedJob) later(do func() error) {
	j.gather()
	j.at(j.now, do)
}

func (j *tracedJob) at(asked int64, do func() error) {
	j.todo = append(j.todo, func() error {
		now := j.now
		defer func() { j.now = now }()
		j.now = asked
		return do()
	})
}

// gather makes one call of the ends since the last one, as workers do.
func (j *tracedJob) gather() {
	if len(j.ends) == 0 {
		return
	}
	ends, ended := j.ends, j.ended
	j.ends, j.ended = nil, nil
	j.at(ended[len(ended)-1], func() error { return j.settle(ends, ended) })
}

func (j *tracedJob) settle(ends []store.Result, ended []int64) error {
	for i := range ends {
		ends[i].Ago = time.Duration(j.now-ended[i]) * time.Second
	}
	j.shadow.settle(ends, milliseconds(ended), j.ms())
	for _, o := range j.queue.store.Settle(context.Background(), ends, store.Guard{}, 0) {
		if o.Err != nil {
			return o.Err
		}
	}
	return nil
}

// update stores a spec.
func (j *tracedJob) update(spec JobSpec) error {
	ctx := context.Background()
	r, err := j.queue.store.Get(ctx, j.name)
	if errors.Is(err, store.ErrGone) {
		return nil // its time to live has passed
	}
	if err != nil {
		return err
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	j.shadow.job.Spec = spec.rules()
	j.shadow.sync(j.ms())
	return j.queue.store.Update(ctx, store.JobKey{Name: j.name, Kind: "trace"}, r.UID, r.Generation, data, spec.rules())
}

func (j *tracedJob) Delete(bool) error {
	j.later(func() error { j.deleted = true; return j.queue.Delete(context.Background(), j.name) })
	return nil
}

const tracedWorker = "w"

func (j *tracedJob) Start(id string) error {
	ctx := context.Background()
	stream := "stint:{" + j.queue.name + "}:ready:trace"
	if err := j.rdb.XGroupCreateMkStream(ctx, stream, "w", "0").Err(); err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return err
	}
	j.tasks[id].started = true
	j.shadow.job.Claim(j.shadow.ids[id], j.ms())
	return j.rdb.Do(ctx, "XCLAIM", stream, "w", tracedWorker, 0, id, "FORCE", "JUSTID").Err()
}

func (j *tracedJob) End(id string, o conformance.Outcome) error {
	t := j.tasks[id]
	if !t.started {
		if err := j.Start(id); err != nil {
			return err
		}
	}
	t.over, t.ended = true, j.now
	end := outcome{verb: verbFail, delay: -1, code: o.ExitCode, disrupted: t.disrupted}
	if o.NoExitCode {
		end.code = 0
	}
	if !o.Failed() {
		end.verb = verbSucceed
	}
	for _, c := range o.Conditions {
		end.conditions = append(end.conditions, ConditionPattern{Type: ConditionType(c.Type), Status: ConditionStatus(c.Status)})
	}
	task := store.ReadTask("trace", t.entry, t.header)
	j.ends = append(j.ends, resultOf(&task, &j.spec, end, tracedWorker))
	j.ended = append(j.ended, j.now)
	return nil
}

func (j *tracedJob) Disrupt(id string, disruptionTarget bool) error {
	t := j.tasks[id]
	t.disrupted = disruptionTarget
	if !t.started && (j.spec.ReplacementPolicy == Failed || j.keptForRetry(t)) {
		// What no worker has needs no stopping; here a pod is, that must end.
		if err := j.Start(id); err != nil {
			return err
		}
	}
	j.later(func() error { return j.evict(t) })
	return nil
}

// keptForRetry tells that Kubernetes keeps the pod of a failed attempt until
// its index is started again.
func (j *tracedJob) keptForRetry(t *tracedTask) bool {
	limit := j.spec.BackoffLimitPerIndex
	task := store.ReadTask("trace", t.entry, t.header)
	return limit != nil && task.Failures < *limit
}

// evict does it when it was asked for, which is the end of an attempt that is
// not waited for.
func (j *tracedJob) evict(t *tracedTask) error {
	if t.over && j.keptForRetry(t) {
		j.now = t.ended
	}
	j.shadow.job.Evict(j.shadow.ids[t.entry], j.ms())
	err := j.queue.store.Evict(context.Background(), store.JobKey{Name: j.name, Kind: "trace"}, "", t.slot, t.entry)
	if errors.Is(err, store.ErrGone) {
		return nil // what was asked for before has ended it
	}
	return err
}

func (j *tracedJob) Advance(seconds int) {
	j.gather()
	j.now += int64(seconds)
	j.setTime()
}

func (j *tracedJob) Restart() error { return nil }

func (j *tracedJob) Sync() error {
	ctx := context.Background()
	j.gather()
	for _, do := range j.todo {
		if err := do(); err != nil {
			return err
		}
	}
	j.todo = nil
	for range 100 {
		due, err := j.queue.store.Due(ctx, 0)
		if err != nil {
			return err
		}
		if len(due.Jobs) == 0 {
			j.shadow.sync(j.ms())
			return j.same()
		}
		if err := j.queue.store.AdvanceNamed(ctx, due.Jobs); err != nil {
			return err
		}
	}
	return fmt.Errorf("the job is never quiet")
}

func (j *tracedJob) Observe() (conformance.JobObservation, error) {
	ctx := context.Background()
	var o conformance.JobObservation
	r, err := j.queue.store.Get(ctx, j.name)
	if err != nil {
		o.Deleted = true
		for _, t := range j.tasks {
			if t.started && !t.over {
				o.Attempts = append(o.Attempts, conformance.Attempt{ID: t.entry, Index: t.slot, Terminating: true})
			}
		}
		return o, nil
	}
	prefix := "stint:{" + j.queue.name + "}:job:" + j.name
	active, err := j.rdb.HGetAll(ctx, prefix+":tasks").Result()
	if err != nil {
		return o, err
	}
	for slot, v := range active {
		f := strings.Fields(v)
		o.Attempts = append(o.Attempts, j.attempt(ctx, f[0], slot, false))
	}
	ends, err := j.rdb.HGetAll(ctx, prefix+":ends").Result()
	if err != nil {
		return o, err
	}
	for entry, v := range ends {
		o.Attempts = append(o.Attempts, j.attempt(ctx, entry, strings.Fields(v)[0], true))
	}
	slices.SortFunc(o.Attempts, func(a, b conformance.Attempt) int { return CompareTokens(a.ID, b.ID) })
	o.Status = j.status(ctx, r, prefix)
	return o, nil
}

func (j *tracedJob) attempt(ctx context.Context, entry, slot string, terminating bool) conformance.Attempt {
	if j.tasks[entry] == nil {
		t := &tracedTask{entry: entry}
		_, _ = fmt.Sscan(slot, &t.slot)
		if msgs, err := j.rdb.XRange(ctx, "stint:{"+j.queue.name+"}:ready:trace", entry, entry).Result(); err == nil && len(msgs) == 1 {
			t.header, _ = msgs[0].Values["t"].(string)
		}
		j.tasks[entry] = t
	}
	return conformance.Attempt{ID: entry, Index: j.tasks[entry].slot, Terminating: terminating}
}

func (j *tracedJob) seconds(ms int64) *int {
	if ms == 0 {
		return nil
	}
	return new(int((ms - epoch) / 1000))
}

func (j *tracedJob) status(ctx context.Context, r *store.Record, prefix string) conformance.JobStatus {
	job, err := j.queue.job(r)
	if err != nil {
		panic(err)
	}
	s := conformance.JobStatus{
		Active: job.Status.Active, Terminating: job.Status.Terminating, Succeeded: job.Status.Succeeded, Failed: job.Status.Failed,
		CompletedIndexes: job.Status.CompletedIndexes, StartTime: j.seconds(r.StartedAt),
	}
	if job.Spec.BackoffLimitPerIndex != nil {
		s.FailedIndexes = &job.Status.FailedIndexes
	}
	for _, t := range j.tasks {
		if t.started && !t.over {
			if v, err := j.rdb.HGet(ctx, prefix+":tasks", fmt.Sprint(t.slot)).Result(); err == nil && strings.HasPrefix(v, t.entry+" ") {
				s.Ready++
			}
		}
	}
	if r.Phase == rules.JobIsComplete {
		s.CompletionTime = j.seconds(r.EndedAt)
	}
	for _, c := range job.Status.Conditions {
		s.Conditions = append(s.Conditions, conformance.Condition{
			Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, At: int((c.TransitionAt.UnixMilli() - epoch) / 1000),
		})
	}
	s.NextRetryDelay = j.nextRetry(ctx, r, prefix)
	return s
}

// nextRetry is what Kubernetes's controller would wait for.
func (j *tracedJob) nextRetry(ctx context.Context, r *store.Record, prefix string) *int {
	sp := j.spec.rules()
	now := epoch + j.now*1000
	if r.Phase != rules.Open || sp.Suspend {
		return nil
	}
	want := sp.Parallelism
	if sp.Completions >= 0 {
		want = min(want, sp.Completions-r.Succeeded)
	} else if r.Succeeded > 0 {
		want = r.Active
	}
	missing := want - r.Active
	if sp.ReplaceFailed {
		missing -= r.Ending
	}
	if missing <= 0 {
		return nil
	}
	if sp.PerIndex < 0 {
		if r.RetryAt <= now {
			return nil
		}
		return new(int((r.RetryAt - now) / 1000))
	}
	var first int64
	slots, _ := j.rdb.ZRange(ctx, prefix+":wait", 0, int64(missing-1)).Result()
	for _, slot := range slots {
		unit, _ := j.rdb.HGet(ctx, prefix+":data", "u:"+slot).Result()
		var due int64
		_, _ = fmt.Sscan(strings.Fields(unit + " 0 0 0 0 0")[4], &due)
		if due > now && (first == 0 || due < first) {
			first = due
		}
	}
	if first == 0 {
		return nil
	}
	return new(int((first - now) / 1000))
}
