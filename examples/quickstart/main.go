// Command quickstart shows stint at work in some ten seconds: an indexed job
// some of whose attempts fail and are retried, a cron job, and finished jobs
// that go when their time is over.
//
//	go run ./examples/quickstart
//
// It runs on a Redis inside the process, or on that of REDIS_URL.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/embedded"
)

// Render is a job of many frames; each of its indexes is one.
type Render struct{ Film string }

// Kind names the handler.
func (Render) Kind() string { return "render" }

// Tick is what the cron job submits.
type Tick struct{}

// Kind names the handler.
func (Tick) Kind() string { return "tick" }

const (
	frames = 60
	width  = 30 // of the progress bar
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal("quickstart: ", err)
	}
}

func run(ctx context.Context) error {
	rdb, closeRedis, err := embedded.FromEnv()
	if err != nil {
		return err
	}
	defer closeRedis()
	queue := stint.NewQueue(fmt.Sprintf("quickstart-%d", os.Getpid()), rdb)

	ticks := make(chan string, 100)
	worker := newWorker(queue, ticks)
	workerCtx, stopWorker := context.WithCancel(ctx)
	defer stopWorker()
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(workerCtx) }()

	job, err := indexed(ctx, queue)
	if err != nil {
		return err
	}
	fired, err := cron(ctx, queue, ticks)
	if err != nil {
		return err
	}
	if err := removal(ctx, queue, job.Name); err != nil {
		return err
	}
	stopWorker()
	if err := <-ended; err != nil {
		return err
	}
	fmt.Printf("quickstart: ok, %d frames with %d failed attempts, %d cron runs, finished job removed\n",
		job.Status.Succeeded, job.Status.Failed, fired)
	return nil
}

// newWorker makes a worker for both kinds. Every tenth frame fails at first.
func newWorker(queue *stint.Queue, ticks chan<- string) *stint.Worker {
	w := stint.NewWorker(queue, stint.WorkerConfig{Concurrency: 8})
	stint.HandleResult(w, func(ctx context.Context, t *stint.Task[Render]) (string, error) {
		select { // stands for work
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		if t.Index%10 == 3 && t.Attempt == 1 {
			return "", errors.New("out of film")
		}
		return fmt.Sprintf("%s-%03d.png", t.Args.Film, t.Index), nil
	})
	stint.Handle(w, func(_ context.Context, t *stint.Task[Tick]) error {
		ticks <- t.Job
		return nil
	})
	return w
}

// indexed runs a job of 60 indexes, and shows how far it is.
func indexed(ctx context.Context, queue *stint.Queue) (*stint.Job, error) {
	fmt.Printf("An indexed job: %d frames, 8 at a time. Some attempts fail and are retried.\n", frames)
	job, err := queue.Submit(ctx, Render{"night"}, stint.JobSpec{
		Name:             "film",
		CompletionMode:   stint.Indexed,
		Completions:      new(frames),
		Parallelism:      new(8),
		BackoffLimit:     new(20),
		Backoff:          &stint.Backoff{Initial: 300 * time.Millisecond},
		TTLAfterFinished: new(4 * time.Second),
	})
	if err != nil {
		return nil, err
	}
	show := progressOn(os.Stdout)
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		if job, err = queue.Get(ctx, job.Name); err != nil {
			return nil, err
		}
		show(job)
		if job.Finished() {
			break
		}
		<-look.C
	}
	if job.Phase() != stint.PhaseComplete {
		return nil, fmt.Errorf("job %s is %s, not complete", job.Name, job.Phase())
	}
	results := 0
	for _, err := range stint.Results[string](ctx, queue, job.Name) {
		if err != nil {
			return nil, err
		}
		results++
	}
	fmt.Printf("It is %s: indexes %s, %d results.\n\n", job.Phase(), job.Status.CompletedIndexes, results)
	return job, nil
}

// progressOn draws a bar on a terminal, and elsewhere a line for each change
// of a quarter.
func progressOn(out *os.File) func(*stint.Job) {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	last := -1
	return func(j *stint.Job) {
		s := j.Status
		text := fmt.Sprintf("%2d/%d done, %d active, %d failed attempts", s.Succeeded, frames, s.Active, s.Failed)
		if terminal {
			n := s.Succeeded * width / frames
			_, _ = fmt.Fprintf(out, "\r[%s%s] %s\x1b[K", strings.Repeat("#", n), strings.Repeat(".", width-n), text)
			if j.Finished() {
				_, _ = fmt.Fprintln(out)
			}
			return
		}
		if quarter := s.Succeeded * 4 / frames; quarter != last {
			last = quarter
			_, _ = fmt.Fprintln(out, "  "+text)
		}
	}
}

// cron has a cron job fire twice.
func cron(ctx context.Context, queue *stint.Queue, ticks <-chan string) (int, error) {
	fmt.Println("A cron job, every second:")
	if _, err := queue.ApplyCron(ctx, stint.CronJob{Name: "tick", Schedule: "@every 1s", Args: Tick{}}); err != nil {
		return 0, err
	}
	const want = 2
	for range want {
		select {
		case name := <-ticks:
			fmt.Println("  ran", name)
		case <-ctx.Done():
			return 0, errors.New("the cron job did not fire in time")
		}
	}
	return want, queue.DeleteCron(ctx, "tick")
}

// removal waits until a finished job's TTL has removed it.
func removal(ctx context.Context, queue *stint.Queue, name string) error {
	fmt.Printf("\nThe job %s was to be kept for 4 s after its finish:\n", name)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		_, err := queue.Get(ctx, name)
		if errors.Is(err, stint.ErrNotFound) {
			fmt.Println("  it is gone")
			return nil
		}
		if err != nil {
			return err
		}
		<-look.C
	}
}
