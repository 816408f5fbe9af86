package stint_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// handleUnaudited is handle for what is damaged.
func handleUnaudited(t *testing.T, q *stint.Queue, cfg stint.WorkerConfig, h func(context.Context, *stint.Task[work]) error) {
	t.Helper()
	w := stint.NewWorker(q, cfg)
	stint.Handle(w, h)
	startWorker(t, w)
}

// harm is a way in which the keys of a job are not what stint has written.
type harm struct {
	name string
	do   func(ctx context.Context, rdb redis.UniversalClient, job string) error
}

func harms() []harm {
	all := []harm{}
	for _, part := range []string{"", ":done", ":bad", ":tasks", ":ends", ":wait", ":data"} {
		all = append(all, harm{"another type: job" + part, func(ctx context.Context, rdb redis.UniversalClient, job string) error {
			if err := rdb.Del(ctx, job+part).Err(); err != nil {
				return err
			}
			return rdb.SAdd(ctx, job+part, "x").Err()
		}})
	}
	for _, field := range []string{"state", "rules", "spec", "uid", "name", "kind", "success", "hits", "labels", "log", "created", "gen"} {
		for _, value := range []string{"", "x", "{", "\x00\xff|", strings.Repeat("9", 400), strings.Repeat("0|", 40), strings.Repeat("-1|", 18) + "99999999999999999999"} {
			all = append(all, harm{field + " " + value[:min(len(value), 10)], func(ctx context.Context, rdb redis.UniversalClient, job string) error {
				return rdb.HSet(ctx, job, field, value).Err()
			}})
		}
		all = append(all, harm{"no " + field, func(ctx context.Context, rdb redis.UniversalClient, job string) error {
			return rdb.HDel(ctx, job, field).Err()
		}})
	}
	for _, part := range []string{":tasks", ":ends", ":data"} {
		all = append(all, harm{"garbage in " + part, func(ctx context.Context, rdb redis.UniversalClient, job string) error {
			return rdb.HSet(ctx, job+part, "0", "x", "y", "1-1 2", "u:0", "z", "r:x", "{", "e:0:0", "{", "p:0", "{", "c:0", "{").Err()
		}})
	}
	return all
}

// Every reader of a queue gives an error or an answer, whatever it reads.
func readEverything(t *testing.T, ctx context.Context, q *stint.Queue, name string) {
	t.Helper()
	_, _ = q.Get(ctx, name)
	_, _ = q.Explain(ctx, name)
	_, _ = q.Tasks(ctx, name)
	_, _ = q.Events(ctx, name)
	all := map[string]int{}
	for _, err := range q.Errors(ctx, name) {
		all["errors"+str(err)]++
	}
	for _, err := range q.Progress(ctx, name) {
		all["progress"+str(err)]++
	}
	for _, err := range stint.Results[int](ctx, q, name) {
		all["results"+str(err)]++
	}
	_, _ = q.Workers(ctx)
	_, _ = q.Kinds(ctx)
	_, _ = q.Count(ctx, stint.ListOptions{Phase: stint.PhaseFailed})
}

// F80, F115, F121: whatever becomes of the record of one job, nothing panics,
// who reads it gets an answer or an error that names it, and the rest of the
// queue is worked on, listed and kept in time.
func TestDamagedJobHarmsNoOther(t *testing.T) {
	t.Parallel()
	eachUnaudited(t, func(t *testing.T, ctx context.Context, _ *stint.Queue, rdb redis.UniversalClient) {
		q := stint.NewQueue("damaged", rdb)
		handleUnaudited(t, q, stint.WorkerConfig{Lease: time.Second, Concurrency: 400}, func(ctx context.Context, task *stint.Task[work]) error {
			if task.Args.N == 1 {
				<-ctx.Done()
			}
			return nil
		})
		for i, h := range harms() {
			name := "victim-" + strings.Repeat("x", i%3) + string(rune('a'+i%26)) + string(rune('a'+i/26))
			n, suspend := i%2, i%5 == 0 // some run, some wait, some have finished
			_, err := q.Submit(ctx, work{n}, stint.JobSpec{
				Name: name, CompletionMode: stint.Indexed, Completions: new(2), Suspend: suspend, TTLAfterFinished: new(time.Minute),
			})
			require.NoError(t, err)
			if n == 0 && !suspend {
				_, err = q.Wait(ctx, name)
				require.NoError(t, err)
			}
			require.NoError(t, h.do(ctx, rdb, "stint:{damaged}:job:"+name), h.name)
			readEverything(t, ctx, q, name)
			_, err = q.Suspend(ctx, name)
			_, err2 := q.Resume(ctx, name)
			_ = errors.Join(err, err2, q.Evict(ctx, name, 0))
		}
		// Those that come after are done, listed, and removed in time.
		_, err := q.Submit(ctx, work{2}, stint.JobSpec{Name: "good", CompletionMode: stint.Indexed, Completions: new(50), Parallelism: new(10)})
		require.NoError(t, err)
		_, err = q.Submit(ctx, work{2}, stint.JobSpec{Name: "delayed", Delay: 10 * time.Millisecond, TTLAfterFinished: new(100 * time.Millisecond)})
		require.NoError(t, err)
		plain, err := q.Submit(ctx, work{2})
		require.NoError(t, err)
		for _, name := range []string{"good", plain.Name} {
			j, err := q.Wait(ctx, name)
			require.NoError(t, err)
			require.Equal(t, stint.PhaseComplete, j.Phase())
		}
		require.Eventually(t, func() bool {
			_, err := q.Get(ctx, "delayed")
			return errors.Is(err, stint.ErrNotFound)
		}, within, 10*time.Millisecond)
		listed, unreadable := map[string]bool{}, 0
		for j, err := range q.List(ctx, stint.ListOptions{}) {
			if err != nil {
				require.ErrorIs(t, err, stint.ErrUnreadable)
				require.ErrorContains(t, err, "victim-")
				unreadable++
				continue
			}
			listed[j.Name] = true
		}
		require.True(t, listed["good"])
		require.Positive(t, unreadable)
	})
}

