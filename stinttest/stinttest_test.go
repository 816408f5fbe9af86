package stinttest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/stinttest"
)

// failing is a test that may fail without failing the one it is part of.
type failing struct {
	testing.TB
	mu    sync.Mutex
	texts []string
}

func (f *failing) Helper() {}

func (f *failing) Errorf(format string, a ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.texts = append(f.texts, fmt.Sprintf(format, a...))
}

func (f *failing) Fatalf(format string, a ...any) {
	f.Errorf(format, a...)
	runtime.Goexit()
}

// fails runs what is expected to fail, and answers what it says.
func fails(t *testing.T, body func(t testing.TB)) string {
	t.Helper()
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		body(f)
	}()
	<-done
	require.NotEmpty(t, f.texts, "it did not fail")
	return f.texts[0]
}

func nothing(context.Context, *stint.Task[Charge]) error { return nil }

func TestRequireSubmittedSaysWhatThereIs(t *testing.T) {
	t.Parallel()
	s := stinttest.New(t)
	q := s.Queue("shop")
	require.Contains(t, fails(t, func(f testing.TB) { stinttest.RequireSubmitted(f, q, Charge{Order: 1}) }), "none of them at all")
	for i := range 12 {
		_, err := q.Submit(t.Context(), Charge{Order: i}, stint.JobSpec{Labels: map[string]string{"n": fmt.Sprint(i % 2)}})
		require.NoError(t, err)
	}
	text := fails(t, func(f testing.TB) {
		stinttest.RequireSubmitted(f, q, Charge{Order: 3}, stinttest.Match{Labels: map[string]string{"n": "0"}})
	})
	require.Contains(t, text, "labels map[n:0]")
	require.Contains(t, text, "6 other")
	require.Contains(t, fails(t, func(f testing.TB) { stinttest.RequireSubmitted(f, q, Charge{Order: 99}) }), "\n\t...")
	require.Contains(t, fails(t, func(f testing.TB) { stinttest.RequireNotSubmitted(f, q, Charge{Order: 3}) }), "was submitted")
	require.Contains(t, fails(t, func(f testing.TB) {
		stinttest.AllSubmitted[Charge](f, q, stinttest.Match{Selector: "a=("})
	}), "cannot be listed")
	job := stinttest.RequireSubmitted(t, q, Charge{Order: 3}, stinttest.Match{Selector: "n in (1)"})
	require.Equal(t, "1", job.Spec.Labels["n"])
}

func TestRunTellsOutcomes(t *testing.T) {
	t.Parallel()
	s := stinttest.New(t)
	for want, h := range map[string]func(context.Context, *stint.Task[Charge]) error{
		"Succeeded": nothing,
		"Failed":    func(context.Context, *stint.Task[Charge]) error { return errors.New("no") },
		"Ignored":   func(context.Context, *stint.Task[Charge]) error { return stint.Ignore(nil) },
		"JobFailed": func(context.Context, *stint.Task[Charge]) error { return stint.FailJob(nil) },
		"GaveBack":  func(context.Context, *stint.Task[Charge]) error { return stint.Snooze(time.Minute) },
	} {
		ran := s.Run(stinttest.Handle(h), Charge{})
		require.Equal(t, want, ran.Outcome)
		require.Equal(t, want == "Succeeded", ran.Err == nil)
		require.Equal(t, want != "Succeeded" && want != "GaveBack", ran.Failure != nil)
	}
	ran := s.Run(stinttest.Handle(func(context.Context, *stint.Task[Charge]) error { return stint.FailIndex(nil) }), Charge{},
		stinttest.TaskOptions{Index: 2, Spec: stint.JobSpec{BackoffLimitPerIndex: new(3)}})
	require.Equal(t, "IndexFailed", ran.Outcome)
	require.Equal(t, "2", ran.Job.Status.FailedIndexes)
	require.Equal(t, "0,1", ran.Job.Status.CompletedIndexes)
}

func TestRunSeesPanicsAndGoexit(t *testing.T) {
	t.Parallel()
	s := stinttest.New(t)
	ran := s.Run(stinttest.Handle(func(context.Context, *stint.Task[Charge]) error { panic("ouch") }), Charge{})
	var p *stint.PanicError
	require.ErrorAs(t, ran.Err, &p)
	require.Equal(t, "ouch", p.Value)
	require.Contains(t, ran.Failure.Stack, "TestRunSeesPanicsAndGoexit")
	ran = s.Run(stinttest.Handle(func(context.Context, *stint.Task[Charge]) error { runtime.Goexit(); return nil }), Charge{})
	require.ErrorContains(t, ran.Err, "Goexit")
	require.Equal(t, "Failed", ran.Outcome)
}

func TestRunKeepsWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := stinttest.New(t)
	ran := s.Run(stinttest.HandleResult(func(ctx context.Context, t *stint.Task[Charge]) (int, error) {
		if err := t.Progress(ctx, 5, 10, "half"); err != nil {
			return 0, err
		}
		return t.Args.Cents * 2, t.SaveCheckpoint(ctx, "here")
	}), Charge{Cents: 21}, stinttest.TaskOptions{Index: 70})
	require.NoError(t, ran.Err)
	n, ok, err := stinttest.ResultOf[int](ran)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, 42, n)
	require.Equal(t, int64(5), ran.Progress().Done)
	var at string
	ok, err = ran.Checkpoint(&at)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "here", at)

	ran = s.Run(stinttest.Handle(nothing), Charge{}, stinttest.TaskOptions{Attempt: 3})
	_, ok, err = stinttest.ResultOf[int](ran)
	require.NoError(t, err)
	require.False(t, ok)
	ok, err = ran.Checkpoint(&at)
	require.NoError(t, err)
	require.False(t, ok)
	require.Nil(t, ran.Progress())
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]stinttest.TaskOptions{
		"Index: -1: must be between 0 and 100000":    {Index: -1},
		"Attempt: 1001: must be between 1 and 1000":  {Attempt: 1001},
		"Checkpoint: a first attempt has none":       {Attempt: 1, Checkpoint: 1},
		"spec.backoffLimit: Invalid value: -1":       {Spec: stint.JobSpec{BackoffLimit: new(-1)}},
		"the worker cannot run: stint: invalid: lea": {Worker: stint.WorkerConfig{Lease: time.Millisecond}},
	} {
		require.Contains(t, fails(t, func(f testing.TB) { stinttest.New(f).Run(stinttest.Handle(nothing), Charge{}, o) }), want)
	}
	require.Contains(t, fails(t, func(f testing.TB) { stinttest.New(f).Run(func(*stint.Worker) {}, Charge{}) }), `no handler for kind "charge"`)
	require.Contains(t, fails(t, func(f testing.TB) { stinttest.New(f).Advance(-1) }), "forward only")
	require.Contains(t, fails(t, func(f testing.TB) {
		s := stinttest.New(f)
		s.LoseLease(s.Queue("shop"), "nobody", 0)
	}), "not found")
}

func TestDrainLeavesWhatCannotBeDone(t *testing.T) {
	t.Parallel()
	s := stinttest.New(t)
	q := s.Queue("shop")
	_, err := q.Submit(t.Context(), Charge{}, stint.JobSpec{Name: "bad", BackoffLimit: new(2)})
	require.NoError(t, err)
	_, err = q.SubmitRaw(t.Context(), stint.Submission{Kind: "other", Spec: stint.JobSpec{Name: "other"}})
	require.NoError(t, err)
	_, err = q.Submit(t.Context(), Charge{}, stint.JobSpec{Name: "paused", Parallelism: new(0), Completions: new(1)})
	require.NoError(t, err)
	began := s.Now()
	left := s.Drain(q, stinttest.Handle(func(_ context.Context, t *stint.Task[Charge]) error { return errors.New("never") }))
	require.Len(t, left, 2)
	require.Equal(t, "other", left[0].Name)
	require.Equal(t, "paused", left[1].Name)
	job, err := q.Get(t.Context(), "bad")
	require.NoError(t, err)
	require.Equal(t, stint.PhaseFailed, job.Phase())
	require.GreaterOrEqual(t, s.Now().Sub(began), 30*time.Second, "backoffs of 10 s and 20 s")
	require.Empty(t, s.Drain(s.Queue("empty"), stinttest.Handle(nothing)))
}

func TestAdvanceExpires(t *testing.T) {
	t.Parallel()
	s := stinttest.New(t)
	q := s.Queue("shop")
	job, err := q.Submit(t.Context(), Charge{}, stint.JobSpec{Name: "kept", TTLAfterFinished: new(time.Hour)})
	require.NoError(t, err)
	w := stint.NewWorker(q, stint.WorkerConfig{})
	stint.Handle(w, nothing)
	s.Start(w)
	_, err = q.Wait(t.Context(), job.Name)
	require.NoError(t, err)
	s.Advance(time.Hour - time.Minute)
	_, err = q.Get(t.Context(), job.Name)
	require.NoError(t, err)
	s.Advance(time.Minute)
	require.Eventually(t, func() bool {
		_, err := q.Get(t.Context(), job.Name)
		return errors.Is(err, stint.ErrNotFound)
	}, time.Minute, time.Millisecond)
}

