package stint

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/store"
)

// F33, F39: a connection that hung passes on a call whose client gave it up
// long ago, sent it again, and went on. Redis sees it last of all.
func TestF39CallsThatComeLate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		s := store.New(rdb, "late")
		plain := []store.Submission{{Kind: "k", Args: []byte("1"), Plain: true}}
		for _, op := range []string{"9", "10"} {
			_, err := s.Submit(ctx, "client", op, false, plain)
			require.NoError(t, err)
		}
		_, err := s.Submit(ctx, "client", "9", false, plain)
		require.Error(t, err)
		require.EqualValues(t, 2, rdb.XLen(ctx, "stint:{late}:ready:k").Val(), "it is stored once")

		claim := store.Claim{Worker: "w", Op: "9", Lanes: []string{"k"}, Max: 1, Lease: time.Second}
		first, err := s.Claim(ctx, claim)
		require.NoError(t, err)
		require.Len(t, first.Tasks, 1)
		claim.Op, claim.Lanes = "10", []string{"other"}
		_, err = s.Claim(ctx, claim)
		require.NoError(t, err)
		claim.Op, claim.Lanes = "9", []string{"k"}
		late, err := s.Claim(ctx, claim)
		require.NoError(t, err)
		require.Empty(t, late.Tasks)
		held, err := s.HeldBy(ctx, "w", "k", 10)
		require.NoError(t, err)
		require.Len(t, held, 1, "the worker holds a task that it does not know of, for as long as it lives")
	})
}

// P10: of two changes of a cron job that have read the same version, one is
// made over the other. None is lost, and none is called done that was not.
func TestP10CronChangesAtOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		q := NewQueue("crons", rdb)
		_, err := q.ApplyCron(ctx, CronJob{Name: "c", Schedule: "@yearly", JobKind: "k", RawArgs: []byte("{}")})
		require.NoError(t, err)
		others := 0
		_, err = q.changeCron(ctx, "c", false, func(c *CronJob) {
			if others++; others == 1 {
				_, err := q.SuspendCron(ctx, "c")
				require.NoError(t, err)
			}
			c.StartingDeadline = new(time.Minute)
		})
		require.NoError(t, err)
		got, err := q.GetCron(ctx, "c")
		require.NoError(t, err)
		require.True(t, got.Suspend)
		require.Equal(t, new(time.Minute), got.StartingDeadline)
		require.Equal(t, 2, others)
	})
}

// F30: a worker asks for a kind of which there never was a job, and dies.
// Nothing is left of it in that kind.
func TestF30ConsumersOfUnknownKinds(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		s := store.New(rdb, "kinds")
		claim := store.Claim{Worker: "w", Op: "1", Lanes: []string{"never"}, Max: 1, Lease: time.Second}
		claimed, err := s.Claim(ctx, claim)
		require.NoError(t, err)
		require.Empty(t, claimed.Tasks)
		require.Zero(t, rdb.Exists(ctx, "stint:{kinds}:ready:never").Val())
		_, err = s.Submit(ctx, "client", "1", false, []store.Submission{{Kind: "never", Args: []byte("1"), Plain: true}})
		require.NoError(t, err)
		claim.Op = "2"
		claimed, err = s.Claim(ctx, claim)
		require.NoError(t, err)
		require.Len(t, claimed.Tasks, 1, "what came before the first worker is handed over")
	})
}

// A timer is taken, and its job is deleted and followed by one of its name and
// of another kind, before the timer is looked at: the tasks of the other go
// where its workers look.
func TestAdvanceOfAnotherKind(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		q := NewQueue("kinds", rdb)
		_, err := q.SubmitRaw(ctx, Submission{Kind: "new", Args: []byte("{}"), Spec: JobSpec{Name: "job", Delay: time.Millisecond}})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			d, err := q.store.Due(ctx, 0)
			return err == nil && len(d.Jobs) == 1
		}, time.Minute, time.Millisecond)
		require.NoError(t, q.store.Advance(ctx, []store.JobKey{{Name: "job", Kind: "old"}}))
		require.Zero(t, rdb.Exists(ctx, "stint:{kinds}:ready:old").Val())
		require.NoError(t, q.store.Advance(ctx, []store.JobKey{{Name: "job", Kind: "new"}}))
		require.EqualValues(t, 1, rdb.XLen(ctx, "stint:{kinds}:ready:new").Val())
	})
}

