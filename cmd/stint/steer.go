package main

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
)

// verb is something that is done to jobs, by their names or to all that a
// filter chooses.
type verb struct {
	name, past string
	long       string
	applies    func(*stint.Job) bool
	one        func(ctx context.Context, q *stint.Queue, name string) error
	all        func(ctx context.Context, q *stint.Queue, o stint.ListOptions) iter.Seq2[stint.Outcome, error]
}

func (a *app) suspendCommand() *cobra.Command {
	return a.verbCommand(verb{
		name: "suspend", past: "suspended", long: "Suspend jobs: their attempts are stopped, and none is started until they are resumed.",
		applies: func(j *stint.Job) bool { return !j.Finished() && !j.Spec.Suspend },
		one: func(ctx context.Context, q *stint.Queue, name string) error {
			_, err := q.Suspend(ctx, name)
			return err
		},
		all: func(ctx context.Context, q *stint.Queue, o stint.ListOptions) iter.Seq2[stint.Outcome, error] {
			return q.SuspendAll(ctx, o)
		},
	})
}

func (a *app) resumeCommand() *cobra.Command {
	return a.verbCommand(verb{
		name: "resume", past: "resumed", long: "Let suspended jobs go on.",
		applies: func(j *stint.Job) bool { return !j.Finished() && j.Spec.Suspend },
		one: func(ctx context.Context, q *stint.Queue, name string) error {
			_, err := q.Resume(ctx, name)
			return err
		},
		all: func(ctx context.Context, q *stint.Queue, o stint.ListOptions) iter.Seq2[stint.Outcome, error] {
			return q.ResumeAll(ctx, o)
		},
	})
}

func (a *app) deleteCommand() *cobra.Command {
	return a.verbCommand(verb{
		name: "delete", past: "deleted", long: "Delete jobs, finished or not, with all that is kept of them. Running handlers are told to stop.",
		applies: func(*stint.Job) bool { return true },
		one:     func(ctx context.Context, q *stint.Queue, name string) error { return q.Delete(ctx, name) },
		all: func(ctx context.Context, q *stint.Queue, o stint.ListOptions) iter.Seq2[stint.Outcome, error] {
			return q.DeleteAll(ctx, o)
		},
	})
}

func (a *app) retryCommand() *cobra.Command {
	var indexes string
	c := a.verbCommand(verb{
		name: "retry", past: "retried", long: "Open again what has not succeeded of finished jobs: of those that a filter chooses, the failed ones.",
		applies: func(j *stint.Job) bool { return j.Phase() == stint.PhaseFailed },
		one: func(ctx context.Context, q *stint.Queue, name string) error {
			_, err := q.Retry(ctx, name, indexes)
			return err
		},
		all: func(ctx context.Context, q *stint.Queue, o stint.ListOptions) iter.Seq2[stint.Outcome, error] {
			return q.RetryAll(ctx, o)
		},
	})
	c.Flags().StringVar(&indexes, "indexes", "", `these indexes of a job that is named, as "1-100,205"`)
	return c
}

// bulk are the flags of a verb that can be done to many.
type bulk struct {
	filter
	every, yes, dryRun bool
}

func (a *app) verbCommand(v verb) *cobra.Command {
	var b bulk
	c := &cobra.Command{
		Use:   v.name + " NAME...",
		Short: strings.SplitAfter(v.long, ".")[0],
		Long: v.long + "\n\nNo names but a filter, or --all, is a bulk action: it counts first and then asks, on a terminal; elsewhere it needs --yes, and\n" +
			"ends with exit code 6 without it. --dry-run tells the count and the names, and does nothing.",
		Example: fmt.Sprintf("  stint %s -q media thumbnails-2026\n  stint %s -q media -l tenant=acme --dry-run", v.name, v.name),
	}
	c.ValidArgsFunction = a.completeJobs
	c.RunE = a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
		indexes := c.Flags().Lookup("indexes")
		switch {
		case len(args) > 0 && (b.chosen() || b.every):
			return fail(exitUsage, "give names or a filter, not both; see stint help %s", v.name)
		case len(args) == 0 && !b.chosen() && !b.every:
			return fail(exitUsage, "give names, a filter or --all; see stint help %s", v.name)
		case len(args) == 0 && indexes != nil && indexes.Changed:
			return fail(exitUsage, "--indexes needs the name of a job")
		case len(args) > 0:
			return a.each(ctx, q, v, args, b.dryRun)
		}
		return a.bulk(ctx, q, v, &b)
	})
	b.flags(c, a)
	a.out.flags(c)
	c.Flags().BoolVar(&b.every, "all", false, "all jobs of the queue")
	c.Flags().BoolVarP(&b.yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&b.dryRun, "dry-run", false, "tell what would be done, and do nothing")
	return c
}

// each does a verb to jobs by their names.
func (a *app) each(ctx context.Context, q *stint.Queue, v verb, args []string, dryRun bool) error {
	var bad []error
	for _, arg := range args {
		name, cron, err := kindOfObject(arg)
		if err != nil {
			return err
		}
		switch {
		case cron:
			return fail(exitUsage, "%s: must be a job; stint cron is for cron jobs", arg)
		case dryRun:
			_, err = q.Get(ctx, name)
		default:
			err = v.one(ctx, q, name)
		}
		if err != nil {
			bad = append(bad, err)
			continue
		}
		a.did(name, v.past, dryRun)
	}
	return joined(bad)
}

