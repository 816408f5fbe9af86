package stinttest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/stinttest"
)

type Charge struct {
	Order int `json:"order"`
	Cents int `json:"cents"`
}

func (Charge) Kind() string { return "charge" }

// example runs what would be the body of a test, for lack of a *testing.T.
func example(body func(t testing.TB)) {
	t := &exampleT{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(t.cleanups) - 1; i >= 0; i-- {
				t.cleanups[i]()
			}
		}()
		body(t)
	}()
	<-done
}

type exampleT struct {
	testing.TB
	cleanups []func()
}

func (t *exampleT) Helper()                      {}
func (t *exampleT) Cleanup(f func())             { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Errorf(text string, a ...any) { fmt.Printf(text+"\n", a...) }
func (t *exampleT) Fatalf(text string, a ...any) { t.Errorf(text, a...); runtime.Goexit() }

// A test of code that submits jobs.
func ExampleRequireSubmitted() {
	example(func(t testing.TB) {
		s := stinttest.New(t)
		q := s.Queue("shop")

		// What the code under test does:
		spec := stint.JobSpec{Labels: map[string]string{"tenant": "acme"}}
		if _, err := q.Submit(context.Background(), Charge{Order: 7, Cents: 990}, spec); err != nil {
			t.Fatalf("%v", err)
		}

		job := stinttest.RequireSubmitted(t, q, Charge{Order: 7, Cents: 990}, stinttest.Match{Selector: "tenant=acme"})
		fmt.Println(job.Kind, job.Spec.Labels)
		stinttest.RequireNotSubmitted(t, q, Charge{Order: 8, Cents: 990})
		for _, c := range stinttest.AllSubmitted[Charge](t, q) {
			fmt.Println(c.Args.Order, c.Phase())
		}
	})
	// Output:
	// charge map[tenant:acme]
	// 7 Running
}

// A handler is given one task: the second attempt at index 3, which finds
// what the first one has left.
func ExampleServer_Run() {
	handler := func(ctx context.Context, t *stint.Task[Charge]) (string, error) {
		var from int
		found, err := t.Checkpoint(ctx, &from)
		if err != nil {
			return "", err
		}
		fmt.Println("index", t.Index, "attempt", t.Attempt, "checkpoint", found, from, "token", t.Token() != "")
		if err := t.SaveCheckpoint(ctx, from+1); err != nil {
			return "", err
		}
		return "", stint.Code(42, errors.New("card refused"))
	}
	example(func(t testing.TB) {
		s := stinttest.New(t)
		ran := s.Run(stinttest.HandleResult(handler), Charge{Order: 7}, stinttest.TaskOptions{Index: 3, Attempt: 2, Checkpoint: 10})
		fmt.Println(ran.Err, ran.Outcome, ran.Failure.Code)
		var left int
		_, err := ran.Checkpoint(&left)
		fmt.Println("left for the next attempt:", left, err)
	})
	// Output:
	// index 3 attempt 2 checkpoint true 10 token true
	// card refused Failed 42
	// left for the next attempt: 11 <nil>
}

// A queue is worked off, over a backoff of 10 seconds and a delay of a day,
// in no time.
func ExampleServer_Drain() {
	handler := func(_ context.Context, t *stint.Task[Charge]) error {
		fmt.Println("order", t.Args.Order, "attempt", t.Attempt)
		if t.Args.Order == 1 && t.Attempt == 1 {
			return errors.New("try again")
		}
		return nil
	}
	example(func(t testing.TB) {
		s := stinttest.New(t)
		q := s.Queue("shop")
		for i, spec := range []stint.JobSpec{{}, {Delay: 24 * time.Hour}, {Suspend: true}} {
			if _, err := q.Submit(context.Background(), Charge{Order: i + 1}, spec); err != nil {
				t.Fatalf("%v", err)
			}
		}
		for _, job := range s.Drain(q, stinttest.Handle(handler)) {
			fmt.Printf("left: %s %s\n", job.Args, job.Phase())
		}
	})
	// Output:
	// order 1 attempt 1
	// order 1 attempt 2
	// order 2 attempt 1
	// left: {"order":3,"cents":0} Suspended
}

// A cron job fires while a worker runs beside the test.
func ExampleServer_Advance() {
	example(func(t testing.TB) {
		s := stinttest.New(t)
		q := s.Queue("shop")
		ran := make(chan int)
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(_ context.Context, t *stint.Task[Charge]) error {
			ran <- t.Args.Order
			return nil
		})
		s.Start(w)
		_, err := q.ApplyCron(context.Background(), stint.CronJob{Name: "hourly", Schedule: "@hourly", Args: Charge{Order: 9}})
		if err != nil {
			t.Fatalf("%v", err)
		}
		s.Advance(time.Hour)
		fmt.Println(<-ran)
	})
	// Output: 9
}

