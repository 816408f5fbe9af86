package batchv1

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/stint-go/stint"
)

func (d *decoder) job(o object) Object {
	meta := d.metadata(o)
	spec, _ := o.object("spec")
	s := stint.Submission{Spec: stint.JobSpec{Name: meta.name, Labels: meta.labels}}
	set := d.submission(&s, spec, meta.notes)
	d.check(s.Validate(), func(field string) string { return set.rename(o.path, field) })
	spec.rest()
	o.rest()
	return Object{Namespace: meta.namespace, Job: &s}
}

func (d *decoder) cronJob(o object) Object {
	meta := d.metadata(o)
	meta.ignoreLabels(d)
	spec, _ := o.object("spec")
	c := &stint.CronJob{
		Name:                       meta.name,
		Schedule:                   spec.text("schedule"),
		StartingDeadline:           spec.seconds("startingDeadlineSeconds", mostDeadline),
		ConcurrencyPolicy:          stint.ConcurrencyPolicy(spec.text("concurrencyPolicy")),
		Suspend:                    spec.flag("suspend"),
		SuccessfulJobsHistoryLimit: spec.count("successfulJobsHistoryLimit"),
		FailedJobsHistoryLimit:     spec.count("failedJobsHistoryLimit"),
	}
	if zone := spec.textOrNil("timeZone"); zone != nil {
		if c.TimeZone = *zone; *zone == "" {
			d.invalid(spec.at("timeZone"), "", "must be nil or non-empty string")
		}
	}
	own := settings{d, []notes{meta.notes}}
	own.duration(StartingDeadlineAnnotation, &c.StartingDeadline, mostDeadline, spec.at("startingDeadlineSeconds"))
	template, _ := spec.object("jobTemplate")
	set := d.jobTemplate(c, template, meta.notes)
	d.check(c.Validate(), func(field string) string {
		if rest, ok := strings.CutPrefix(field, "spec.jobTemplate."); ok {
			return set.rename(template.path, rest)
		}
		return o.at(field)
	})
	template.rest()
	spec.rest()
	o.rest()
	return Object{Namespace: meta.namespace, CronJob: c}
}

// jobTemplate reads what the runs of a cron job are.
func (d *decoder) jobTemplate(c *stint.CronJob, o object, own notes) *setup {
	meta := d.metadata(o)
	if meta.name != "" {
		d.warn(meta.path+"name", "is not used: runs are named after the cron job")
	}
	if meta.namespace != "" {
		d.warn(meta.path+"namespace", meaningless)
	}
	spec, _ := o.object("spec")
	if v, ok := spec.take("selector"); ok {
		d.invalid(spec.at("selector"), v, "`selector` will be auto-generated")
	}
	if spec.flag("manualSelector") {
		d.refuse(spec.at("manualSelector"), stint.FieldNotSupported, true, "must be nil or false")
	}
	s := stint.Submission{Spec: stint.JobSpec{Labels: meta.labels}}
	set := d.submission(&s, spec, meta.notes, own)
	spec.rest()
	c.JobKind, c.RawArgs, c.Job = s.Kind, s.Args, s.Spec
	return set
}

// setup is where the fields of a submission stand in its manifest.
type setup struct {
	settings
	paths  map[string]string
	mounts []string
}

// rename gives a field of a submission the path it has in the manifest; prefix
// is that of the job's object.
func (s *setup) rename(prefix, field string) string {
	if path, ok := s.paths[field]; ok {
		return path
	}
	if rest, ok := strings.CutPrefix(field, "spec.backoff."); ok {
		return s.paths["spec.backoff"] + "." + rest
	}
	if m := mountField.FindStringSubmatch(field); m != nil {
		if i, err := strconv.Atoi(m[1]); err == nil && i < len(s.mounts) {
			return s.mounts[i]
		}
	}
	return prefix + field
}

