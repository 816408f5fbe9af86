package stint

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/store"
)

// TestLuaEqualsRules drives random jobs through the engine and the pure rules
// and compares them after every step. A failure prints its seed.
func TestLuaEqualsRules(t *testing.T) {
	t.Parallel()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		m := miniredis.RunT(t)
		rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
		t.Cleanup(func() { _ = rdb.Close() })
		for seed := range uint64(250) {
			randomJob(t, newTracedJob(fmt.Sprintf("m%d", seed), rdb, m), seed, true)
		}
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		rdb := redistest.Start(t).Client()
		for seed := range uint64(250) {
			// Which attempts a scale-down stops depends on when they were
			// claimed, and this server has a clock of its own.
			randomJob(t, newTracedJob(fmt.Sprintf("r%d", seed), rdb, nil), seed, false)
		}
	})
}

func randomJob(t *testing.T, j *tracedJob, seed uint64, scale bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	j.spec = randomSpec(r)
	require.NoError(t, validateCreate(j.spec, "trace", 0), "seed %d", seed)
	j.todo = append(j.todo, func() error {
		_, err := j.queue.SubmitRaw(context.Background(), Submission{Kind: "trace", Args: []byte("{}"), Spec: j.spec})
		j.shadow = newShadow(j.spec.rules(), j.ms())
		return err
	})
	require.NoError(t, j.Sync(), "seed %d: submit %+v", seed, j.spec.rules())
	for step := range 40 {
		what := j.randomStep(t, r, scale)
		require.NoError(t, j.Sync(), "seed %d, step %d, %s: %+v", seed, step, what, j.spec.rules())
	}
}

func randomSpec(r *rand.Rand) JobSpec {
	s := JobSpec{
		Name: "job", Parallelism: new(1 + r.IntN(3)), BackoffLimit: new(r.IntN(6)), LostLimit: new(r.IntN(3)), LostCounts: r.IntN(2) == 0,
		Backoff: &Backoff{Initial: 3 * time.Second, Max: 20 * time.Second, Scope: []BackoffScope{ScopeTask, ScopeJob}[r.IntN(2)]},
	}
	if r.IntN(4) > 0 {
		s.Completions = new(r.IntN(6))
	}
	if s.Completions != nil && r.IntN(3) > 0 {
		s.CompletionMode = Indexed
		if r.IntN(2) == 0 {
			s.BackoffLimitPerIndex, s.BackoffLimit = new(r.IntN(3)), nil
			if n := *s.Completions; n > 0 && r.IntN(2) == 0 {
				s.MaxFailedIndexes = new(r.IntN(n))
			}
		}
		if n := *s.Completions; n > 1 && r.IntN(3) == 0 {
			s.SuccessPolicy = &SuccessPolicy{Rules: []SuccessRule{{SucceededIndexes: new("0-1"), SucceededCount: new(1 + r.IntN(2))}}}
			if n == 2 {
				s.SuccessPolicy.Rules[0].SucceededIndexes = new("1")
				s.SuccessPolicy.Rules[0].SucceededCount = nil
			}
		}
	}
	if r.IntN(3) == 0 {
		s.ReplacementPolicy = Failed
	}
	if r.IntN(4) == 0 {
		s.ActiveDeadline = new(time.Duration(5+r.IntN(60)) * time.Second)
	}
	s.Suspend = r.IntN(8) == 0
	ttl := NeverExpire
	if r.IntN(3) == 0 {
		ttl = time.Duration(r.IntN(20)) * time.Second
	}
	return s.withDefaults(ttl)
}

// randomStep does something to the job; Sync then looks.
func (j *tracedJob) randomStep(t *testing.T, r *rand.Rand, scale bool) string {
	t.Helper()
	o, err := j.Observe()
	require.NoError(t, err)
	if o.Deleted {
		return "nothing"
	}
	switch r.IntN(10) {
	case 0, 1, 2:
		j.Advance(r.IntN(12))
		return "advance"
	case 3:
		return j.randomUpdate(r, scale)
	case 4:
		for _, a := range o.Attempts {
			if !a.Terminating && j.tasks[a.ID].started && r.IntN(2) == 0 {
				require.NoError(t, j.Disrupt(a.ID, true))
				return "evict"
			}
		}
	case 5, 6:
		for _, a := range o.Attempts {
			if !a.Terminating && !j.tasks[a.ID].started && r.IntN(2) == 0 {
				require.NoError(t, j.Start(a.ID))
			}
		}
		return "claim"
	}
	for _, a := range o.Attempts {
		if r.IntN(3) > 0 && (!a.Terminating || j.tasks[a.ID].started) {
			j.randomEnd(t, r, a.ID)
		}
	}
	return "end"
}

func (j *tracedJob) randomEnd(t *testing.T, r *rand.Rand, id string) {
	t.Helper()
	task := j.tasks[id]
	if task.over {
		return
	}
	if !task.started {
		require.NoError(t, j.Start(id))
	}
	task.over = true
	end := outcome{verb: verbFail, code: 1, delay: -1}
	switch r.IntN(12) {
	case 0, 1, 2, 3, 4:
		end.verb = verbSucceed
	case 5:
		end.verb, end.delay = verbSnooze, time.Duration(r.IntN(5))*time.Second
	case 6:
		end.verb = verbIgnore
	case 7:
		end.lost = true
	case 8:
		end.verb = verbFailIndex
	case 9:
		end.delay = time.Duration(r.IntN(9)) * time.Second
	case 10:
		if r.IntN(3) == 0 {
			end.verb = verbFailJob
		}
	}
	st := store.ReadTask("trace", task.entry, task.header)
	j.ends = append(j.ends, resultOf(&st, &j.spec, end, tracedWorker))
	j.ended = append(j.ended, j.now)
}

func (j *tracedJob) randomUpdate(r *rand.Rand, scale bool) string {
	s := j.spec
	what := "suspend or resume"
	switch r.IntN(4) {
	case 0, 1:
		s.Suspend = !s.Suspend
	case 2:
		n := r.IntN(5)
		if !scale {
			n = max(n, *s.Parallelism)
		}
		s.Parallelism = &n
		what = "scale"
		if scale && s.CompletionMode == Indexed && s.SuccessPolicy == nil && s.MaxFailedIndexes == nil && r.IntN(2) == 0 {
			s.Completions = &n
			what = "scale elastically"
		}
	default:
		s.BackoffLimit = new(r.IntN(6))
		what = "limit"
	}
	if validateUpdate(j.spec, s) == nil {
		j.spec = s
		j.later(func() error { return j.update(s) })
	}
	return what
}
