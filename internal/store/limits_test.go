package store_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/indexset"
	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// keyspace is all that a database holds.
func keyspace(t *testing.T, rdb redis.UniversalClient) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, key := range rdb.Keys(t.Context(), "*").Val() {
		kind := rdb.Type(t.Context(), key).Val()
		switch kind {
		case "hash":
			out[key] = fmt.Sprint(rdb.HGetAll(t.Context(), key).Val())
		case "zset":
			out[key] = fmt.Sprint(rdb.ZRangeWithScores(t.Context(), key, 0, -1).Val())
		case "stream":
			out[key] = fmt.Sprint(rdb.XRange(t.Context(), key, "-", "+").Val(), rdb.XPending(t.Context(), key, "w").Val())
		case "list":
			out[key] = fmt.Sprint(rdb.LRange(t.Context(), key, 0, -1).Val())
		case "set":
			out[key] = fmt.Sprint(rdb.SMembers(t.Context(), key).Val())
		default:
			out[key] = rdb.Get(t.Context(), key).Val()
		}
	}
	return out
}

// stage is a queue with one of everything that a script can be about.
type stage struct {
	*store.Store

	running, plain, waiting store.Task    // of the job "run", and of plain jobs
	done                    *store.Record // of the job "done"
	doneKey, runKey         store.JobKey
}

func newStage(t *testing.T, rdb redis.UniversalClient) *stage {
	t.Helper()
	ctx, s := t.Context(), &stage{Store: store.New(rdb, "limits")}
	for i, sub := range []store.Submission{
		one("done", "uid-1", ""), one("run", "uid-2", ""), {Kind: "k", Plain: true, Args: []byte("1")}, {Kind: "k", Plain: true, Args: []byte("2")},
	} {
		_, err := s.Submit(ctx, "me", fmt.Sprint(i+1), true, []store.Submission{sub})
		require.NoError(t, err)
	}
	tasks := claimed(t, s.Store, []string{"k"}, 4)
	o := s.Settle(ctx, []store.Result{{Task: &tasks[0], Verdict: rules.Succeeded, Delay: -1}}, store.Guard{}, 0)
	require.NoError(t, o[0].Err)
	s.running, s.plain, s.waiting = tasks[1], tasks[2], tasks[3]
	s.doneKey, s.runKey = store.JobKey{Name: "done", Kind: "k"}, store.JobKey{Name: "run", Kind: "k"}
	var err error
	s.done, err = s.Get(ctx, "done")
	require.NoError(t, err)
	return s
}

func (s *stage) settle(ctx context.Context, r store.Result) error {
	r.Delay = -1
	if r.Spec == nil {
		r.Spec = func() rules.Spec { return one("", "", "").Rules }
	}
	return s.Settle(ctx, []store.Result{r}, store.Guard{}, 0)[0].Err
}

func (s *stage) adopt(ctx context.Context, spec, args []byte) error {
	task := s.plain
	task.Spec, task.Args = spec, args
	return s.Adopt(ctx, &task, "w", one("", "", "").Rules)
}

func (s *stage) retry(ctx context.Context, done, bad indexset.Set, hits string, spec []byte) error {
	return s.Retry(ctx, s.done, "uid-3", done, bad, hits, one("", "", "").Rules, spec)
}