func (a *app) did(name, past string, dryRun bool) {
	switch {
	case a.out.format == "name":
		a.printf("job/%s\n", oneLine(name))
	case dryRun:
		a.printf("job/%s %s (dry run)\n", oneLine(name), past)
	default:
		a.printf("job/%s %s\n", oneLine(name), past)
	}
}

// shown is how many names a question shows.
const shown = 10

// bulk does a verb to all that a filter chooses: it counts first.
func (a *app) bulk(ctx context.Context, q *stint.Queue, v verb, b *bulk) error {
	o, err := b.options()
	if err != nil {
		return err
	}
	n := 0
	var some []string
	for job, err := range q.List(ctx, o) {
		if err != nil {
			return err
		}
		if !v.applies(job) {
			continue
		}
		if n++; b.dryRun {
			a.did(job.Name, v.past, true)
		} else if len(some) < shown {
			some = append(some, oneLine(job.Name))
		}
	}
	if b.dryRun || n == 0 {
		a.notef("%s would be %s\n", jobsText(n), v.past)
		return nil
	}
	if err := a.confirm(ctx, b.yes, n, v.name, q.Name(), some); err != nil {
		return err
	}
	return a.doAll(ctx, q, v, o)
}

func (a *app) doAll(ctx context.Context, q *stint.Queue, v verb, o stint.ListOptions) error {
	var bad []error
	done := 0
	for out, err := range v.all(ctx, q, o) {
		switch {
		case err != nil && out.Job == nil:
			return joined(append(bad, err))
		case err != nil:
			bad = append(bad, fmt.Errorf("job %s: %w", oneLine(out.Job.Name), err))
		default:
			done++
			a.did(out.Job.Name, v.past, false)
		}
	}
	a.notef("%s %s\n", jobsText(done), v.past)
	return joined(bad)
}

func jobsText(n int) string {
	if n == 1 {
		return "1 job"
	}
	return strconv.Itoa(n) + " jobs"
}

// confirm asks, where there is somebody to ask.
func (a *app) confirm(ctx context.Context, yes bool, n int, what, queue string, some []string) error {
	if yes {
		return nil
	}
	if !isTerminal(a.stdin) {
		return fail(exitDeclined, "%s would be affected: give --yes to %s them, or --dry-run to see which", jobsText(n), what)
	}
	more := ""
	if n > len(some) {
		more = ", ..."
	}
	a.notef("%s in queue %s: %s%s\n%s them? [y/N] ", jobsText(n), queue, strings.Join(some, ", "), more, strings.ToUpper(what[:1])+what[1:])
	answers := make(chan string, 1)
	go func() { // Ctrl-C does not end a read
		answer, _ := bufio.NewReader(a.stdin).ReadString('\n') // no answer is no
		answers <- strings.ToLower(strings.TrimSpace(answer))
	}()
	answer := ""
	select {
	case answer = <-answers:
	case <-ctx.Done():
		a.notef("\n")
		return ctx.Err()
	}
	if answer != "y" && answer != "yes" {
		return fail(exitDeclined, "nothing was done")
	}
	return nil
}

func (a *app) scaleCommand() *cobra.Command {
	var parallelism, indexed int
	c := &cobra.Command{
		Use:               "scale NAME --parallelism N",
		Short:             "Change how many attempts of a job may be active",
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: first(a.completeJobs),
	}
	c.RunE = a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
		name, err := jobName(args[0])
		if err != nil {
			return err
		}
		switch p, i := c.Flags().Changed("parallelism"), c.Flags().Changed("completions"); {
		case p == i:
			return fail(exitUsage, "give --parallelism, or --completions for an Indexed job")
		case p:
			_, err = q.Scale(ctx, name, parallelism)
		default:
			_, err = q.ScaleIndexed(ctx, name, indexed)
		}
		if err == nil {
			a.did(name, "scaled", false)
		}
		return err
	})
	c.Flags().IntVar(&parallelism, "parallelism", 0, "how many attempts may be active; 0 pauses")
	c.Flags().IntVar(&indexed, "completions", 0, "completions and parallelism of an Indexed job")
	a.out.flags(c)
	return c
}

func (a *app) evictCommand() *cobra.Command {
	var lost bool
	c := &cobra.Command{
		Use:   "evict NAME INDEX",
		Short: "Stop the running attempt at one index, so that another worker takes it",
		Long: "Stop the running attempt at one index: its handler is told so, and it is replaced by the job's replacement policy. With --lost its\n" +
			"worker is taken for dead: the attempt ends at once, and nothing that its handler still does counts.",
		Args:              usage(cobra.ExactArgs(2)),
		ValidArgsFunction: first(a.completeJobs),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
			name, err := jobName(args[0])
			if err != nil {
				return err
			}
			index, err := strconv.Atoi(args[1])
			if err != nil || index < 0 {
				return fail(exitUsage, "%q: must be an index, from 0", args[1])
			}
			do := q.Evict
			if lost {
				do = q.Reap
			}
			if err := do(ctx, name, index); err != nil {
				return err
			}
			a.printf("job/%s index %d evicted\n", oneLine(name), index)
			return nil
		}),
	}
	c.Flags().BoolVar(&lost, "lost", false, "its worker is dead")
	return c
}
