package batchv1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v2"

	"github.com/stint-go/stint"
)

// FromJob is the manifest of a job that was read from a queue. It is written
// with its status, which is never read.
func FromJob(j *stint.Job) Object {
	s := &stint.Submission{Kind: j.Kind, Args: j.Args, Spec: j.Spec}
	s.Spec.Name = j.Name
	return Object{Namespace: j.Queue, Job: s, stored: j}
}

// FromCronJob is the manifest of a cron job of a queue. It is written with
// its status where it was read from there.
func FromCronJob(queue string, c *stint.CronJob) Object {
	return Object{Namespace: queue, CronJob: c}
}

// EncodeJSON writes an object as JSON, and any other number as a List.
//
// [Decode] reads the same back, if it is valid, which is not checked. Args can
// only be written if they are JSON, or empty.
func EncodeJSON(objects ...Object) ([]byte, error) {
	all, err := manifests(objects)
	if err != nil {
		return nil, err
	}
	if len(all) == 1 {
		return marshal(all[0])
	}
	return marshal(listManifest{"v1", "List", all})
}

// EncodeYAML writes objects as YAML documents, as EncodeJSON does.
func EncodeYAML(objects ...Object) ([]byte, error) {
	all, err := manifests(objects)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for i, m := range all {
		data, err := marshal(m)
		if err != nil {
			return nil, err
		}
		doc, err := parseJSON(data)
		if err != nil {
			return nil, err
		}
		if data, err = yaml.Marshal(doc); err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(data)
	}
	return out.Bytes(), nil
}

// marshal keeps '<' and '>' readable.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return out.Bytes(), err
}

