package stint

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/stint-go/stint/internal/fit"
	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// facts are what Explain goes by. Of a finished job there are only the first.
type facts struct {
	record *store.Record
	job    *Job

	rules   rules.Spec
	now     int64
	waiting store.Waiting
	crew    crewOf
	needs   fit.Amounts // of each attempt; nil for none

	held      int // attempts in the hands of live workers
	orphans   int // and of others
	unclaimed int // attempts that no worker has
	ahead     int // tasks before the first unclaimed one
	aheadAll  bool
}

// crewOf is who works on one kind.
type crewOf struct {
	live    int // workers of the queue
	silent  int // of these, such as did not say their kinds yet
	serving int // of these, such as take the kind
	unknown int // of these, such as did not say how many slots they have
	slots   int // of those that serve the kind
	taken   int
	rooms   []fit.Amounts   // capacities of those that serve the kind
	ids     map[string]bool // of live workers
}

// full tells whether no worker of the kind has a free slot.
func (c *crewOf) full() bool { return c.serving > 0 && c.unknown == 0 && c.taken >= c.slots }

// tooLarge tells whether one attempt requests more than any worker has.
func (f *facts) tooLarge() bool {
	fits := func(room fit.Amounts) bool { return room.Times(f.needs, 1) > 0 }
	return f.crew.serving > 0 && f.crew.unknown == 0 && !slices.ContainsFunc(f.crew.rooms, fits)
}

// largest is the most that some worker has of each resource.
func (c *crewOf) largest() fit.Amounts {
	most := fit.Amounts{}
	for i, room := range c.rooms {
		for name := range most {
			if _, limited := room.Has(name); !limited {
				delete(most, name)
			}
		}
		for name, n := range room {
			if had, limited := most.Has(name); limited || i == 0 {
				most[name] = max(had, n)
			}
		}
	}
	return most
}

func (q *Queue) facts(ctx context.Context, name string) (*facts, error) {
	r, err := q.find(ctx, name)
	if err != nil {
		return nil, err
	}
	f := &facts{record: r}
	if f.job, err = q.job(r); err != nil || f.job.Finished() {
		return f, err
	}
	f.rules = started(f.job).rules()
	if r.Requests != "" {
		f.needs = needsOf(r.Requests)
	}
	if f.now, err = q.store.Now(ctx); err != nil {
		return nil, err
	}
	if r.Plain {
		if r.RetryAt > f.now {
			f.waiting = store.Waiting{Late: 1, Next: r.RetryAt}
		}
	} else if f.waiting, err = q.store.Waiting(ctx, r.Name, f.now, f.inPlace()); err != nil {
		return nil, err
	}
	if f.crew, err = q.crewOf(ctx, r.Kind); err != nil {
		return nil, err
	}
	return f, f.readTasks(ctx, q)
}

// readTasks looks who has the active attempts, and what is ahead of those
// that nobody has.
func (f *facts) readTasks(ctx context.Context, q *Queue) error {
	if f.record.Active == 0 {
		return nil
	}
	tasks, err := f.tasks(ctx, q)
	first := ""
	for _, t := range tasks {
		switch {
		case t.Worker == "":
			f.unclaimed++
			if first == "" || store.CompareEntries(t.Entry, first) < 0 {
				first = t.Entry
			}
		case f.crew.ids[t.Worker]:
			f.held++
		default:
			f.orphans++
		}
	}
	if err == nil && first != "" {
		f.ahead, f.aheadAll, err = q.store.Ahead(ctx, f.record.Lane(), first)
	}
	return err
}

func (f *facts) tasks(ctx context.Context, q *Queue) ([]store.Running, error) {
	if !f.record.Plain {
		return q.store.Tasks(ctx, f.record.Name, f.record.Lane())
	}
	worker, err := q.store.Holder(ctx, f.record.Kind, f.record.Entry)
	return []store.Running{{Entry: f.record.Entry, Attempt: f.record.Attempts, Worker: worker}}, err
}

// crewOf reads who is alive, and who of them takes tasks of a kind.
func (q *Queue) crewOf(ctx context.Context, kind string) (c crewOf, err error) {
	lanes, err := q.store.Lanes(ctx)
	if err != nil {
		return c, err
	}
	all, err := q.store.Sweep(ctx, lanes)
	if err != nil {
		return c, err
	}
	ids := workersOf(all)
	signs, err := q.store.Signs(ctx, ids)
	if err != nil {
		return c, err
	}
	c.ids = map[string]bool{}
	for i, id := range ids {
		// One that is idle renews its lease after 4/3 of it.
		if beat, ok := all.Beats[id]; ok && signs[i].Age < 2*leaseOf(beat) {
			c.ids[id] = true
			c.add(signs[i].Info, all.Holds[id], kind)
		}
	}
	return c, nil
}

// add counts a live worker.
func (c *crewOf) add(info []byte, holds map[string]int, kind string) {
	var w WorkerInfo
	_ = json.Unmarshal(info, &w) // what is unreadable stays empty
	c.live++
	if len(w.Kinds) == 0 {
		c.silent++
	}
	n, serves := 0, slices.Contains(w.Kinds, kind)
	for lane, held := range holds {
		n += held
		serves = serves || store.KindOf(lane) == kind
	}
	if !serves {
		return
	}
	c.serving++
	if w.Concurrency == 0 {
		c.unknown++
		return
	}
	c.rooms = append(c.rooms, w.Capacity.amounts())
	c.slots += w.Concurrency
	c.taken += n
}

// inPlace tells whether retries keep their place among the waiting slots.
func (f *facts) inPlace() bool { return f.rules.Backoff.JobScope && f.rules.PerIndex >= 0 }

// heldBack tells whether a backoff holds back the whole job.
func (f *facts) heldBack() bool {
	return f.rules.Backoff.JobScope && f.rules.PerIndex < 0 && f.record.RetryAt > f.now
}

// lacks says until when at most the job is parked for want of what it mounts,
// and why.
func (f *facts) lacks() (till int64, reason string) {
	words := strings.SplitN(f.record.Lacks, " ", 3) // time, object, reason
	if len(words) < 3 {
		return 0, ""
	}
	till, _ = strconv.ParseInt(words[0], 10, 64)
	return till, words[2]
}

// rest is how many slots have neither ended for good nor an active attempt.
func (f *facts) rest() int {
	r := f.record
	switch {
	case f.rules.Completions >= 0:
		return max(0, f.rules.Completions-r.Succeeded-r.Bad.Len()-r.Active)
	case r.Succeeded > 0:
		return 0
	}
	return max(0, f.rules.Parallelism-r.Active)
}

// free is how many more attempts the job wants active.
func (f *facts) free() int {
	return min(f.rules.Parallelism-f.record.Active, f.rest())
}

// startable is how many attempts nothing holds back.
func (f *facts) startable() int {
	till, _ := f.lacks()
	if f.rules.Suspend || f.rules.StartAt > f.now || f.heldBack() || till > f.now {
		return 0
	}
	free := f.free()
	if f.rules.ReplaceFailed {
		free -= f.record.Ending
	}
	if f.inPlace() {
		free -= f.waiting.Late // they take places
	}
	return min(free, f.rest()-f.waiting.Late)
}
