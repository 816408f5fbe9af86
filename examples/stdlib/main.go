// Command stdlib counts the files, lines and functions of Go's standard
// library by an indexed job, a shard of the files for each index, and compares
// the sums with those of a plain loop.
//
//	go run ./examples/stdlib          # workers in this process
//	go run ./examples/stdlib -kill    # in two others, one of which is killed
//
// It runs on a Redis inside the process, or on that of REDIS_URL. The last
// line of its output is a JSON object; the exit code is 1 if the sums differ.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/embedded"
)

const shards = 64

// Count is the job: index i counts every file whose place in the list is i
// modulo the number of completions.
type Count struct{ Dir string }

// Kind names the handler.
func (Count) Kind() string { return "count" }

func main() {
	log.SetFlags(0)
	kill := flag.Bool("kill", false, "run the workers as processes, and kill one on the way")
	workFor := flag.String("work-for", "", "only be a worker of this queue; -kill starts such processes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *workFor != "" {
		err = work(ctx, *workFor)
	} else {
		err = run(ctx, *kill)
	}
	if err != nil {
		log.Fatal("stdlib: ", err)
	}
}

func run(ctx context.Context, kill bool) error {
	dir, err := sourceDir(ctx)
	if err != nil {
		return err
	}
	if kill && os.Getenv("REDIS_URL") == "" { // the workers have to reach it
		address, stop, err := embedded.Listen()
		if err != nil {
			return err
		}
		defer stop()
		if err := os.Setenv("REDIS_URL", address); err != nil {
			return err
		}
	}
	rdb, closeRedis, err := embedded.FromEnv()
	if err != nil {
		return err
	}
	defer closeRedis()
	queue := stint.NewQueue(fmt.Sprintf("stdlib-%d", os.Getpid()), rdb)

	began := time.Now()
	sum, failed, err := counted(ctx, queue, dir, kill)
	if err != nil {
		return err
	}
	fmt.Printf("%d shards of %s in %v\n", shards, dir, time.Since(began).Round(time.Millisecond))
	check, err := countAll(dir)
	if err != nil {
		return err
	}
	return report(sum, check, failed)
}

// report prints the last line.
func report(sum, check Totals, failed int) error {
	line, err := json.Marshal(struct {
		Totals

		CheckFiles     int `json:"check_files"`
		CheckLines     int `json:"check_lines"`
		CheckFunctions int `json:"check_functions"`
		FailedAttempts int `json:"failed_attempts"`
	}{sum, check.Files, check.Lines, check.Functions, failed})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	if sum != check {
		return errors.New("the sums differ")
	}
	return nil
}

// counted submits the job, has it worked on and adds up its results.
func counted(ctx context.Context, queue *stint.Queue, dir string, kill bool) (sum Totals, failed int, err error) {
	job, err := queue.Submit(ctx, Count{dir}, stint.JobSpec{
		Name:           "count",
		CompletionMode: stint.Indexed,
		Completions:    new(shards),
		Parallelism:    new(8),
		LostCounts:     true, // an attempt that dies with its worker is a failed one
		Backoff:        &stint.Backoff{Initial: 100 * time.Millisecond},
	})
	if err != nil {
		return sum, 0, err
	}
	crew := inProcess
	if kill {
		crew = inProcesses
	}
	dismiss, err := crew(ctx, queue)
	if err != nil {
		return sum, 0, err
	}
	defer dismiss()
	if job, err = queue.Wait(ctx, job.Name); err != nil {
		return sum, 0, err
	}
	if c, bad := job.Condition(stint.JobFailed); bad {
		return sum, 0, fmt.Errorf("job %s failed: %s", job.Name, c.Message)
	}
	for r, err := range stint.Results[Totals](ctx, queue, job.Name) {
		if err != nil {
			return sum, 0, err
		}
		sum.add(r.Value)
	}
	return sum, job.Status.Failed, queue.Delete(ctx, job.Name)
}

// inProcess starts a worker in this process.
func inProcess(ctx context.Context, queue *stint.Queue) (dismiss func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- newWorker(queue).Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			log.Print("worker: ", err)
		}
	}, nil
}

// inProcesses starts two workers as processes of their own and kills one of
// them when a quarter of the job is done.
func inProcesses(ctx context.Context, queue *stint.Queue) (dismiss func(), err error) {
	victim, err := start(ctx, queue.Name())
	if err != nil {
		return nil, err
	}
	if err := untilDone(ctx, queue, shards/4); err != nil {
		_ = victim.Process.Kill()
		return nil, err
	}
	heir, err := start(ctx, queue.Name())
	if err != nil {
		return nil, err
	}
	if err := victim.Process.Kill(); err != nil {
		return nil, err
	}
	fmt.Println("worker process killed:", victim.Wait())
	return func() {
		_ = heir.Process.Signal(syscall.SIGTERM)
		_ = heir.Wait()
	}, nil
}

// start starts this program again, as a worker.
func start(ctx context.Context, queue string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-work-for="+queue)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd, cmd.Start()
}

// untilDone waits until so many indexes have succeeded.
func untilDone(ctx context.Context, queue *stint.Queue, n int) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		job, err := queue.Get(ctx, "count")
		if err != nil || job.Status.Succeeded >= n {
			return err
		}
		<-look.C
	}
}

// work is a worker process.
func work(ctx context.Context, queue string) error {
	rdb, closeRedis, err := embedded.FromEnv()
	if err != nil {
		return err
	}
	defer closeRedis()
	return newWorker(stint.NewQueue(queue, rdb)).Run(ctx)
}

// newWorker makes a worker that is missed soon when it dies.
func newWorker(queue *stint.Queue) *stint.Worker {
	w := stint.NewWorker(queue, stint.WorkerConfig{Concurrency: 4, Lease: time.Second})
	var list sync.Once // there is but one job
	var files []string
	var listErr error
	stint.HandleResult(w, func(ctx context.Context, t *stint.Task[Count]) (Totals, error) {
		list.Do(func() { files, listErr = goFiles(t.Args.Dir) })
		if listErr != nil {
			return Totals{}, listErr
		}
		var sum Totals
		for i := t.Index; i < len(files) && ctx.Err() == nil; i += t.Completions() {
			one, err := countFile(files[i])
			if err != nil {
				return sum, err
			}
			sum.add(one)
		}
		return sum, context.Cause(ctx)
	})
	return w
}

// countAll counts without stint.
func countAll(dir string) (sum Totals, err error) {
	files, err := goFiles(dir)
	if err != nil {
		return sum, err
	}
	for _, f := range files {
		one, err := countFile(f)
		if err != nil {
			return sum, err
		}
		sum.add(one)
	}
	return sum, nil
}

// sourceDir is where the standard library is.
func sourceDir(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	return filepath.EvalSymlinks(filepath.Join(strings.TrimSpace(string(out)), "src"))
}
