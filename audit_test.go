package stint_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// findings are what an audit finds, with what nothing refers to.
func findings(ctx context.Context, q *stint.Queue) (all []string, err error) {
	for f, err := range q.Audit(ctx, stint.AuditOptions{Orphans: true}) {
		if err != nil {
			return nil, err
		}
		all = append(all, f.String())
	}
	return all, nil
}

// audited has a queue audited at the end of the test, when its workers have
// stopped.
func audited(t *testing.T, q *stint.Queue) *stint.Queue {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		found, err := findings(ctx, q)
		require.NoError(t, err)
		require.Empty(t, found, "the audit at the end of the test")
	})
	return q
}

// What Audit is for: each damage is found by its invariant, and nothing else
// is. The queue is in the midst of its work.
func TestAuditFindsDamage(t *testing.T) {
	t.Parallel()
	const prefix = "stint:{promises}:"
	for name, damage := range map[string]struct {
		do   func(ctx context.Context, rdb redis.UniversalClient) error
		want string
	}{
		"none": {func(context.Context, redis.UniversalClient) error { return nil }, ""},
		"entry deleted": {func(ctx context.Context, rdb redis.UniversalClient) error {
			task, err := rdb.HGet(ctx, prefix+"job:runs:tasks", "3").Result()
			entry, _, _ := strings.Cut(task, " ")
			return errors.Join(err, rdb.XAck(ctx, prefix+"ready:work", "w", entry).Err(), rdb.XDel(ctx, prefix+"ready:work", entry).Err())
		}, "I6: job runs: the task of slot 3"},
		"held entry deleted": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.XTrimMaxLen(ctx, prefix+"ready:work", 0).Err()
		}, "I6: job runs: the task of slot"},
		"entry of no task": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.HDel(ctx, prefix+"job:runs:tasks", "3").Err()
		}, "I6: job runs: it counts 4 active tasks, and has 3"},
		"tasks lost": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.Del(ctx, prefix+"job:runs:tasks").Err()
		}, "I6: job runs: entry"},
		"record lost": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.Del(ctx, prefix+"job:runs").Err()
		}, "I6: job runs: it is listed and has no record"},
		"record torn": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.HSet(ctx, prefix+"job:runs", "state", "1|2").Err()
		}, "I6: job runs: its record cannot be read"},
		"not listed": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.ZRem(ctx, prefix+"jobs", "done").Err()
		}, "I15: nothing refers to key \"" + prefix + "job:done\""},
		"counted twice": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.SetBit(ctx, prefix+"job:runs:done", 7, 1).Err()
		}, "I3: job runs: it counts 0 successes, and 1 slots are done"},
		"active and done": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.SetBit(ctx, prefix+"job:runs:done", 3, 1).Err()
		}, "I3: job runs: slot 3 is active, and elsewhere too"},
		"active and waiting": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.ZAdd(ctx, prefix+"job:runs:wait", redis.Z{Score: 3, Member: "3"}).Err()
		}, "I3: job runs: slot 3 is active, and elsewhere too"},
		"delay forgotten": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.ZRem(ctx, prefix+"timers", "later").Err()
		}, "I6: job later: it starts at"},
		"expiry forgotten": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.ZRem(ctx, prefix+"timers", "done").Err()
		}, "I15: job done: it is Complete, and no timer removes it"},
		"finished and active": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.HSet(ctx, prefix+"job:done:tasks", "0", "1-1 1 0 0 0").Err()
		}, "I7: job done: it is Complete, with 1 active"},
		"timer of no job": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.ZAdd(ctx, prefix+"timers", redis.Z{Score: 1, Member: "nobody"}).Err()
		}, "I15: job nobody: it has a timer and no record"},
		"cron forgotten": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.ZRem(ctx, prefix+"timers", "cron/yearly").Err()
		}, "I13: cron job yearly: it has times to come, and no timer"},
		"timers lost": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.Del(ctx, prefix+"timers").Err()
		}, "I13: cron job yearly"},
		"consumer of no worker": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.XGroupCreateConsumer(ctx, prefix+"ready:work", "w", "ghost").Err()
		}, "I15: consumer ghost of kind work"},
		"part of no job": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.HSet(ctx, prefix+"job:gone:data", "r:0", "1").Err()
		}, "I15: nothing refers to key \"" + prefix + "job:gone:data\""},
		"foreign key": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.Set(ctx, prefix+"what", "1", 0).Err()
		}, "I15: key \"" + prefix + "what\" is none of a queue's"},
		"bell rings twice": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return errors.Join(rdb.SAdd(ctx, prefix+"kinds", "other").Err(), rdb.RPush(ctx, prefix+"bell:other", 1, 1).Err())
		}, "I15: the bell of kind other has 2 tokens"},
		"too many": {func(ctx context.Context, rdb redis.UniversalClient) error {
			rules, err := rdb.HGet(ctx, prefix+"job:runs", "rules").Result()
			return errors.Join(err, rdb.HSet(ctx, prefix+"job:runs", "rules", strings.Replace(rules, "10|4|", "10|2|", 1)).Err())
		}, "I8: job runs: 4 of its tasks are active, and 2 may be"},
		"late start forgotten": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.ZRem(ctx, prefix+"timers", "late/work").Err()
		}, "I6: jobs of kind work wait for their start, and no timer is set"},
		"late start put off": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.ZAdd(ctx, prefix+"timers", redis.Z{Score: 98765432109876, Member: "late/work"}).Err()
		}, "I6: jobs of kind work wait for their start, and no timer is set"},
		"late jobs lost": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.Del(ctx, prefix+"late:work").Err()
		}, "it has a start to wait for, and is not there"},
		"late starts lost": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.Del(ctx, prefix+"later:work").Err()
		}, "it waits for its start, which nothing tells"},
		"late job torn": {lateJobIs("7 P{"), "it cannot be read, nor started"},
		"late job has no entry": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return errors.Join(lateJobIs("@1-1")(ctx, rdb), rdb.Del(ctx, prefix+"later:work").Err())
		}, "it has started, and its entry is not there"},
		"late job twice": {lateJobIs("@1-1"), "it has started, and waits for its start"},
		"late job has a record": {func(ctx context.Context, rdb redis.UniversalClient) error {
			id := rdb.ZRange(ctx, prefix+"later:work", 0, 0).Val()[0]
			return rdb.HSet(ctx, prefix+"job:work-"+id, "name", "work-"+id).Err()
		}, "it has a record, and is a plain job too"},
		"entry of no late job": {func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.XAdd(ctx, &redis.XAddArgs{Stream: prefix + "ready:work", Values: []any{"t", "L1-5000000000000000000 P", "a", "{}"}}).Err()
		}, "I6: job work-1-5000000000000000000: entry"},
		"past forgotten": {func(ctx context.Context, rdb redis.UniversalClient) error {
			pasts, err := rdb.ZRange(ctx, prefix+"pasts", 0, 0).Result()
			if err != nil || len(pasts) != 1 {
				return fmt.Errorf("%v %w", pasts, err)
			}
			return rdb.ZRem(ctx, prefix+"timers", "past/"+pasts[0]).Err()
		}, "I15: no timer removes the finished jobs of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachUnaudited(t, func(t *testing.T, ctx context.Context, q *stint.Queue, rdb redis.UniversalClient) {
				inTheMidst(t, ctx, q)
				found, err := findings(ctx, q)
				require.NoError(t, err)
				require.Empty(t, found)
				require.NoError(t, damage.do(ctx, rdb))
				found, err = findings(ctx, q)
				require.NoError(t, err)
				if damage.want == "" {
					require.Empty(t, found)
					return
				}
				require.Contains(t, strings.Join(found, "\n"), damage.want)
			})
		})
	}
}

