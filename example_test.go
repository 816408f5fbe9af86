package stint_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/embedded"
)

// Resize is the input of a job: the pictures of an album.
type Resize struct{ Album string }

// Kind names the handler.
func (Resize) Kind() string { return "resize" }

// start runs a worker in the background, and ends it with the func.
func start(w *stint.Worker) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			fmt.Println(err)
		}
	}
}

func Example() {
	ctx := context.Background()
	rdb, closeRedis := embedded.Redis() // or redis.NewClient
	defer closeRedis()
	q := stint.NewQueue("media", rdb)

	w := stint.NewWorker(q, stint.WorkerConfig{})
	stint.HandleResult(w, func(_ context.Context, t *stint.Task[Resize]) (string, error) {
		return "resized " + t.Args.Album, nil
	})
	defer start(w)()

	job, err := q.Submit(ctx, Resize{"holidays"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stint.Await[string](ctx, q, job.Name))
	// Output: resized holidays <nil>
}

// An Indexed job has a number of completions, each of which has to succeed;
// its handler sees which one it is at.
func ExampleResults() {
	ctx := context.Background()
	rdb, closeRedis := embedded.Redis()
	defer closeRedis()
	q := stint.NewQueue("media", rdb)

	w := stint.NewWorker(q, stint.WorkerConfig{})
	stint.HandleResult(w, func(_ context.Context, t *stint.Task[Resize]) (int, error) {
		return t.Index * t.Index, nil
	})
	defer start(w)()

	_, err := q.Submit(ctx, Resize{"holidays"}, stint.JobSpec{
		Name:           "squares",
		CompletionMode: stint.Indexed,
		Completions:    new(10),
		Parallelism:    new(4),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	job, err := q.Wait(ctx, "squares")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(job.Phase(), job.Status.CompletedIndexes)
	sum := 0
	for r, err := range stint.Results[int](ctx, q, "squares") {
		if err != nil {
			fmt.Println(err)
			return
		}
		sum += r.Value
	}
	fmt.Println("sum", sum)
	// Output:
	// Complete 0-9
	// sum 285
}

// What a handler returns says what becomes of the attempt and its job.
func ExampleFailJob() {
	ctx := context.Background()
	rdb, closeRedis := embedded.Redis()
	defer closeRedis()
	q := stint.NewQueue("media", rdb)

	w := stint.NewWorker(q, stint.WorkerConfig{})
	stint.Handle(w, func(_ context.Context, t *stint.Task[Resize]) error {
		switch t.Attempt {
		case 1:
			return stint.RetryAfter(10*time.Millisecond, errors.New("camera is busy"))
		case 2:
			return stint.Ignore(errors.New("not our fault")) // retried, and not counted
		default:
			return stint.FailJob(errors.New("no such album"))
		}
	})
	defer start(w)()

	_, err := q.Submit(ctx, Resize{"lost"}, stint.JobSpec{
		Name:    "hopeless",
		Backoff: &stint.Backoff{Initial: time.Millisecond},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	job, err := q.Wait(ctx, "hopeless")
	if err != nil {
		fmt.Println(err)
		return
	}
	failed, _ := job.Condition(stint.JobFailed)
	fmt.Println(job.Phase(), failed.Reason, job.Status.Failed)
	for e, err := range q.Errors(ctx, "hopeless") {
		if err == nil && e.Outcome == "JobFailed" {
			fmt.Printf("attempt %d: %s\n", e.Attempt, e.Message)
		}
	}
	_, err = stint.Await[string](ctx, q, "hopeless")
	fmt.Println(errors.Is(err, stint.ErrJobNotComplete))
	// Output:
	// Failed PodFailurePolicy 2
	// attempt 3: no such album
	// true
}

// Every process may apply its cron jobs at its start: applying the same again
// changes nothing.
func ExampleQueue_ApplyCron() {
	ctx := context.Background()
	rdb, closeRedis := embedded.Redis()
	defer closeRedis()
	q := stint.NewQueue("media", rdb)

	nightly := stint.CronJob{
		Name:              "nightly",
		Schedule:          "30 3 * * *",
		TimeZone:          "Europe/Paris",
		StartingDeadline:  new(time.Hour),
		ConcurrencyPolicy: stint.ForbidConcurrent,
		Args:              Resize{"today"},
	}
	for range 2 {
		c, err := q.ApplyCron(ctx, nightly)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(c.Name, "generation", c.Generation)
	}
	nightly.Schedule = "30 33 * * *"
	_, err := q.ApplyCron(ctx, nightly)
	var invalid *stint.InvalidError
	if errors.As(err, &invalid) {
		fmt.Println("refused:", invalid.Fields[0].Field)
	}
	// Output:
	// nightly generation 1
	// nightly generation 1
	// refused: spec.schedule
}

// A name makes a submission safe to repeat: after a lost connection, or by
// another process.
func ExampleQueue_Submit_named() {
	ctx := context.Background()
	rdb, closeRedis := embedded.Redis()
	defer closeRedis()
	q := stint.NewQueue("media", rdb)

	spec := stint.JobSpec{Name: "holidays-2026"}
	first, err := q.Submit(ctx, Resize{"holidays"}, spec)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := q.Submit(ctx, Resize{"holidays"}, spec)
	fmt.Println(again.UID == first.UID, err)
	_, err = q.Submit(ctx, Resize{"work"}, spec)
	fmt.Println(errors.Is(err, stint.ErrExists))
	// Output:
	// true <nil>
	// true
}

// A suspended job keeps what it has, and starts nothing until it is resumed.
func ExampleQueue_Suspend() {
	ctx := context.Background()
	rdb, closeRedis := embedded.Redis()
	defer closeRedis()
	q := stint.NewQueue("media", rdb)

	w := stint.NewWorker(q, stint.WorkerConfig{})
	causes := make(chan error, 1)
	stint.Handle(w, func(ctx context.Context, t *stint.Task[Resize]) error {
		if t.Args.Album == "short" {
			return nil
		}
		select {
		case <-ctx.Done():
			causes <- context.Cause(ctx)
			return context.Cause(ctx)
		case <-time.After(time.Minute):
			return errors.New("nobody suspended it")
		}
	})
	defer start(w)()

	held, err := q.Submit(ctx, Resize{"short"}, stint.JobSpec{Name: "held", Suspend: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	held, err = q.Get(ctx, held.Name)
	fmt.Println(held.Phase(), err)
	if _, err := q.Resume(ctx, "held"); err != nil {
		fmt.Println(err)
		return
	}
	held, err = q.Wait(ctx, "held")
	fmt.Println(held.Phase(), err)

	if _, err := q.Submit(ctx, Resize{"long"}, stint.JobSpec{Name: "running"}); err != nil {
		fmt.Println(err)
		return
	}
	for ready := 0; ready == 0; { // until a worker has it
		job, err := q.Get(ctx, "running")
		if err != nil {
			fmt.Println(err)
			return
		}
		ready = job.Status.Ready
	}
	if _, err := q.Suspend(ctx, "running"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-causes)
	job, err := q.Get(ctx, "running")
	fmt.Println(job.Phase(), job.Status.Failed, err)
	// Output:
	// Suspended <nil>
	// Complete <nil>
	// stint: job was suspended
	// Suspended 0 <nil>
}

// A job mounts config maps and secrets of its queue, and its handler reads their
// present state.
func ExampleRawTask_Config() {
	ctx := context.Background()
	rdb, closeRedis := embedded.Redis()
	defer closeRedis()
	key := stint.Key{ID: "2026", Secret: stint.NewSecretValue("32 bytes from where secrets are.")}
	q := stint.NewQueue("media", rdb, stint.QueueConfig{Keys: []stint.Key{key}})

	if _, err := q.ApplyConfigMap(ctx, stint.ConfigMap{Name: "sizes", Data: map[string]string{"width": "640"}}); err != nil {
		fmt.Println(err)
		return
	}
	password := map[string]stint.SecretValue{"password": stint.NewSecretValue("hush")}
	if _, err := q.ApplySecret(ctx, stint.Secret{Name: "storage", Data: password}); err != nil {
		fmt.Println(err)
		return
	}

	w := stint.NewWorker(q, stint.WorkerConfig{})
	stint.HandleResult(w, func(_ context.Context, t *stint.Task[Resize]) (string, error) {
		sizes, err := t.Config("sizes")
		if err != nil {
			return "", err
		}
		storage, err := t.Secret("storage")
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s to %s, password %v", t.Args.Album, sizes.Data["width"], storage.Data["password"]), nil
	})
	defer start(w)()

	job, err := q.Submit(ctx, Resize{"holidays"}, stint.JobSpec{Mounts: []stint.Mount{{ConfigMap: "sizes"}, {Secret: "storage"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stint.Await[string](ctx, q, job.Name))
	// Output: holidays to 640, password [redacted] <nil>
}
