// Package indexset holds sets of completion indexes.
//
// A set is a sorted list of disjoint intervals, so that ten million finished
// indexes cost a few bytes as long as they lie together. It has two outside
// forms: the text of a job's status ("1,3-5,7") and the bitmap that Redis
// keeps with SETBIT.
package indexset

import (
	"cmp"
	"iter"
	"slices"
)

// Set is a set of non-negative integers; the zero value is empty and ready.
//
// Assigning a Set shares its memory: [Set.Clone] one before changing a copy.
// A Set may be read from several goroutines while none changes it.
type Set struct {
	spans []span // ascending, with at least one missing index between two
}

// span is an interval, both ends inclusive.
type span struct{ lo, hi int }

func compareSpans(a, b span) int { return cmp.Compare(a.lo, b.lo) }

// normalize sorts spans in place and joins those that touch.
func normalize(spans []span) Set {
	if !slices.IsSortedFunc(spans, compareSpans) {
		slices.SortFunc(spans, compareSpans)
	}
	var s Set
	for _, sp := range spans {
		s.push(sp)
	}
	return s
}

// push adds a span that starts at or behind the start of the last one.
func (s *Set) push(sp span) {
	if n := len(s.spans); n > 0 && s.spans[n-1].hi >= sp.lo-1 {
		s.spans[n-1].hi = max(s.spans[n-1].hi, sp.hi)
		return
	}
	s.spans = append(s.spans, sp)
}

// find returns the place of the first span that ends at or behind i.
func (s Set) find(i int) int {
	at, _ := slices.BinarySearchFunc(s.spans, i, func(sp span, i int) int { return cmp.Compare(sp.hi, i) })
	return at
}

// Len counts the indexes of s, in time proportional to its intervals.
func (s Set) Len() int {
	n := 0
	for _, sp := range s.spans {
		n += sp.hi - sp.lo + 1
	}
	return n
}

// Has tells whether i is in s.
func (s Set) Has(i int) bool {
	at := s.find(i)
	return at < len(s.spans) && s.spans[at].lo <= i
}

// Min returns the smallest index, and false for an empty set.
func (s Set) Min() (int, bool) {
	if len(s.spans) == 0 {
		return 0, false
	}
	return s.spans[0].lo, true
}

// Max returns the largest index, and false for an empty set.
func (s Set) Max() (int, bool) {
	if len(s.spans) == 0 {
		return 0, false
	}
	return s.spans[len(s.spans)-1].hi, true
}

// Add puts i into s. It panics if i is negative.
func (s *Set) Add(i int) { s.AddRange(i, i) }

// AddRange puts a to b, both inclusive, into s, and nothing if b < a. It
// panics if a is negative.
func (s *Set) AddRange(a, b int) {
	if b < a {
		return
	}
	if a < 0 {
		panic("indexset: an index cannot be negative")
	}
	from := s.find(a - 1) // a span that ends just before a grows
	to := from
	joined := span{a, b}
	for to < len(s.spans) && s.spans[to].lo-1 <= b {
		joined.lo = min(joined.lo, s.spans[to].lo)
		joined.hi = max(joined.hi, s.spans[to].hi)
		to++
	}
	s.spans = slices.Replace(s.spans, from, to, joined)
}

// Remove takes i out of s; it need not be in.
func (s *Set) Remove(i int) {
	at := s.find(i)
	if at == len(s.spans) || s.spans[at].lo > i {
		return
	}
	var rest []span
	if sp := s.spans[at]; sp.lo < i {
		rest = append(rest, span{sp.lo, i - 1})
	}
	if sp := s.spans[at]; sp.hi > i {
		rest = append(rest, span{i + 1, sp.hi})
	}
	s.spans = slices.Replace(s.spans, at, at+1, rest...)
}

// Truncate takes n and everything above it out of s.
func (s *Set) Truncate(n int) {
	at := s.find(n)
	if at == len(s.spans) {
		return
	}
	if s.spans[at].lo >= n {
		s.spans = s.spans[:at]
		return
	}
	s.spans[at].hi = n - 1
	s.spans = s.spans[:at+1]
}

// Clone returns a copy that shares nothing with s.
func (s Set) Clone() Set { return Set{slices.Clone(s.spans)} }

// Equal tells whether s and other hold the same indexes.
func (s Set) Equal(other Set) bool { return slices.Equal(s.spans, other.spans) }

// Union returns what is in s or in other.
func (s Set) Union(other Set) Set {
	return normalize(slices.Concat(s.spans, other.spans))
}

// Intersect returns what is in both s and other.
func (s Set) Intersect(other Set) Set {
	var out Set
	for a, b := s.spans, other.spans; len(a) > 0 && len(b) > 0; {
		if lo, hi := max(a[0].lo, b[0].lo), min(a[0].hi, b[0].hi); lo <= hi {
			out.spans = append(out.spans, span{lo, hi})
		}
		if a[0].hi < b[0].hi {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}

// Minus returns what is in s and not in other.
func (s Set) Minus(other Set) Set {
	var out Set
	b := other.spans
	for _, sp := range s.spans {
		for len(b) > 0 && b[0].hi < sp.lo {
			b = b[1:]
		}
		for rest := b; len(rest) > 0 && rest[0].lo <= sp.hi; rest = rest[1:] {
			if sp.lo < rest[0].lo {
				out.spans = append(out.spans, span{sp.lo, rest[0].lo - 1})
			}
			sp.lo = rest[0].hi + 1
			b = rest
		}
		if sp.lo <= sp.hi {
			out.spans = append(out.spans, sp)
		}
	}
	return out
}

// All yields the indexes in ascending order. The set must not change
// meanwhile.
func (s Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, sp := range s.spans {
			for i := sp.lo; i <= sp.hi; i++ {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// Ranges yields the first and the last index of each unbroken run, in
// ascending order. The set must not change meanwhile.
func (s Set) Ranges() iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for _, sp := range s.spans {
			if !yield(sp.lo, sp.hi) {
				return
			}
		}
	}
}
