// Command demo shows the dashboard with something going on in it: two queues,
// four workers, jobs of every sort and cron jobs, until it is interrupted.
//
//	go run ./examples/demo
//
// It runs on a Redis inside the process, or on that of REDIS_URL, where it
// uses the queues demo-media and demo-mail. The dashboard is on
// http://127.0.0.1:8780, or on another port where that one is taken; -addr
// names another address. Everybody who reaches it may do everything in it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/dashboard"
	"github.com/stint-go/stint/embedded"
)

const defaultAddr = "127.0.0.1:8780"

func main() {
	addr := flag.String("addr", defaultAddr, "address of the dashboard")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		log.Fatal("demo: ", err)
	}
}

func run(ctx context.Context, addr string) error {
	rdb, closeRedis, err := embedded.FromEnv()
	if err != nil {
		return err
	}
	defer closeRedis()
	media, mail := stint.NewQueue("demo-media", rdb), stint.NewQueue("demo-mail", rdb)

	listener, err := listen(addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: dashboard.New([]*stint.Queue{media, mail}, dashboard.Config{
			Title: "stint demo", Writable: true, ShowArgs: true,
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	if err := begin(ctx, media, mail); err != nil {
		return err
	}

	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	start := func(f func(context.Context) error) {
		all.Go(func() {
			if err := f(work); err != nil && work.Err() == nil {
				cancel(err)
			}
		})
	}
	for _, w := range workers(media, mail) {
		start(w.Run)
	}
	start(func(ctx context.Context) error { return goOn(ctx, media, mail) })
	start(func(context.Context) error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	fmt.Printf("The dashboard is on http://%s/ (Ctrl-C ends the demo)\n", listener.Addr())

	<-work.Done()
	fmt.Println("\nWorkers give back what they hold …")
	closing, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	err = server.Shutdown(closing)
	all.Wait()
	if ctx.Err() == nil { // something failed
		return context.Cause(work)
	}
	return err
}

// listen takes another port where the default one is taken.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) && addr == defaultAddr {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return l, err
}
