package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
)

func (a *app) describeCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "describe NAME",
		Short:             "Tell all about a job or cron job",
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: first(a.completeJobs),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
			name, cron, err := kindOfObject(args[0])
			if err != nil {
				return err
			}
			if cron {
				return a.describeCron(ctx, q, name)
			}
			return a.describeJob(ctx, q, name)
		}),
	}
}

// described is all that is told of a job.
type described struct {
	job    *stint.Job
	now    time.Time
	why    []stint.Reason
	tasks  []stint.TaskInfo
	errors []stint.ErrorGroup
	events []stint.JobEvent
}

func (a *app) describeJob(ctx context.Context, q *stint.Queue, name string) error {
	var d described
	var err error
	if d.job, err = q.Get(ctx, name); err != nil {
		return err
	}
	if d.now, err = a.now(ctx); err != nil {
		return err
	}
	e, err := q.Explain(ctx, name)
	if err != nil {
		return err
	}
	d.why = e.Reasons
	if d.tasks, err = q.Tasks(ctx, name); err != nil {
		return err
	}
	if d.errors, _, err = q.ErrorGroups(ctx, name); err != nil {
		return err
	}
	if d.events, err = q.Events(ctx, name); err != nil {
		return err
	}
	d.write(a.stdout, a.painter())
	return nil
}

// fields writes lines of names and values, as kubectl describe does.
type fields struct{ w io.Writer }

func (f fields) add(name, format string, v ...any) {
	_, _ = fmt.Fprintf(f.w, "%-20s%s\n", name+":", oneLine(fmt.Sprintf(format, v...)))
}

func (d *described) write(w io.Writer, p painter) {
	j, f := d.job, fields{w}
	f.add("Name", "%s", j.Name)
	f.add("Queue", "%s", j.Queue)
	f.add("Kind", "%s", j.Kind)
	f.add("UID", "%s", j.UID)
	f.add("Labels", "%s", labels(j.Spec.Labels))
	f.add("Annotations", "%s", labels(j.Spec.Annotations))
	f.add("Controlled By", "%s", cmp.Or(j.Owner, "<none>"))
	f.add("Created", "%s (%s ago)", stamp(j.CreatedAt), since(d.now, j.CreatedAt))
	s := status(j)
	f.add("Status", "%s", p.paint(s.colour, s.text))
	if j.Status.StartedAt.IsZero() {
		f.add("Start Time", "<none>")
	} else {
		f.add("Start Time", "%s", stamp(j.Status.StartedAt))
	}
	if end := endOf(j); !end.IsZero() {
		f.add("Ended", "%s", stamp(end))
	}
	f.add("Duration", "%s", cmp.Or(duration(j, d.now), "<none>"))
	d.writeSpec(f)
	f.add("Attempts Statuses", "%d Active (%d Ready) / %d Terminating / %d Succeeded / %d Failed", j.Status.Active, j.Status.Ready,
		j.Status.Terminating, j.Status.Succeeded, j.Status.Failed)
	if j.Spec.CompletionMode == stint.Indexed {
		f.add("Completed Indexes", "%s", cmp.Or(j.Status.CompletedIndexes, "<none>"))
	}
	if j.Spec.BackoffLimitPerIndex != nil {
		f.add("Failed Indexes", "%s", cmp.Or(j.Status.FailedIndexes, "<none>"))
	}
	f.add("Args", "%s", args(j.Args))
	d.writeLists(w, p)
}

func (d *described) writeSpec(f fields) {
	s := &d.job.Spec
	f.add("Parallelism", "%d", *s.Parallelism)
	if s.Completions == nil {
		f.add("Completions", "<unset>")
	} else {
		f.add("Completions", "%d", *s.Completions)
	}
	f.add("Completion Mode", "%s", s.CompletionMode)
	f.add("Suspend", "%v", s.Suspend)
	f.add("Backoff Limit", "%d", *s.BackoffLimit)
	if s.BackoffLimitPerIndex != nil {
		f.add("Per Index", "%d", *s.BackoffLimitPerIndex)
	}
	if s.MaxFailedIndexes != nil {
		f.add("Max Failed Indexes", "%d", *s.MaxFailedIndexes)
	}
	if s.ActiveDeadline != nil {
		f.add("Active Deadline", "%v", *s.ActiveDeadline)
	}
	if s.AttemptTimeout > 0 {
		f.add("Attempt Timeout", "%v", s.AttemptTimeout)
	}
	if *s.TTLAfterFinished == stint.NeverExpire {
		f.add("TTL", "never")
	} else {
		f.add("TTL", "%v", *s.TTLAfterFinished)
	}
}

