package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
)

const completeWithin = 2 * time.Second

func (a *app) watchCommand() *cobra.Command {
	var o stint.WatchOptions
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "watch [NAME]",
		Short: "Print what happens to jobs, as it happens",
		Long: "Print what happens to the jobs of a queue, as it happens, or to one job until it has finished: then the exit code is 0 if it is\n" +
			"Complete, and 4 if it has Failed. Plain jobs have no events until they fail for good or are steered.",
		Args:              usage(cobra.MaximumNArgs(1)),
		ValidArgsFunction: first(a.completeJobs),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
			ctx, cancel := withTimeout(ctx, timeout)
			defer cancel()
			if len(args) == 0 {
				return because(ctx, a.watchAll(ctx, q, o))
			}
			name, err := jobName(args[0])
			if err != nil {
				return err
			}
			return because(ctx, a.watchOne(ctx, q, name))
		}),
	}
	a.out.flags(c)
	c.Flags().StringVarP(&o.Selector, "selector", "l", "", "label selector")
	c.Flags().StringVar(&o.Kind, "kind", "", "jobs of this kind")
	c.Flags().StringVar(&o.From, "from", "", "go on after this resource version; 0 is the oldest event kept")
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time; 0 is never")
	_ = c.RegisterFlagCompletionFunc("kind", a.completeKinds)
	return c
}

