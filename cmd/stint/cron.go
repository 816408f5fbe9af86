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

func (a *app) cronCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "cron",
		Aliases: []string{"cronjobs", "cj"},
		Short:   "List cron jobs, or steer one",
		Args:    usage(cobra.NoArgs),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, _ []string) error {
			var all []*stint.CronJob
			for cron, err := range q.ListCron(ctx) {
				if err != nil {
					return err
				}
				all = append(all, cron)
			}
			slices.SortFunc(all, func(x, y *stint.CronJob) int { return cmp.Compare(x.Name, y.Name) })
			return a.printCrons(ctx, q, all, true)
		}),
	}
	a.out.flags(c)
	c.AddCommand(
		a.cronVerb("suspend NAME", "Start no more runs of a cron job", "suspended", func(ctx context.Context, q *stint.Queue, name string) error {
			_, err := q.SuspendCron(ctx, name)
			return err
		}),
		a.cronVerb("resume NAME", "Let a suspended cron job go on", "resumed", func(ctx context.Context, q *stint.Queue, name string) error {
			_, err := q.ResumeCron(ctx, name)
			return err
		}),
		a.cronVerb("delete NAME", "Delete a cron job and its runs", "deleted", func(ctx context.Context, q *stint.Queue, name string) error {
			return q.DeleteCron(ctx, name)
		}),
		a.cronRun(),
	)
	return c
}

func (a *app) cronVerb(use, short, past string, do func(context.Context, *stint.Queue, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: usage(cobra.ExactArgs(1)), ValidArgsFunction: first(a.completeCrons),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
			name := strings.TrimPrefix(args[0], "cronjob/")
			if err := do(ctx, q, name); err != nil {
				return err
			}
			a.printf("cronjob/%s %s\n", oneLine(name), past)
			return nil
		}),
	}
}

func (a *app) cronRun() *cobra.Command {
	return &cobra.Command{
		Use: "run NAME", Short: "Submit a run of a cron job now, beside its schedule",
		Args: usage(cobra.ExactArgs(1)), ValidArgsFunction: first(a.completeCrons),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
			job, err := q.RunCron(ctx, strings.TrimPrefix(args[0], "cronjob/"))
			if err != nil {
				return err
			}
			a.printf("job/%s submitted\n", oneLine(job.Name))
			return nil
		}),
	}
}

func (a *app) printCrons(ctx context.Context, q *stint.Queue, all []*stint.CronJob, many bool) error {
	switch a.out.format {
	case "name":
		for _, c := range all {
			a.printf("cronjob/%s\n", oneLine(c.Name))
		}
		return nil
	case "json", "yaml":
		objects := make([]batchv1.Object, len(all))
		for i, c := range all {
			objects[i] = batchv1.FromCronJob(q.Name(), c)
		}
		return a.out.manifests(a.stdout, objects)
	}
	if len(all) == 0 && many {
		a.notef("No cron jobs found in queue %s.\n", q.Name())
		return nil
	}
	now, err := a.now(ctx)
	if err != nil {
		return err
	}
	return cronTable(all, now, a.out.format == "wide").print(a.stdout, a.painter(), a.out.noHeaders)
}

// cronTable has kubectl's columns, and with wide more of our own.
func cronTable(all []*stint.CronJob, now time.Time, wide bool) *table {
	t := &table{head: []string{"NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE", "AGE"}}
	if wide {
		t.head = append(t.head, "KIND", "CONCURRENCY", "NEXT", "LAST SUCCESS", "LAST RUNS")
	}
	for _, c := range all {
		suspended := cell{text: "False"}
		if c.Suspend {
			suspended = cell{text: "True", colour: yellow}
		}
		row := []cell{
			text("%s", c.Name), text("%s", c.Schedule), text("%s", cmp.Or(c.TimeZone, "<none>")), suspended, text("%d", len(c.Status.Active)),
			text("%s", since(now, c.Status.LastScheduleTime)), text("%s", since(now, c.CreatedAt)),
		}
		if wide {
			row = append(row, text("%s", c.JobKind), text("%s", c.ConcurrencyPolicy), text("%s", next(c, now)),
				text("%s", since(now, c.Status.LastSuccessfulTime)), text("%s", lastRuns(c)))
		}
		t.add(row...)
	}
	return t
}

// next is the next scheduled time.
func next(c *stint.CronJob, now time.Time) string {
	if c.Suspend {
		return "<none>"
	}
	times, err := c.Upcoming(now, 1)
	if err != nil || len(times) == 0 {
		return "<none>"
	}
	return times[0].Format(time.RFC3339)
}

// lastRuns shows the kept runs, the oldest first: + complete, ! failed.
func lastRuns(c *stint.CronJob) string {
	if len(c.Status.Finished) == 0 {
		return "<none>"
	}
	var b strings.Builder
	for _, r := range c.Status.Finished {
		if r.Succeeded {
			b.WriteByte('+')
		} else {
			b.WriteByte('!')
		}
	}
	return b.String()
}

func (a *app) describeCron(ctx context.Context, q *stint.Queue, name string) error {
	c, err := q.GetCron(ctx, name)
	if err != nil {
		return err
	}
	now, err := a.now(ctx)
	if err != nil {
		return err
	}
	f := fields{a.stdout}
	f.add("Name", "%s", c.Name)
	f.add("Queue", "%s", q.Name())
	f.add("Kind", "%s", c.JobKind)
	f.add("Schedule", "%s", c.Schedule)
	f.add("Time Zone", "%s", cmp.Or(c.TimeZone, "UTC"))
	f.add("Concurrency Policy", "%s", c.ConcurrencyPolicy)
	f.add("Suspend", "%v", c.Suspend)
	f.add("History Limits", "%d successful, %d failed", *c.SuccessfulJobsHistoryLimit, *c.FailedJobsHistoryLimit)
	if c.StartingDeadline != nil {
		f.add("Starting Deadline", "%v", *c.StartingDeadline)
	}
	f.add("Args", "%s", args(c.RawArgs))
	f.add("Created", "%s (%s ago)", stamp(c.CreatedAt), since(now, c.CreatedAt))
	f.add("Last Schedule", "%s ago", since(now, c.Status.LastScheduleTime))
	f.add("Active Runs", "%s", cmp.Or(strings.Join(c.Status.Active, ", "), "<none>"))
	runs := make([]string, len(c.Status.Finished))
	for i, r := range c.Status.Finished {
		runs[i] = r.Name + map[bool]string{true: " (Complete)", false: " (Failed)"}[r.Succeeded]
	}
	f.add("Finished Runs", "%s", cmp.Or(strings.Join(runs, ", "), "<none>"))
	times, err := c.Upcoming(now, 5)
	if err != nil {
		return err
	}
	upcoming := make([]string, len(times))
	for i, t := range times {
		upcoming[i] = fmt.Sprintf("%s (in %s)", t.Format(time.RFC3339), age(t.Sub(now)))
	}
	f.add("Next Runs", "%s", cmp.Or(strings.Join(upcoming, ", "), "<none>"))
	a.printf("Events:\n")
	return eventTable(c.Status.Events, now).print(indent{a.stdout}, a.painter(), false)
}
