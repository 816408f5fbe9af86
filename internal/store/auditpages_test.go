package store_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/store"
)

// An audit reads every page of what there is of a job and its lane, and finds
// what is wrong there, once.
func TestAuditReadsEveryPage(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, prefix := t.Context(), "stint:{pages}:"
		s, _ := ticking(rdb, "pages")
		jobs := wide(t, s, 1, 600)
		looks(t, s)
		for op := range 2 {
			_, err := s.Claim(ctx, store.Claim{Worker: "w", Op: fmt.Sprint(op + 1), Lanes: []string{"a"}, Max: 300, Lease: time.Second})
			require.NoError(t, err)
		}
		r := one("", "", "").Rules
		r.Indexed, r.Completions, r.Parallelism = true, 600, 300
		require.NoError(t, s.Update(ctx, jobs[0], "", 1, []byte("{}"), r))
		looks(t, s)
		for _, part := range []string{"tasks", "ends"} { // a large hash is read in pages, and one that has had something long
			require.NoError(t, rdb.HSet(ctx, prefix+"job:a:"+part, "long", strings.Repeat("x", 1000)).Err())
			require.NoError(t, rdb.HDel(ctx, prefix+"job:a:"+part, "long").Err())
		}
		faults := func() (all []string) {
			t.Helper()
			found, err := s.AuditJobs(ctx, jobs)
			require.NoError(t, err)
			for from, more := "", true; more; more = from != "" {
				var page []store.Fault
				page, from, err = s.AuditLane(ctx, "a", from)
				require.NoError(t, err)
				found = append(found, page...)
			}
			for _, f := range found {
				all = append(all, f.Rule+" "+f.Detail)
			}
			slices.Sort(all)
			return all
		}
		require.Empty(t, faults())

		tasks, ends := rdb.HGetAll(ctx, prefix+"job:a:tasks").Val(), rdb.HGetAll(ctx, prefix+"job:a:ends").Val()
		require.Equal(t, []int{300, 300}, []int{len(tasks), len(ends)})
		waits := rdb.ZRange(ctx, prefix+"job:a:wait", 0, 0).Val()[0]
		var want []string
		slot := slices.Max(slices.Collect(maps.Keys(tasks)))
		entry, _, _ := strings.Cut(tasks[slot], " ")
		gone := map[string]string{entry: slot}
		for entry, end := range ends {
			gone[entry], _, _ = strings.Cut(end, " ")
			break
		}
		for entry, slot := range gone {
			require.NoError(t, rdb.XDel(ctx, prefix+"ready:a", entry).Err())
			want = append(want, fmt.Sprintf("I15 entry %s of kind a is held, and not there", entry),
				fmt.Sprintf("I6 the task of slot %s names entry %s, which is not there", slot, entry))
		}
		require.NoError(t, rdb.SetBit(ctx, prefix+"job:a:bad", int64(atoi(t, waits)), 1).Err())
		want = append(want, "I3 it counts 0 failed indexes, and 1 are marked", fmt.Sprintf("I3 slot %s waits, and has ended for good (done, failed: 01)", waits))
		slices.Sort(want)
		require.Equal(t, want, faults())
	})
}

func atoi(t *testing.T, text string) (n int) {
	t.Helper()
	_, err := fmt.Sscan(text, &n)
	require.NoError(t, err)
	return n
}

// So it is with cron jobs, timers and what they are for.
func TestAuditReadsEveryTimer(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, prefix := t.Context(), "stint:{pages}:"
		s, now := ticking(rdb, "pages")
		wide(t, s, 1, 1)
		data := strings.Repeat("x", 1000) // so that they are read in pages
		for i := range 300 {
			name := fmt.Sprint("c-", i)
			require.NoError(t, s.PutCron(ctx, name, "", "1", []byte(data), *now+1000, nil))
			if i%100 == 0 {
				require.NoError(t, rdb.ZRem(ctx, prefix+"timers", "cron/"+name).Err())
			}
		}
		require.NoError(t, rdb.ZAdd(ctx, prefix+"pasts", redis.Z{Score: 1, Member: "p"}, redis.Z{Score: 1, Member: "q"}).Err())
		require.NoError(t, rdb.ZAdd(ctx, prefix+"timers", redis.Z{Score: 1, Member: "past/p"}, redis.Z{Score: 1, Member: "a"}, redis.Z{Score: 1e15, Member: "ghost"}).Err())
		for i := range 500 {
			require.NoError(t, rdb.ZAdd(ctx, prefix+"timers", redis.Z{Score: 1, Member: fmt.Sprint("lack/o-", i)}).Err())
		}
		var found []string
		armed := map[string]bool{}
		for n, cursor := 0, "0"; n >= 0 || cursor != ""; {
			faults, crons, next, after, err := s.AuditTimers(ctx, n, cursor)
			require.NoError(t, err)
			for _, f := range faults {
				found = append(found, f.Job+" "+f.Detail)
			}
			for _, c := range crons {
				armed[c.Name] = c.Timer
				require.Equal(t, []string{"1", data}, []string{c.Cron.Version, string(c.Cron.Data)})
			}
			n, cursor = next, after
		}
		require.ElementsMatch(t, []string{"ghost it has a timer and no record", " no timer removes the finished jobs of q"}, found)
		require.Len(t, armed, 300)
		maps.DeleteFunc(armed, func(_ string, is bool) bool { return is })
		require.Equal(t, map[string]bool{"c-0": false, "c-100": false, "c-200": false}, armed)
	})
}

// Plain jobs that start later are as they should be before they start, while
// they wait for a worker or have one, and when one of them has got a record.
func TestAuditOfWhatStartsLater(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		s, now := ticking(rdb, "later")
		found := func() (all []store.Fault) {
			t.Helper()
			for from, more := "", true; more; more = from != "" {
				page, next, err := s.AuditLate(ctx, "k", from)
				require.NoError(t, err)
				all, from = append(all, page...), next
			}
			return all
		}
		for i := range 6 {
			_, err := s.Submit(ctx, "me", fmt.Sprint(i+1), false, []store.Submission{{Kind: "k", Plain: true, Start: -1000 * int64(1+i%2), Args: []byte("1")}})
			require.NoError(t, err)
		}
		require.Empty(t, found())
		*now += 1000
		_, err := s.Ripen(ctx, "k")
		require.NoError(t, err)
		require.Empty(t, found())
		tasks := claimed(t, s, []string{"k"}, 3)
		require.NoError(t, s.Adopt(ctx, &tasks[0], "w", one("", "", "").Rules))
		require.Empty(t, found())
		require.NoError(t, rdb.XDel(ctx, "stint:{later}:ready:k", tasks[1].Entry).Err())
		require.Equal(t, []store.Fault{{Rule: "I6", Job: tasks[1].Job, Detail: "it has started, and its entry is not there"}}, found())
	})
}