// lateJobIs puts something in place of the plain job that waits for its start.
func lateJobIs(what string) func(context.Context, redis.UniversalClient) error {
	return func(ctx context.Context, rdb redis.UniversalClient) error {
		id := rdb.ZRange(ctx, "stint:{promises}:later:work", 0, 0).Val()[0]
		return rdb.HSet(ctx, "stint:{promises}:late:work", id, what).Err()
	}
}

// inTheMidst leaves a queue with a job that runs, one that is done, one that
// waits for its time, with and without a record, a finished plain job and a
// cron job.
func inTheMidst(t *testing.T, ctx context.Context, q *stint.Queue) {
	t.Helper()
	begun := make(chan struct{}, 10)
	w := stint.NewWorker(q, stint.WorkerConfig{ShutdownTimeout: -1})
	stint.Handle(w, func(ctx context.Context, task *stint.Task[work]) error {
		if task.Args.N == 1 {
			begun <- struct{}{}
			<-ctx.Done()
		}
		return ctx.Err()
	})
	startWorker(t, w)
	_, err := q.ApplyCron(ctx, stint.CronJob{Name: "yearly", Schedule: "@yearly", Args: work{}})
	require.NoError(t, err)
	_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "later", Delay: time.Hour})
	require.NoError(t, err)
	_, err = q.Submit(ctx, work{}, stint.JobSpec{Delay: time.Hour})
	require.NoError(t, err)
	_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "done"})
	require.NoError(t, err)
	plain, err := q.Submit(ctx, work{})
	require.NoError(t, err)
	for _, name := range []string{"done", plain.Name} {
		_, err = q.Wait(ctx, name)
		require.NoError(t, err)
	}
	_, err = q.Submit(ctx, work{1}, stint.JobSpec{
		Name: "runs", CompletionMode: stint.Indexed, Completions: new(10), Parallelism: new(4),
	})
	require.NoError(t, err)
	for range 4 {
		<-begun
	}
}

// An audit beside workers that do all they can reports nothing.
func TestAuditBesideWorkers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		for range 2 {
			handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
				if task.Attempt == 1 && task.Index%3 == 1 {
					return errors.New("the first attempt of every third index")
				}
				return nil
			})
		}
		var names []string
		for i := range 20 {
			for _, spec := range []stint.JobSpec{
				{CompletionMode: stint.Indexed, Completions: new(20), Parallelism: new(3), Backoff: quick(), Name: fmt.Sprint("indexed-", i)},
				{Completions: new(9), Parallelism: new(2), TTLAfterFinished: new(time.Duration(0))},
				{Parallelism: new(2), Name: fmt.Sprint("queue-", i)},
				{},
			} {
				job, err := q.Submit(ctx, work{i}, spec)
				require.NoError(t, err)
				if spec.TTLAfterFinished == nil {
					names = append(names, job.Name)
				}
			}
			if i%5 == 0 {
				_, err := q.Suspend(ctx, fmt.Sprint("indexed-", i))
				require.NoError(t, err)
				_, err = q.Resume(ctx, fmt.Sprint("indexed-", i))
				require.NoError(t, err)
			}
			found, err := findings(ctx, q)
			require.NoError(t, err)
			require.Empty(t, found)
		}
		for _, name := range names {
			_, err := q.Wait(ctx, name)
			require.NoError(t, err)
		}
	})
}