func TestPartitionHeals(t *testing.T) {
	t.Parallel()
	s := stinttest.New(t)
	q := s.Queue("shop")
	_, err := q.Submit(t.Context(), Charge{Order: 1})
	require.NoError(t, err)
	s.Partition()
	ended := make(chan error, 1)
	go func() {
		_, err := q.Submit(t.Context(), Charge{Order: 2})
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Fatalf("it came through: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	s.Heal()
	require.NoError(t, <-ended)
	s.Cut()
	s.DropRequests(1)
	s.Delay(time.Millisecond)
	_, err = q.Submit(t.Context(), Charge{Order: 3})
	require.NoError(t, err)
	require.Equal(t, 1, s.Dropped())
	require.Len(t, stinttest.AllSubmitted[Charge](t, q), 3)
}

// ledger is a handler's world: it books in two steps, with a look at the
// context before each.
type ledger struct{ debit, credit int }

func (l *ledger) book(ctx context.Context, t *stint.Task[Charge], careful bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var done bool
	if _, err := t.Checkpoint(context.WithoutCancel(ctx), &done); err != nil {
		return err
	}
	if !done || !careful {
		l.debit += t.Args.Cents
	}
	if careful {
		if err := t.SaveCheckpoint(context.WithoutCancel(ctx), true); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.credit = t.Args.Cents
	return nil
}

func TestAssertIdempotentFindsThePoint(t *testing.T) {
	t.Parallel()
	text := fails(t, func(f testing.TB) {
		stinttest.New(f).AssertIdempotent(Charge{Cents: 5}, func() (stinttest.Handlers, func() any) {
			l := &ledger{}
			return stinttest.Handle(func(ctx context.Context, t *stint.Task[Charge]) error { return l.book(ctx, t, false) }), func() any { return *l }
		})
	})
	require.Contains(t, text, "{debit:10 credit:5}, and {debit:5 credit:5}")
	text = fails(t, func(f testing.TB) {
		stinttest.New(f).AssertIdempotent(Charge{}, func() (stinttest.Handlers, func() any) {
			return stinttest.Handle(func(context.Context, *stint.Task[Charge]) error { return errors.New("always") }), func() any { return nil }
		})
	})
	require.Contains(t, text, "though nobody disturbs it: always")
	text = fails(t, func(f testing.TB) {
		var n atomic.Int64
		stinttest.New(f).AssertIdempotent(Charge{}, func() (stinttest.Handlers, func() any) {
			return stinttest.HandleResult(func(ctx context.Context, _ *stint.Task[Charge]) (int64, error) {
				return n.Add(1), ctx.Err()
			}), func() any { return nil }
		})
	})
	require.Contains(t, text, `the result is`)
}

// The lease is lost at the line that looks at the context.
func TestAssertIdempotentNamesTheLine(t *testing.T) {
	t.Parallel()
	var texts []string
	f := &failing{TB: t}
	stinttest.New(f).AssertIdempotent(Charge{}, func() (stinttest.Handlers, func() any) {
		n := 0
		return stinttest.Handle(func(ctx context.Context, _ *stint.Task[Charge]) error {
			n++
			child, stop := context.WithCancel(ctx) // two looks
			defer stop()
			if child.Err() != nil {
				return context.Cause(ctx)
			}
			return ctx.Err() // the last one
		}), func() any { return n }
	})
	texts = append(texts, f.texts...)
	require.NotEmpty(t, texts)
	require.Contains(t, texts[0], "when the handler had returned")
	require.Contains(t, texts[1], "at stinttest_test.go:")
}

func TestAssertIdempotentWithTaskOptions(t *testing.T) {
	t.Parallel()
	s := stinttest.New(t)
	var seen sync.Map
	s.AssertIdempotent(Charge{}, func() (stinttest.Handlers, func() any) {
		return stinttest.Handle(func(ctx context.Context, t *stint.Task[Charge]) error {
			seen.Store(fmt.Sprint(t.Index, " ", t.Attempt), true)
			return ctx.Err()
		}), func() any { return nil }
	}, stinttest.TaskOptions{Index: 2, Attempt: 4})
	for _, want := range []string{"2 4", "2 5"} {
		_, ok := seen.Load(want)
		require.True(t, ok, want)
	}
}
