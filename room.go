package stint

import (
	"slices"
	"sync"

	"github.com/stint-go/stint/internal/fit"
	"github.com/stint-go/stint/internal/store"
)

// room is what a worker's tasks leave of its capacity, over all its queues. It
// is charged before a claim, so that no two claims count on the same.
type room struct {
	whole  fit.Amounts
	mu     sync.Mutex     // guards what follows
	taken  map[string]int // tasks in hand, by their requests
	kept   []berth        // what is kept free, in the order in which it was asked for
	hungry map[*station]struct{}
}

// berth is room that is kept free for the next task of a station's queue.
type berth struct {
	station *station
	needs   fit.Amounts
}

func newRoom(capacity ResourceList) *room {
	return &room{whole: capacity.amounts(), taken: map[string]int{}, hungry: map[*station]struct{}{}}
}

// needsOf reads requests that the room was charged with.
func needsOf(requests string) fit.Amounts {
	a, _ := fit.Parse(requests) // such as cannot be read are never charged
	return a
}

// left is what is free for a station. What others asked to be kept free before
// it did is not. It needs mu.
func (r *room) left(s *station) fit.Amounts {
	left := fit.Amounts{}
	for name, n := range r.whole {
		left[name] = n
	}
	for requests, n := range r.taken {
		left.Take(needsOf(requests), n)
	}
	for _, b := range r.kept {
		if b.station == s {
			break
		}
		left.Take(b.needs, 1)
	}
	return left
}

// plan charges the room with what a station may claim of lanes that have
// tasks, the one whose first has waited longest at first: how many of each.
// heard are the empty lanes of which a task would fit after that. While there
// are others the station is hungry: it is woken when room comes back.
func (r *room) plan(s *station, full, empty []*lane, slots int) (take []int, heard []string) {
	needs := make([]fit.Amounts, len(full))
	for i, l := range full {
		needs[i] = l.needs
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.left(s)
	take, held, blocked := fit.Plan(left, r.whole, needs, slots)
	for i, n := range take {
		r.charge(full[i].requests, n)
	}
	for _, l := range empty {
		if left.Times(l.needs, 1) > 0 {
			heard = append(heard, l.name)
		} else if r.whole.Times(l.needs, 1) > 0 {
			blocked = true
		}
	}
	at := slices.IndexFunc(r.kept, func(b berth) bool { return b.station == s })
	switch {
	case held < 0:
		r.forgetBerth(s)
	case at < 0:
		r.kept = append(r.kept, berth{s, needs[held]})
	default:
		r.kept[at].needs = needs[held]
	}
	delete(r.hungry, s)
	if blocked {
		r.hungry[s] = struct{}{}
	}
	return take, heard
}

func (r *room) charge(requests string, n int) {
	if r.taken[requests] += n; r.taken[requests] <= 0 {
		delete(r.taken, requests)
	}
}

// give takes back what tasks were charged with, and names the stations that
// wait for it, but for one that looks again anyway.
func (r *room) give(requests string, n int, but *station) []*station {
	if requests == "" || n == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.charge(requests, -n)
	return r.awake(but)
}

// awake takes the stations that wait for room, but for one. It needs mu.
func (r *room) awake(but *station) []*station {
	var out []*station
	for s := range r.hungry {
		if s != but {
			out = append(out, s)
			delete(r.hungry, s)
		}
	}
	return out
}

// leave forgets a station, and names those that may go on.
func (r *room) leave(s *station) []*station {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.hungry, s)
	r.forgetBerth(s)
	return r.awake(nil)
}

func (r *room) forgetBerth(s *station) {
	r.kept = slices.DeleteFunc(r.kept, func(b berth) bool { return b.station == s })
}

// inUse is what tasks in hand are charged with.
func (r *room) inUse() fit.Amounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := fit.Amounts{}
	for requests, n := range r.taken {
		sum.Add(needsOf(requests), n)
	}
	return sum
}

// lane is a ready stream of tasks with the same requests.
type lane struct {
	name     string
	requests string
	needs    fit.Amounts
	head     string // the entry that is handed over next, "" for none
}

func newLane(name string) (*lane, error) {
	requests := store.RequestsOf(name)
	needs, err := fit.Parse(requests)
	return &lane{name: name, requests: requests, needs: needs}, err
}
