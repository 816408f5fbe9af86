package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batchv1"
)

func (a *app) jobsCommand() *cobra.Command {
	var f filter
	var limit int
	c := &cobra.Command{
		Use:     "jobs",
		Aliases: []string{"ls", "list"},
		Short:   "List the jobs of a queue",
		Example: "  stint jobs -q media --status failed\n  stint jobs -q media -l tenant=acme -o name",
		Args:    usage(cobra.NoArgs),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, _ []string) error {
			o, err := f.options()
			if err != nil {
				return err
			}
			if limit < 1 {
				return fail(exitUsage, "--limit: %d: must be 1 at least", limit)
			}
			jobs, more, err := list(ctx, q, o, limit)
			if err != nil {
				return err
			}
			if more {
				a.notef("there are more jobs than %d: see --limit\n", limit)
			}
			return a.printJobs(ctx, q, jobs, true)
		}),
	}
	f.flags(c, a)
	a.out.flags(c)
	c.Flags().IntVar(&limit, "limit", 1000, "how many jobs at most")
	return c
}

// printJobs prints jobs in the form that is wanted.
func (a *app) printJobs(ctx context.Context, q *stint.Queue, jobs []*stint.Job, many bool) error {
	switch a.out.format {
	case "name":
		for _, j := range jobs {
			a.printf("job/%s\n", oneLine(j.Name))
		}
		return nil
	case "json", "yaml":
		objects := make([]batchv1.Object, len(jobs))
		for i, j := range jobs {
			objects[i] = batchv1.FromJob(j)
		}
		return a.out.manifests(a.stdout, objects)
	}
	if len(jobs) == 0 && many {
		a.notef("No jobs found in queue %s.\n", q.Name())
		return nil
	}
	now, err := a.now(ctx)
	if err != nil {
		return err
	}
	return jobTable(jobs, now, a.out.format == "wide").print(a.stdout, a.painter(), a.out.noHeaders)
}

// jobTable has kubectl's columns, and with wide more of our own.
func jobTable(jobs []*stint.Job, now time.Time, wide bool) *table {
	t := &table{head: []string{"NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"}}
	if wide {
		t.head = append(t.head, "KIND", "ACTIVE", "READY", "FAILED", "OWNER", "LABELS")
	}
	for _, j := range jobs {
		row := []cell{
			text("%s", j.Name), status(j), text("%s", completions(j)), text("%s", duration(j, now)), text("%s", since(now, j.CreatedAt)),
		}
		if wide {
			row = append(row, text("%s", j.Kind), text("%d", j.Status.Active), text("%d", j.Status.Ready), text("%d", j.Status.Failed),
				text("%s", cmp.Or(j.Owner, "<none>")), text("%s", labels(j.Spec.Labels)))
		}
		t.add(row...)
	}
	return t
}

// status is kubectl's word for a job's state.
func status(j *stint.Job) cell {
	phase := j.Phase()
	c := text("%s", phase)
	switch phase {
	case stint.PhaseComplete:
		c.colour = green
	case stint.PhaseFailed:
		c.colour = red
	case stint.PhaseSuspended, stint.PhasePending:
		c.colour = yellow
	case stint.PhaseRunning:
		for _, t := range []stint.ConditionType{stint.JobFailureTarget, stint.JobSuccessCriteriaMet} {
			if cond, ok := j.Condition(t); ok && cond.Status == stint.ConditionTrue {
				c.text = string(t)
			}
		}
	}
	return c
}

// completions is what succeeded of what is wanted, as kubectl writes it.
func completions(j *stint.Job) string {
	switch n := j.Spec.Completions; {
	case n != nil:
		return fmt.Sprintf("%d/%d", j.Status.Succeeded, *n)
	case *j.Spec.Parallelism > 1:
		return fmt.Sprintf("%d/1 of %d", j.Status.Succeeded, *j.Spec.Parallelism)
	}
	return fmt.Sprintf("%d/1", j.Status.Succeeded)
}

// duration is how long a job has run, or did.
func duration(j *stint.Job, now time.Time) string {
	switch end := endOf(j); {
	case j.Status.StartedAt.IsZero():
		return ""
	case end.IsZero():
		return age(now.Sub(j.Status.StartedAt))
	default:
		return age(end.Sub(j.Status.StartedAt))
	}
}

func endOf(j *stint.Job) time.Time {
	for _, t := range []stint.ConditionType{stint.JobComplete, stint.JobFailed} {
		if c, ok := j.Condition(t); ok {
			return c.TransitionAt
		}
	}
	return time.Time{}
}

func labels(m map[string]string) string {
	if len(m) == 0 {
		return "<none>"
	}
	all := make([]string, 0, len(m))
	for k, v := range m {
		all = append(all, k+"="+v)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

func (a *app) getCommand() *cobra.Command {
	c := &cobra.Command{
		Use:               "get NAME...",
		Short:             "Print jobs and cron jobs by their names",
		Long:              "Print jobs by their names, and cron jobs by cronjob/NAME; with -o yaml as manifests that stint apply reads.",
		Example:           "  stint get -q media thumbnails-2026 -o yaml\n  stint get -q media cronjob/nightly",
		Args:              usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: a.completeJobs,
		RunE:              a.onQueue(a.get),
	}
	a.out.flags(c)
	return c
}

func (a *app) get(ctx context.Context, q *stint.Queue, args []string) error {
	var jobs []*stint.Job
	var crons []*stint.CronJob
	var bad []error
	for _, arg := range args {
		name, cron, err := kindOfObject(arg)
		if err != nil {
			return err
		}
		if cron {
			c, err := q.GetCron(ctx, name)
			if err != nil {
				bad = append(bad, err)
				continue
			}
			crons = append(crons, c)
			continue
		}
		j, err := q.Get(ctx, name)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		jobs = append(jobs, j)
	}
	if err := a.printBoth(ctx, q, jobs, crons); err != nil {
		return err
	}
	return joined(bad)
}

// printBoth prints jobs and cron jobs.
func (a *app) printBoth(ctx context.Context, q *stint.Queue, jobs []*stint.Job, crons []*stint.CronJob) error {
	if len(jobs) > 0 && len(crons) > 0 && (a.out.format == "json" || a.out.format == "yaml") {
		var objects []batchv1.Object
		for _, j := range jobs {
			objects = append(objects, batchv1.FromJob(j))
		}
		for _, c := range crons {
			objects = append(objects, batchv1.FromCronJob(q.Name(), c))
		}
		return a.out.manifests(a.stdout, objects)
	}
	if len(jobs) > 0 {
		if err := a.printJobs(ctx, q, jobs, false); err != nil {
			return err
		}
	}
	if len(crons) > 0 {
		return a.printCrons(ctx, q, crons, false)
	}
	return nil
}
