// Package fit decides which tasks a worker has room for. It does no I/O.
package fit

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/stint-go/stint/internal/quantity"
)

// The resources that every process has. A worker that does not say how much
// of them it has is not limited by them; of any other resource it has none.
const (
	CPU    = "cpu"
	Memory = "memory"
)

// Amounts are amounts of resources: of cpu in thousandths, of all others in
// whole units.
type Amounts map[string]int64

// Amount is what a quantity comes to, rounded up.
func Amount(name string, q quantity.Quantity) int64 {
	if name == CPU {
		return q.Milli()
	}
	return q.Units()
}

// Format writes an amount as a quantity.
func Format(name string, n int64) string {
	switch name {
	case CPU:
		return quantity.OfMilli(n).String()
	case Memory:
		return quantity.OfBytes(n).String()
	}
	return quantity.OfUnits(n).String()
}

// Text is the canonical form, such as "cpu=500,memory=1024"; what is 0 is left
// out.
func (a Amounts) Text() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name] == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(name + "=" + strconv.FormatInt(a[name], 10))
	}
	return b.String()
}

// Parse reads what Text wrote.
func Parse(text string) (Amounts, error) {
	a := Amounts{}
	if text == "" {
		return a, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, digits, _ := strings.Cut(part, "=")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n <= 0 || name == "" {
			return nil, errors.New("unreadable requests " + strconv.Quote(text))
		}
		a[name] = n
	}
	return a, nil
}

// Has is how much of a resource there is; limited is false where any amount is.
func (a Amounts) Has(name string) (n int64, limited bool) {
	n, named := a[name]
	return n, named || name != CPU && name != Memory
}

// Times says how often needs fit into a, at most so often.
func (a Amounts) Times(needs Amounts, most int) int {
	for name, need := range needs {
		if has, limited := a.Has(name); limited && need > 0 {
			most = int(min(int64(most), max(0, has)/need))
		}
	}
	return most
}

// Take makes needs less of what is limited, so many times. What is left may be
// negative.
func (a Amounts) Take(needs Amounts, times int) {
	for name, need := range needs {
		if _, named := a[name]; named {
			a[name] -= need * int64(times)
		}
	}
}

// Add counts needs, so many times. A sum that is too large is the most.
func (a Amounts) Add(needs Amounts, times int) {
	for name, need := range needs {
		if need > 0 && int64(times) > (math.MaxInt64-a[name])/need {
			a[name] = math.MaxInt64
			continue
		}
		a[name] += need * int64(times)
	}
}

// Short names the resources of which a has less than needed, in order.
func (a Amounts) Short(needs Amounts) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if has, limited := a.Has(name); limited && has < needs[name] {
			out = append(out, name)
		}
	}
	return out
}

// Plan says how many tasks may be claimed of lanes whose tasks have needs,
// the lane whose first task has waited longest at first, and takes these and
// what is kept free off left, which is what the worker has left of whole.
//
// For the first lane whose task does not fit now but would fit into the whole
// worker, room is kept free: nothing that has waited less takes it. So large
// tasks are not starved by small ones. It is kept for one task at a time, and
// held is its lane, -1 for none; blocked tells that some lane waits for room.
func Plan(left, whole Amounts, needs []Amounts, slots int) (take []int, held int, blocked bool) {
	take, held = make([]int, len(needs)), -1
	for i, need := range needs {
		n := left.Times(need, slots)
		switch {
		case n > 0:
			take[i] = n
			slots -= n
			left.Take(need, n)
		case whole.Times(need, 1) == 0: // never here
		case slots > 0 && left.Times(need, 1) == 0:
			blocked = true
			if held < 0 {
				held = i
				left.Take(need, 1)
			}
		}
	}
	return take, held, blocked
}
