package stint

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/stint-go/stint/internal/indexset"
)

// ErrorGroup is errors of one job that are alike: the same outcome, code and
// rule, and the same message but for its numbers.
type ErrorGroup struct {
	Latest  AttemptError   `json:"latest"`
	Count   int            `json:"count"`   // of those kept: see [Queue.Errors]
	Indexes string         `json:"indexes"` // at which it happened, as "1-3,7"
	FirstAt time.Time      `json:"firstAt"`
	LastAt  time.Time      `json:"lastAt"`
	Workers map[string]int `json:"workers"` // how often to which; at most 100 of them
}

// Bounds of ErrorGroups.
const (
	groupsKept    = 100
	groupWorkers  = 100
	groupPages    = 40  // of what is kept of a job, 500 fields each
	groupedLength = 300 // of a message, in bytes
)

// ErrorGroups sums up the kept errors of a job, those that came last first. It
// reads 20,000 things that are kept of the job, errors and results, and tells
// at most 100 groups; whole is false where there is more. Stacks are left out.
// It fails with [ErrNotFound].
func (q *Queue) ErrorGroups(ctx context.Context, name string) (groups []ErrorGroup, whole bool, err error) {
	r, err := q.find(ctx, name)
	if err != nil {
		return nil, false, err
	}
	g := grouping{byKey: map[string]*errorGroup{}}
	for _, e := range r.Errors() { // of a plain job, which has no others
		g.add(0, e.At, e.Data)
	}
	var cursor uint64
	for page := 0; page < groupPages && !r.Plain; page++ {
		cursor, err = q.store.Failures(ctx, name, cursor, g.add)
		if err != nil {
			return nil, false, err
		}
		if cursor == 0 {
			break
		}
	}
	for _, one := range g.byKey {
		one.Indexes = one.indexes.String()
		groups = append(groups, one.ErrorGroup)
	}
	slices.SortFunc(groups, func(a, b ErrorGroup) int {
		return cmp.Or(b.LastAt.Compare(a.LastAt), cmp.Compare(a.Latest.Message, b.Latest.Message))
	})
	return groups, cursor == 0 && !g.dropped, nil
}

type errorGroup struct {
	ErrorGroup

	indexes indexset.Set
}

type grouping struct {
	byKey   map[string]*errorGroup
	dropped bool
}

// number is what differs between messages that say the same.
var number = regexp.MustCompile(`0x[0-9a-fA-F]+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9]+`)

func (g *grouping) add(slot int, ms int64, data []byte) {
	e := attemptError(slot, ms, data)
	e.Stack = ""
	rule := -1
	if e.Rule != nil {
		rule = *e.Rule
	}
	key := fmt.Sprintf("%s %d %d %s", e.Outcome, e.Code, rule, cut(number.ReplaceAllString(cut(e.Message, 4*groupedLength), "#"), groupedLength))
	one := g.byKey[key]
	if one == nil {
		if len(g.byKey) >= groupsKept {
			g.dropped = true
			return
		}
		one = &errorGroup{ErrorGroup: ErrorGroup{Latest: e, FirstAt: e.At, LastAt: e.At, Workers: map[string]int{}}}
		g.byKey[key] = one
	}
	one.Count++
	one.indexes.Add(max(0, slot))
	if e.At.After(one.LastAt) {
		one.Latest, one.LastAt = e, e.At
	}
	if e.At.Before(one.FirstAt) {
		one.FirstAt = e.At
	}
	if _, known := one.Workers[e.Worker]; known || len(one.Workers) < groupWorkers {
		one.Workers[e.Worker]++
	}
}