// Between what an eviction has read and its script the job is deleted and
// followed by one of its name and with other requests: that one is left alone.
func TestEvictOfAnotherJob(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		q := NewQueue("kinds", rdb)
		submit := func(cpu Quantity) *store.Record {
			spec := JobSpec{Name: "job", Resources: Resources{Requests: ResourceList{"cpu": cpu}}}
			_, err := q.SubmitRaw(ctx, Submission{Kind: "k", Args: []byte("{}"), Spec: spec})
			require.NoError(t, err)
			r, err := q.record(ctx, "job")
			require.NoError(t, err)
			return r
		}
		old := submit("1")
		require.NoError(t, q.Delete(ctx, "job"))
		fresh := submit("2")
		require.ErrorIs(t, q.store.Evict(ctx, old.Key(), old.UID, 0, ""), store.ErrGone)
		got, err := q.record(ctx, "job")
		require.NoError(t, err)
		require.Equal(t, fresh, got)
		require.Zero(t, rdb.Exists(ctx, "stint:{kinds}:ready:k~cpu=1000").Val())
		require.EqualValues(t, 1, rdb.XLen(ctx, "stint:{kinds}:ready:k~cpu=2000").Val())
	})
}

// A job waits for a config map, and another of its name and with other
// requests has come when that is there: it is not looked at for the other.
func TestLiftOfAnotherJob(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		q := NewQueue("kinds", rdb)
		submit := func(cpu Quantity) *store.Record {
			spec := JobSpec{Name: "job", Mounts: []Mount{{ConfigMap: "app"}}, Resources: Resources{Requests: ResourceList{"cpu": cpu}}}
			_, err := q.SubmitRaw(ctx, Submission{Kind: "k", Args: []byte("{}"), Spec: spec})
			require.NoError(t, err)
			r, err := q.record(ctx, "job")
			require.NoError(t, err)
			lack := store.Lack{Object: "config/app", Reason: "missing", AtMost: 60_000, Generation: 1}
			parked, err := q.store.Park(ctx, r.Key(), r.UID, lack)
			require.NoError(t, err)
			require.True(t, parked)
			return r
		}
		submit("1")
		require.NoError(t, q.Delete(ctx, "job"))
		submit("2")
		const lacks = "stint:{kinds}:lacks:config/app"
		require.EqualValues(t, 1, rdb.ZRem(ctx, lacks, "job k~cpu=2000").Val())
		_, err := q.store.Lift(ctx, "config/app")
		require.NoError(t, err)
		require.Zero(t, rdb.Exists(ctx, lacks).Val())
		got, err := q.record(ctx, "job")
		require.NoError(t, err)
		require.NotEmpty(t, got.Lacks)
	})
}

