// Command workqueue runs a job without a number of completions: its attempts
// share a list of work that lies elsewhere, here a Redis list. Each takes
// items until there are none; the first to find the list empty succeeds, no
// further attempt starts, and the job is complete when the others are through.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/embedded"
)

// Drain is the job: take items from the list.
type Drain struct{ List string }

// Kind names the handler.
func (Drain) Kind() string { return "drain" }

const items = 200

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 14*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal("workqueue: ", err)
	}
}

func run(ctx context.Context) error {
	rdb, closeRedis, err := embedded.FromEnv()
	if err != nil {
		return err
	}
	defer closeRedis()
	name := fmt.Sprintf("workqueue-%d", os.Getpid())
	queue := stint.NewQueue(name, rdb)
	todo, done := name+":todo", name+":done"
	for i := range items {
		if err := rdb.LPush(ctx, todo, i).Err(); err != nil {
			return err
		}
	}
	defer rdb.Del(context.WithoutCancel(ctx), todo, done)

	workerCtx, stopWorker := context.WithCancel(ctx)
	ended := make(chan error, 1)
	w := newWorker(queue, rdb, done)
	go func() { ended <- w.Run(workerCtx) }()
	defer func() {
		stopWorker()
		if err := <-ended; err != nil {
			log.Print("worker: ", err)
		}
	}()

	job, err := queue.Submit(ctx, Drain{todo}, stint.JobSpec{Parallelism: new(4)}) // and no Completions
	if err != nil {
		return err
	}
	if job, err = queue.Wait(ctx, job.Name); err != nil {
		return err
	}
	n, err := rdb.SCard(ctx, done).Result()
	if err != nil {
		return err
	}
	if job.Phase() != stint.PhaseComplete || n != items {
		return fmt.Errorf("job is %s with %d of %d items done", job.Phase(), n, items)
	}
	fmt.Printf("workqueue: ok, %d items by %d attempts\n", n, job.Status.Succeeded)
	return nil
}

func newWorker(queue *stint.Queue, rdb redis.UniversalClient, done string) *stint.Worker {
	w := stint.NewWorker(queue, stint.WorkerConfig{})
	stint.Handle(w, func(ctx context.Context, t *stint.Task[Drain]) error {
		for n := 0; ; n++ {
			item, err := rdb.RPop(ctx, t.Args.List).Result()
			if errors.Is(err, redis.Nil) {
				fmt.Printf("attempt %d found the list empty after %d items\n", t.Index, n)
				return nil
			}
			if err != nil {
				return err
			}
			select { // stands for work
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done(): // give it back, for another attempt
				err := context.Cause(ctx)
				return errors.Join(err, rdb.RPush(context.WithoutCancel(ctx), t.Args.List, item).Err())
			}
			if err := rdb.SAdd(ctx, done, item).Err(); err != nil {
				return err
			}
		}
	})
	return w
}
