package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
)

// submission are the flags of submit.
type submission struct {
	args, spec, name            string
	labels                      map[string]string
	completions, parallelism    int
	backoffLimit, perIndex      int
	indexed, suspend, wait      bool
	delay, ttl, deadline, limit time.Duration
	startAt                     string
	dryRun                      bool
}

func (a *app) submitCommand() *cobra.Command {
	var s submission
	c := &cobra.Command{
		Use:   "submit KIND",
		Short: "Submit a job",
		Long:  "Submit a job. With the queue's keys in STINT_KEYS its args are encrypted.",
		Example: `  stint submit -q media thumbnail --args '{"album":"2026"}' --completions 1000 --indexed --parallelism 50
  stint submit -q media report --args @report.json --name report-may --wait`,
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: first(a.completeKinds),
	}
	c.RunE = a.onQueue(func(ctx context.Context, q *stint.Queue, args []string) error {
		return a.submit(ctx, q, c, args[0], &s)
	})
	f := c.Flags()
	f.StringVar(&s.args, "args", "", "args as JSON; @FILE reads a file, - standard input")
	f.StringVar(&s.spec, "spec", "", "spec as JSON, with batch/v1's names; @FILE reads a file. Other flags win over it")
	f.StringVar(&s.name, "name", "", "name: submitting the same again does nothing")
	f.StringToStringVarP(&s.labels, "labels", "l", nil, "labels, as a=b,c=d")
	f.IntVar(&s.completions, "completions", 1, "how many successes it needs")
	f.IntVar(&s.parallelism, "parallelism", 1, "how many attempts may be active")
	f.BoolVar(&s.indexed, "indexed", false, "completions have indexes")
	f.IntVar(&s.backoffLimit, "backoff-limit", stint.DefaultBackoffLimit, "how many failures are retried")
	f.IntVar(&s.perIndex, "backoff-limit-per-index", 0, "how many failures of one index are retried")
	f.BoolVar(&s.suspend, "suspend", false, "start nothing until it is resumed")
	f.DurationVar(&s.delay, "delay", 0, "start so much later")
	f.StringVar(&s.startAt, "start-at", "", "start at a time, RFC 3339")
	f.DurationVar(&s.ttl, "ttl", stint.DefaultTTL, "how long it is kept when finished")
	f.DurationVar(&s.deadline, "active-deadline", 0, "fail it after so long")
	f.DurationVar(&s.limit, "attempt-timeout", 0, "how long an attempt may take")
	f.BoolVar(&s.wait, "wait", false, "wait for its end: exit code 4 if it fails")
	f.BoolVar(&s.dryRun, "dry-run", false, "only check whether it is valid")
	a.out.flags(c)
	return c
}

func (a *app) submit(ctx context.Context, q *stint.Queue, c *cobra.Command, kind string, s *submission) error {
	sub := stint.Submission{Kind: kind}
	data, err := a.read("--args", s.args)
	if err != nil {
		return err
	}
	sub.Args = data
	if len(data) == 0 {
		sub.Args = []byte("{}")
	} else if !json.Valid(data) {
		return fail(exitUsage, "--args: must be JSON")
	}
	if sub.Spec, err = a.specOf(c, s); err != nil {
		return err
	}
	if s.dryRun {
		if err := sub.Validate(); err != nil {
			return err
		}
		a.printf("job/%s valid (dry run)\n", sub.Spec.Name)
		return nil
	}
	job, err := q.SubmitRaw(ctx, sub)
	if err != nil {
		return err
	}
	switch a.out.format {
	case "json", "yaml":
		if err := a.printJobs(ctx, q, []*stint.Job{job}, false); err != nil {
			return err
		}
	case "name":
		a.printf("job/%s\n", job.Name)
	default:
		a.printf("job/%s submitted\n", job.Name)
	}
	if !s.wait {
		return nil
	}
	if job, err = await(ctx, q, job.Name); err != nil {
		return err
	}
	return verdict(job)
}

// specOf is the spec that the flags make.
func (a *app) specOf(c *cobra.Command, s *submission) (spec stint.JobSpec, err error) {
	data, err := a.read("--spec", s.spec)
	if err != nil {
		return spec, err
	}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &spec); err != nil {
			return spec, fail(exitUsage, "--spec: %w", err)
		}
	}
	set := func(flag string, put func()) {
		if c.Flags().Changed(flag) {
			put()
		}
	}
	set("name", func() { spec.Name = s.name })
	set("labels", func() { spec.Labels = s.labels })
	set("completions", func() { spec.Completions = &s.completions })
	set("parallelism", func() { spec.Parallelism = &s.parallelism })
	set("indexed", func() {
		if spec.CompletionMode = stint.NonIndexed; s.indexed {
			spec.CompletionMode = stint.Indexed
		}
	})
	set("backoff-limit", func() { spec.BackoffLimit = &s.backoffLimit })
	set("backoff-limit-per-index", func() { spec.BackoffLimitPerIndex = &s.perIndex })
	set("suspend", func() { spec.Suspend = s.suspend })
	set("delay", func() { spec.Delay = s.delay })
	set("ttl", func() { spec.TTLAfterFinished = &s.ttl })
	set("active-deadline", func() { spec.ActiveDeadline = &s.deadline })
	set("attempt-timeout", func() { spec.AttemptTimeout = s.limit })
	if s.startAt != "" {
		if spec.StartAt, err = time.Parse(time.RFC3339, s.startAt); err != nil {
			return spec, fail(exitUsage, "--start-at: %q: must be RFC 3339, as 2026-05-01T08:00:00Z", s.startAt)
		}
	}
	return spec, nil
}

// maxInput bounds what is read from files and standard input.
const maxInput = 8 << 20

// read gives a flag's value, which may name a file or standard input.
func (a *app) read(flag, value string) ([]byte, error) {
	var r io.Reader
	switch file, named := strings.CutPrefix(value, "@"); {
	case value == "-":
		r = a.stdin
	case named:
		f, err := os.Open(file)
		if err != nil {
			return nil, fail(exitUsage, "%s: %w", flag, err)
		}
		defer func() { _ = f.Close() }() // it was only read
		r = f
	default:
		return []byte(value), nil
	}
	return readAll(flag, r)
}

func readAll(what string, r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if len(data) > maxInput {
		return nil, fail(exitUsage, "%s: more than %d bytes", what, maxInput)
	}
	return data, nil
}
