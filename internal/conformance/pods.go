package conformance

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// errChoice is a step that asks for more attempts than there are: the replay
// has gone another way before.
var errChoice = errors.New("no such attempt")

// pod is an attempt as the trace knows it.
type pod struct {
	id          string
	index       int
	made        int // order of creation
	started     int // order in which they started; 0: pending
	ready       bool
	terminating bool
	conditions  []PodCondition
}

// pods are the attempts that have not ended.
type pods struct {
	live   map[string]*pod
	seen   map[string]bool // every ID there ever was
	starts int

	created []*pod // since the last settle
}

func newPods() *pods {
	return &pods{live: map[string]*pod{}, seen: map[string]bool{}}
}

// observe takes over what the system says of its attempts.
func (p *pods) observe(attempts []Attempt) {
	found := map[string]bool{}
	for _, a := range attempts {
		found[a.ID] = true
		if !p.seen[a.ID] {
			p.seen[a.ID] = true
			n := &pod{id: a.ID, index: a.Index, made: len(p.seen)}
			p.live[a.ID] = n
			p.created = append(p.created, n)
		}
		if known := p.live[a.ID]; known != nil {
			known.terminating = known.terminating || a.Terminating
		}
	}
	for id := range p.live {
		if !found[id] {
			delete(p.live, id)
		}
	}
}

// ended forgets an attempt.
func (p *pods) ended(id string) { delete(p.live, id) }

func (p *pods) start(n *pod) {
	p.starts++
	n.started = p.starts
}

// candidates are the attempts that a step may be about, in the order in which
// they are taken.
func (p *pods) candidates(s Step) []*pod {
	fits := func(n *pod) bool {
		switch s.Op {
		case opStart:
			return n.started == 0 && !n.terminating
		case opReady:
			return n.started > 0 && !n.ready && !n.terminating
		case opFinish:
			return n.terminating
		default:
			return n.terminating == s.Terminating
		}
	}
	var list []*pod
	for _, n := range p.live {
		if fits(n) {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, byAdvance)
	return list
}

// byAdvance puts running attempts first, in the order in which they started,
// and then pending ones, oldest first.
func byAdvance(a, b *pod) int {
	if (a.started == 0) != (b.started == 0) {
		return cmp.Compare(b.started, a.started)
	}
	return cmp.Or(cmp.Compare(a.started, b.started), cmp.Compare(a.made, b.made))
}

// choose picks the attempts that a step is about.
func (p *pods) choose(s Step) ([]*pod, error) {
	list := p.candidates(s)
	switch {
	case s.All:
		return list, nil
	case s.N != nil:
		if *s.N > len(list) {
			return nil, fmt.Errorf("%w: %d wanted of %d", errChoice, *s.N, len(list))
		}
		return list[:*s.N], nil
	}
	wanted := s.Indexes
	if s.Index != nil {
		wanted = []int{*s.Index}
	}
	var picked []*pod
	for _, index := range wanted {
		at := slices.IndexFunc(list, func(n *pod) bool { return n.index == index })
		if at < 0 {
			return nil, fmt.Errorf("%w: index %d", errChoice, index)
		}
		picked = append(picked, list[at])
		list = slices.Delete(list, at, at+1)
	}
	return picked, nil
}

// indexes of the attempts that are terminating, or not.
func (p *pods) indexes(terminating bool) []int {
	out := []int{}
	for _, n := range p.live {
		if n.terminating == terminating {
			out = append(out, n.index)
		}
	}
	slices.Sort(out)
	return out
}

func (p *pods) createdIndexes() []int {
	out := []int{}
	for _, n := range p.created {
		out = append(out, n.index)
	}
	slices.Sort(out)
	return out
}

// count says how many attempts are in each state.
func (p *pods) count() map[string]int {
	c := map[string]int{"pending": 0, "running": 0, "terminating": 0}
	for _, n := range p.live {
		switch {
		case n.terminating:
			c["terminating"]++
		case n.started == 0:
			c["pending"]++
		default:
			c["running"]++
		}
	}
	return c
}
