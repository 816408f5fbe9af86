package indexset

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// String writes s as ascending decimal numbers, with "first-last" for a run of
// three or more: "1,3-5,7". The empty set is "".
func (s Set) String() string {
	var b []byte
	for _, sp := range s.spans {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(sp.lo), 10)
		switch sp.hi - sp.lo {
		case 0:
			continue
		case 1:
			b = append(b, ',')
		default:
			b = append(b, '-')
		}
		b = strconv.AppendInt(b, int64(sp.hi), 10)
	}
	return string(b)
}

// Parse reads what a user wrote, as strictly as Kubernetes does: numbers and
// ranges "x-y" with x < y in strictly increasing order, all of them below
// completions. The empty text is the empty set. The error names the fragment
// at fault.
func Parse(text string, completions int) (Set, error) {
	var s Set
	if text == "" {
		return s, nil
	}
	last := -1
	for fragment := range strings.SplitSeq(text, ",") {
		sp, err := parseSpan(fragment)
		switch {
		case err != nil:
		case sp.hi >= completions:
			err = fmt.Errorf("%d is not below the %d completions", sp.hi, completions)
		case sp.lo <= last:
			err = fmt.Errorf("not above %d, which comes before it", last)
		}
		if err != nil {
			return Set{}, fmt.Errorf("interval %q: %w", fragment, err)
		}
		s.push(sp)
		last = sp.hi
	}
	return s, nil
}

// ParseLenient reads a stored text and makes the best of it: fragments that
// cannot be read are skipped, indexes from completions on are dropped, and
// intervals may come in any order, touch and overlap.
func ParseLenient(text string, completions int) Set {
	var spans []span
	for fragment := range strings.SplitSeq(text, ",") {
		sp, err := parseSpan(fragment)
		if err != nil || sp.lo >= completions {
			continue
		}
		sp.hi = min(sp.hi, completions-1)
		spans = append(spans, sp)
	}
	return normalize(spans)
}

func parseSpan(fragment string) (span, error) {
	first, last, isRange := strings.Cut(fragment, "-")
	lo, err := parseIndex(first)
	if err != nil {
		return span{}, err
	}
	if !isRange {
		return span{lo, lo}, nil
	}
	if strings.Contains(last, "-") {
		return span{}, errors.New("more than two parts")
	}
	hi, err := parseIndex(last)
	if err != nil {
		return span{}, err
	}
	if lo >= hi {
		return span{}, fmt.Errorf("%d is not below %d", lo, hi)
	}
	return span{lo, hi}, nil
}

func parseIndex(text string) (int, error) {
	i, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not an index", text)
	}
	return i, nil
}
