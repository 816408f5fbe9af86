package stint

import (
	"context"
	"slices"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// lanes are the ready streams that a station takes tasks from: one of each
// kind, and those of tasks with requests, which come and go. It belongs to
// the claiming goroutine.
type lanes struct {
	version string
	names   map[string]bool // of all lanes with requests, and of such as were there lately
	pruned  time.Time
	known   []*lane  // those of the station's kinds
	wait    []string // lanes whose bells are heard
	hollow  int      // claims in a row that got nothing though something was there
}

// turn says which lanes a claim asks, how many tasks of each, and what of
// that the worker's room was charged with.
type turn struct {
	lanes   []string
	most    []int
	charged map[string]int // by requests
}

// turn plans a claim of up to n tasks. Kinds and lanes begin in turn, so that
// none starves another of slots; of those with requests the one whose first
// task has waited longest has the first choice of the room.
func (s *station) turn(ctx context.Context, op int64, n int) turn {
	s.lanes.wait = s.kinds
	if len(s.lanes.known) == 0 {
		return turn{lanes: s.turns[op%int64(len(s.turns))]}
	}
	full, empty := s.heads(ctx)
	take, heard := s.w.room.plan(s, full, empty, n)
	all, most := slices.Clone(s.kinds), slices.Repeat([]int{n}, len(s.kinds))
	t := turn{charged: map[string]int{}}
	for i, l := range full {
		if take[i] > 0 {
			all, most = append(all, l.name), append(most, take[i])
			t.charged[l.requests] += take[i]
		}
	}
	s.lanes.wait = slices.Concat(s.kinds, heard)
	first := int(op % int64(len(all)))
	t.lanes = slices.Concat(all[first:], all[:first])
	t.most = slices.Concat(most[first:], most[:first])
	return t
}

// heads parts the lanes with requests in such as have tasks, the one whose
// first has waited longest at first, and others.
func (s *station) heads(ctx context.Context) (full, empty []*lane) {
	names := make([]string, len(s.lanes.known))
	for i, l := range s.lanes.known {
		names[i] = l.name
	}
	heads, err := s.store.Heads(ctx, names)
	if err != nil {
		s.log.Warn("tasks with requests cannot be looked at", "error", err)
		return nil, s.lanes.known
	}
	for i, l := range s.lanes.known {
		if l.head = heads[i]; l.head == "" {
			empty = append(empty, l)
		} else {
			full = append(full, l)
		}
	}
	slices.SortStableFunc(full, func(a, b *lane) int { return store.CompareEntries(a.head, b.head) })
	return full, empty
}

// done gives back the room that a claim was charged with and did not fill.
func (s *station) done(ctx context.Context, t turn, tasks []store.Task) {
	for i := range tasks {
		if tasks[i].Requests != "" {
			t.charged[tasks[i].Requests]--
		}
	}
	for requests, n := range t.charged {
		wake(ctx, s.w.room.give(requests, n, s))
	}
}

// wake ends the waits of stations.
func wake(ctx context.Context, stations []*station) {
	for _, s := range stations {
		s.nudge(ctx)
	}
}

// nudge ends this station's wait for tasks.
func (s *station) nudge(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), waitAtMost/5)
	defer cancel()
	if err := s.store.Wake(ctx, s.id); err != nil {
		s.log.Debug("station cannot be woken", "error", err)
	}
}

// laneMemory is how long a lane that is gone is still looked at: one that comes
// and goes with each job is not new every time.
const laneMemory = time.Minute

// learn reads which lanes with requests there are, when their list has changed,
// and tells whether there is a new one. Who learns of one tells the next, since
// a ring wakes one worker.
func (s *station) learn(ctx context.Context, version string) bool {
	if version == s.lanes.version {
		return false
	}
	names, version, err := s.store.RequestLanes(ctx)
	if err != nil {
		s.log.Warn("requests of tasks cannot be looked at", "error", err)
		return false
	}
	s.lanes.version = version
	if time.Since(s.lanes.pruned) > laneMemory {
		s.lanes.pruned, s.lanes.names, s.lanes.known = time.Now(), map[string]bool{}, nil
	}
	fresh := false
	for _, name := range names {
		if s.lanes.names[name] {
			continue
		}
		fresh, s.lanes.names[name] = true, true
		if !slices.Contains(s.kinds, store.KindOf(name)) {
			continue
		}
		l, err := newLane(name)
		if err != nil {
			s.log.Warn("tasks are left to other workers", "lane", name, "error", err)
			continue
		}
		s.lanes.known = append(s.lanes.known, l)
	}
	if fresh {
		if err := s.store.Ring(ctx, store.NewLanes); err != nil {
			s.log.Debug("no worker was told of new requests", "error", err)
		}
	}
	return fresh
}

// sated tells after a claim of up to n tasks whether there is nothing more to
// be had, so that the station waits. Others may take what was seen, though not
// for ever.
func (s *station) sated(got, n int, more bool) bool {
	if got > 0 || !more {
		s.lanes.hollow = 0
		return got < n && !more
	}
	s.lanes.hollow++
	return s.lanes.hollow > 10
}
