// Command bench measures stint beside others that run tasks in Go: asynq,
// River and taskq, and beside bare Redis Streams, which are the limit. It
// starts private servers on free loopback ports, and each measurement in a
// process of its own, so that CPU and memory are those of what is measured.
//
//	bench -quick   stint, asynq and bare Streams: a JSON object a line on standard output
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	quick := flag.Bool("quick", false, "measure a little, and print JSON")
	budget := flag.Duration("budget", 26*time.Second, "begin no further rounds that would last longer")
	child := flag.String("child", "", "a measurement, as JSON: for bench itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch {
	case *child != "":
		return runChild(ctx, *child)
	case *quick:
		return runQuick(ctx, *budget)
	default:
		flag.Usage()
		return errors.New("say what to measure")
	}
}

// runQuick prints what the quick plan measures, and nothing else, to standard
// output.
func runQuick(ctx context.Context, budget time.Duration) error {
	rounds, err := runRounds(ctx, quickPlan(), budget, 3, "")
	if err != nil {
		return err
	}
	enc := json.NewEncoder(os.Stdout)
	for _, r := range rounds.medians() {
		if err := r.check(); err != nil {
			return err
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}