// A cron job whose record is damaged keeps no other from firing.
func TestDamagedCronJobHarmsNoOther(t *testing.T) {
	t.Parallel()
	eachUnaudited(t, func(t *testing.T, ctx context.Context, _ *stint.Queue, rdb redis.UniversalClient) {
		q := stint.NewQueue("damaged", rdb)
		for name, record := range map[string]string{"empty": "", "garbage": "x", "torn": `1 {"schedule":"`, "wrong": `1 {"schedule":7}`} {
			require.NoError(t, rdb.HSet(ctx, "stint:{damaged}:cron", name, record).Err())
			require.NoError(t, rdb.ZAdd(ctx, "stint:{damaged}:timers", redis.Z{Score: 1, Member: "cron/" + name}).Err())
			_, err := q.GetCron(ctx, name)
			require.ErrorIs(t, err, stint.ErrUnreadable)
			require.ErrorContains(t, err, name)
		}
		handleUnaudited(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		_, err := q.ApplyCron(ctx, stint.CronJob{Name: "good", Schedule: "@every 1s", Args: work{}})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			c, err := q.GetCron(ctx, "good")
			return err == nil && !c.Status.LastSuccessfulTime.IsZero()
		}, within, 10*time.Millisecond)
		good, bad := 0, 0
		for c, err := range q.ListCron(ctx) {
			if err != nil {
				require.ErrorIs(t, err, stint.ErrUnreadable)
				bad++
				continue
			}
			require.Equal(t, "good", c.Name)
			good++
		}
		require.Equal(t, []int{1, 4}, []int{good, bad})
	})
}

// F118, F120: entries that others have put into the stream: each fails or is
// given back, and those behind it are done.
func TestForeignEntriesHarmNoOther(t *testing.T) {
	t.Parallel()
	eachUnaudited(t, func(t *testing.T, ctx context.Context, _ *stint.Queue, rdb redis.UniversalClient) {
		q := stint.NewQueue("damaged", rdb)
		r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same garbage each time
		add := func(values ...any) {
			require.NoError(t, rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stint:{damaged}:ready:work", Values: values}).Err())
		}
		for _, header := range []string{
			"", "P", "P{", "P{}", `P{"completions":-5}`, `P{"backoffLimit":1e99}`, "J", "J a b c", "J a b 0 1 0 0 0", "J a b -1 -1 -1 -1 -1",
			"J {x} u 99999999999999999999 1 0 0 0", "J a\nb u 0 1 0 0 0", "\x00", strings.Repeat("J ", 1000),
		} {
			add("t", header, "a", "{}")
			add("t", header)
			add("x", header)
			add("a", "{}", "t", header)
		}
		for range 50 {
			b := make([]byte, r.IntN(40))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			add("t", "P"+string(b), "a", string(b))
		}
		add("t", "P", "a", `{"n":1,"x":"`+strings.Repeat("y", 1<<20)+`"}`) // more than Submit takes
		handleUnaudited(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		job, err := q.Submit(ctx, work{})
		require.NoError(t, err)
		j, err := q.Wait(ctx, job.Name)
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, j.Phase())
		for j, err := range q.List(ctx, stint.ListOptions{}) {
			if err != nil {
				require.ErrorIs(t, err, stint.ErrUnreadable)
				continue
			}
			readEverything(t, ctx, q, j.Name)
		}
	})
}

// The tasks of a worker that died are ended, all but those of a damaged job.
func TestDamagedJobKeepsNoOtherLost(t *testing.T) {
	t.Parallel()
	eachUnaudited(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		const prefix = "stint:{promises}:"
		for _, name := range []string{"bad", "good"} {
			_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: name})
			require.NoError(t, err)
		}
		require.NoError(t, rdb.XGroupCreate(ctx, prefix+"ready:work", "w", "0").Err())
		require.NoError(t, rdb.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "w", Consumer: "dead", Streams: []string{prefix + "ready:work", ">"}, Block: -1}).Err())
		require.NoError(t, rdb.HSet(ctx, prefix+"beats", "dead", "1 1000").Err())
		require.NoError(t, rdb.Del(ctx, prefix+"job:bad").Err())
		require.NoError(t, rdb.SAdd(ctx, prefix+"job:bad", "x").Err())
		handleUnaudited(t, q, stint.WorkerConfig{Lease: time.Second}, func(context.Context, *stint.Task[work]) error { return nil })
		job, err := q.Wait(ctx, "good")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, job.Phase())
	})
}

// Workers do without the bell where its key holds something else.
func TestDamagedBellHoldsNothingUp(t *testing.T) {
	t.Parallel()
	eachUnaudited(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
		require.NoError(t, rdb.SAdd(ctx, "stint:{promises}:bell:work", "x").Err())
		handleUnaudited(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		for _, name := range []string{"", "named"} {
			job, err := q.Submit(ctx, work{}, stint.JobSpec{Name: name})
			require.NoError(t, err)
			job, err = q.Wait(ctx, job.Name)
			require.NoError(t, err)
			require.Equal(t, stint.PhaseComplete, job.Phase())
		}
	})
}
