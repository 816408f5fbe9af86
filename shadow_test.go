package stint

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// shadow is the same job in the pure rules: whatever is done to the one in
// the engine is done to it, and then both must be in the same state.
type shadow struct {
	job *rules.Job
	ids map[string]int64 // entry -> attempt
}

func newShadow(spec rules.Spec, now int64) *shadow {
	s := &shadow{job: rules.NewJob(spec), ids: map[string]int64{}}
	s.sync(now)
	return s
}

// sync looks until nothing changes any more, as due timers do.
func (s *shadow) sync(now int64) {
	for range 3 {
		s.job.Sync(now)
	}
}

func (s *shadow) settle(results []store.Result, ended []int64, now int64) {
	var ends []rules.End
	for i, r := range results {
		delay := int64(rules.Unset)
		if r.Delay >= 0 {
			delay = r.Delay.Milliseconds()
		}
		if id, ok := s.ids[r.Task.Entry]; ok {
			ends = append(ends, rules.End{ID: id, Verdict: r.Verdict, At: ended[i], Delay: delay})
			delete(s.ids, r.Task.Entry)
		}
	}
	s.job.Settle(ends, now)
}

// state is what can be told apart, as text.
func (s *shadow) state() string {
	j := s.job
	slots := func(m map[int]bool) string { return fmt.Sprint(slices.Sorted(maps.Keys(m))) }
	active := map[int]bool{}
	var waiting []string
	for slot := range j.Active {
		active[slot] = true
	}
	if j.Phase == rules.Open {
		for slot, u := range j.Waiting {
			waiting = append(waiting, fmt.Sprintf("%d: %d %d %d %d", slot, u.Attempts, u.Failures, u.Ignored, u.Lost))
		}
		slices.Sort(waiting)
	}
	return stateText(j.Phase, j.Reason, j.Succeeded, j.Shown(), len(j.Ending), j.Done.String(), j.Bad.String(),
		slots(active), waiting, j.StartedAt, j.FateAt, j.EndedAt, j.Suspended, j.SuspendedAt, j.Streak)
}

func stateText(all ...any) string { return fmt.Sprintf("%v", all) }

// same compares the job in the engine with its shadow.
func (j *tracedJob) same() error {
	ctx := context.Background()
	r, err := j.queue.store.Get(ctx, j.name)
	if err != nil {
		if !j.shadow.job.Deleted && !j.deleted {
			return fmt.Errorf("gone from the engine, but in the rules %s", j.shadow.state())
		}
		return nil
	}
	if j.shadow.job.Deleted {
		return fmt.Errorf("gone by the rules, but not from the engine")
	}
	prefix := "stint:{" + j.queue.name + "}:job:" + j.name
	active, err := j.rdb.HGetAll(ctx, prefix+":tasks").Result()
	if err != nil {
		return err
	}
	waiting, err := j.rdb.ZRange(ctx, prefix+":wait", 0, -1).Result()
	if err != nil {
		return err
	}
	if r.Phase != rules.Open {
		waiting = nil // they are not kept up any more
	}
	for i, slot := range waiting {
		unit, err := j.rdb.HGet(ctx, prefix+":data", "u:"+slot).Result()
		if err != nil {
			unit = "0 0 0 0"
		}
		waiting[i] = slot + ": " + strings.Join(strings.Fields(unit)[:4], " ")
	}
	slices.Sort(waiting)
	streak, err := j.rdb.HGet(ctx, prefix, "state").Result()
	if err != nil {
		return err
	}
	got := stateText(r.Phase, r.Reason, r.Succeeded, r.Failed, r.Ending, r.Done.String(), r.Bad.String(),
		sortedSlots(slices.Collect(maps.Keys(active))), append([]string(nil), waiting...),
		r.StartedAt, r.FateAt, r.EndedAt, r.Suspended, r.SuspendedAt, strings.Split(streak, "|")[8])
	if want := j.shadow.state(); got != want {
		return fmt.Errorf("engine and rules differ:\n  engine %s\n  rules  %s", got, want)
	}
	for slot, v := range active {
		entry := strings.Fields(v)[0]
		if _, known := j.shadow.ids[entry]; !known {
			var n int
			_, _ = fmt.Sscan(slot, &n)
			j.shadow.ids[entry] = j.shadow.job.Active[n].ID
		}
	}
	return nil
}

func sortedSlots(all []string) string {
	n := make([]int, len(all))
	for i, s := range all {
		_, _ = fmt.Sscan(s, &n[i])
	}
	slices.Sort(n)
	return fmt.Sprint(n)
}

// ms is the clock of the scenario.
func (j *tracedJob) ms() int64 { return epoch + j.now*1000 }

// milliseconds are times of the scenario by the clock.
func milliseconds(seconds []int64) []int64 {
	out := make([]int64, len(seconds))
	for i, s := range seconds {
		out[i] = epoch + s*1000
	}
	return out
}
