package batchv1

import (
	"fmt"
	"strings"

	"github.com/stint-go/stint"
)

// MaxBytes is the most that one call of Decode reads. An object of Kubernetes
// may have 1.5 MiB.
const MaxBytes = 1 << 20

// Object is one manifest. One of Job, CronJob, ConfigMap and Secret is set.
type Object struct {
	// Namespace is a hint which queue is meant; it may be empty. Nothing says
	// that it can be the name of a queue.
	Namespace string
	Job       *stint.Submission
	CronJob   *stint.CronJob
	ConfigMap *stint.ConfigMap
	Secret    *stint.Secret

	stored *stint.Job // what FromJob was given, for its status
}

// Warning is something that was read, and is not what it would be in
// Kubernetes.
type Warning struct {
	Field   string // a path as in stint.FieldError
	Message string
}

// String is the field and the message.
func (w Warning) String() string { return w.Field + ": " + w.Message }

// Decode reads manifests: JSON, or YAML of any number of documents. A List of
// manifests is taken apart. With more than one document or item, paths begin
// with "documents[1]." and "items[0].".
//
// The error is a [*stint.InvalidError] that names everything that is wrong; no
// object is returned with it. The objects are valid: their submission fails
// only where a queue or Redis refuses it. Warnings are returned in either case.
func Decode(data []byte) ([]Object, []Warning, error) {
	const whole = "manifest"
	d := newDecoder()
	if len(data) > MaxBytes {
		d.refuse(whole, stint.FieldTooLong, len(data), fmt.Sprintf("may not be more than %d bytes", MaxBytes))
		return nil, nil, d.err()
	}
	docs, err := parse(data)
	if err != nil {
		d.invalid(whole, nil, err.Error())
		return nil, nil, d.err()
	}
	if len(docs) == 0 {
		d.refuse(whole, stint.FieldRequired, nil, "has no document")
	}
	var out []Object
	for i, doc := range docs {
		prefix := ""
		if len(docs) > 1 {
			prefix = fmt.Sprintf("documents[%d].", i)
		}
		fields, ok := doc.(map[string]any)
		if !ok {
			d.invalid(prefix+whole, nil, "must be an object")
			continue
		}
		out = append(out, d.manifest(object{d, prefix, fields})...)
	}
	if err := d.err(); err != nil {
		return nil, d.warnings, err
	}
	return out, d.warnings, nil
}

// DecodeJob reads a single Job, and refuses anything else, as [Decode] does.
func DecodeJob(data []byte) (stint.Submission, []Warning, error) {
	o, warnings, err := decodeOne(data, kindJob)
	if err != nil {
		return stint.Submission{}, warnings, err
	}
	return *o.Job, warnings, nil
}

// DecodeCronJob reads a single CronJob, and refuses anything else, as [Decode]
// does.
func DecodeCronJob(data []byte) (stint.CronJob, []Warning, error) {
	o, warnings, err := decodeOne(data, kindCronJob)
	if err != nil {
		return stint.CronJob{}, warnings, err
	}
	return *o.CronJob, warnings, nil
}

func decodeOne(data []byte, kind string) (Object, []Warning, error) {
	all, warnings, err := Decode(data)
	if err != nil {
		return Object{}, warnings, err
	}
	if len(all) == 1 && all[0].kind() == kind {
		return all[0], warnings, nil
	}
	d := newDecoder()
	if len(all) != 1 {
		d.invalid("manifest", nil, fmt.Sprintf("has %d objects, and must have one %s", len(all), kind))
	} else {
		d.refuse("kind", stint.FieldNotSupported, all[0].kind(), fmt.Sprintf("must be %q", kind))
	}
	return Object{}, warnings, d.err()
}

func (o Object) kind() string {
	switch {
	case o.CronJob != nil:
		return kindCronJob
	case o.ConfigMap != nil:
		return kindConfigMap
	case o.Secret != nil:
		return kindSecret
	}
	return kindJob
}

