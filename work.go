package stint

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// workCache keeps spec and args of the jobs whose tasks were claimed lately.
type workCache struct {
	queue   *Queue
	entries map[string]*cachedWork // by UID; used by the claiming goroutine alone
	plain   *JobSpec               // of a plain job with no spec of its own
	specs   map[string]*JobSpec    // of plain jobs, by their text: many are alike
}

type cachedWork struct {
	read time.Time
	args []byte
	spec *JobSpec
	gen  int
	err  error

	stale   atomic.Bool
	decoded atomic.Pointer[any] // the args, if their type is a plain value
}

// cacheFor bounds how long a changed spec goes unnoticed.
const cacheFor = 5 * time.Second

func newWorkCache(q *Queue) workCache {
	plain := JobSpec{}.withDefaults(DefaultTTL)
	return workCache{queue: q, entries: map[string]*cachedWork{}, plain: &plain, specs: map[string]*JobSpec{}}
}

// fill reads what is missing for the tasks, in one round trip, and answers
// what the cache then holds.
func (c *workCache) fill(ctx context.Context, st *store.Store, tasks []store.Task) (map[string]*cachedWork, error) {
	var names, uids []string
	found := map[string]*cachedWork{}
	for i := range tasks {
		t := &tasks[i]
		if t.Plain || found[t.UID] != nil {
			continue
		}
		if e := c.entries[t.UID]; e != nil && time.Since(e.read) < cacheFor && !e.stale.Load() {
			found[t.UID] = e
			continue
		}
		found[t.UID] = &cachedWork{}
		names, uids = append(names, t.Job), append(uids, t.UID)
	}
	if len(names) == 0 {
		return found, nil
	}
	if len(c.entries) > 1000 {
		clear(c.entries)
	}
	work, err := st.Work(ctx, names)
	if err != nil {
		return found, err
	}
	for i, w := range work {
		e := &cachedWork{read: time.Now(), args: w.Args, gen: w.Generation}
		if w.UID != uids[i] {
			e.err = ErrJobDeleted
		} else {
			e.spec, e.err = c.decode(w.Spec)
		}
		found[uids[i]], c.entries[uids[i]] = e, e
	}
	return found, nil
}

// decode reads a stored spec.
func (c *workCache) decode(data []byte) (*JobSpec, error) {
	if len(data) == 0 {
		return c.plain, nil
	}
	if known := c.specs[string(data)]; known != nil {
		return known, nil
	}
	var spec JobSpec
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, err
	}
	spec = spec.withDefaults(DefaultTTL)
	if len(c.specs) > 100 {
		clear(c.specs)
	}
	if len(data) < 1<<10 {
		c.specs[string(data)] = &spec
	}
	return &spec, nil
}