// The lease is lost while the handler runs: it is told so, and the task is
// delivered again.
func ExampleServer_LoseLease() {
	example(func(t testing.TB) {
		s := stinttest.New(t)
		q := s.Queue("shop")
		began, ended := make(chan struct{}), make(chan error, 1)
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(ctx context.Context, t *stint.Task[Charge]) error {
			if t.Attempt > 1 {
				return nil
			}
			close(began)
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil // too late
		})
		s.Start(w)
		job, err := q.Submit(context.Background(), Charge{}, stint.JobSpec{Name: "order-7"})
		if err != nil {
			t.Fatalf("%v", err)
		}
		<-began
		s.LoseLease(q, job.Name, 0)
		fmt.Println(<-ended)
		job, err = q.Wait(context.Background(), job.Name)
		fmt.Println(job.Phase(), err)
		for e, err := range q.Errors(context.Background(), job.Name) {
			fmt.Println("attempt", e.Attempt, e.Outcome, err)
		}
	})
	// Output:
	// stint: lease was lost
	// Complete <nil>
	// attempt 1 Lost <nil>
}

// What happens after the first attempt has failed?
func ExampleFailAttempt() {
	example(func(t testing.TB) {
		s := stinttest.New(t)
		q := s.Queue("shop")
		handler := func(_ context.Context, t *stint.Task[Charge]) error {
			fmt.Println("attempt", t.Attempt)
			return nil
		}
		if _, err := q.Submit(context.Background(), Charge{}); err != nil {
			t.Fatalf("%v", err)
		}
		s.Drain(q, stinttest.Handle(handler), stint.WorkerConfig{
			Middleware: []stint.Middleware{stinttest.FailAttempt(1, errors.New("no network"))},
		})
	})
	// Output: attempt 2
}

// A task is delivered again after its handler has done everything.
func ExampleServer_DeliverTwice() {
	example(func(t testing.TB) {
		s := stinttest.New(t)
		q := s.Queue("shop")
		charged := map[int]int{}
		handler := func(_ context.Context, t *stint.Task[Charge]) error {
			charged[t.Args.Order]++
			return nil
		}
		if _, err := q.Submit(context.Background(), Charge{Order: 7}); err != nil {
			t.Fatalf("%v", err)
		}
		s.Drain(q, stinttest.Handle(handler), stint.WorkerConfig{Middleware: []stint.Middleware{s.DeliverTwice()}})
		fmt.Println("charged", charged[7], "times")
	})
	// Output: charged 2 times
}

// The answer to a submission is lost; the job is there once all the same.
func ExampleServer_DropReplies() {
	example(func(t testing.TB) {
		s := stinttest.New(t)
		q := s.Queue("shop")
		s.DropReplies(2, "EVALSHA")
		_, err := q.Submit(context.Background(), Charge{Order: 7})
		fmt.Println(err, s.Dropped())
		fmt.Println(len(stinttest.AllSubmitted[Charge](t, q)))
	})
	// Output:
	// <nil> 2
	// 1
}

// bank charges an order once for each key.
type bank struct {
	total int
	keys  map[string]bool
}

func (b *bank) charge(ctx context.Context, key string, cents int) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if key == "" || !b.keys[key] {
		b.total += cents
		b.keys[key] = true
	}
	return nil
}

// One handler charges twice when its task is run again; the other one gives
// the bank a key, and does not.
func ExampleServer_AssertIdempotent() {
	example(func(t testing.TB) {
		s := stinttest.New(t)
		for _, key := range []string{"", "order-7"} {
			same := s.AssertIdempotent(Charge{Order: 7, Cents: 990}, func() (stinttest.Handlers, func() any) {
				b := &bank{keys: map[string]bool{}}
				h := stinttest.Handle(func(ctx context.Context, t *stint.Task[Charge]) error {
					return b.charge(ctx, key, t.Args.Cents)
				})
				return h, func() any { return b.total }
			})
			fmt.Printf("key %q: %v\n", key, same)
		}
	})
	// Output:
	// stinttest: not idempotent: the lease was lost when the handler had returned, and the task run again: the state is 1980, and 990 if nothing is lost
	// key "": false
	// key "order-7": true
}