// What is noted of an attempt's memory twice is counted once, and what is noted
// after its end changes nothing: that has ended the pressure.
func TestMemoryMarksThatComeLate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		q := NewQueue("marks", rdb)
		spec := JobSpec{Name: "job", Completions: new(3), Parallelism: new(3), Resources: Resources{Limits: ResourceList{"memory": "1Ki"}}}
		_, err := q.SubmitRaw(ctx, Submission{Kind: "k", Args: []byte("{}"), Spec: spec})
		require.NoError(t, err)
		r, err := q.record(ctx, "job")
		require.NoError(t, err)
		claim := store.Claim{Worker: "w", Op: "1", Lanes: []string{r.Lane()}, Max: 3, Lease: time.Second}
		claimed, err := q.store.Claim(ctx, claim)
		require.NoError(t, err)
		require.Len(t, claimed.Tasks, 3)
		entries := []string{claimed.Tasks[0].Entry, claimed.Tasks[1].Entry}
		mark := func(over bool, uid string) error {
			return q.store.MarkMemory(ctx, []store.MemoryMark{{Job: r.Key(), UID: uid, Over: over, Entries: entries}})[0]
		}
		look := func() (*store.Record, string) {
			r, err := q.record(ctx, "job")
			require.NoError(t, err)
			for _, c := range conditions(r) {
				if c.Type == JobMemoryPressure {
					require.WithinDuration(t, time.Now(), c.TransitionAt, time.Minute)
					return r, string(c.Status) + " " + c.Reason
				}
			}
			return r, ""
		}
		counted := func(r *store.Record) int {
			for _, h := range r.Happened() {
				if h.Reason == EventMemoryLimitExceeded {
					return h.Count
				}
			}
			return 0
		}
		require.NoError(t, mark(false, r.UID))
		_, is := look()
		require.Empty(t, is, "what never began does not end")
		for range 2 {
			require.NoError(t, mark(true, r.UID))
		}
		first, is := look()
		require.Equal(t, "True MemoryLimitExceeded", is)
		require.Equal(t, 2, counted(first))
		require.ErrorIs(t, mark(false, "another"), store.ErrGone)
		require.NoError(t, mark(false, r.UID))
		_, is = look()
		require.Equal(t, "False MemoryWithinLimits", is)
		require.NoError(t, mark(true, r.UID))
		again, is := look()
		require.Equal(t, "True MemoryLimitExceeded", is)
		require.Equal(t, 2, counted(again), "once for each attempt")

		end := func(i int) {
			t.Helper()
			results, err := q.lost(ctx, claimed.Tasks[i:i+1])
			require.NoError(t, err)
			require.NoError(t, q.store.Settle(ctx, results, store.Guard{}, 0)[0].Err)
		}
		end(0)
		_, is = look()
		require.Equal(t, "True MemoryLimitExceeded", is, "the other one runs")
		end(1)
		end(2)
		ended, is := look()
		require.Equal(t, "False MemoryWithinLimits", is)
		require.NoError(t, mark(true, r.UID))
		late, _ := look()
		require.Equal(t, ended, late)
		require.NoError(t, q.Delete(ctx, "job"))
		require.ErrorIs(t, mark(true, r.UID), store.ErrGone)
	})
}

// Whatever stands where marks are kept, the ends of attempts are counted.
func TestDamagedMemoryMarks(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		q := NewQueue("marks", rdb)
		for i, garbage := range []string{"x", "+", " +", "9-", "\x00\xff|", strings.Repeat("9", 400), strings.Repeat("1-1+ ", 1000)} {
			name := fmt.Sprint("job-", i)
			spec := JobSpec{Name: name, Resources: Resources{Limits: ResourceList{"memory": "1Ki"}}}
			_, err := q.SubmitRaw(ctx, Submission{Kind: "k", Args: []byte("{}"), Spec: spec})
			require.NoError(t, err)
			r, err := q.record(ctx, name)
			require.NoError(t, err)
			claim := store.Claim{Worker: "w", Op: fmt.Sprint(i + 1), Lanes: []string{r.Lane()}, Max: 1, Lease: time.Second}
			claimed, err := q.store.Claim(ctx, claim)
			require.NoError(t, err)
			require.Len(t, claimed.Tasks, 1)
			require.NoError(t, rdb.HSet(ctx, "stint:{marks}:job:"+name, "memory", garbage).Err())
			mark := store.MemoryMark{Job: r.Key(), UID: r.UID, Over: i%2 == 0, Entries: []string{claimed.Tasks[0].Entry}}
			require.NoError(t, q.store.MarkMemory(ctx, []store.MemoryMark{mark})[0], garbage)
			result := resultOf(&claimed.Tasks[0], &spec, outcome{verb: verbSucceed}, "w")
			require.NoError(t, q.store.Settle(ctx, []store.Result{result}, store.Guard{}, 0)[0].Err, garbage)
			job, err := q.Get(ctx, name)
			require.NoError(t, err, garbage)
			require.Equal(t, PhaseComplete, job.Phase())
		}
	})
}

// beforeScript does something once, before the first script that runs.
type beforeScript struct{ do func() }

