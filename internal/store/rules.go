package store

import (
	"strconv"
	"strings"

	"github.com/stint-go/stint/internal/rules"
)

// rulesText is the form in which a record keeps a job's rules: the numbers in
// the order of RULES_TEXT in record.lua.
func rulesText(s rules.Spec) string {
	b := make([]byte, 0, 96)
	num := func(n int64) {
		if len(b) > 0 {
			b = append(b, '|')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	flag := func(v bool) {
		if v {
			num(1)
		} else {
			num(0)
		}
	}
	num(int64(s.Completions))
	num(int64(s.Parallelism))
	num(int64(s.BackoffLimit))
	num(int64(s.PerIndex))
	num(int64(s.MaxFailed))
	num(s.Deadline)
	num(s.TTL)
	flag(s.Suspend)
	num(s.StartAt)
	flag(s.ReplaceFailed)
	num(s.Backoff.Initial)
	num(s.Backoff.Max)
	num(int64(min(s.Backoff.Factor, 1e6) * 1000))
	num(int64(s.Backoff.Jitter * 1000))
	flag(s.Backoff.JobScope)
	num(int64(s.LostLimit))
	flag(s.LostCounts)
	return string(b)
}

// successText is the form of a success policy: per rule c and the count that
// any indexes must reach, or n and the number needed of the listed ones.
func successText(all []rules.SuccessRule) string {
	parts := make([]string, len(all))
	for i, r := range all {
		switch {
		case r.Indexes == nil:
			parts[i] = "c" + strconv.Itoa(r.Count)
		case r.Count == rules.Unset:
			parts[i] = "n" + strconv.Itoa(r.Indexes.Len())
		default:
			parts[i] = "n" + strconv.Itoa(r.Count)
		}
	}
	return strings.Join(parts, ",")
}

// Hits lists the rules of a success policy that a slot's success counts for,
// as settle.lua takes them; "-" for none.
func Hits(all []rules.SuccessRule, slot int) string {
	out := "-"
	for i, r := range all {
		if r.Indexes != nil && r.Indexes.Has(slot) {
			out += strconv.Itoa(i+1) + ","
		}
	}
	return out
}
