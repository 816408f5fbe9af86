package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batchv1"
	"github.com/stint-go/stint/dashboard"
)

func (a *app) dashboardCommand() *cobra.Command {
	var listen string
	var writable, showArgs, open bool
	c := &cobra.Command{
		Use:   "dashboard",
		Short: "Show queues in a browser",
		Long: "Show the queue of --queue in a browser, or all that stint queues finds, until Ctrl-C. It is read-only without --writable. It has no\n" +
			"log-in: it listens on this machine's loopback address alone, unless --open says that something before it asks who is there.",
		Example: "  stint dashboard -q media --writable",
		Args:    usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListen(listen, open); err != nil {
				return err
			}
			rdb, err := a.client()
			if err != nil {
				return err
			}
			queues, err := a.boardQueues(c.Context(), rdb)
			if err != nil {
				return err
			}
			manifest := func(j *stint.Job) ([]byte, error) { return batchv1.EncodeYAML(batchv1.FromJob(j)) }
			board := dashboard.New(queues, dashboard.Config{Writable: writable, ShowArgs: showArgs, Manifest: manifest})
			return a.serve(c.Context(), listen, board)
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address and port; port 0 takes a free one")
	c.Flags().BoolVar(&writable, "writable", false, "let it change jobs and cron jobs")
	c.Flags().BoolVar(&showArgs, "show-args", false, "show args and results of jobs")
	c.Flags().BoolVar(&open, "open", false, "allow --listen to be an address that others can reach")
	return c
}

// checkListen refuses an address that others can reach, unless that is wanted.
func checkListen(listen string, open bool) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fail(exitUsage, "--listen: %w", err)
	}
	if ip := net.ParseIP(host); !open && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fail(exitUsage, "--listen: %s can be reached by others, and the dashboard has no log-in: give --open if something before it has", listen)
	}
	return nil
}

// boardQueues are the queues to show.
func (a *app) boardQueues(ctx context.Context, rdb redis.UniversalClient) ([]*stint.Queue, error) {
	if name := cmp.Or(a.name, a.env("STINT_QUEUE")); name != "" {
		return []*stint.Queue{stint.NewQueue(name, rdb)}, nil
	}
	found, err := findQueues(ctx, rdb, 1_000_000)
	if err != nil {
		return nil, err
	}
	if len(found.names) == 0 {
		return nil, fail(exitNotFound, "there are no queues in this Redis: give --queue")
	}
	queues := make([]*stint.Queue, len(found.names))
	for i, n := range found.names {
		queues[i] = stint.NewQueue(n, rdb)
	}
	return queues, nil
}

// serve answers requests until ctx ends.
func (a *app) serve(ctx context.Context, listen string, h http.Handler) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	// Live pages end with base, so that the shutdown need not wait for them.
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return base }}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	a.printf("http://%s\n", l.Addr())
	select {
	case err = <-ended:
	case <-ctx.Done():
		stop()
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = s.Shutdown(bound)
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}
