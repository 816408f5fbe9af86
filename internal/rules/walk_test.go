package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/indexset"
)

// The walk goes through every state that a small job can reach, by every end
// of every attempt, claims, evictions, time and changes of its spec, and looks
// at the invariants in each of them. Two states are the same where they differ
// only in what can matter no more: absolute times, numbers of attempts, and
// counts far above their limits.

// walked are the small jobs.
func walked() map[string]Spec {
	open := Spec{Completions: 2, Parallelism: 2, BackoffLimit: 1, PerIndex: Unset, MaxFailed: Unset, Deadline: Unset, TTL: Unset, LostLimit: 1}
	with := func(change func(*Spec)) Spec { s := open; change(&s); return s }
	var one indexset.Set
	one.Add(1)
	return map[string]Spec{
		"plain":       with(func(s *Spec) { s.Completions, s.Parallelism = 1, 1 }),
		"non-indexed": open,
		"kubernetes": with(func(s *Spec) {
			s.LostCounts, s.Backoff = true, Backoff{Initial: 10, Max: 20, Factor: 2, JobScope: true}
		}),
		"task backoff":  with(func(s *Spec) { s.Backoff = Backoff{Initial: 10, Max: 20, Factor: 2} }),
		"work queue":    with(func(s *Spec) { s.Completions = Unset }),
		"replacement":   with(func(s *Spec) { s.ReplaceFailed = true }),
		"deadline, ttl": with(func(s *Spec) { s.Deadline, s.TTL = 30, 10 }),
		"suspended":     with(func(s *Spec) { s.Suspend, s.Deadline = true, 30 }),
		"start later":   with(func(s *Spec) { s.StartAt = start + 10 }),
		"indexed":       with(func(s *Spec) { s.Indexed = true }),
		"per index":     with(func(s *Spec) { s.Indexed, s.PerIndex, s.BackoffLimit = true, 1, 100 }),
		"per index, max failed": with(func(s *Spec) {
			s.Indexed, s.PerIndex, s.MaxFailed, s.BackoffLimit, s.ReplaceFailed = true, 0, 0, 100, true
		}),
		"per index, in place": with(func(s *Spec) {
			s.Indexed, s.PerIndex, s.BackoffLimit, s.LostCounts = true, 1, 100, true
			s.Backoff = Backoff{Initial: 10, Max: 20, Factor: 2, JobScope: true}
		}),
		"success policy": with(func(s *Spec) {
			s.Indexed, s.Success = true, []SuccessRule{{Indexes: &one, Count: Unset}, {Count: 2}}
		}),
	}
}

// start is when the walks begin, ms; step is a little of the time until
// something is due.
const (
	start = int64(1_000_000)
	step  = int64(7)
)

// node is a state of a walk.
type node struct {
	job *Job
	now int64
	// changes is how often, from here on, the job's spec may change or an
	// attempt be evicted. Without a bound those told to stop would pile up.
	changes int
}

// changes is more for the jobs whose states are few.
func changes(name string) int {
	if name == "plain" || name == "replacement" {
		return 2
	}
	return 1
}

func TestWalk(t *testing.T) {
	t.Parallel()
	for name, spec := range walked() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := node{NewJob(spec), start, changes(name)}
			first.job.Sync(first.now)
			seen := map[string]bool{first.key(): true}
			phases := map[Phase]bool{}
			for queue := []node{first}; len(queue) > 0; {
				n := queue[0]
				queue = queue[1:]
				phases[n.job.Phase] = true
				require.NoError(t, n.sound(), n.key())
				require.NoError(t, n.ends(), n.key())
				for what, next := range n.next() {
					require.NoError(t, follows(n.job, next.job), "%s\n%s\n%s", n.key(), what, next.key())
					if key := next.key(); !seen[key] {
						seen[key] = true
						queue = append(queue, next)
					}
				}
			}
			t.Logf("%d states", len(seen))
			require.Greater(t, len(seen), 50)
			require.True(t, phases[JobIsComplete] && phases[JobIsFailed], "both ends are reached")
		})
	}
}

