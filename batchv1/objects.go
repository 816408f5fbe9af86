package batchv1

import (
	"encoding/base64"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/stint-go/stint"
)

// FromConfigMap is the manifest of a config map of a queue.
func FromConfigMap(queue string, c *stint.ConfigMap) Object {
	return Object{Namespace: queue, ConfigMap: c}
}

// FromSecret is the manifest of a secret of a queue. It is written with its
// values for everyone to read, as Kubernetes does.
func FromSecret(queue string, s *stint.Secret) Object {
	return Object{Namespace: queue, Secret: s}
}

func (d *decoder) configMap(o object) Object {
	meta := d.metadata(o)
	c := &stint.ConfigMap{
		Name: meta.name, Labels: meta.labels, Annotations: meta.notes.all, Data: o.texts("data"), Immutable: o.flag("immutable"),
	}
	binary := o.secrets("binaryData")
	for _, key := range slices.Sorted(maps.Keys(binary)) {
		path := o.at("binaryData") + "[" + key + "]"
		data, err := base64.StdEncoding.DecodeString(binary[key])
		_, twice := c.Data[key]
		switch {
		case err != nil:
			d.invalid(path, nil, "must be base64")
		case twice:
			d.refuse(path, stint.FieldDuplicate, nil, "is in data too")
		case !utf8.Valid(data):
			d.warn(path, "is left out: a config map here holds text")
		default:
			if c.Data == nil {
				c.Data = map[string]string{}
			}
			c.Data[key] = string(data)
		}
	}
	d.check(c.Validate(), o.at)
	o.rest()
	return Object{Namespace: meta.namespace, ConfigMap: c}
}

func (d *decoder) secret(o object) Object {
	meta := d.metadata(o)
	s := &stint.Secret{
		Name: meta.name, Labels: meta.labels, Annotations: meta.notes.all, Type: o.text("type"), Immutable: o.flag("immutable"),
	}
	set := func(key, value string) {
		if s.Data == nil {
			s.Data = map[string]stint.SecretValue{}
		}
		s.Data[key] = stint.NewSecretValue(value)
	}
	for key, text := range o.secrets("data") {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			d.invalid(o.at("data")+"["+key+"]", nil, "must be base64")
		}
		set(key, string(data))
	}
	for key, text := range o.secrets("stringData") { // which goes before data
		set(key, text)
	}
	d.check(s.Validate(), o.at)
	o.rest()
	return Object{Namespace: meta.namespace, Secret: s}
}

// secrets takes an object of strings, and says nothing of values.
func (o object) secrets(key string) map[string]string {
	raw, ok := o.take(key)
	fields, isObject := raw.(map[string]any)
	if ok && !isObject {
		o.d.invalid(o.at(key), nil, "must be an object of strings")
	}
	out := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		text, isText := fields[k].(string)
		if !isText && fields[k] != nil {
			o.d.invalid(o.at(key)+"["+k+"]", nil, "must be a string")
			continue
		}
		out[k] = text
	}
	return out
}

func configManifest(o Object) manifest {
	c := o.ConfigMap
	m := manifest{APIVersion: "v1", Kind: kindConfigMap, Immutable: c.Immutable}
	m.Metadata = objectMeta{
		Name: c.Name, Namespace: o.Namespace, UID: c.UID, CreationTimestamp: timeText(c.CreatedAt), Labels: c.Labels, Annotations: c.Annotations,
	}
	if len(c.Data) > 0 {
		m.Data = c.Data
	}
	return m
}

func secretManifest(o Object) manifest {
	s := o.Secret
	m := manifest{APIVersion: "v1", Kind: kindSecret, Immutable: s.Immutable, Type: s.Type}
	m.Metadata = objectMeta{
		Name: s.Name, Namespace: o.Namespace, UID: s.UID, CreationTimestamp: timeText(s.CreatedAt), Labels: s.Labels, Annotations: s.Annotations,
	}
	data := make(map[string]string, len(s.Data))
	for key := range s.Data {
		data[key] = base64.StdEncoding.EncodeToString([]byte(s.Value(key)))
	}
	if len(data) > 0 {
		m.Data = data
	}
	return m
}
