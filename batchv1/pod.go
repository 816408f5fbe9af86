package batchv1

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// handlerContainer is what the container is called in what is written here.
const handlerContainer = "handler"

// pod is what is read of a pod template's spec.
type pod struct {
	containers    []string // names, of init containers too
	args          []byte
	timeout       time.Duration
	resources     stint.Resources
	mounts        mounts
	restartPolicy string
	restartPath   string
}

func (d *decoder) pod(o object, set *setup) pod {
	p := pod{restartPolicy: o.text("restartPolicy"), restartPath: o.at("restartPolicy")}
	if v := o.seconds("activeDeadlineSeconds", mostTimeout); v != nil {
		if p.timeout = *v; *v <= 0 {
			d.invalid(o.at("activeDeadlineSeconds"), int64(*v/time.Second), fmt.Sprintf("must be between 1 and %d", mostTimeout))
		}
	}
	initial, _ := o.fields["initContainers"].([]any)
	for _, c := range initial { // of no use but for their names
		fields, _ := c.(map[string]any)
		if name, ok := fields["name"].(string); ok {
			p.containers = append(p.containers, name)
		}
	}
	d.volumes(o, &p.mounts)
	containers := o.objects("containers")
	needs := resources{several: len(containers) > 1}
	if len(containers) == 0 {
		d.refuse(o.at("containers"), stint.FieldRequired, nil, "")
	}
	for i, c := range containers {
		name := c.text("name")
		p.containers = append(p.containers, name)
		switch {
		case name == "":
			d.refuse(c.at("name"), stint.FieldRequired, nil, "")
		case i == 0 && name != handlerContainer:
			d.warn(c.at("name"), meaningless)
		}
		needs.add(c)
		if i > 0 {
			d.warn(strings.TrimSuffix(c.path, "."), "has no meaning here but for its resources, which are added: a job has one handler")
			continue
		}
		d.envFrom(c, &p.mounts)
		p.args = d.args(c, set, &p.mounts)
		c.rest()
	}
	p.resources = needs.total()
	o.rest()
	return p
}

// args are those of the annotation, or else the container's environment.
func (d *decoder) args(container object, set *setup, m *mounts) []byte {
	text, path, annotated := set.take(ArgsAnnotation)
	if !annotated {
		set.paths["args"] = container.at("env")
		return d.environment(container, m)
	}
	if _, ok := container.fields["env"].([]any); ok {
		for _, v := range container.objects("env") {
			d.valueFrom(v, v.text("name"), m)
		}
		d.warn(container.at("env"), "is not read: the args are those of "+path)
	} else if _, ok := container.take("env"); ok {
		d.warn(container.at("env"), "is not read: the args are those of "+path)
	}
	if text == "" {
		return nil
	}
	if !json.Valid([]byte(text)) {
		d.invalid(path, text, "must be JSON")
	}
	return []byte(text)
}

// environment is the JSON object of a container's variables.
func (d *decoder) environment(container object, m *mounts) []byte {
	vars := map[string]string{}
	for _, v := range container.objects("env") {
		name, value := v.text("name"), v.text("value")
		if name != "" && value == "" && d.valueFrom(v, name, m) {
			v.rest()
			continue
		}
		from, elsewhere := v.take("valueFrom")
		_, twice := vars[name]
		switch {
		case name == "":
			d.refuse(v.at("name"), stint.FieldRequired, nil, "")
		case elsewhere && value != "":
			d.invalid(v.at("valueFrom"), from, "may not be specified when `value` is not empty")
		case elsewhere:
			d.warn(v.at("valueFrom"), "has no meaning here: the args are without "+name)
			v.rest()
			continue
		case twice:
			d.warn(v.at("name"), name+" is given twice: the last value counts")
		case strings.Contains(value, "$("):
			d.warn(v.at("value"), "is taken as it is: references are not expanded")
		}
		vars[name] = value
		v.rest()
	}
	data, _ := json.Marshal(vars) // strings can always be written
	return data
}
