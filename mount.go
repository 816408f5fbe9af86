package stint

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mount makes a config map or secret readable for a job's handlers: see
// [RawTask.Config]. It is what a volume of a pod template is in Kubernetes.
type Mount struct {
	// Name is what handlers ask for; by default the object's own. Any other is
	// a DNS label that no other mount of the job has, and does not begin with
	// "stint-".
	Name string `json:"name,omitempty"`
	// ConfigMap or Secret, one of them, names the object in the job's queue.
	ConfigMap string `json:"configMap,omitempty"`
	Secret    string `json:"secret,omitempty"`
	// Keys are the keys that handlers can read, all by default. An object
	// without one of them is as good as missing.
	Keys []string `json:"keys,omitempty"`
	// Optional lets tasks start where the object, or a key, is missing.
	// Otherwise they wait for it; it costs no attempt, and Explain says so.
	Optional bool `json:"optional,omitempty"`
}

// maxMounts bounds the mounts of a job, and the keys of a mount.
const maxMounts = 64

func (m *Mount) object() string {
	if m.Secret != "" {
		return secretObject + "/" + m.Secret
	}
	return configObject + "/" + m.ConfigMap
}

func (m *Mount) target() string { return cmp.Or(m.ConfigMap, m.Secret) }

// name is what handlers ask for.
func (m *Mount) name() string { return cmp.Or(m.Name, m.target()) }

func (v *validation) mounts(all []Mount) {
	const field = "spec.mounts"
	if !v.most(field, len(all), maxMounts) {
		return
	}
	for i := range all {
		v.mount(fmt.Sprintf("%s[%d]", field, i), &all[i])
		for k := range i {
			a, b := &all[k], &all[i]
			renamed := a.name() != a.target() || b.name() != b.target()
			if a.name() == b.name() && (renamed || (a.Secret == "") == (b.Secret == "")) {
				v.add(fmt.Sprintf("%s[%d].name", field, i), FieldDuplicate, b.name(), "")
				break
			}
		}
	}
}

func (v *validation) mount(field string, m *Mount) {
	if (m.ConfigMap == "") == (m.Secret == "") {
		v.add(field, FieldInvalid, nil, "must have exactly one of configMap and secret")
		return
	}
	kind := ".configMap"
	if m.Secret != "" {
		kind = ".secret"
	}
	v.objectName(field+kind, m.target())
	if m.Name != "" && (!isDNSLabel(m.Name) || strings.HasPrefix(m.Name, "stint-")) {
		v.add(field+".name", FieldInvalid, m.Name, "must be a DNS label of at most 63 bytes that does not begin with 'stint-'")
	}
	if !v.most(field+".keys", len(m.Keys), maxMounts) {
		return
	}
	for i, key := range m.Keys {
		v.objectKey(fmt.Sprintf("%s.keys[%d]", field, i), key)
		if slices.Contains(m.Keys[:i], key) {
			v.add(fmt.Sprintf("%s.keys[%d]", field, i), FieldDuplicate, key, "")
		}
	}
}

// Config reads what the job mounts as a config map under a name: its present
// state, as of some moments ago at most, from memory. An optional one that is
// not there is [ErrNotFound], and a name that the job does not mount
// [ErrNotMounted]. One that is deleted while the handler runs stays as it was
// last. The answer is the caller's.
func (t *RawTask) Config(name string) (*ConfigMap, error) {
	m, o, err := t.mounted(configObject, name)
	if err != nil {
		return nil, err
	}
	c := o.config.clone()
	keep(c.Data, m.Keys)
	return c, nil
}

// Secret reads what the job mounts as a secret, as Config does a config map.
func (t *RawTask) Secret(name string) (*Secret, error) {
	m, o, err := t.mounted(secretObject, name)
	if err != nil {
		return nil, err
	}
	s := o.secret.clone()
	keep(s.Data, m.Keys)
	s.Keys = slices.DeleteFunc(s.Keys, func(key string) bool { _, ok := s.Data[key]; return !ok })
	return s, nil
}

func (t *RawTask) mounted(kind, name string) (*Mount, object, error) {
	for i := range t.spec.Mounts {
		m := &t.spec.Mounts[i]
		if m.name() != name || !strings.HasPrefix(m.object(), kind+"/") {
			continue
		}
		o := t.station.mounts.get(m.object())
		if o.config == nil && o.secret == nil {
			return nil, o, fmt.Errorf("%w: %s", ErrNotFound, objectText(m.object()))
		}
		return m, o, nil
	}
	return nil, object{}, fmt.Errorf("%w: %s", ErrNotMounted, objectText(kind+"/"+name))
}

// keep drops all but some keys; with none named it keeps all.
func keep[V any](data map[string]V, keys []string) {
	for key := range data {
		if len(keys) > 0 && !slices.Contains(keys, key) {
			delete(data, key)
		}
	}
}

// MountsChanged is closed at the next change of anything that the job mounts.
// Ask for it before reading, and again after each change. A job without mounts
// gets a channel that stays open.
func (t *RawTask) MountsChanged() <-chan struct{} {
	m := &t.station.mounts
	m.mu.Lock()
	defer m.mu.Unlock()
	return t.changed
}

// How long a task waits at most until it is tried again: for an object that is
// missing, the creation of which is heard of anyway, and for one that cannot be
// decrypted here, but maybe elsewhere.
const (
	missingFor = 5 * time.Minute
	closedFor  = 30 * time.Second
)

// lift lets jobs start that lacked an object which has changed.
func (q *Queue) lift(ctx context.Context, object string) error {
	for {
		more, err := q.store.Lift(ctx, object)
		if err != nil || !more {
			return err
		}
	}
}