// watchAll prints events until ctx ends. They are read beside that, since a
// read of Redis that waits does not heed a context at once.
func (a *app) watchAll(ctx context.Context, q *stint.Queue, o stint.WatchOptions) error {
	type happened struct {
		event stint.Event
		err   error
	}
	events := make(chan happened)
	go func() {
		for e, err := range q.Watch(ctx, o) {
			select {
			case events <- happened{e, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case h := <-events:
			if h.err != nil {
				return h.err
			}
			if err := a.printEvent(h.event); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// await is q.Wait that heeds ctx at once.
func await(ctx context.Context, q *stint.Queue, name string) (job *stint.Job, err error) {
	done := make(chan struct{})
	var got *stint.Job
	var failed error
	go func() {
		defer close(done)
		got, failed = q.Wait(ctx, name)
	}()
	select {
	case <-done:
		return got, because(ctx, failed)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// printEvent prints a line for an event.
func (a *app) printEvent(e stint.Event) error {
	switch a.out.format {
	case "json", "yaml":
		return a.out.values(a.stdout, struct {
			ResourceVersion string          `json:"resourceVersion"`
			At              time.Time       `json:"at"`
			Type            stint.EventType `json:"type"`
			Name            string          `json:"name"`
			UID             string          `json:"uid"`
			Kind            string          `json:"kind"`
			Reason          string          `json:"reason,omitempty"`
		}{e.ResourceVersion, e.At.UTC(), e.Type, e.Name, e.UID, e.Kind, e.Reason})
	case "name":
		a.printf("job/%s\n", oneLine(e.Name))
	default:
		a.printf("%s  %-18s %s %s\n", stamp(e.At), e.Type, oneLine(e.Name), oneLine(e.Reason))
	}
	return nil
}

// watchOne prints the state of a job whenever it has changed, until its end.
func (a *app) watchOne(ctx context.Context, q *stint.Queue, name string) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(chan struct{}, 1)
	go func() {
		for _, err := range q.Watch(watching, stint.WatchOptions{Name: name}) {
			if err != nil {
				return
			}
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}()
	tick := time.NewTicker(time.Second) // counts change without events
	defer tick.Stop()
	last := ""
	for {
		job, err := q.Get(ctx, name)
		if err != nil {
			return err
		}
		line := strings.Join([]string{status(job).text, completions(job), "active " + text("%d", job.Status.Active).text, "failed " + text("%d", job.Status.Failed).text}, "  ")
		if line != last {
			a.printf("%s  %s  %s\n", stamp(time.Now()), oneLine(name), line)
			last = line
		}
		if job.Finished() {
			return verdict(job)
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// verdict is nil for a job that is Complete.
func verdict(j *stint.Job) error {
	c, failed := j.Condition(stint.JobFailed)
	if !failed {
		return nil
	}
	return fail(exitFailed, "job %s has failed: %s: %s", oneLine(j.Name), c.Reason, oneLine(c.Message))
}

var waitsFor = []string{"finished", "complete", "failed", "delete"}

func (a *app) waitCommand() *cobra.Command {
	var timeout time.Duration
	var what string
	c := &cobra.Command{
		Use:   "wait NAME...",
		Short: "Wait until jobs have finished",
		Long: "Wait until jobs have finished. The exit code is 0 if it came as --for says, 4 if not, and 5 after --timeout:\n\n" +
			"  finished   Complete or Failed; 4 if one has Failed\n  complete   the same\n  failed     4 if one is Complete\n  delete     removed, by TTL or otherwise",
		Example:           "  stint wait -q media thumbnails-2026 --timeout 10m && publish",
		Args:              usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: a.completeJobs,
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
			what = strings.TrimPrefix(strings.ToLower(what), "condition=")
			if !slices.Contains(waitsFor, what) {
				return fail(exitUsage, "--for: %q: must be finished, complete, failed or delete", what)
			}
			ctx, cancel := withTimeout(ctx, timeout)
			defer cancel()
			var bad []error
			for _, arg := range args {
				name, err := jobName(arg)
				if err != nil {
					return err
				}
				if err := because(ctx, a.waitOne(ctx, q, name, what)); err != nil {
					bad = append(bad, err)
				}
			}
			return joined(bad)
		}),
	}
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time; 0 is never")
	c.Flags().StringVar(&what, "for", "finished", "what to wait for: finished, complete, failed or delete")
	_ = c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(waitsFor, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) waitOne(ctx context.Context, q *stint.Queue, name, what string) error {
	if what == "delete" {
		return a.waitDeleted(ctx, q, name)
	}
	job, err := await(ctx, q, name)
	if err != nil {
		return err
	}
	a.printf("job/%s %s\n", oneLine(name), strings.ToLower(status(job).text))
	if what == "failed" {
		if verdict(job) == nil {
			return fail(exitFailed, "job %s is complete, and has not failed", oneLine(name))
		}
		return nil
	}
	return verdict(job)
}

func (a *app) waitDeleted(ctx context.Context, q *stint.Queue, name string) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := q.Get(ctx, name)
		switch {
		case errors.Is(err, stint.ErrNotFound):
			a.printf("job/%s deleted\n", oneLine(name))
			return nil
		case err != nil:
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (a *app) logsCommand() *cobra.Command {
	var index int
	var groups, stack, follow bool
	c := &cobra.Command{
		Use:   "logs NAME",
		Short: "Print the errors of a job's attempts",
		Long: "Print the errors of a job's attempts that are kept: the last five of each index, and 10,000 of a job. What handlers write to their\n" +
			"loggers is where the application sends it.",
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: first(a.completeJobs),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
			name, err := jobName(args[0])
			if err != nil {
				return err
			}
			l := logs{a: a, q: q, name: name, index: index, stack: stack, seen: map[[2]int]bool{}}
			switch {
			case groups:
				return l.groups(ctx)
			case follow:
				return because(ctx, l.follow(ctx))
			}
			return l.print(ctx)
		}),
	}
	a.out.flags(c)
	c.Flags().IntVar(&index, "index", -1, "of this index alone")
	c.Flags().BoolVar(&groups, "groups", false, "gather those that are alike")
	c.Flags().BoolVar(&stack, "stack", false, "with the stacks of panics")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job has finished")
	return c
}

// logs prints the errors of a job, each once.
type logs struct {
	a     *app
	q     *stint.Queue
	name  string
	index int
	stack bool
	seen  map[[2]int]bool // index and attempt
}

func (l *logs) read(ctx context.Context) ([]stint.AttemptError, error) {
	if _, err := l.q.Get(ctx, l.name); err != nil {
		return nil, err
	}
	var all []stint.AttemptError
	for e, err := range l.q.Errors(ctx, l.name) {
		if err != nil {
			return nil, err
		}
		key := [2]int{e.Index, e.Attempt}
		if (l.index < 0 || e.Index == l.index) && !l.seen[key] {
			l.seen[key] = true
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(x, y stint.AttemptError) int {
		return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Index, y.Index), cmp.Compare(x.Attempt, y.Attempt))
	})
	return all, nil
}

// loggedError is an error with what its JSON leaves out.
type loggedError struct {
	Index int       `json:"index"`
	At    time.Time `json:"at"`
	stint.AttemptError
}

func (l *logs) print(ctx context.Context) error {
	all, err := l.read(ctx)
	if err != nil {
		return err
	}
	if f := l.a.out.format; f == "json" || f == "yaml" {
		out := make([]loggedError, len(all))
		for i, e := range all {
			out[i] = loggedError{e.Index, e.At.UTC(), e}
		}
		return l.a.out.values(l.a.stdout, out)
	}
	for _, e := range all {
		l.a.printf("%s  index %d  attempt %d  %s  code %s  worker %s  %s\n", stamp(e.At), e.Index, e.Attempt, e.Outcome, codeText(e.Code),
			cmp.Or(oneLine(e.Worker), "-"), oneLine(e.Message))
		if l.stack && e.Stack != "" {
			l.a.printf("%s\n", safe(e.Stack))
		}
	}
	return nil
}

func (l *logs) follow(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		job, err := l.q.Get(ctx, l.name)
		if err != nil {
			return err
		}
		if err := l.print(ctx); err != nil || job.Finished() {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *logs) groups(ctx context.Context) error {
	groups, whole, err := l.q.ErrorGroups(ctx, l.name)
	if err != nil {
		return err
	}
	if !whole {
		l.a.notef("there are more errors than were looked at\n")
	}
	if f := l.a.out.format; f == "json" || f == "yaml" {
		return l.a.out.values(l.a.stdout, groups)
	}
	now, err := l.a.now(ctx)
	if err != nil {
		return err
	}
	return errorTable(groups, now).print(l.a.stdout, l.a.painter(), l.a.out.noHeaders)
}
