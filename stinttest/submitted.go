package stinttest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stint-go/stint"
)

// Submitted is a job of one kind, with its args.
type Submitted[A stint.Args] struct {
	*stint.Job
	Args A
}

// Match narrows down which jobs are meant. The zero value is all.
type Match struct {
	Labels   map[string]string // that a job must have, all of them
	Selector string            // a label selector, as in [stint.ListOptions]
	// Codec is that of the queue, if it has one of its own.
	Codec stint.Codec
}

// AllSubmitted lists the jobs of A's kind that are in the queue, in the order
// of [stint.Queue.List]: finished ones too, until their TTL is over. It works
// with any Redis.
func AllSubmitted[A stint.Args](t testing.TB, q *stint.Queue, m ...Match) []Submitted[A] {
	t.Helper()
	var zero A
	match := first(m)
	var out []Submitted[A]
	o := stint.ListOptions{Kind: zero.Kind(), Labels: match.Labels, Selector: match.Selector}
	for job, err := range q.List(context.Background(), o) {
		if err != nil {
			t.Fatalf("stinttest: jobs of kind %s cannot be listed: %v", o.Kind, err)
		}
		s := Submitted[A]{Job: job}
		if err := unmarshal(match.Codec, job.Args, &s.Args); err != nil {
			t.Fatalf("stinttest: args of job %s: %v", job.Name, err)
		}
		out = append(out, s)
	}
	return out
}

// RequireSubmitted finds a job with these args, as reflect.DeepEqual sees
// them, that the match allows. Where there is none the test ends, and says
// what was submitted in its place.
func RequireSubmitted[A stint.Args](t testing.TB, q *stint.Queue, args A, m ...Match) *stint.Job {
	t.Helper()
	all := AllSubmitted[A](t, q, m...)
	for _, s := range all {
		if reflect.DeepEqual(s.Args, args) {
			return s.Job
		}
	}
	t.Fatalf("stinttest: no job of kind %s with args %+v%s was submitted to queue %s, but %s",
		args.Kind(), args, words(first(m)), q.Name(), listed(all))
	return nil
}

// RequireNotSubmitted is the opposite of RequireSubmitted.
func RequireNotSubmitted[A stint.Args](t testing.TB, q *stint.Queue, args A, m ...Match) {
	t.Helper()
	for _, s := range AllSubmitted[A](t, q, m...) {
		if reflect.DeepEqual(s.Args, args) {
			t.Fatalf("stinttest: job %s of kind %s with args %+v%s was submitted to queue %s", s.Name, args.Kind(), args, words(first(m)), q.Name())
		}
	}
}

func first[T any](all []T) (v T) {
	if len(all) > 0 {
		v = all[0]
	}
	return v
}

func words(m Match) string {
	var b strings.Builder
	if len(m.Labels) > 0 {
		_, _ = fmt.Fprintf(&b, " and labels %v", m.Labels)
	}
	if m.Selector != "" {
		_, _ = fmt.Fprintf(&b, " and selector %q", m.Selector)
	}
	return b.String()
}

// listed names at most ten jobs.
func listed[A stint.Args](all []Submitted[A]) string {
	const most = 10
	if len(all) == 0 {
		return "none of them at all"
	}
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%d other:", len(all))
	for _, s := range all[:min(len(all), most)] {
		_, _ = fmt.Fprintf(&b, "\n\t%s %+v labels %v", s.Name, s.Args, s.Spec.Labels)
	}
	if len(all) > most {
		b.WriteString("\n\t...")
	}
	return b.String()
}

func unmarshal(c stint.Codec, data []byte, v any) error {
	if c != nil {
		return c.Unmarshal(data, v)
	}
	return json.Unmarshal(data, v)
}
