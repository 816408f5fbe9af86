package batchv1

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stint-go/stint"
)

// mounts are those of a job as they are read, and where they stand.
type mounts struct {
	all   []stint.Mount
	paths []string
}

func (m *mounts) add(path string, mount stint.Mount) {
	m.all, m.paths = append(m.all, mount), append(m.paths, path)
}

// merge adds a mount without a name of its own to the one of the same object.
func (m *mounts) merge(path string, mount stint.Mount) {
	i := slices.IndexFunc(m.all, func(a stint.Mount) bool {
		return a.Name == "" && a.ConfigMap == mount.ConfigMap && a.Secret == mount.Secret
	})
	if i < 0 {
		m.add(path, mount)
		return
	}
	had := &m.all[i]
	had.Optional = had.Optional && mount.Optional
	if had.Keys == nil || mount.Keys == nil {
		had.Keys = nil // all of them
		return
	}
	for _, key := range mount.Keys {
		if !slices.Contains(had.Keys, key) {
			had.Keys = append(had.Keys, key)
		}
	}
}

// ownVolumes begin the names of volumes whose mounts have none.
const ownVolumes = "stint-"

// volumes reads the config maps and secrets among a pod's volumes.
func (d *decoder) volumes(o object, m *mounts) {
	for _, v := range o.objects("volumes") {
		path := strings.TrimSuffix(v.path, ".")
		mount := stint.Mount{Name: v.text("name")}
		if mount.Name == "" {
			d.refuse(v.at("name"), stint.FieldRequired, nil, "")
		}
		if strings.HasPrefix(mount.Name, ownVolumes) {
			mount.Name = ""
		}
		if source, ok := v.object("configMap"); ok {
			mount.ConfigMap = source.text("name")
			d.source(source, &mount)
			m.add(path, mount)
		} else if source, ok := v.object("secret"); ok {
			mount.Secret = source.text("secretName")
			d.source(source, &mount)
			m.add(path, mount)
		} else {
			d.warn(path, meaningless)
			continue
		}
		v.rest()
	}
}

// source reads what volumes of both kinds have.
func (d *decoder) source(o object, mount *stint.Mount) {
	mount.Optional = o.flag("optional")
	for _, item := range o.objects("items") {
		key, path := item.text("key"), item.text("path")
		if key != path {
			d.warn(item.at("path"), "has no meaning here: handlers read it by its key")
		}
		if !slices.Contains(mount.Keys, key) {
			mount.Keys = append(mount.Keys, key)
		}
		item.rest()
	}
	o.rest()
}

// envFrom reads the config maps and secrets whose keys are variables.
func (d *decoder) envFrom(container object, m *mounts) {
	for _, e := range container.objects("envFrom") {
		if e.text("prefix") != "" {
			d.warn(e.at("prefix"), "has no meaning here: handlers read the keys as they are")
		}
		for _, kind := range []string{"configMapRef", "secretRef"} {
			if ref, ok := e.object(kind); ok {
				m.merge(strings.TrimSuffix(ref.path, "."), d.reference(ref, kind == "secretRef"))
			}
		}
		e.rest()
	}
}

func (d *decoder) reference(o object, secret bool) stint.Mount {
	mount := stint.Mount{ConfigMap: o.text("name"), Optional: o.flag("optional")}
	if secret {
		mount.ConfigMap, mount.Secret = "", mount.ConfigMap
	}
	if key := o.text("key"); key != "" {
		mount.Keys = []string{key}
	}
	o.rest()
	return mount
}

// valueFrom reads the config map or secret that a variable is taken from; it
// answers false for anything else.
func (d *decoder) valueFrom(v object, name string, m *mounts) bool {
	from, _ := v.fields["valueFrom"].(map[string]any)
	for _, kind := range []string{"configMapKeyRef", "secretKeyRef"} {
		fields, ok := from[kind].(map[string]any)
		if !ok {
			continue
		}
		delete(v.fields, "valueFrom")
		ref := object{d, v.at("valueFrom") + "." + kind + ".", fields}
		mount := d.reference(ref, kind == "secretKeyRef")
		path := strings.TrimSuffix(ref.path, ".")
		if len(mount.Keys) == 0 {
			d.refuse(ref.at("key"), stint.FieldRequired, nil, "")
		}
		m.merge(path, mount)
		d.warn(path, fmt.Sprintf("is mounted: handlers read it by its key, and the args are without %s", name))
		return true
	}
	return false
}

var mountField = regexp.MustCompile(`^spec\.mounts\[(\d+)\]`)

// volume is written for a mount, with everything that it has.
type volume struct {
	Name      string        `json:"name"`
	ConfigMap *volumeSource `json:"configMap,omitempty"`
	Secret    *volumeSource `json:"secret,omitempty"`
}

type volumeSource struct {
	Name       string       `json:"name,omitempty"`       // of a config map
	SecretName string       `json:"secretName,omitempty"` // of a secret
	Items      []volumeItem `json:"items,omitempty"`
	Optional   bool         `json:"optional,omitempty"`
}

type volumeItem struct {
	Key  string `json:"key"`
	Path string `json:"path"`
}

func volumesOf(mounts []stint.Mount) []volume {
	var out []volume
	for i, m := range mounts {
		v := volume{Name: m.Name}
		if m.Name == "" {
			v.Name = fmt.Sprintf("%s%d", ownVolumes, i)
		}
		s := &volumeSource{Name: m.ConfigMap, SecretName: m.Secret, Optional: m.Optional}
		for _, key := range m.Keys {
			s.Items = append(s.Items, volumeItem{key, key})
		}
		if m.Secret != "" {
			v.Secret = s
		} else {
			v.ConfigMap = s
		}
		out = append(out, v)
	}
	return out
}