func (d *described) writeLists(w io.Writer, p painter) {
	section := func(name string, t *table) {
		if len(t.rows) == 0 {
			fields{w}.add(name, "<none>")
			return
		}
		_, _ = fmt.Fprintf(w, "%s:\n", name)
		_ = t.print(indent{w}, p, false) // what cannot be written is seen at the next write
	}
	why := &table{head: []string{"REASON", "MESSAGE"}}
	for _, r := range d.why {
		why.add(text("%s", r.Code), text("%s", r.Message))
	}
	section("Why", why)
	conditions := &table{head: []string{"TYPE", "STATUS", "REASON", "AGE", "MESSAGE"}}
	for _, c := range d.job.Status.Conditions {
		conditions.add(text("%s", c.Type), text("%s", c.Status), text("%s", c.Reason), text("%s", since(d.now, c.TransitionAt)), text("%s", c.Message))
	}
	section("Conditions", conditions)
	tasks := &table{head: []string{"INDEX", "ATTEMPT", "WORKER", "TOKEN"}}
	for _, t := range d.tasks[:min(len(d.tasks), 20)] {
		tasks.add(text("%d", t.Index), text("%d", t.Attempt), text("%s", cmp.Or(t.Worker, "<waiting>")), text("%s", t.Token))
	}
	section("Active", tasks)
	section("Errors", errorTable(d.errors, d.now))
	section("Events", eventTable(d.events, d.now))
}

func errorTable(groups []stint.ErrorGroup, now time.Time) *table {
	t := &table{head: []string{"COUNT", "INDEXES", "LAST", "OUTCOME", "CODE", "MESSAGE"}}
	for _, g := range groups[:min(len(groups), 20)] {
		t.add(text("%d", g.Count), text("%s", short(g.Indexes, 30)), text("%s", since(now, g.LastAt)), text("%s", g.Latest.Outcome),
			text("%s", codeText(g.Latest.Code)), text("%s", short(g.Latest.Message, 200)))
	}
	return t
}

func eventTable(events []stint.JobEvent, now time.Time) *table {
	t := &table{head: []string{"TYPE", "REASON", "AGE", "MESSAGE"}}
	for _, e := range events {
		when := since(now, e.LastAt)
		if e.Count > 1 {
			when = fmt.Sprintf("%s (x%d over %s)", when, e.Count, since(now, e.FirstAt))
		}
		t.add(text("%s", e.Type), text("%s", e.Reason), text("%s", when), text("%s", e.Message))
	}
	return t
}

// indent writes lines two spaces further in.
type indent struct{ w io.Writer }

func (i indent) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		if _, err := io.WriteString(i.w, "  "+line); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// args shows args that are JSON as they are, and others by their size.
func args(data []byte) string {
	switch {
	case len(data) == 0:
		return "<none>"
	case json.Valid(data):
		return short(string(data), 1000)
	}
	return fmt.Sprintf("<%d bytes>", len(data))
}

// short cuts text to so many characters.
func short(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-3]) + "..."
}

func codeText(code int) string {
	if code == 0 {
		return "-"
	}
	return fmt.Sprint(code)
}

func (a *app) explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:               "explain NAME",
		Short:             "Say why a job waits, in the order of what has to change first",
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: first(a.completeJobs),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
			name, err := jobName(args[0])
			if err != nil {
				return err
			}
			e, err := q.Explain(ctx, name)
			if err != nil {
				return err
			}
			if slices.Contains([]string{"json", "yaml"}, a.out.format) {
				return a.out.values(a.stdout, e)
			}
			t := &table{head: []string{"REASON", "UNTIL", "MESSAGE"}}
			for _, r := range e.Reasons {
				until := "-"
				if !r.Until.IsZero() {
					until = stamp(r.Until)
				}
				t.add(text("%s", r.Code), text("%s", until), text("%s", r.Message))
			}
			return t.print(a.stdout, a.painter(), a.out.noHeaders)
		}),
	}
	a.out.flags(c)
	return c
}
