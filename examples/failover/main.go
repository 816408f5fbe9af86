// Command failover hands work over from a worker that shuts down to another
// one, as in a deploy. What is nearly done is waited for; what takes longer is
// cancelled, saves a checkpoint, and goes on where it was on the other worker.
// No attempt counts as failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/embedded"
)

// Copy is the job: each index copies a number of blocks.
type Copy struct{ Blocks int }

// Kind names the handler.
func (Copy) Kind() string { return "copy" }

const blockTime = 50 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 14*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal("failover: ", err)
	}
}

func run(ctx context.Context) error {
	rdb, closeRedis, err := embedded.FromEnv()
	if err != nil {
		return err
	}
	defer closeRedis()
	queue := stint.NewQueue(fmt.Sprintf("failover-%d", os.Getpid()), rdb)
	job, err := queue.Submit(ctx, Copy{Blocks: 60}, stint.JobSpec{
		CompletionMode: stint.Indexed, Completions: new(4), Parallelism: new(4), BackoffLimit: new(0),
	})
	if err != nil {
		return err
	}

	var copied atomic.Int64
	old := newWorker(queue, "old", &copied)
	oldCtx, retire := context.WithCancel(ctx)
	defer retire()
	oldEnded := make(chan error, 1)
	go func() { oldEnded <- old.Run(oldCtx) }()
	if err := until(ctx, func() bool { return copied.Load() >= 40 }); err != nil {
		return err
	}

	next := newWorker(queue, "new", &copied)
	nextCtx, stopNext := context.WithCancel(ctx)
	defer stopNext()
	nextEnded := make(chan error, 1)
	go func() { nextEnded <- next.Run(nextCtx) }()
	fmt.Println("the old worker shuts down")
	retire() // as a SIGTERM would, by signal.NotifyContext
	if err := <-oldEnded; err != nil {
		return err
	}
	fmt.Println("the old worker is gone")

	if job, err = queue.Wait(ctx, job.Name); err != nil {
		return err
	}
	stopNext()
	if err := errors.Join(<-nextEnded, check(job)); err != nil {
		return err
	}
	fmt.Printf("failover: ok, %d blocks copied, %d failed attempts\n", copied.Load(), job.Status.Failed)
	return nil
}

func check(job *stint.Job) error {
	if job.Phase() != stint.PhaseComplete || job.Status.Failed != 0 {
		return fmt.Errorf("job is %s, with %d failed attempts", job.Phase(), job.Status.Failed)
	}
	return nil
}

// newWorker makes a worker that waits half a second for its handlers when it
// shuts down, and then cancels them.
func newWorker(queue *stint.Queue, name string, copied *atomic.Int64) *stint.Worker {
	w := stint.NewWorker(queue, stint.WorkerConfig{ShutdownTimeout: 500 * time.Millisecond})
	stint.Handle(w, func(ctx context.Context, t *stint.Task[Copy]) error {
		var done int
		if _, err := t.Checkpoint(ctx, &done); err != nil {
			return err
		}
		fmt.Printf("%s worker copies index %d from block %d\n", name, t.Index, done)
		for ; done < t.Args.Blocks; done++ {
			select { // stands for the copying of a block
			case <-time.After(blockTime):
				copied.Add(1)
			case <-ctx.Done():
				// Keep what is done; the attempt is given back, and not counted.
				return errors.Join(context.Cause(ctx), t.SaveCheckpoint(context.WithoutCancel(ctx), done))
			}
		}
		return nil
	})
	return w
}

// until waits for a condition.
func until(ctx context.Context, holds func() bool) error {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
