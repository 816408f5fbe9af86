package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/rules"
)

func TestAtOnce(t *testing.T) {
	t.Parallel()
	jobs := func(plain, others int) []Submission {
		return append(slices.Repeat([]Submission{{Plain: true}}, plain), make([]Submission, others)...)
	}
	for _, c := range []struct{ plain, others, want int }{
		{0, 0, 0}, {1, 0, 1}, {500, 0, 500}, {501, 0, 500}, {0, 1, 1}, {0, 100, 100}, {0, 101, 100}, {495, 1, 496}, {496, 1, 496},
	} {
		require.Equal(t, c.want, AtOnce(jobs(c.plain, c.others)), "%d plain, %d others", c.plain, c.others)
	}
	require.Equal(t, 250, AtOnce(slices.Repeat([]Submission{{Plain: true, Start: -1}}, 300)))
}

// Every result is in one call, a call is bounded, and has no job twice.
func TestResultsArePacked(t *testing.T) {
	t.Parallel()
	for _, jobs := range []int{1, 2, 7, 30, 700} {
		results := make([]Result, 700)
		for i := range results {
			name := fmt.Sprint(i % jobs)
			results[i] = Result{Task: &Task{Job: name, UID: name}, Verdict: rules.Failed}
		}
		ended, plain := group(results, Guard{})
		require.Empty(t, plain)
		var seen []int
		for _, call := range pack(ended) {
			weight, names := 0, map[string]bool{}
			for _, idx := range call {
				weight += jobWeight + len(idx)
				name := results[idx[0]].Task.Job
				require.False(t, names[name], "job %s is twice in a call", name)
				names[name] = true
				for _, i := range idx {
					require.Equal(t, name, results[i].Task.Job)
				}
				seen = append(seen, idx...)
			}
			require.LessOrEqual(t, weight, atOnce+jobWeight)
		}
		slices.Sort(seen)
		require.Len(t, slices.Compact(seen), len(results))
	}
}
