package modeltest_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// resend has a client repeat a call as go-redis does when the reply was lost:
// Redis acts twice, and the second answer is heard.
type resend struct{ next atomic.Bool }

func (h *resend) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *resend) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.next.Load() {
			_ = next(ctx, cmd)
		}
		return next(ctx, cmd)
	}
}

func (h *resend) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if h.next.Load() {
			_ = next(ctx, cmds)
		}
		return next(ctx, cmds)
	}
}

type args struct{}

func (args) Kind() string { return "k" }

// entry is an attempt in a worker's hands.
type entry struct {
	task  store.Task
	ended bool // nothing that is said of it counts any more
	told  bool // to stop: its end counts, its outcome does not
}

// job is the model of one.
type job struct {
	completions, parallelism int
	done                     map[int]bool
	suspended                bool
	held                     []*entry
}

func (j *job) finished() bool { return len(j.done) == j.completions }

// terminating tells that an attempt was told to stop and has not yet: a job
// does not end before it.
func (j *job) terminating() bool {
	return slices.ContainsFunc(j.held, func(e *entry) bool { return e.told && !e.ended })
}

// machine is a queue and its model. It begins again for every sequence.
type machine struct {
	ctx   context.Context //nolint:containedctx // rapid calls the operations with nothing but its T
	q     *stint.Queue
	st    *store.Store
	rdb   redis.UniversalClient
	again *resend
	jobs  map[string]*job
	names []string
	op    int
	made  int
}

var sequences atomic.Int64

func newMachine(rdb redis.UniversalClient, again *resend) *machine {
	name := fmt.Sprintf("m%d", sequences.Add(1))
	return &machine{
		ctx: context.Background(), q: stint.NewQueue(name, rdb), st: store.New(rdb, name), rdb: rdb, again: again, jobs: map[string]*job{},
	}
}