// submission reads a job's spec and its annotations, wherever they stand.
func (d *decoder) submission(s *stint.Submission, spec object, where ...notes) *setup {
	template, given := spec.object("template")
	if !given {
		d.refuse(spec.at("template"), stint.FieldRequired, nil, "")
	}
	meta := d.metadata(template)
	meta.ignoreLabels(d)
	set := &setup{settings: settings{d, append(where, meta.notes)}}
	podSpec, _ := template.object("spec")
	set.paths = map[string]string{
		"kind":                set.at(KindAnnotation),
		"args":                set.at(ArgsAnnotation),
		"spec.backoff":        set.at(BackoffAnnotation),
		"spec.delay":          set.at(DelayAnnotation),
		"spec.startAt":        set.at(StartAtAnnotation),
		"spec.lostLimit":      set.at(LostLimitAnnotation),
		"spec.attemptTimeout": podSpec.at("activeDeadlineSeconds"),
	}
	s.Kind, _, _ = set.take(KindAnnotation)
	p := d.pod(podSpec, set)
	template.rest()
	s.Args, s.Spec.AttemptTimeout, s.Spec.Resources, s.Spec.Mounts = p.args, p.timeout, p.resources, p.mounts.all
	set.mounts = p.mounts.paths
	set.paths["spec.mounts"] = podSpec.at("volumes")
	d.spec(&s.Spec, spec, p)
	set.job(&s.Spec, spec, podSpec)
	s.Spec.Annotations = set.rest()
	return set
}

// spec reads the fields of a job's spec that have a counterpart.
func (d *decoder) spec(s *stint.JobSpec, o object, p pod) {
	s.Parallelism = o.count("parallelism")
	s.Completions = o.count("completions")
	s.CompletionMode = stint.CompletionMode(o.text("completionMode"))
	s.BackoffLimit = o.count("backoffLimit")
	s.BackoffLimitPerIndex = o.count("backoffLimitPerIndex")
	s.MaxFailedIndexes = o.count("maxFailedIndexes")
	s.FailurePolicy = d.failurePolicy(o, p)
	s.SuccessPolicy = d.successPolicy(o)
	s.ReplacementPolicy = stint.ReplacementPolicy(o.text("podReplacementPolicy"))
	s.ActiveDeadline = o.seconds("activeDeadlineSeconds", mostDeadline)
	s.TTLAfterFinished = o.seconds("ttlSecondsAfterFinished", mostTTL)
	s.Suspend = o.flag("suspend")
	d.restartPolicy(p, s.FailurePolicy != nil)
	d.managedBy(o)
}

// restartPolicy can only be judged once the failure policy is known.
func (d *decoder) restartPolicy(p pod, hasPolicy bool) {
	switch p.restartPolicy {
	case "Never":
		return
	case "OnFailure":
		d.warn(p.restartPath, "retries are new attempts, as with Never")
	case "", "Always":
		d.refuse(p.restartPath, stint.FieldRequired, nil, `valid values: "OnFailure", "Never"`)
	default:
		d.refuse(p.restartPath, stint.FieldNotSupported, p.restartPolicy, `must be one of "OnFailure", "Never"`)
	}
	if hasPolicy {
		d.invalid(p.restartPath, p.restartPolicy, `only "Never" is supported when podFailurePolicy is specified`)
	}
}

// managedBy hands a job to another controller, in Kubernetes.
func (d *decoder) managedBy(o object) {
	const (
		field = "managedBy"
		most  = 63
	)
	name := o.textOrNil(field)
	if name == nil || *name == "kubernetes.io/job-controller" {
		return
	}
	const label = `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
	path := regexp.MustCompile(`^` + label + `(\.` + label + `)*/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$`)
	switch {
	case len(*name) > most:
		d.refuse(o.at(field), stint.FieldTooLong, len(*name), "may not be more than 63 bytes")
	case !path.MatchString(*name):
		d.invalid(o.at(field), *name, "must be a domain-prefixed path (such as \"acme.io/foo\")")
	default:
		d.warn(o.at(field), "has no meaning here: the job is worked on all the same")
	}
}