func (b *beforeScript) DialHook(next redis.DialHook) redis.DialHook { return next }
func (b *beforeScript) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (b *beforeScript) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if do := b.do; do != nil && cmd.Name() == "evalsha" {
			b.do = nil
			do()
		}
		return next(ctx, cmd)
	}
}

// A plain job starts, or finishes, between what a verb has read of it and the
// script that gives it a record.
func TestPlainJobMovesWhileItIsSteered(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		q := NewQueue("moves", rdb)
		hook := &beforeScript{}
		rdb.AddHook(hook)
		submit := func(delay time.Duration) string {
			job, err := q.SubmitRaw(ctx, Submission{Kind: "k", Args: []byte("{}"), Spec: JobSpec{Delay: delay}})
			require.NoError(t, err)
			return job.Name
		}
		claim := store.Claim{Worker: "w", Op: "1", Lanes: []string{"k"}, Max: 1, Lease: time.Second}
		later := submit(time.Millisecond)
		hook.do = func() {
			require.Eventually(t, func() bool {
				_, err := q.store.Ripen(ctx, "k")
				return err == nil && rdb.XLen(ctx, "stint:{moves}:ready:k").Val() == 1
			}, 10*time.Second, time.Millisecond)
		}
		r, err := q.record(ctx, later)
		require.NoError(t, err)
		require.False(t, r.Plain)
		require.Equal(t, 1, r.Active)
		require.NoError(t, q.Delete(ctx, later))

		for _, delay := range []time.Duration{0, time.Millisecond} {
			name := submit(delay)
			require.Eventually(t, func() bool {
				_, err := q.store.Ripen(ctx, "k")
				return err == nil && rdb.XLen(ctx, "stint:{moves}:ready:k").Val() == 1
			}, 10*time.Second, time.Millisecond)
			claimed, err := q.store.Claim(ctx, claim)
			require.NoError(t, err)
			claim.Op += "0"
			require.Len(t, claimed.Tasks, 1)
			hook.do = func() {
				o := q.store.Settle(ctx, []store.Result{{Task: &claimed.Tasks[0], TTL: time.Hour, Record: store.KeptRecord(&store.Task{Args: []byte("{}")}, nil)}}, store.Guard{}, 0)
				require.NoError(t, o[0].Err)
				require.True(t, o[0].Counted)
			}
			job, err := q.Suspend(ctx, name)
			require.NoError(t, err)
			require.Equal(t, PhaseComplete, job.Phase())
		}
		require.Zero(t, rdb.Exists(ctx, "stint:{moves}:late:k", "stint:{moves}:later:k").Val())
	})
}

// A plain job that fails again and again while a verb looks for it, is there.
func TestPlainJobFailsWhileItIsSteered(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := context.Background()
		q, hook, spec := NewQueue("moves", rdb), &beforeScript{}, JobSpec{BackoffLimit: new(100)}.withDefaults(0)
		rdb.AddHook(hook)
		steered := func(failures int) (*Job, error) {
			job, err := q.SubmitRaw(ctx, Submission{Kind: "k", Args: []byte("{}"), Spec: spec})
			require.NoError(t, err)
			left := failures
			var fail func()
			fail = func() {
				claimed, err := q.store.Claim(ctx, store.Claim{Worker: "w", Op: fmt.Sprintf("%d%02d", failures, 50-left), Lanes: []string{"k"}, Max: 1, Lease: time.Second})
				require.NoError(t, err)
				require.Len(t, claimed.Tasks, 1)
				result := resultOf(&claimed.Tasks[0], &spec, outcome{verb: verbFail, delay: 0}, "w")
				require.Equal(t, store.Outcome{Counted: true}, q.store.Settle(ctx, []store.Result{result}, store.Guard{}, 0)[0])
				if left--; left > 0 {
					hook.do = fail
				}
			}
			hook.do = fail
			return q.Suspend(ctx, job.Name)
		}
		job, err := steered(10)
		require.NoError(t, err)
		require.Equal(t, 10, job.Status.Failed)
		require.Equal(t, PhaseSuspended, job.Phase())
		_, err = steered(20)
		require.ErrorIs(t, err, ErrConflict)
	})
}
