package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batchv1"
)

func (a *app) applyCommand() *cobra.Command {
	var files []string
	var dryRun bool
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Store the jobs, cron jobs, config maps and secrets of manifests",
		Long: "Store the Jobs and CronJobs of batch/v1 manifests, YAML or JSON, with the annotation stint.dev/kind, and ConfigMaps and Secrets (these need\n" +
			"the keys of STINT_KEYS). All are checked before any is\n" +
			"stored. A manifest goes to the queue of --queue, else to that of its namespace, else to STINT_QUEUE. Applying the same again does nothing; a job that\n" +
			"is there with another spec is a conflict (exit code 7), a cron job is changed.",
		Example: "  stint apply -f jobs.yaml\n  kubectl get cronjob nightly -o yaml | stint apply -q media -f -",
		Args:    usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.out.validate(); err != nil {
				return err
			}
			if len(files) == 0 {
				return fail(exitUsage, "no manifests: give -f FILE, or -f - for standard input")
			}
			var all []batchv1.Object
			for _, f := range files {
				objects, err := a.manifests(f)
				if err != nil {
					return err
				}
				all = append(all, objects...)
			}
			return a.apply(c.Context(), all, dryRun)
		},
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "file with manifests; - is standard input; may be given again")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only check whether they are valid")
	a.out.flags(c)
	return c
}

// manifests reads a file.
func (a *app) manifests(file string) ([]batchv1.Object, error) {
	in := a.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fail(exitUsage, "-f: %w", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	data, err := readAll("-f "+file, in)
	if err != nil {
		return nil, err
	}
	objects, warnings, err := batchv1.Decode(data)
	for _, w := range warnings {
		a.notef("Warning: %s\n", oneLine(w.String()))
	}
	return objects, err
}

func (a *app) apply(ctx context.Context, all []batchv1.Object, dryRun bool) error {
	queues := make([]*stint.Queue, len(all))
	for i, o := range all {
		q, err := a.queueOf(o)
		if err != nil {
			return err
		}
		queues[i] = q
	}
	var bad []error
	for i, o := range all {
		what, did, err := applied(ctx, queues[i], o, dryRun)
		switch {
		case err != nil:
			bad = append(bad, err)
		case a.out.format == "name":
			a.printf("%s\n", oneLine(what))
		default:
			a.printf("%s %s\n", oneLine(what), did)
		}
	}
	return joined(bad)
}

// queueOf is the queue that a manifest goes to.
func (a *app) queueOf(o batchv1.Object) (*stint.Queue, error) {
	if a.name == "" && o.Namespace != "" {
		return a.queueNamed(o.Namespace)
	}
	return a.queue()
}

// applied stores one object, and tells what it is and what was done.
func applied(ctx context.Context, q *stint.Queue, o batchv1.Object, dryRun bool) (what, did string, err error) {
	switch {
	case o.CronJob != nil:
		did, err = applyCron(ctx, q, *o.CronJob, dryRun)
		return "cronjob/" + o.CronJob.Name, did, err
	case o.ConfigMap != nil:
		did, err = applyObject(o.ConfigMap.Name, dryRun, func(name string) (string, error) {
			c, err := q.GetConfigMap(ctx, name)
			if err != nil {
				return "", err
			}
			return c.ResourceVersion, nil
		}, func() (string, error) {
			c, err := q.ApplyConfigMap(ctx, *o.ConfigMap)
			if err != nil {
				return "", err
			}
			return c.ResourceVersion, nil
		})
		return "configmap/" + o.ConfigMap.Name, did, err
	case o.Secret != nil:
		did, err = applyObject(o.Secret.Name, dryRun, func(name string) (string, error) {
			c, err := q.GetSecret(ctx, name)
			if err != nil {
				return "", err
			}
			return c.ResourceVersion, nil
		}, func() (string, error) {
			c, err := q.ApplySecret(ctx, *o.Secret)
			if err != nil {
				return "", err
			}
			return c.ResourceVersion, nil
		})
		return "secret/" + o.Secret.Name, did, err
	}
	return applyJob(ctx, q, o, dryRun)
}

// applyObject stores what has a resource version, which tells whether it has
// changed.
func applyObject(name string, dryRun bool, get func(name string) (string, error), put func() (string, error)) (did string, err error) {
	before, err := get(name)
	if err != nil && !errors.Is(err, stint.ErrNotFound) {
		return "", err
	}
	did = "created"
	if before != "" {
		did = "configured"
	}
	if dryRun {
		return did + " (dry run)", nil
	}
	after, err := put()
	if err == nil && after == before {
		did = "unchanged"
	}
	return did, err
}

func applyJob(ctx context.Context, q *stint.Queue, o batchv1.Object, dryRun bool) (what, did string, err error) {
	name, did := o.Job.Spec.Name, "created"
	if name != "" {
		if _, err := q.Get(ctx, name); err == nil {
			did = "unchanged"
		} else if !errors.Is(err, stint.ErrNotFound) {
			return "", "", err
		}
	}
	if dryRun {
		return "job/" + name, did + " (dry run)", nil
	}
	job, err := q.SubmitRaw(ctx, *o.Job)
	if err != nil {
		return "", "", err
	}
	return "job/" + job.Name, did, nil
}

func applyCron(ctx context.Context, q *stint.Queue, c stint.CronJob, dryRun bool) (did string, err error) {
	old, err := q.GetCron(ctx, c.Name)
	if err != nil && !errors.Is(err, stint.ErrNotFound) {
		return "", err
	}
	if dryRun {
		if old == nil {
			return "created (dry run)", c.Validate()
		}
		return "configured (dry run)", c.Validate()
	}
	now, err := q.ApplyCron(ctx, c)
	switch {
	case err != nil:
		return "", err
	case old == nil:
		return "created", nil
	case old.Generation == now.Generation:
		return "unchanged", nil
	}
	return "configured", nil
}