func manifests(objects []Object) ([]manifest, error) {
	out := make([]manifest, len(objects))
	for i, o := range objects {
		var err error
		switch {
		case o.Job != nil:
			out[i], err = jobManifest(o)
		case o.CronJob != nil:
			out[i], err = cronManifest(o)
		case o.ConfigMap != nil:
			out[i] = configManifest(o)
		case o.Secret != nil:
			out[i] = secretManifest(o)
		default:
			err = errors.New("batchv1: object has none of Job, CronJob, ConfigMap and Secret")
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func jobManifest(o Object) (manifest, error) {
	spec, meta, err := jobParts(*o.Job)
	if err != nil {
		return manifest{}, fmt.Errorf("batchv1: job %.300q: %w", o.Job.Spec.Name, err)
	}
	m := manifest{APIVersion: batchVersion, Kind: kindJob, Metadata: meta, Spec: spec}
	m.Metadata.Namespace = o.Namespace
	if j := o.stored; j != nil {
		m.Metadata.UID, m.Metadata.Generation, m.Metadata.CreationTimestamp = j.UID, j.Generation, timeText(j.CreatedAt)
		m.Status = statusOf(j)
	}
	return m, nil
}

func cronManifest(o Object) (manifest, error) {
	c := o.CronJob
	s := stint.Submission{Kind: c.JobKind, Args: c.RawArgs, Spec: c.Job}
	var err error
	if c.Args != nil {
		s.Kind = c.Args.Kind()
		s.Args, err = json.Marshal(c.Args)
	}
	template := jobTemplate{}
	if err == nil {
		template.Spec, template.Metadata, err = jobParts(s)
	}
	if err != nil {
		return manifest{}, fmt.Errorf("batchv1: cron job %.300q: %w", c.Name, err)
	}
	notes := map[string]string{}
	spec := cronJobSpec{
		Schedule:                   c.Schedule,
		TimeZone:                   c.TimeZone,
		StartingDeadlineSeconds:    secondsField(c.StartingDeadline, mostDeadline, notes, StartingDeadlineAnnotation),
		ConcurrencyPolicy:          c.ConcurrencyPolicy,
		Suspend:                    c.Suspend,
		SuccessfulJobsHistoryLimit: c.SuccessfulJobsHistoryLimit,
		FailedJobsHistoryLimit:     c.FailedJobsHistoryLimit,
		JobTemplate:                template,
	}
	meta := objectMeta{Name: c.Name, Namespace: o.Namespace, Annotations: notes}
	m := manifest{APIVersion: batchVersion, Kind: kindCronJob, Metadata: meta, Spec: spec}
	if c.UID != "" {
		m.Metadata.UID, m.Metadata.Generation, m.Metadata.CreationTimestamp = c.UID, c.Generation, timeText(c.CreatedAt)
		m.Status = cronStatusOf(o.Namespace, c)
	}
	return m, nil
}

// jobParts are the spec and the metadata of a job.
func jobParts(s stint.Submission) (jobSpec, objectMeta, error) {
	in := s.Spec
	notes := map[string]string{}
	maps.Copy(notes, in.Annotations)
	for _, key := range ourAnnotations() { // they would be taken for the job's settings
		delete(notes, key)
	}
	if err := annotate(notes, s); err != nil {
		return jobSpec{}, objectMeta{}, err
	}
	out := jobSpec{
		Parallelism:           in.Parallelism,
		Completions:           in.Completions,
		CompletionMode:        in.CompletionMode,
		BackoffLimit:          in.BackoffLimit,
		BackoffLimitPerIndex:  in.BackoffLimitPerIndex,
		MaxFailedIndexes:      in.MaxFailedIndexes,
		PodFailurePolicy:      in.FailurePolicy,
		SuccessPolicy:         in.SuccessPolicy,
		PodReplacementPolicy:  in.ReplacementPolicy,
		ActiveDeadlineSeconds: secondsField(in.ActiveDeadline, mostDeadline, notes, ActiveDeadlineAnnotation),
		Suspend:               in.Suspend,
	}
	if ttl := in.TTLAfterFinished; ttl != nil && *ttl == stint.NeverExpire {
		notes[TTLAnnotation] = never
	} else {
		out.TTLSecondsAfterFinished = secondsField(ttl, mostTTL, notes, TTLAnnotation)
	}
	out.Template.Spec = podSpec{
		RestartPolicy: "Never", Containers: []container{{handlerContainer, in.Resources}}, Volumes: volumesOf(in.Mounts),
	}
	if timeout := in.AttemptTimeout; timeout != 0 {
		out.Template.Spec.ActiveDeadlineSeconds = secondsField(&timeout, mostTimeout, notes, AttemptTimeoutAnnotation)
	}
	return out, objectMeta{Name: in.Name, Labels: in.Labels, Annotations: notes}, nil
}

// annotate notes what batch/v1 has no field for.
func annotate(notes map[string]string, s stint.Submission) error {
	if len(s.Args) > 0 && (!json.Valid(s.Args) || !utf8.Valid(s.Args)) {
		return errors.New("args are not JSON")
	}
	notes[KindAnnotation], notes[ArgsAnnotation] = s.Kind, string(s.Args)
	if b := s.Spec.Backoff; b == nil {
		notes[BackoffAnnotation] = "{}"
	} else if *b != (stint.Backoff{Scope: stint.ScopeJob}) {
		data, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("backoff: %w", err)
		}
		notes[BackoffAnnotation] = string(data)
	}
	if !s.Spec.LostCounts {
		notes[LostCountsAnnotation] = "false"
	}
	if s.Spec.LostLimit != nil {
		notes[LostLimitAnnotation] = strconv.Itoa(*s.Spec.LostLimit)
	}
	if !s.Spec.StartAt.IsZero() {
		notes[StartAtAnnotation] = s.Spec.StartAt.UTC().Format(time.RFC3339Nano)
	}
	if s.Spec.Delay != 0 {
		notes[DelayAnnotation] = s.Spec.Delay.String()
	}
	return nil
}

// secondsField is the field of a duration. Where that is not exact the
// duration is noted too.
func secondsField(d *time.Duration, most int64, notes map[string]string, key string) *int64 {
	if d == nil {
		return nil
	}
	s := secondsOf(*d, most)
	if time.Duration(s)*time.Second != *d {
		notes[key] = d.String()
	}
	return &s
}

// timeText is a time as in Kubernetes, "" if there is none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func statusOf(j *stint.Job) *jobStatus {
	st := &j.Status
	out := &jobStatus{
		StartTime:        timeText(st.StartedAt),
		CompletionTime:   timeText(st.CompletedAt),
		Active:           st.Active,
		Ready:            st.Ready,
		Terminating:      st.Terminating,
		Succeeded:        st.Succeeded,
		Failed:           st.Failed,
		CompletedIndexes: st.CompletedIndexes,
	}
	if j.Spec.BackoffLimitPerIndex != nil {
		out.FailedIndexes = &st.FailedIndexes
	}
	for _, c := range st.Conditions {
		at := timeText(c.TransitionAt)
		out.Conditions = append(out.Conditions, condition{string(c.Type), string(c.Status), at, at, c.Reason, c.Message})
	}
	return out
}

func cronStatusOf(queue string, c *stint.CronJob) *cronJobStatus {
	out := &cronJobStatus{
		LastScheduleTime:   timeText(c.Status.LastScheduleTime),
		LastSuccessfulTime: timeText(c.Status.LastSuccessfulTime),
	}
	for _, name := range c.Status.Active {
		out.Active = append(out.Active, reference{batchVersion, kindJob, name, queue})
	}
	return out
}
