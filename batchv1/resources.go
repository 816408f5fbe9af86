package batchv1

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/quantity"
)

// resources are what a pod's containers need together, as Kubernetes's
// scheduler counts it. A limit is one of the pod only where each container
// has it, or where it is of a resource with a domain, which none has without.
type resources struct {
	containers int
	several    bool // what is only limited is requested before it is added
	sum        stint.Resources
	limited    map[string]int // containers with this limit
}

// add reads the resources of a container.
func (r *resources) add(c object) {
	o, ok := c.object("resources")
	r.containers++
	if !ok {
		return
	}
	requests, limits := amounts(o, "requests"), amounts(o, "limits")
	o.rest()
	if r.limited == nil {
		r.limited = map[string]int{}
	}
	for name := range limits {
		r.limited[name]++
		if _, ok := requests[name]; !ok && r.several {
			requests[name] = limits[name]
		}
	}
	r.sum.Requests = plus(r.sum.Requests, requests)
	r.sum.Limits = plus(r.sum.Limits, limits)
}

// total is what the pod needs.
func (r *resources) total() stint.Resources {
	for name := range r.sum.Limits {
		if r.limited[name] < r.containers && !strings.Contains(name, "/") {
			delete(r.sum.Limits, name)
		}
	}
	if len(r.sum.Limits) == 0 {
		r.sum.Limits = nil
	}
	return r.sum
}

// amounts reads requests or limits. What only a node has is not asked of a
// worker.
func amounts(o object, key string) stint.ResourceList {
	list, ok := o.object(key)
	out := stint.ResourceList{}
	if !ok {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(list.fields)) {
		v, _ := list.take(name)
		path := o.at(key) + "[" + name + "]"
		if name == "ephemeral-storage" || name == "storage" || strings.HasPrefix(name, "hugepages-") {
			o.d.warn(path, meaningless)
			continue
		}
		switch v := v.(type) {
		case nil:
		case string:
			out[name] = stint.Quantity(v)
		case json.Number, int64, float64:
			out[name] = stint.Quantity(fmt.Sprint(v))
		default:
			o.d.invalid(path, v, quantity.Rule)
		}
	}
	return out
}

// plus adds amounts. One that cannot be read stays, for validation to name.
func plus(sum, more stint.ResourceList) stint.ResourceList {
	if len(more) == 0 {
		return sum
	}
	if sum == nil {
		sum = stint.ResourceList{}
	}
	for name, text := range more {
		had, twice := sum[name]
		if !twice {
			sum[name] = text
			continue
		}
		a, errA := quantity.Parse(string(had))
		b, errB := quantity.Parse(string(text))
		total, ok := a.Add(b)
		switch {
		case errA != nil:
		case errB != nil || !ok:
			sum[name] = text
		default:
			sum[name] = stint.Quantity(total.String())
		}
	}
	return sum
}
