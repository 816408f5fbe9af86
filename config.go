package stint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxObjectBytes is the most that a [ConfigMap] or [Secret] may hold: keys and
// values, before they are encrypted. Kubernetes allows 1 MiB; here every worker
// keeps what its tasks mount in memory.
const MaxObjectBytes = 256 << 10

// maxObjectKeys bounds the number of values of a config map or secret.
const maxObjectKeys = 1024

// ConfigMap is named data that handlers read while they run: see
// [JobSpec.Mounts] and [RawTask.Config]. It is Kubernetes's ConfigMap.
type ConfigMap struct {
	// Name is unique among the config maps of its queue: a DNS-1123 subdomain
	// of at most 253 bytes.
	Name string `json:"name"`
	// Labels and Annotations are as those of jobs.
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Data are the values, in UTF-8; with their keys at most MaxObjectBytes,
	// and 1024 in number. A key has at most 253 letters, digits, '-', '_' and
	// '.', and does not begin with "..".
	Data map[string]string `json:"data,omitempty"`
	// Immutable data cannot be changed, nor made mutable again; only deleted.
	Immutable bool `json:"immutable,omitempty"`

	UID string `json:"uid"` // read only
	// ResourceVersion differs after each change. Where it is set, Apply
	// changes this version only.
	ResourceVersion string    `json:"resourceVersion"`
	CreatedAt       time.Time `json:"createdAt"` // read only, by the clock of Redis
	UpdatedAt       time.Time `json:"updatedAt"` // read only
}

func (c *ConfigMap) clone() *ConfigMap {
	d := *c
	d.Labels, d.Annotations, d.Data = maps.Clone(c.Labels), maps.Clone(c.Annotations), maps.Clone(c.Data)
	return &d
}

// Validate lists all that is wrong with a config map, as Apply does.
func (c *ConfigMap) Validate() error {
	var v validation
	v.object(c.Name, c.Labels, c.Annotations)
	v.objectData(slices.Collect(maps.Keys(c.Data)), func(key string) string { return c.Data[key] })
	for _, key := range slices.Sorted(maps.Keys(c.Data)) {
		if !utf8.ValidString(c.Data[key]) {
			v.add("data["+key+"]", FieldInvalid, nil, "must be UTF-8")
		}
	}
	return v.err()
}

// Validate lists all that is wrong with a secret, as Apply does. The error has
// no values in it.
func (s *Secret) Validate() error {
	var v validation
	v.object(s.Name, s.Labels, s.Annotations)
	if len(s.Type) > maxSubdomainBytes {
		v.tooLong("type", len(s.Type), maxSubdomainBytes)
	}
	v.objectData(slices.Collect(maps.Keys(s.Data)), s.Value)
	return v.err()
}

func (v *validation) object(name string, labels, annotations map[string]string) {
	v.objectName("metadata.name", name)
	v.metadata(&JobSpec{Labels: labels, Annotations: annotations})
}

func (v *validation) objectName(field, name string) {
	switch {
	case name == "":
		v.add(field, FieldRequired, "", subdomainRule)
	case !isDNSSubdomain(name):
		v.add(field, FieldInvalid, name, subdomainRule)
	}
}

// objectData checks keys, and sizes; it says nothing of values.
func (v *validation) objectData(keys []string, value func(key string) string) {
	if !v.most("data", len(keys), maxObjectKeys) {
		return
	}
	total := 0
	for _, key := range keys {
		v.objectKey("data", key)
		total += len(key) + len(value(key))
	}
	if total > MaxObjectBytes {
		v.tooLong("data", total, MaxObjectBytes)
	}
}

func (v *validation) objectKey(field, key string) {
	const rule = "must be at most 253 letters, digits, '-', '_' and '.', and not begin with '..' or be '.'"
	bad := key == "" || len(key) > maxSubdomainBytes || key == "." || strings.HasPrefix(key, "..")
	for i := range len(key) {
		bad = bad || !isInLabels(key[i])
	}
	if bad {
		v.add(field, FieldInvalid, key, rule)
	}
}

// The kinds of objects: the first part of their IDs, as in "config/app".
const (
	configObject = "config"
	secretObject = "secret"
)

// objectText names an object for people.
func objectText(id string) string {
	kind, name, _ := strings.Cut(id, "/")
	word := "config map"
	if kind == secretObject {
		word = kind
	}
	return fmt.Sprintf("%s %.300q", word, name)
}
