// Package selector chooses by labels, in the language of Kubernetes's label
// selectors: requirements that are parted by commas, all of which must hold.
//
//	a = x, a == x        a is there and is x
//	a != x               a is not x, or is not there
//	a in (x, y)          a is there and is one of these
//	a notin (x, y)       a is none of these, or is not there
//	a                    a is there
//	!a                   a is not there
//
// Keys and values are spelled as labels are. It is pure: no I/O, no clock, no
// goroutines. Not read are Kubernetes's comparisons of numbers, "a > 1".
package selector

import (
	"cmp"
	"slices"
	"strings"
)

// MaxRequirements is how many requirements a selector may have.
const MaxRequirements = 100

// Selector chooses by labels. The zero value chooses everything. It does not
// change, and is safe for concurrent use.
type Selector struct {
	all []requirement // sorted, without repetitions
}

type operator int

const (
	exists operator = iota
	missing
	among
	outside
)

// requirement is what one label must be. The values are sorted.
type requirement struct {
	key    string
	op     operator
	values []string
}

// Matches tells whether the labels meet every requirement.
func (s Selector) Matches(labels map[string]string) bool {
	for i := range s.all {
		if !s.all[i].matches(labels) {
			return false
		}
	}
	return true
}

// Empty tells whether there is nothing required: every job is chosen.
func (s Selector) Empty() bool { return len(s.all) == 0 }

func (r *requirement) matches(labels map[string]string) bool {
	value, has := labels[r.key]
	switch r.op {
	case exists:
		return has
	case missing:
		return !has
	case among, outside:
	}
	_, listed := slices.BinarySearch(r.values, value)
	return (has && listed) == (r.op == among)
}

// String is the selector in one form for all that say the same with the same
// operators; Parse reads it back.
func (s Selector) String() string {
	var b strings.Builder
	for i := range s.all {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s.all[i].String())
	}
	return b.String()
}

// String writes sets of one value as equality, which says the same.
func (r *requirement) String() string {
	one := len(r.values) == 1
	switch {
	case r.op == missing:
		return "!" + r.key
	case r.op == among && one:
		return r.key + "=" + r.values[0]
	case r.op == among:
		return r.key + " in (" + strings.Join(r.values, ",") + ")"
	case r.op == outside && one:
		return r.key + "!=" + r.values[0]
	case r.op == outside:
		return r.key + " notin (" + strings.Join(r.values, ",") + ")"
	}
	return r.key
}

// canonical sorts requirements and drops repetitions.
func canonical(all []requirement) []requirement {
	slices.SortFunc(all, compare)
	return slices.CompactFunc(all, func(a, b requirement) bool { return compare(a, b) == 0 })
}

func compare(a, b requirement) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.op, b.op), slices.Compare(a.values, b.values))
}