func (d *decoder) err() error {
	if len(d.fields) == 0 {
		return nil
	}
	return &stint.InvalidError{Fields: d.fields}
}

const (
	batchVersion  = "batch/v1"
	kindJob       = "Job"
	kindCronJob   = "CronJob"
	kindConfigMap = "ConfigMap"
	kindSecret    = "Secret"

	allKinds = `must be "Job", "CronJob", "ConfigMap" or "Secret"`
)

// manifest reads one manifest, or the manifests of a list.
func (d *decoder) manifest(o object) []Object {
	version, kind := o.text("apiVersion"), o.text("kind")
	switch version + " " + kind {
	case "batch/v1 Job":
		return []Object{d.job(o)}
	case "batch/v1 CronJob":
		return []Object{d.cronJob(o)}
	case "v1 ConfigMap":
		return []Object{d.configMap(o)}
	case "v1 Secret":
		return []Object{d.secret(o)}
	case "v1 List", "batch/v1 JobList", "batch/v1 CronJobList", "v1 ConfigMapList", "v1 SecretList":
		return d.items(o, strings.TrimSuffix(kind, "List"))
	}
	want := batchVersion
	if kind == kindConfigMap || kind == kindSecret {
		want = "v1"
	}
	switch {
	case version == "":
		d.refuse(o.at("apiVersion"), stint.FieldRequired, nil, fmt.Sprintf("must be %q", want))
	case version != want:
		d.refuse(o.at("apiVersion"), stint.FieldNotSupported, version, fmt.Sprintf("must be %q", want))
	}
	switch kind {
	case kindJob, kindCronJob, kindConfigMap, kindSecret:
	case "":
		d.refuse(o.at("kind"), stint.FieldRequired, nil, allKinds)
	default:
		d.refuse(o.at("kind"), stint.FieldNotSupported, kind, allKinds)
	}
	return nil
}

// items reads the items of a list. Those of a list of one kind may leave it
// and the version out, as Kubernetes does.
func (d *decoder) items(o object, kind string) []Object {
	var out []Object
	for _, item := range o.objects("items") {
		if item.fields == nil {
			continue
		}
		if item.fields["apiVersion"] == nil && item.fields["kind"] == nil && kind != "" {
			item.fields["apiVersion"], item.fields["kind"] = batchVersion, kind
			if kind == kindConfigMap || kind == kindSecret {
				item.fields["apiVersion"] = "v1"
			}
		}
		switch item.fields["kind"] {
		case kindJob, kindCronJob, kindConfigMap, kindSecret:
			out = append(out, d.manifest(item)...)
		default: // no lists of lists
			d.refuse(item.at("kind"), stint.FieldNotSupported, item.fields["kind"], allKinds)
		}
	}
	if meta, ok := o.object("metadata"); ok {
		delete(meta.fields, "resourceVersion") // of the list itself, and often ""
		meta.rest()
	}
	o.rest()
	return out
}

// metadata is what is read of an object's metadata.
type metadata struct {
	name, namespace string
	labels          map[string]string
	notes           notes
	path            string
}

func (d *decoder) metadata(of object) metadata {
	o, _ := of.object("metadata")
	m := metadata{
		name:      o.text("name"),
		namespace: o.text("namespace"),
		labels:    o.texts("labels"),
		notes:     notes{o.at("annotations"), o.texts("annotations")},
		path:      o.path,
	}
	if prefix := o.text("generateName"); prefix != "" && m.name == "" {
		d.warn(o.at("generateName"), "is not used: a name is made of the kind")
	} else if prefix != "" {
		d.warn(o.at("generateName"), meaningless)
	}
	o.rest()
	return m
}

// ignoreLabels warns of labels that nothing here has.
func (m metadata) ignoreLabels(d *decoder) {
	if len(m.labels) > 0 {
		d.warn(m.path+"labels", meaningless)
	}
}
