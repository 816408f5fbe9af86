package stint

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"

	"github.com/stint-go/stint/internal/fit"
	"github.com/stint-go/stint/internal/quantity"
)

// Quantity is an amount in Kubernetes's notation: "2", "500m", "1.5Gi", "1e3".
// It is exact to a thousand-millionth; what is finer is rounded up.
type Quantity string

// UnmarshalJSON reads a string or a number, as Kubernetes does.
func (q *Quantity) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err == nil {
		*q = Quantity(s)
		return nil
	}
	var n json.Number
	err := json.Unmarshal(data, &n)
	*q = Quantity(n)
	return err
}

// The resources that Kubernetes knows without a domain.
const (
	ResourceCPU    = fit.CPU    // in cores; counted in thousandths
	ResourceMemory = fit.Memory // in bytes
)

// ResourceList are amounts by the name of the resource: cpu, memory, or a name
// with a domain, such as "example.com/gpu", whose amounts are whole numbers.
// It has 16 at most.
type ResourceList map[string]Quantity

// maxResources bounds a ResourceList.
const maxResources = 16

// Resources is what each attempt of a job needs, Kubernetes's
// resources of a container. It decides where an attempt starts: stint neither
// gives nor enforces a share of the processor or of memory.
type Resources struct {
	// Requests have to be free of a worker's Capacity when an attempt starts
	// there, besides a place of its Concurrency. What is only limited is
	// requested to the same amount.
	Requests ResourceList `json:"requests,omitempty"`
	// Limits are no less than the requests, and of a resource with a domain
	// the same. Nothing enforces them. That of memory is compared with what
	// the worker's process has: see [JobMemoryPressure].
	Limits ResourceList `json:"limits,omitempty"`
}

// ProcessCapacity is what this process may use: cpu by GOMAXPROCS, and memory
// by GOMEMLIMIT where it is set. It is for WorkerConfig.Capacity.
func ProcessCapacity() ResourceList {
	out := ResourceList{ResourceCPU: Quantity(quantity.OfUnits(int64(runtime.GOMAXPROCS(0))).String())}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		out[ResourceMemory] = Quantity(quantity.OfBytes(limit).String())
	}
	return out
}

// processMemory is what Go counts against GOMEMLIMIT, in bytes.
func processMemory() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64()) //nolint:gosec // no process has so much
}

// withDefaults writes all quantities in their canonical form, and requests
// what is limited. What cannot be read stays as it is, for validation.
func (r Resources) withDefaults() Resources {
	r.Requests, r.Limits = r.Requests.canonical(), r.Limits.canonical()
	for name, limit := range r.Limits {
		if _, ok := r.Requests[name]; !ok {
			if r.Requests == nil {
				r.Requests = ResourceList{}
			}
			r.Requests[name] = limit
		}
	}
	return r
}

func (l ResourceList) canonical() ResourceList {
	if len(l) == 0 {
		return nil
	}
	out := make(ResourceList, len(l))
	for name, text := range l {
		out[name] = text
		if q, err := quantity.Parse(string(text)); err == nil {
			out[name] = Quantity(q.String())
		}
	}
	return out
}

// amounts are those of a valid list.
func (l ResourceList) amounts() fit.Amounts {
	out := make(fit.Amounts, len(l))
	for name, text := range l {
		q, _ := quantity.Parse(string(text)) // checked by whoever let it in
		out[name] = fit.Amount(name, q)
	}
	return out
}

// resourceList gives amounts the form of the API.
func resourceList(a fit.Amounts) ResourceList {
	if len(a) == 0 {
		return nil
	}
	out := make(ResourceList, len(a))
	for name, n := range a {
		out[name] = Quantity(fit.Format(name, n))
	}
	return out
}

// words list amounts for people.
func (l ResourceList) words() string {
	out := make([]string, 0, len(l))
	for _, name := range sortedKeys(l) {
		out = append(out, name+" "+string(l[name]))
	}
	return strings.Join(out, ", ")
}

// requests are a job's in the form of the store, "" for none.
func (s *JobSpec) requests() string {
	if len(s.Resources.Requests) == 0 {
		return ""
	}
	return s.Resources.Requests.amounts().Text()
}

const (
	resourcesPath    = "spec.template.spec.containers[0].resources"
	resourceNameRule = "must be cpu, memory, or a qualified name with a domain, such as example.com/gpu"
)

// resources checks a job's requests and limits, with Kubernetes's field paths.
func (v *validation) resources(r *Resources) {
	v.resourceList(resourcesPath+".limits", r.Limits)
	v.resourceList(resourcesPath+".requests", r.Requests)
	for _, name := range sortedKeys(r.Requests) {
		limit, limited := r.Limits[name]
		request, err := quantity.Parse(string(r.Requests[name]))
		most, err2 := quantity.Parse(string(limit))
		field := resourcesPath + ".requests"
		switch {
		case isProcessResource(name) && limited && err == nil && err2 == nil && request.Cmp(most) > 0:
			v.add(field, FieldInvalid, request.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit))
		case isProcessResource(name):
		case limited && err == nil && err2 == nil && request.Cmp(most) != 0:
			v.add(field, FieldInvalid, request.String(), fmt.Sprintf("must be equal to %s limit of %s", name, limit))
		}
	}
}

func isProcessResource(name string) bool { return name == ResourceCPU || name == ResourceMemory }

// resourceList checks names and amounts.
func (v *validation) resourceList(path string, l ResourceList) {
	if !v.most(path, len(l), maxResources) {
		return
	}
	for _, name := range sortedKeys(l) {
		field := path + "[" + name + "]"
		if !isProcessResource(name) && (!isQualifiedName(name) || !strings.Contains(name, "/")) {
			v.add(field, FieldInvalid, name, resourceNameRule)
			continue
		}
		q, err := quantity.Parse(string(l[name]))
		switch {
		case err != nil:
			v.add(field, FieldInvalid, string(l[name]), quantity.Rule)
		case q.Sign() < 0:
			v.add(field, FieldInvalid, string(l[name]), "must be greater than or equal to 0")
		case !isProcessResource(name) && !q.Whole():
			v.add(field, FieldInvalid, string(l[name]), "must be an integer")
		}
	}
}
