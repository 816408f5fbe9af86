// Command bench measures stint beside others that run tasks in Go: asynq,
// River and taskq, and beside bare Redis Streams, which are the limit. It
// starts private servers on free loopback ports, and each measurement in a
// process of its own, so that CPU and memory are those of what is measured.
//
//	bench -out DIR   everything, in rounds: DIR/results.md, results.json and the plots
//	bench -quick     stint, asynq and bare Streams: a JSON object a line on standard output
package main

import (
	"cmp"
	"context"
	"encoding/json"
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

// The time after which no further round of a measurement begins.
const (
	quickBudget = 26 * time.Second
	fullBudget  = 8*time.Minute + 30*time.Second
)

func run() error {
	quick := flag.Bool("quick", false, "measure a little, and print JSON")
	out := flag.String("out", ".", "directory for what a full run writes")
	only := flag.String("only", "", "of a full run, only the scenarios that this regular expression matches as a whole")
	budget := flag.Duration("budget", 0, "begin no further rounds that would last longer; 0 is 26s for -quick, else 8m30s")
	child := flag.String("child", "", "a measurement, as JSON: for bench itself")
	worker := flag.String("worker", "", "a worker process, as JSON: for bench itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch {
	case *child != "":
		return runChild(ctx, *child)
	case *worker != "":
		return runWorker(ctx, *worker)
	case *quick:
		return runQuick(ctx, cmp.Or(*budget, quickBudget))
	default:
		return runFull(ctx, *out, *only, cmp.Or(*budget, fullBudget))
	}
}

// runQuick prints what the quick plan measures, and nothing else, to standard
// output.
func runQuick(ctx context.Context, budget time.Duration) error {
	const mostRounds = 3
	rounds, err := runRounds(ctx, quickPlan(), budget, mostRounds, "")
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