// oversized are calls with one argument of n bytes, more than a client sends.
func oversized(s *stage, n int) map[string]func(ctx context.Context) error {
	long := []byte(strings.Repeat("x", n))
	labels := []byte(`{"labels":{"a":"` + string(long) + `"}}`)
	far := indexset.Set{}
	far.AddRange(8*n, 8*n)
	run := func(change func(*store.Submission)) *store.Submission {
		sub := one("run-of-cron", "uid-4", "")
		change(&sub)
		return &sub
	}
	put := func(ctx context.Context, data []byte, sub *store.Submission) error {
		return s.PutCron(ctx, "nightly", "", "1", data, 5, sub)
	}
	submit := func(ctx context.Context, sub *store.Submission) error {
		_, err := s.Submit(ctx, "me", "9", true, []store.Submission{*sub})
		return err
	}
	return map[string]func(ctx context.Context) error{
		"submit args": func(ctx context.Context) error { return submit(ctx, run(func(s *store.Submission) { s.Args = long })) },
		"submit spec": func(ctx context.Context) error { return submit(ctx, run(func(s *store.Submission) { s.Spec = long })) },
		"enqueue args": func(ctx context.Context) error {
			return submit(ctx, &store.Submission{Kind: "k", Plain: true, Args: long})
		},
		"enqueue late args": func(ctx context.Context) error {
			return submit(ctx, &store.Submission{Kind: "k", Plain: true, Start: -1000, Args: long})
		},
		"enqueue spec": func(ctx context.Context) error {
			return submit(ctx, &store.Submission{Kind: "k", Plain: true, Spec: long})
		},
		"settle result": func(ctx context.Context) error {
			return s.settle(ctx, store.Result{Task: &s.running, Verdict: rules.Succeeded, Result: long})
		},
		"settle error": func(ctx context.Context) error {
			return s.settle(ctx, store.Result{Task: &s.running, Verdict: rules.Failed, Error: long})
		},
		"settle message": func(ctx context.Context) error {
			return s.settle(ctx, store.Result{Task: &s.running, Verdict: rules.JobFailed, Error: []byte("{}"), Message: string(long)})
		},
		"settle plain args": func(ctx context.Context) error {
			task := s.plain
			task.Args = long
			return s.settle(ctx, store.Result{Task: &task, Verdict: rules.JobFailed, Error: []byte("{}")})
		},
		"postpone args": func(ctx context.Context) error {
			task := s.plain
			task.Args = long
			return s.settle(ctx, store.Result{Task: &task, Verdict: rules.Failed, Error: []byte("{}")})
		},
		"settle plain labels": func(ctx context.Context) error {
			task := s.plain
			task.Spec = labels
			return s.settle(ctx, store.Result{Task: &task, Verdict: rules.Failed, Error: []byte("{}")})
		},
		"note": func(ctx context.Context) error { return s.Note(ctx, &s.running, 'c', long) },
		"update spec": func(ctx context.Context) error {
			return s.Update(ctx, s.runKey, "uid-2", 1, long, one("", "", "").Rules)
		},
		"update labels": func(ctx context.Context) error {
			return s.Update(ctx, s.runKey, "uid-2", 1, labels, one("", "", "").Rules)
		},
		"adopt args": func(ctx context.Context) error { return s.adopt(ctx, nil, long) },
		"adopt spec": func(ctx context.Context) error { return s.adopt(ctx, long, nil) },
		"retry hits": func(ctx context.Context) error {
			return s.retry(ctx, indexset.Set{}, indexset.Set{}, string(long), nil)
		},
		"retry spec":  func(ctx context.Context) error { return s.retry(ctx, indexset.Set{}, indexset.Set{}, "", long) },
		"retry done":  func(ctx context.Context) error { return s.retry(ctx, far, indexset.Set{}, "", nil) },
		"retry bad":   func(ctx context.Context) error { return s.retry(ctx, indexset.Set{}, far, "", nil) },
		"cron record": func(ctx context.Context) error { return put(ctx, append(append(long, long...), long...), nil) },
		"cron args": func(ctx context.Context) error {
			return put(ctx, nil, run(func(s *store.Submission) { s.Args = long }))
		},
		"cron spec": func(ctx context.Context) error {
			return put(ctx, nil, run(func(s *store.Submission) { s.Spec = labels }))
		},
		"finish": func(ctx context.Context) error {
			return s.settle(ctx, store.Result{Task: &s.plain, Verdict: rules.Succeeded, Record: append(append(long, long...), long...)})
		},
		"object": func(ctx context.Context) error {
			_, err := s.PutObject(ctx, "config/app", "1", "", append(append(long, long...), long...))
			return err
		},
	}
}

// F119: what is longer than a client sends is refused by the script itself,
// which says so and has written nothing.
func TestF119ScriptsRefuseWhatIsTooLong(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStage(t, rdb)
		before := keyspace(t, rdb)
		for name, call := range oversized(s, 300<<10+1) {
			script, _, _ := strings.Cut(name, " ")
			if script == "enqueue" {
				script = "submit"
			}
			require.ErrorContains(t, call(t.Context()), "stint: "+script+": ", name)
			after := keyspace(t, rdb)
			require.Len(t, after, len(before), name)
			for key := range before {
				if before[key] != after[key] { // not to be printed: it may be long
					t.Errorf("%s: %s was changed", name, key)
				}
			}
		}
	})
}

// What a client may send is taken.
func TestF119ScriptsTakeWhatIsAllowed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		calls := len(oversized(newStage(t, rdb), 1))
		require.NoError(t, rdb.FlushDB(t.Context()).Err())
		for i := range calls {
			s := newStage(t, rdb)
			all := oversized(s, 300<<10-20) // labels have names too
			name := slices.Sorted(maps.Keys(all))[i]
			if name != "retry done" && name != "retry bad" { // indexes are never added
				require.NoError(t, all[name](t.Context()), name)
			}
			require.NoError(t, rdb.FlushDB(t.Context()).Err())
		}
	})
}
