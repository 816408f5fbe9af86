// Command cron runs two cron jobs for a while, with two processes' worth of
// schedulers: each time fires once all the same. One cron job has runs that
// take longer than its period, and drops what comes due meanwhile.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/embedded"
)

// Report is the work of a cron job's run.
type Report struct {
	Name  string
	Takes time.Duration
}

// Kind names the handler.
func (Report) Kind() string { return "report" }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 14*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal("cron: ", err)
	}
}

func run(ctx context.Context) error {
	rdb, closeRedis, err := embedded.FromEnv()
	if err != nil {
		return err
	}
	defer closeRedis()
	queue := stint.NewQueue(fmt.Sprintf("cron-%d", os.Getpid()), rdb)

	var all sync.WaitGroup
	workerCtx, stopWorkers := context.WithCancel(ctx)
	defer all.Wait()
	defer stopWorkers()
	seen := &sightings{runs: map[string]int{}}
	for range 2 { // as if in two processes
		w := stint.NewWorker(queue, stint.WorkerConfig{})
		stint.Handle(w, seen.report)
		all.Go(func() {
			if err := w.Run(workerCtx); err != nil {
				log.Print("worker: ", err)
			}
		})
	}
	if err := apply(ctx, queue); err != nil {
		return err
	}
	select {
	case <-time.After(6 * time.Second):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for c, err := range queue.ListCron(ctx) {
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d active, %d finished runs kept, last scheduled %s\n", c.Name,
			len(c.Status.Active), len(c.Status.Finished), c.Status.LastScheduleTime.Format(time.TimeOnly))
		if err := queue.DeleteCron(ctx, c.Name); err != nil {
			return err
		}
	}
	return seen.check()
}

// apply stores the cron jobs. It may be called by every process at its start:
// to apply the same again changes nothing.
func apply(ctx context.Context, queue *stint.Queue) error {
	_, err := queue.ApplyCron(ctx, stint.CronJob{
		Name: "quick", Schedule: "@every 1s", Args: Report{Name: "quick"},
	})
	if err != nil {
		return err
	}
	_, err = queue.ApplyCron(ctx, stint.CronJob{
		Name: "slow", Schedule: "@every 1s", Args: Report{Name: "slow", Takes: 2500 * time.Millisecond},
		ConcurrencyPolicy: stint.SkipConcurrent, // drop a time at which the last run is unfinished
	})
	return err
}

// sightings are the runs that were seen.
type sightings struct {
	mu      sync.Mutex
	runs    map[string]int // how often a job ran
	slow    int            // how many slow ones run at present
	overlap bool
}

func (s *sightings) report(ctx context.Context, t *stint.Task[Report]) error {
	fmt.Println("run", t.Job)
	slow := 0
	if t.Args.Takes > 0 {
		slow = 1
	}
	s.note(t.Job, slow)
	defer s.note("", -slow)
	select {
	case <-time.After(t.Args.Takes):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *sightings) note(job string, slow int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if job != "" {
		s.runs[job]++
	}
	s.slow += slow
	s.overlap = s.overlap || s.slow > 1
}

func (s *sightings) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for job, n := range s.runs {
		if n != 1 {
			return fmt.Errorf("%s ran %d times", job, n)
		}
	}
	if s.overlap {
		return errors.New("two slow runs at a time")
	}
	fmt.Printf("cron: ok, %d runs, each once\n", len(s.runs))
	return nil
}