// one picks a job that satisfies a condition; nil where there is none.
func (m *machine) one(t *rapid.T, ok func(*job) bool) (string, *job) {
	var names []string
	for _, n := range m.names {
		if ok(m.jobs[n]) {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		t.Skip("no such job")
	}
	name := rapid.SampledFrom(names).Draw(t, "job")
	return name, m.jobs[name]
}

func (m *machine) Submit(t *rapid.T) {
	m.made++
	name := fmt.Sprintf("j%d", m.made)
	j := &job{completions: rapid.IntRange(1, 5).Draw(t, "completions"), parallelism: rapid.IntRange(1, 3).Draw(t, "parallelism"), done: map[int]bool{}}
	j.suspended = rapid.IntRange(0, 4).Draw(t, "suspended") == 0
	_, err := m.q.Submit(m.ctx, args{}, stint.JobSpec{
		Name: name, CompletionMode: stint.Indexed, Completions: &j.completions, Parallelism: &j.parallelism, Suspend: j.suspended,
		BackoffLimit: new(10_000), LostLimit: new(10_000), Backoff: &stint.Backoff{Initial: time.Millisecond, Max: time.Millisecond},
	})
	require.NoError(t, err)
	m.jobs[name], m.names = j, append(m.names, name)
}

func (m *machine) claim(t require.TestingT, n int) {
	m.op++
	got, err := m.st.Claim(m.ctx, store.Claim{Worker: "w", Op: fmt.Sprint(m.op), Lanes: []string{"k"}, Max: n, Lease: time.Minute})
	require.NoError(t, err)
	for _, task := range got.Tasks {
		j := m.jobs[task.Job]
		require.NotNil(t, j, "a task of %s", task.Job)
		require.False(t, j.done[task.Slot], "%s has slot %d done", task.Job, task.Slot)
		for _, e := range j.held {
			require.False(t, !e.ended && e.task.Entry == task.Entry, "entry %s is handed out twice", task.Entry)
		}
		j.held = append(j.held, &entry{task: task})
	}
}

func (m *machine) Claim(t *rapid.T) { m.claim(t, rapid.IntRange(1, 4).Draw(t, "n")) }

func (m *machine) settle(t require.TestingT, j *job, e *entry, verdict rules.Verdict) {
	out := m.st.Settle(m.ctx, []store.Result{{Task: &e.task, Verdict: verdict, Delay: -1, Error: []byte("{}")}}, store.Guard{}, 0)
	require.NoError(t, out[0].Err)
	if !m.again.next.Load() { // of a repeated call the first one counted
		require.Equal(t, !e.ended, out[0].Counted, "%s, slot %d", e.task.Job, e.task.Slot)
	} else {
		require.False(t, out[0].Counted)
	}
	if !e.ended && !e.told && verdict == rules.Succeeded {
		j.done[e.task.Slot] = true
	}
	e.ended = true
}

// Settle ends an attempt, also one that has ended before.
func (m *machine) Settle(t *rapid.T) {
	_, j := m.one(t, func(j *job) bool { return len(j.held) > 0 })
	e := j.held[rapid.IntRange(0, len(j.held)-1).Draw(t, "entry")]
	verdicts := []rules.Verdict{rules.Succeeded, rules.Succeeded, rules.Failed, rules.Ignored, rules.Lost, rules.Released}
	m.settle(t, j, e, rapid.SampledFrom(verdicts).Draw(t, "verdict"))
}

func (m *machine) Suspend(t *rapid.T) {
	name, j := m.one(t, func(j *job) bool { return !j.suspended && !j.finished() })
	_, err := m.q.Suspend(m.ctx, name)
	require.NoError(t, err)
	j.suspended = true
	for _, e := range j.held {
		e.told = e.told || !e.ended
	}
}

func (m *machine) Resume(t *rapid.T) {
	name, j := m.one(t, func(j *job) bool { return j.suspended && !j.finished() })
	_, err := m.q.Resume(m.ctx, name)
	require.NoError(t, err)
	j.suspended = false
}

func (m *machine) Delete(t *rapid.T) {
	name, _ := m.one(t, func(*job) bool { return true })
	require.NoError(t, m.q.Delete(m.ctx, name))
	_, err := m.q.Get(m.ctx, name)
	require.ErrorIs(t, err, stint.ErrNotFound)
	for _, e := range m.jobs[name].held {
		e.ended = true
	}
	held := m.jobs[name].held
	delete(m.jobs, name)
	m.names = slices.DeleteFunc(m.names, func(n string) bool { return n == name })
	for _, e := range held { // what its workers still say changes nothing
		m.settle(t, &job{done: map[int]bool{}}, e, rules.Succeeded)
	}
}

func (m *machine) timers(t require.TestingT) int {
	due, err := m.st.Due(m.ctx, time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, m.st.AdvanceNamed(m.ctx, due.Jobs))
	return len(due.Jobs)
}

func (m *machine) Timers(t *rapid.T) { m.timers(t) }

// Forget deletes keys that only hurry things.
func (m *machine) Forget(t *rapid.T) {
	key := rapid.SampledFrom([]string{"bell:k", "ctl", "events", "waits"}).Draw(t, "key")
	require.NoError(t, m.rdb.Del(m.ctx, "stint:{"+m.q.Name()+"}:"+key).Err())
}

// Repeat has calls be sent twice, or not any more.
func (m *machine) Repeat(*rapid.T) { m.again.next.Store(!m.again.next.Load()) }

// Check compares the queue with its model, and audits it.
func (m *machine) Check(t *rapid.T) { m.check(t) }

func (m *machine) check(t require.TestingT) {
	for _, name := range m.names {
		j := m.jobs[name]
		got, err := m.q.Get(m.ctx, name)
		require.NoError(t, err)
		require.Equal(t, len(j.done), got.Status.Succeeded, name)
		require.LessOrEqual(t, got.Status.Active, j.parallelism, name)
		require.Equal(t, j.finished() && !j.terminating(), got.Phase() == stint.PhaseComplete, name)
		require.Equal(t, got.Phase() == stint.PhaseComplete, got.Finished(), name)
	}
	for f, err := range m.q.Audit(m.ctx) {
		require.NoError(t, err)
		require.Fail(t, f.String())
	}
}

// finish works until all is done.
func (m *machine) finish(t require.TestingT) {
	m.again.next.Store(false)
	for _, name := range m.names {
		if j := m.jobs[name]; j.suspended && !j.finished() {
			_, err := m.q.Resume(m.ctx, name)
			require.NoError(t, err)
		}
	}
	for until := time.Now().Add(10 * time.Second); slices.ContainsFunc(m.names, func(n string) bool { return !m.jobs[n].finished() || m.jobs[n].terminating() }); {
		m.claim(t, 10)
		for _, name := range m.names {
			for _, e := range m.jobs[name].held {
				if !e.ended {
					m.settle(t, m.jobs[name], e, rules.Succeeded)
				}
			}
		}
		if m.timers(t) == 0 && time.Now().After(until) {
			require.Fail(t, "a job is stuck")
		}
	}
	m.check(t)
}

// Random sequences of everything that can happen to jobs, against a model.
func TestModel(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		again := &resend{}
		c, ok := rdb.(*redis.Client)
		require.True(t, ok)
		c.AddHook(again)
		rapid.Check(t, func(t *rapid.T) {
			again.next.Store(false)
			m := newMachine(rdb, again)
			t.Repeat(map[string]func(*rapid.T){
				"": m.Check, "submit": m.Submit, "claim": m.Claim, "claim more": m.Claim, "settle": m.Settle, "settle more": m.Settle,
				"suspend": m.Suspend, "resume": m.Resume, "delete": m.Delete, "timers": m.Timers, "forget": m.Forget, "repeat": m.Repeat,
			})
			m.finish(t)
		})
	})
}
