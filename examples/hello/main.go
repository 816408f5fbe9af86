// Command hello submits one job, runs it and waits for it. Its Redis is inside
// the process.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/embedded"
)

type Greet struct{ Name string }

func (Greet) Kind() string { return "greet" }

func main() {
	ctx := context.Background()
	rdb, stop := embedded.Redis()
	defer stop()
	queue := stint.NewQueue("hello", rdb)
	worker := stint.NewWorker(queue, stint.WorkerConfig{})
	stint.HandleResult(worker, func(_ context.Context, t *stint.Task[Greet]) (string, error) {
		return "Hello, " + t.Args.Name + "!", nil
	})
	go func() { log.Fatal(worker.Run(ctx)) }()
	job, err := queue.Submit(ctx, Greet{"world"})
	if err != nil {
		log.Fatal(err)
	}
	greeting, err := stint.Await[string](ctx, queue, job.Name)
	fmt.Println(greeting, err)
}
