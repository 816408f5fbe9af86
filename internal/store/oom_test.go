package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// F62: when Redis's memory is out, each script that makes room, or without
// which no other does, begins with a write that is always allowed, and so may
// write what follows.
func TestF62ScriptsThatDrainAreAllowed(t *testing.T) {
	t.Parallel()
	redistest.EachServer(t, func(t *testing.T, start func(args ...string) *redistest.Server) {
		ctx, rdb := t.Context(), start().Client()
		s, now := ticking(rdb, "oom")
		for i := range 6 {
			sub := one(fmt.Sprint("job-", i), fmt.Sprint("uid-", i), "")
			sub.Rules.Deadline = time.Hour.Milliseconds()
			_, err := s.Submit(ctx, "me", fmt.Sprint(2*i+1), true, []store.Submission{sub})
			require.NoError(t, err)
			_, err = s.Submit(ctx, "me", fmt.Sprint(2*i+2), true, []store.Submission{{Kind: "k", Plain: true, Args: []byte("1")}})
			require.NoError(t, err)
		}
		_, err := s.Submit(ctx, "me", "20", true, []store.Submission{{Kind: "late", Plain: true, Start: -1000, Args: []byte("1")}})
		require.NoError(t, err)
		tasks := claimed(t, s, []string{"k"}, 6)
		result := func(task int, v rules.Verdict) store.Result {
			return store.Result{Task: &tasks[task], Verdict: v, Error: []byte("{}"), TTL: time.Hour, Spec: func() rules.Spec { return one("", "", "").Rules }}
		}
		require.NoError(t, s.Settle(ctx, []store.Result{result(1, rules.Succeeded)}, store.Guard{}, *now)[0].Err)
		pasts, err := s.Pasts(ctx)
		require.NoError(t, err)
		require.NoError(t, s.PutCron(ctx, "c", "", "1", []byte("{}"), *now, nil))
		version, err := s.PutObject(ctx, "config/c", "1", "", []byte("x"))
		require.NoError(t, err)

		require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "1").Err())
		_, err = s.Submit(ctx, "me", "99", true, []store.Submission{one("more", "uid-9", "")})
		require.ErrorContains(t, err, "OOM")
		_, err = s.PutObject(ctx, "config/d", "2", "", []byte("x"))
		require.ErrorContains(t, err, "OOM")

		_, err = s.Renew(ctx, "w", "2", time.Second, []byte("{}"), nil)
		require.NoError(t, err)
		got, err := s.Claim(ctx, store.Claim{Worker: "w", Op: "3", Lanes: []string{"k"}, Max: 1, Lease: time.Second})
		require.NoError(t, err)
		require.Len(t, got.Tasks, 1)
		for task, v := range map[int]rules.Verdict{0: rules.Succeeded, 2: rules.Failed, 3: rules.Succeeded, 4: rules.Lost, 5: rules.Failed} {
			o := s.Settle(ctx, []store.Result{result(task, v)}, store.Guard{}, *now)[0]
			require.NoError(t, o.Err)
			require.True(t, o.Counted)
		}
		due, err := s.Due(ctx, time.Second)
		require.NoError(t, err)
		require.Equal(t, []string{"c"}, due.Cron)
		*now += 1000
		_, err = s.Ripen(ctx, "late")
		require.NoError(t, err)
		require.EqualValues(t, 1, rdb.XLen(ctx, "stint:{oom}:ready:late").Val())
		require.NoError(t, s.Advance(ctx, []store.JobKey{{Name: "job-4", Kind: "k"}}))
		for _, name := range []string{"job-0", "job-1"} { // one that has finished, one with a task
			_, err = s.Delete(ctx, store.JobKey{Name: name, Kind: "k"}, "")
			require.NoError(t, err)
		}
		_, err = s.PutObject(ctx, "config/c", "3", version, nil)
		require.NoError(t, err)
		require.NoError(t, s.PutCron(ctx, "c", "1", "", nil, 0, nil))
		require.NoError(t, s.Leave(ctx, "nobody", "", []string{"k"}))
		*now += 24 * time.Hour.Milliseconds()
		require.NoError(t, s.Forget(ctx, pasts[0]))
		require.Zero(t, rdb.Exists(ctx, "stint:{oom}:past:"+pasts[0], "stint:{oom}:object:config/c", "stint:{oom}:job:job-0", "stint:{oom}:job:job-1").Val())
	})
}
