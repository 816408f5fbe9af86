package modeltest_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// said is what somebody does to a job: ends an attempt, or reads the count.
type said struct {
	entry   string // "" reads
	success bool
}

// heard is the answer.
type heard struct {
	counted   bool
	succeeded int
}

// counts is the state of a job: which of its attempts have ended, and how many
// as successes.
type counts struct {
	ended     string // entries, each in brackets
	succeeded int
}

// fences says that an attempt is ended once, by whoever comes first.
var fences = porcupine.Model{
	Init: func() any { return counts{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(counts), input.(said), output.(heard)
		if in.entry == "" {
			return out.succeeded == s.succeeded, s
		}
		mark := "[" + in.entry + "]"
		open := !contains(s.ended, mark)
		if out.counted != open {
			return false, s
		}
		if open {
			s.ended += mark
			if in.success {
				s.succeeded++
			}
		}
		return true, s
	},
}

func contains(text, part string) bool {
	for i := 0; i+len(part) <= len(text); i++ {
		if text[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

// P2: workers, janitors and readers come to a job at the same time. There is an
// order of all that they did which explains every answer.
func TestHistoriesAreLinearizable(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		for round := range 20 {
			m := newMachine(rdb, &resend{})
			const n = 6
			_, err := m.q.Submit(ctx, args{}, stint.JobSpec{
				Name: "j", CompletionMode: stint.Indexed, Completions: new(n), Parallelism: new(n), LostLimit: new(1000),
				Backoff: &stint.Backoff{Initial: time.Hour, Max: time.Hour},
			})
			require.NoError(t, err)
			got, err := m.st.Claim(ctx, store.Claim{Worker: "w", Op: "1", Lanes: []string{"k"}, Max: n, Lease: time.Minute})
			require.NoError(t, err)
			require.Len(t, got.Tasks, n)
			history := race(ctx, m, got.Tasks)
			result, _ := porcupine.CheckOperationsVerbose(fences, history, 20*time.Second)
			require.Equal(t, porcupine.Ok, result, "round %d: %+v", round, history)
		}
	})
}

// race has six clients say different things of the same tasks.
func race(ctx context.Context, m *machine, tasks []store.Task) (history []porcupine.Operation) {
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for client := range 6 {
		all.Go(func() {
			for _, i := range rand.Perm(len(tasks)) {
				in := said{entry: tasks[i].Entry, success: client%2 == 0}
				task := tasks[i]
				verdict := rules.Lost
				if in.success {
					verdict = rules.Succeeded
				}
				call := time.Since(began).Nanoseconds()
				var out heard
				if client == 5 {
					in = said{}
					if j, err := m.q.Get(ctx, task.Job); err == nil {
						out.succeeded = j.Status.Succeeded
					}
				} else {
					out.counted = m.st.Settle(ctx, []store.Result{{Task: &task, Verdict: verdict, Delay: -1, Error: []byte("{}")}}, store.Guard{}, 0)[0].Counted
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: time.Since(began).Nanoseconds()})
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return history
}
