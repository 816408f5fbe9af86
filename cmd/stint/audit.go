package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
)

func (a *app) auditCommand() *cobra.Command {
	var o stint.AuditOptions
	var limit int
	c := &cobra.Command{
		Use:   "audit",
		Short: "Check what is stored of a queue against what must hold",
		Long: "Check what is stored of a queue against what must hold, and print what does not. It changes nothing and may run beside workers. It goes\n" +
			"through all jobs, in bounded calls. Exit code 8 where anything is found: that is a defect, or keys were taken away by an eviction, a\n" +
			"failover or a hand.",
		Args: usage(cobra.NoArgs),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, _ []string) error {
			if limit < 1 {
				return fail(exitUsage, "--limit: %d: must be 1 at least", limit)
			}
			return a.audit(ctx, q, o, limit)
		}),
	}
	c.Flags().BoolVar(&o.Orphans, "orphans", false, "also look for keys that nothing refers to, among all keys of the database (SCAN)")
	c.Flags().IntVar(&limit, "limit", 1000, "stop after so many findings")
	a.out.flags(c)
	return c
}

func (a *app) audit(ctx context.Context, q *stint.Queue, o stint.AuditOptions, limit int) error {
	type line struct {
		Invariant string `json:"invariant"`
		Job       string `json:"job,omitempty"`
		Detail    string `json:"detail"`
	}
	all := []line{}
	for f, err := range q.Audit(ctx, o) {
		if err != nil {
			return err
		}
		all = append(all, line{string(f.Invariant), f.Job, f.Detail})
		if len(all) == limit {
			a.notef("there may be more: see --limit\n")
			break
		}
	}
	switch a.out.format {
	case "json", "yaml":
		if err := a.out.values(a.stdout, all); err != nil {
			return err
		}
	case "name":
		for _, l := range all {
			a.printf("job/%s\n", oneLine(l.Job))
		}
	default:
		if len(all) == 0 {
			a.printf("queue %s: nothing found\n", q.Name())
			return nil
		}
		t := &table{head: []string{"INVARIANT", "JOB", "DETAIL"}}
		for _, l := range all {
			t.add(cell{l.Invariant, red}, text("%s", l.Job), text("%s", l.Detail))
		}
		if err := t.print(a.stdout, a.painter(), a.out.noHeaders); err != nil {
			return err
		}
	}
	if len(all) > 0 {
		return fail(exitFindings, "the audit of queue %s found %d", q.Name(), len(all))
	}
	return nil
}
