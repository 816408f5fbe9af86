package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
)

// filter is which jobs of a queue are meant.
type filter struct {
	selector, kind, status, name, text string
}

var phases = []stint.Phase{stint.PhasePending, stint.PhaseSuspended, stint.PhaseRunning, stint.PhaseComplete, stint.PhaseFailed}

func (f *filter) flags(c *cobra.Command, a *app) {
	c.Flags().StringVarP(&f.selector, "selector", "l", "", `label selector, as "env in (test,dev),tier!=web"`)
	c.Flags().StringVar(&f.kind, "kind", "", "jobs of this kind")
	c.Flags().StringVar(&f.status, "status", "", "jobs that are pending, suspended, running, complete or failed")
	c.Flags().StringVar(&f.name, "name-contains", "", "jobs with this in their name")
	c.Flags().StringVar(&f.text, "error-contains", "", "jobs with this in their last error, or in the reason for their end")
	_ = c.RegisterFlagCompletionFunc("kind", a.completeKinds)
	words := make([]string, len(phases))
	for i, p := range phases {
		words[i] = strings.ToLower(string(p))
	}
	_ = c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// chosen tells whether any flag chooses among the jobs.
func (f *filter) chosen() bool { return *f != filter{} }

func (f *filter) options() (stint.ListOptions, error) {
	o := stint.ListOptions{Kind: f.kind, Selector: f.selector, Name: f.name, Error: f.text}
	if f.status == "" {
		return o, nil
	}
	for _, p := range phases {
		if strings.EqualFold(f.status, string(p)) {
			o.Phase = p
			return o, nil
		}
	}
	return o, fail(exitUsage, "--status: %q: must be pending, suspended, running, complete or failed", f.status)
}

// list reads up to limit jobs, and tells whether there are more.
func list(ctx context.Context, q *stint.Queue, o stint.ListOptions, limit int) (jobs []*stint.Job, more bool, err error) {
	for job, err := range q.List(ctx, o) {
		if err != nil {
			return nil, false, err
		}
		if len(jobs) == limit {
			return jobs, true, nil
		}
		jobs = append(jobs, job)
	}
	return jobs, false, nil
}

// kindOfObject tells "cronjob/x" from "job/x" and "x".
func kindOfObject(arg string) (name string, cron bool, err error) {
	kind, name, ok := strings.Cut(arg, "/")
	if !ok {
		return arg, false, nil
	}
	switch strings.ToLower(kind) {
	case "job", "jobs", "job.batch":
		return name, false, nil
	case "cronjob", "cronjobs", "cj", "cronjob.batch":
		return name, true, nil
	}
	return "", false, fail(exitUsage, "%s: must be the name of a job, or job/NAME or cronjob/NAME", arg)
}

// jobName is the name in an argument that must mean a job.
func jobName(arg string) (string, error) {
	name, cron, err := kindOfObject(arg)
	if err == nil && cron {
		err = fail(exitUsage, "%s: must be a job; stint cron is for cron jobs", arg)
	}
	return name, err
}

// completions shown at most.
const maxCompletions = 200

// completeJobs completes names of jobs.
func (a *app) completeJobs(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	q, err := a.queue()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := withTimeout(c.Context(), completeWithin)
	defer cancel()
	var names []string
	looked := 0
	for job, err := range q.List(ctx, stint.ListOptions{Name: begun}) {
		if looked++; err != nil || len(names) == maxCompletions || looked > 20*maxCompletions {
			break
		}
		if strings.HasPrefix(job.Name, begun) {
			names = append(names, job.Name+"\t"+string(job.Phase()))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeFirst completes the first argument alone.
func first(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, begun)
	}
}

func (a *app) completeCrons(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	q, err := a.queue()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := withTimeout(c.Context(), completeWithin)
	defer cancel()
	var names []string
	for cron, err := range q.ListCron(ctx) {
		if err != nil || len(names) == maxCompletions {
			break
		}
		if strings.HasPrefix(cron.Name, begun) {
			names = append(names, cron.Name+"\t"+cron.Schedule)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeKinds(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	q, err := a.queue()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := withTimeout(c.Context(), completeWithin)
	defer cancel()
	kinds, _ := q.Kinds(ctx) // none to offer then
	var names []string
	for _, k := range kinds {
		if strings.HasPrefix(k.Kind, begun) {
			names = append(names, k.Kind)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeQueues(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	rdb, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := withTimeout(c.Context(), completeWithin)
	defer cancel()
	found, _ := findQueues(ctx, rdb, 200_000)
	var names []string
	for _, name := range found.names {
		if strings.HasPrefix(name, begun) {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// errors of several objects: the exit code is that of the first one.
func joined(all []error) error {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return &coded{codeOf(all[0]), errors.Join(all...)}
}
