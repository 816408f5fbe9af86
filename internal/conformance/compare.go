package conformance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Diff is a field that came out differently.
type Diff struct {
	Step  int    // counted from 0; -1 is the creation
	Op    string // of the step
	Field string // as in the format; FieldReplay where the replay could not go on
	Want  any    // as recorded, decoded from JSON
	Got   any    // the same, of the system
}

// Fields of a Diff that are no fields of an expectation.
const (
	FieldCreate = "createRejected"
	FieldReplay = "replay"
)

const opCreate = "create"

func (d Diff) String() string {
	return fmt.Sprintf("step %d %s: %s: want %s, got %s", d.Step, d.Op, d.Field, text(d.Want), text(d.Got))
}

// replay is what scenarios of both formats have in common while they run.
type replay struct {
	scenario  *Scenario
	held      bool
	decisions []Decision // those that apply to the scenario
	at        int        // the step
	skip      map[string]bool
	over      bool // the system goes its own way from here on
	result    Result
}

// created compares the answer to the creation, and tells whether to go on.
func (r *replay) created(rejected []Rejection) bool {
	r.at = -1
	r.judge([]Diff{{Step: -1, Op: opCreate, Field: FieldCreate, Want: plain(r.scenario.CreateRejected), Got: plain(rejected)}})
	return len(rejected) == 0 && len(r.scenario.CreateRejected) == 0 && !r.over
}

// lost notes that the replay can't go on, unless that was to be expected.
func (r *replay) lost(err error) {
	s := r.scenario.Steps[r.at]
	if len(r.skip) > 0 || !r.held && r.sensitive() {
		return
	}
	r.judge([]Diff{{Step: r.at, Op: s.Op, Field: FieldReplay, Want: "go on", Got: err.Error()}})
}

// sensitive tells whether this step or one before depends on when the system
// looks.
func (r *replay) sensitive() bool {
	return slices.ContainsFunc(r.scenario.Steps[:r.at+1], func(s Step) bool {
		return len(s.InterleavingSensitive) > 0
	})
}

// compare holds the observation against what the step expects.
func (r *replay) compare(got map[string]any) {
	s := r.scenario.Steps[r.at]
	for _, field := range s.Nondeterministic {
		// What follows from it can't be known: not compared from here on.
		r.skip[field] = true
	}
	want := maps.Clone(s.Expect)
	if s.Op == opPatch {
		want = map[string]any{"rejected": s.Expect["rejected"]}
	}
	if want["rejected"] == nil {
		want["rejected"] = []any{}
	}
	var diffs []Diff
	for _, field := range slices.Sorted(maps.Keys(want)) {
		value, compared := got[field]
		if !compared || r.excused(s, field) {
			continue
		}
		diffs = append(diffs, Diff{Step: r.at, Op: s.Op, Field: field, Want: want[field], Got: plain(value)})
	}
	r.judge(diffs)
}

func (r *replay) excused(s Step, field string) bool {
	if r.skip[field] || r.skip["*"] {
		return true
	}
	return !r.held && (slices.Contains(s.InterleavingSensitive, field) || slices.Contains(s.InterleavingSensitive, "*"))
}

// judge drops what is equal, and looks for decisions that cover the rest.
func (r *replay) judge(candidates []Diff) {
	var diffs []Diff
	for _, d := range candidates {
		d.Want, d.Got = normal(d.Field, d.Want), normal(d.Field, d.Got)
		if !same(d.Field, d.Want, d.Got) {
			diffs = append(diffs, d)
		}
	}
	parts := false
	for _, d := range diffs {
		at := slices.IndexFunc(r.decisions, func(c Decision) bool { return c.Covers(r.scenario, d) })
		if at < 0 {
			r.result.Diffs = append(r.result.Diffs, d)
			continue
		}
		c := r.decisions[at]
		parts = parts || c.Parts
		r.result.Decided = append(r.result.Decided, DecidedDiff{Decision: c.Name, Diff: d})
	}
	r.over = r.over || parts
}

// normal brings a value to the form in which it is compared.
func normal(field string, v any) any {
	switch field {
	case "conditions", "rejected", FieldCreate:
		return sorted(v, "message")
	case "pods":
		return without(v, "finished")
	case "createdJobs":
		list, _ := v.([]any)
		out := make([]any, len(list))
		for i, run := range list {
			out[i] = without(run, "name")
		}
		return out
	}
	return v
}

// sorted puts a list of objects in an order of its own, less a key of each.
func sorted(v any, drop string) any {
	list, _ := v.([]any)
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = without(e, drop)
	}
	slices.SortFunc(out, func(a, b any) int { return cmp.Compare(text(a), text(b)) })
	return out
}

func without(v any, key string) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	object = maps.Clone(object)
	delete(object, key)
	return object
}

func same(field string, want, got any) bool {
	if field == "createdJobs" {
		return sameRuns(want, got)
	}
	return text(want) == text(got)
}

// plain gives a value the form that it has when read from JSON.
func plain(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		return err.Error()
	}
	return out
}

// text is a value as JSON with sorted keys.
func text(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b.Bytes()))
}

// object reads a JSON object; anything else is an empty one.
func object(data json.RawMessage) map[string]any {
	var o map[string]any
	if err := json.Unmarshal(data, &o); err != nil {
		return nil
	}
	return o
}
