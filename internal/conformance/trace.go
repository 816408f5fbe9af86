// Package conformance replays recorded traces of Kubernetes's Job and CronJob
// controllers against another implementation, and tells where the two differ.
//
// What a trace says, and what of it has to be compared, stands in
// testdata/traces/FORMAT.md. The implementation is driven through [JobSystem]
// and [CronSystem]; where it differs on purpose, a [Decision] says so.
//
// Nothing here is safe for concurrent use, but replays of different systems
// may run at the same time.
package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The formats that can be replayed.
const (
	JobFormat  = "stint-oracle/job/1"
	CronFormat = "stint-oracle/cronjob/1"
)

// File is one trace file.
type File struct {
	Path      string     `json:"-"`
	Format    string     `json:"format"` // JobFormat or CronFormat
	Area      string     `json:"area"`
	Scenarios []Scenario `json:"scenarios"`
}

// Scenario is the recorded life of one Job or CronJob.
type Scenario struct {
	Name           string          `json:"name"`
	Tags           []string        `json:"tags"`
	Doc            string          `json:"doc"`
	Spec           json.RawMessage `json:"spec"`           // as submitted: batch/v1, without the template
	EffectiveSpec  json.RawMessage `json:"effectiveSpec"`  // after defaulting
	CreateRejected []Rejection     `json:"createRejected"` // not empty: there are no steps
	Start          string          `json:"start"`          // CronJobs: the clock at first, RFC 3339
	CronJobName    string          `json:"cronJobName"`
	Steps          []Step          `json:"steps"`
}

// Rejection is one reason why a write was refused: the path of a field, and
// the cause type of the Kubernetes API, as FieldValueInvalid.
type Rejection struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// PodCondition is a condition that an attempt has when it ends.
type PodCondition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

// Step is something that happens, and what was seen after it.
type Step struct {
	Op string `json:"op"`
	Choice
	Kubelet          *bool           `json:"kubelet"` // settle: default true
	Ready            *bool           `json:"ready"`   // start: default true
	Terminating      bool            `json:"terminating"`
	ExitCode         *int            `json:"exitCode"`
	NoExitCode       bool            `json:"noExitCode"`
	DisruptionTarget bool            `json:"disruptionTarget"`
	PodConditions    []PodCondition  `json:"podConditions"`
	Seconds          int             `json:"seconds"`
	Spec             json.RawMessage `json:"spec"` // patch: a JSON merge patch
	Propagation      string          `json:"propagation"`
	Time             string          `json:"time"`
	Job              string          `json:"job"`
	Result           string          `json:"result"`

	Expect                map[string]any `json:"expect"`
	Nondeterministic      []string       `json:"nondeterministic"`
	InterleavingSensitive []string       `json:"interleavingSensitive"`
}

// Choice says which attempts a step is about, by exactly one of its fields.
type Choice struct {
	Index   *int  `json:"index"`
	Indexes []int `json:"indexes"`
	N       *int  `json:"n"`
	All     bool  `json:"all"`
}

func (c Choice) given() int {
	n := 0
	for _, set := range []bool{c.Index != nil, c.Indexes != nil, c.N != nil, c.All} {
		if set {
			n++
		}
	}
	return n
}

// Load reads every trace file (*.json) of a directory, in order of name. It
// refuses a directory without any, and a file which it does not understand
// whole.
func Load(dir string) ([]File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("conformance: no trace files in %q", dir)
	}
	files := make([]File, 0, len(paths))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f, err := parse(data)
		if err != nil {
			return nil, fmt.Errorf("conformance: %s: %w", path, err)
		}
		f.Path = path
		files = append(files, f)
	}
	return files, nil
}

func parse(data []byte) (File, error) {
	var f File
	if err := json.Unmarshal(data, &f); err != nil {
		return File{}, err
	}
	ops, ok := operations()[f.Format]
	if !ok {
		return File{}, fmt.Errorf("unknown format %q", f.Format)
	}
	seen := map[string]bool{}
	for i := range f.Scenarios {
		s := &f.Scenarios[i]
		if seen[s.Name] {
			return File{}, fmt.Errorf("scenario %q occurs twice", s.Name)
		}
		seen[s.Name] = true
		if err := s.check(ops); err != nil {
			return File{}, fmt.Errorf("scenario %q: %w", s.Name, err)
		}
	}
	return f, nil
}

// operations lists the steps of each format; true marks those that choose
// among attempts.
func operations() map[string]map[string]bool {
	return map[string]map[string]bool{
		JobFormat: {
			opStart: true, opReady: true, opSucceed: true, opFail: true, opDisrupt: true, opFinish: true,
			opSettle: false, opAdvance: false, opPatch: false, opDelete: false, opRestart: false,
		},
		CronFormat: {
			opSync: false, opRunUntil: false, opJumpTo: false, opRestart: false, opAdvance: false,
			opFinish: false, opDeleteJob: false, opPatch: false,
		},
	}
}

// The operations of steps.
const (
	opSettle    = "settle"
	opStart     = "start"
	opReady     = "ready"
	opSucceed   = "succeed"
	opFail      = "fail"
	opDisrupt   = "disrupt"
	opFinish    = "finish"
	opAdvance   = "advance"
	opPatch     = "patch"
	opDelete    = "delete"
	opRestart   = "restart"
	opSync      = "sync"
	opRunUntil  = "runUntil"
	opJumpTo    = "jumpTo"
	opDeleteJob = "deleteJob"
)

func (s *Scenario) check(ops map[string]bool) error {
	switch {
	case s.Name == "":
		return errors.New("no name")
	case len(s.Spec) == 0:
		return errors.New("no spec")
	case len(s.CreateRejected) > 0 && len(s.Steps) > 0:
		return errors.New("steps after a refused creation")
	}
	for i, step := range s.Steps {
		chooses, ok := ops[step.Op]
		switch {
		case !ok:
			return fmt.Errorf("step %d: unknown operation %q", i, step.Op)
		case chooses && step.given() != 1:
			return fmt.Errorf("step %d: %s chooses by %d of index, indexes, n and all", i, step.Op, step.given())
		case step.Expect == nil:
			return fmt.Errorf("step %d: no expectation", i)
		case step.Op == opPatch && len(step.Spec) == 0:
			return fmt.Errorf("step %d: a patch without a spec", i)
		}
	}
	return nil
}
