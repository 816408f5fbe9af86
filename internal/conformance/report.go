package conformance

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Options say what is replayed, and against what.
type Options struct {
	// NewJob and NewCron make a system for one scenario. Scenarios of a kind
	// without one are left out. A system that is an io.Closer is closed.
	NewJob  func() (JobSystem, error)
	NewCron func(start time.Time) (CronSystem, error)
	// Held tells that job systems do nothing between two calls of Sync. What
	// depends on when the system looks is compared only then.
	Held bool
	// Decisions are where the systems may differ; see Decisions.
	Decisions []Decision
}

// Verdict is how a scenario came out.
type Verdict string

// The verdicts.
const (
	Agree   Verdict = "agree"
	Decided Verdict = "by decision" // all that differs is covered by decisions
	Differ  Verdict = "differ"
)

// Result is how one scenario came out.
type Result struct {
	File, Scenario string
	Diffs          []Diff        // those that no decision covers
	Decided        []DecidedDiff // the others
	Err            error         // the system failed; the rest is not known
}

// DecidedDiff is a difference on purpose.
type DecidedDiff struct {
	Decision string
	Diff
}

// Verdict of the scenario.
func (r Result) Verdict() Verdict {
	switch {
	case r.Err != nil || len(r.Diffs) > 0:
		return Differ
	case len(r.Decided) > 0:
		return Decided
	default:
		return Agree
	}
}

// Report is the results of all scenarios, in the order of the files.
type Report struct{ Results []Result }

// Run replays all scenarios, one after another.
func Run(files []File, o Options) Report {
	var rep Report
	for i := range files {
		f := &files[i]
		for k := range f.Scenarios {
			s := &f.Scenarios[k]
			var result Result
			switch {
			case f.Format == JobFormat && o.NewJob != nil:
				result = runJob(s, o)
			case f.Format == CronFormat && o.NewCron != nil:
				result = runCron(s, o)
			default:
				continue
			}
			result.File, result.Scenario = f.Path, s.Name
			rep.Results = append(rep.Results, result)
		}
	}
	return rep
}

func runJob(s *Scenario, o Options) Result {
	sys, err := o.NewJob()
	if err != nil {
		return Result{Err: err}
	}
	r := &jobReplay{replay: newReplay(s, o, o.Held), sys: sys, pods: newPods()}
	return r.done(r.play(), sys)
}

func runCron(s *Scenario, o Options) Result {
	start, err := time.Parse(time.RFC3339Nano, s.Start)
	if err != nil {
		return Result{Err: err}
	}
	sys, err := o.NewCron(start)
	if err != nil {
		return Result{Err: err}
	}
	// Only events of cron jobs depend on when it looks, and they are not
	// compared.
	r := &cronReplay{replay: newReplay(s, o, true), sys: sys}
	return r.done(r.play(start), sys)
}

func newReplay(s *Scenario, o Options, held bool) replay {
	r := replay{scenario: s, held: held, skip: map[string]bool{}}
	for _, d := range o.Decisions {
		if d.Applies(s) {
			r.decisions = append(r.decisions, d)
		}
	}
	return r
}

// done closes the system and answers the result.
func (r *replay) done(err error, sys any) Result {
	r.result.Err = err
	if c, ok := sys.(io.Closer); ok {
		if err := c.Close(); err != nil && r.result.Err == nil {
			r.result.Err = err
		}
	}
	return r.result
}

// Count says how many scenarios came out with a verdict.
func (r Report) Count(v Verdict) int {
	n := 0
	for _, result := range r.Results {
		if result.Verdict() == v {
			n++
		}
	}
	return n
}

// Summary is the one line that says it all.
func (r Report) Summary() string {
	return fmt.Sprintf("conformance: %d scenarios, %d agree, %d by decision, %d differ",
		len(r.Results), r.Count(Agree), r.Count(Decided), r.Count(Differ))
}

// String lists what differs, what differs by which decision, and the summary.
func (r Report) String() string {
	var b strings.Builder
	for _, result := range r.Results {
		switch result.Verdict() {
		case Agree:
		case Decided:
			fmt.Fprintf(&b, "%s: by decision: %s\n", result.Scenario, strings.Join(result.names(), ", "))
		case Differ:
			fmt.Fprintf(&b, "%s (%s): differs\n", result.Scenario, result.File)
			for _, d := range result.Diffs {
				fmt.Fprintf(&b, "    %s\n", d)
			}
			if result.Err != nil {
				fmt.Fprintf(&b, "    %v\n", result.Err)
			}
		}
	}
	fmt.Fprintln(&b, r.Summary())
	return b.String()
}

// names of the decisions that were needed, each once.
func (r Result) names() []string {
	var names []string
	for _, d := range r.Decided {
		names = append(names, d.Decision)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