// key tells states apart.
func (n node) key() string {
	j := n.job
	ago := func(t int64) int64 { // times that are long past are alike
		if t == 0 {
			return -1000
		}
		return max(t-n.now, -40)
	}
	var clock, end int64 // they matter where something counts from them
	if j.Spec.Deadline != Unset {
		clock = ago(j.StartedAt)
	}
	if j.Spec.TTL != Unset {
		end = ago(j.EndedAt)
	}
	unit := func(u Unit) string {
		return fmt.Sprint(min(u.Failures+u.Ignored, 2), min(u.Lost, 2), max(ago(u.Due), 0), u.held)
	}
	attempt := func(a *Attempt) string {
		return fmt.Sprint(a.Slot, "/", unit(a.Unit), a.Running, a.Stop, a.counted)
	}
	var all []string
	for _, a := range j.Active {
		all = append(all, "active "+attempt(a))
	}
	for _, a := range j.Ending {
		all = append(all, "ending "+attempt(a))
	}
	for slot, u := range j.Waiting {
		all = append(all, fmt.Sprint("waiting ", slot, "/", unit(u)))
	}
	slices.Sort(all)
	return fmt.Sprint(j.Phase, j.Reason, j.Deleted, " started ", clock, j.StartedAt > 0, " suspended ", j.Suspended, j.SuspendedAt > 0,
		" counts ", min(j.Succeeded, 3), min(j.Failed, 4), j.held, min(j.Streak, 3), " retry ", max(ago(j.RetryAt), 0), " ended ", end,
		" slots ", min(j.Next, 4), j.Done.String(), "/", j.Bad.String(), " spec ", j.Spec.Suspend, j.Spec.Parallelism, j.Spec.Completions,
		" now ", n.now < j.Spec.StartAt, n.changes, " ", strings.Join(all, "; "))
}

// copy is a job that shares nothing with the first.
func (n node) copy() node {
	j := *n.job
	j.Active, j.Ending, j.Waiting = map[int]*Attempt{}, map[int64]*Attempt{}, maps.Clone(j.Waiting)
	for slot, a := range n.job.Active {
		own := *a
		j.Active[slot] = &own
	}
	for id, a := range n.job.Ending {
		own := *a
		j.Ending[id] = &own
	}
	j.Done, j.Bad = j.Done.Clone(), j.Bad.Clone()
	return node{&j, n.now, n.changes}
}

// next are the states that one event leads to.
func (n node) next() map[string]node {
	out := map[string]node{}
	do := func(what string, change func(*node)) {
		c := n.copy()
		change(&c)
		out[what] = c
	}
	ids := slices.Sorted(maps.Keys(n.job.Ending))
	for _, a := range n.job.Active {
		ids = append(ids, a.ID)
		do(fmt.Sprint("claim ", a.Slot), func(c *node) { c.job.Claim(a.ID, c.now) })
	}
	for _, id := range ids {
		for v := range numVerdicts {
			do(fmt.Sprint("end ", id, " ", v), func(c *node) { c.job.Settle([]End{{ID: id, Verdict: v, At: c.now, Delay: Unset}}, c.now) })
		}
	}
	if len(ids) == 2 {
		for a := range numVerdicts {
			for b := range numVerdicts {
				do(fmt.Sprint("both end ", a, b), func(c *node) {
					c.job.Settle([]End{{ID: ids[0], Verdict: a, At: c.now, Delay: Unset}, {ID: ids[1], Verdict: b, At: c.now, Delay: Unset}}, c.now)
				})
			}
		}
	}
	if due := n.job.Due(n.now); due > 0 {
		do("time", func(c *node) { c.now = due; c.job.Sync(due) })
		do("a little time", func(c *node) { c.now = min(due, c.now+step); c.job.Sync(c.now) })
	}
	if !n.job.Phase.Finished() && n.changes > 0 {
		n.changes--
		for _, a := range n.job.Active {
			do(fmt.Sprint("evict ", a.Slot), func(c *node) { c.job.Evict(a.ID, c.now) })
		}
		do("suspend", func(c *node) { c.job.Spec.Suspend = !c.job.Spec.Suspend; c.job.Sync(c.now) })
		do("scale", func(c *node) { c.job.Spec.Parallelism = (c.job.Spec.Parallelism + 1) % 3; c.job.Sync(c.now) })
		if n.job.Spec.Indexed && n.job.Spec.Success == nil {
			do("grow or shrink", func(c *node) {
				c.job.Spec.Completions = c.job.Spec.Completions%2 + 1
				c.job.Spec.Parallelism = c.job.Spec.Completions
				c.job.Sync(c.now)
			})
		}
	}
	return out
}

// finding is an invariant, named by how it is broken.
type finding struct {
	what  string
	wrong bool
}

