package promstint

import "sync"

// limit lets so many different values through, and calls the others Other. It
// is safe for concurrent use.
type limit struct {
	most int
	mu   sync.Mutex // guards seen
	seen map[string]bool
}

func newLimit(most int) *limit { return &limit{most: most, seen: map[string]bool{}} }

func (l *limit) value(v string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.seen[v]:
		return v
	case len(l.seen) >= l.most:
		return Other
	}
	l.seen[v] = true
	return v
}