// sound looks at a state by itself.
func (n node) sound() error {
	j := n.job
	s := &j.Spec
	done := j.Phase.Finished()
	live := len(j.Active) + len(j.Ending)
	for _, f := range []finding{
		{"more active than parallelism", len(j.Active) > s.Parallelism && s.Completions != Unset},
		{"more active than completions left", s.Completions != Unset && j.Phase == Open && len(j.Active) > s.Completions-j.Succeeded},
		{"active while suspended", s.Suspend && len(j.Active) > 0},
		{"active while its fate is decided", j.Phase != Open && len(j.Active) > 0},
		{"finished with attempts", done && live > 0},
		{"finished without an end", done != (j.EndedAt > 0)},
		{"decided without a time", (j.Phase != Open) != (j.FateAt > 0)},
		{"decided without a reason", (j.Phase != Open) != (j.Reason != "")},
		{"a negative count", j.Succeeded < 0 || j.Failed < 0 || j.held < 0 || j.Shown() < 0 || j.Streak < 0},
		{"succeeded are not the slots done", j.Succeeded != j.Done.Len()},
		{"a slot both done and failed", j.Done.Intersect(j.Bad).Len() > 0},
		{"failed indexes without a limit per index", s.PerIndex == Unset && j.Bad.Len() > 0},
		{"more failures than the limit, and open", j.Phase == Open && j.Failed > s.BackoffLimit},
		{"all done, and open", j.Phase == Open && s.Completions != Unset && j.Succeeded >= s.Completions && live == 0},
		{"stuck", j.Phase == Open && !s.Suspend && s.Parallelism > 0 && live == 0 && j.Due(n.now) <= n.now},
		{"awaits nothing", j.Phase != Open && !done && live == 0},
	} {
		if f.wrong {
			return errors.New(f.what)
		}
	}
	for slot, a := range j.Active {
		_, waits := j.Waiting[slot]
		if a.Slot != slot || waits || j.Done.Has(slot) || j.Bad.Has(slot) || s.Completions != Unset && slot >= s.Completions {
			return fmt.Errorf("slot %d is active and something else", slot)
		}
	}
	for slot := range j.Waiting {
		if j.Done.Has(slot) || j.Bad.Has(slot) {
			return fmt.Errorf("slot %d waits and has ended", slot)
		}
	}
	return nil
}

// follows looks at two states, one after the other.
func follows(a, b *Job) error {
	before, after := len(a.Active)+len(a.Ending), len(b.Active)+len(b.Ending)
	elastic := a.Spec.Completions != b.Spec.Completions
	for _, f := range []finding{
		{"failures are taken back", b.Shown() < a.Shown()},
		{"a success is taken back", b.Succeeded < a.Succeeded && !elastic},
		{"a fate is taken back", a.Phase != Open && (b.Phase == Open || b.Reason != a.Reason || b.FateAt != a.FateAt)},
		{"a finished job has changed", a.Phase.Finished() && (b.Phase != a.Phase || b.Succeeded != a.Succeeded || b.Failed != a.Failed || b.EndedAt != a.EndedAt)},
		{"a replacement before the end", b.Spec.ReplaceFailed && after > before && after > b.Spec.Parallelism},
		{"a deleted job came back", a.Deleted && !b.Deleted},
		{"complete after a failure", a.Phase == FailureTarget && b.Phase == JobIsComplete},
		{"failed after its success", a.Phase == SuccessCriteriaMet && b.Phase == JobIsFailed},
		{"an attempt's number is used", b.lastID < a.lastID},
	} {
		if f.wrong {
			return errors.New(f.what)
		}
	}
	return nil
}

// ends drives a state to its end, where every attempt from now on succeeds:
// it always has one. An end that is told twice changes nothing the second time.
func (n node) ends() error {
	c := n.copy()
	c.job.Spec.Suspend = false
	c.job.Spec.Parallelism = max(1, c.job.Spec.Parallelism)
	c.job.Sync(c.now)
	for range 30 {
		j := c.job
		if j.Phase.Finished() {
			return nil
		}
		var all []End
		for _, a := range j.Active {
			all = append(all, End{ID: a.ID, Verdict: Succeeded, At: c.now})
		}
		for id := range j.Ending {
			all = append(all, End{ID: id, Verdict: Succeeded, At: c.now})
		}
		if counted := j.Settle(all, c.now); counted != len(all) {
			return fmt.Errorf("%d of %d ends were counted", counted, len(all))
		}
		before := c.key()
		if again := j.Settle(all, c.now); again != 0 {
			return fmt.Errorf("%d ends were counted twice", again)
		}
		if c.key() != before {
			return fmt.Errorf("an end told twice has changed something:\n%s\n%s", before, c.key())
		}
		c.now = max(c.now+1, j.Due(c.now))
		j.Sync(c.now)
	}
	return fmt.Errorf("it never ends: %s", c.key())
}
