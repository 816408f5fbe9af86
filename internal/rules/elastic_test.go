package rules

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// elastic is an Indexed job of three whose attempts all run.
func elastic(t *testing.T, change func(*Spec)) *Job {
	t.Helper()
	s := Spec{
		Indexed: true, Completions: 3, Parallelism: 3, BackoffLimit: 0, PerIndex: Unset, MaxFailed: Unset, Deadline: Unset, TTL: Unset,
		Backoff: Backoff{Initial: 10_000, Max: 60_000, Factor: 2, JobScope: true},
	}
	change(&s)
	j := NewJob(s)
	j.Sync(1000)
	for id := range int64(3) {
		require.True(t, j.Claim(id+1, 1000))
	}
	return j
}

func shrink(j *Job, n int, now int64) {
	j.Spec.Completions, j.Spec.Parallelism = n, n
	j.Sync(now)
}

func TestEndBeyondTheCompletionsCountsForNothing(t *testing.T) {
	t.Parallel()
	j := elastic(t, func(s *Spec) { s.ReplaceFailed = true })
	require.True(t, j.Evict(3, 1000))
	shrink(j, 2, 1000)
	require.Equal(t, 1, j.Settle([]End{{ID: 3, Verdict: Failed, At: 2000, Delay: Unset}}, 2000))
	require.Zero(t, j.Failed)
	require.Equal(t, Open, j.Phase)
}

func TestKilledSiblingBeyondTheCompletionsIsNotCounted(t *testing.T) {
	t.Parallel()
	j := elastic(t, func(s *Spec) { s.PerIndex, s.BackoffLimit = 0, 10 })
	j.Settle([]End{{ID: 1, Verdict: Failed, At: 2000, Delay: Unset}, {ID: 2, Verdict: Succeeded, At: 2000, Delay: Unset}}, 2000)
	require.Equal(t, 1, j.Failed)
	shrink(j, 2, 2000)
	require.Equal(t, ReasonFailedIndexes, j.Reason)
	require.Equal(t, 1, j.Failed)
}

func TestFailureNeverShownIsNoneOnceItsIndexIsGone(t *testing.T) {
	t.Parallel()
	j := elastic(t, func(s *Spec) { s.PerIndex, s.BackoffLimit = 1, 10 })
	j.Settle([]End{{ID: 3, Verdict: Failed, At: 2000, Delay: Unset}}, 2000)
	require.Equal(t, 1, j.Failed)
	require.Zero(t, j.Shown())
	shrink(j, 2, 2000)
	require.Zero(t, j.Failed)
	require.Zero(t, j.Shown())
}

// What was told to stop before its index went counts for nothing, also if the
// index has come back.
func TestEndFromBeforeItsIndexWent(t *testing.T) {
	t.Parallel()
	for name, evicted := range map[string]bool{"scaled": false, "evicted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := elastic(t, func(s *Spec) { s.ReplaceFailed, s.BackoffLimit = true, 10 })
			if evicted {
				require.True(t, j.Evict(2, 1000))
				require.True(t, j.Evict(3, 1000))
			}
			shrink(j, 1, 1000)
			shrink(j, 3, 1000)
			require.Len(t, j.Active, 1, "the others have not ended")
			j.Settle([]End{{ID: 3, Verdict: Succeeded, At: 2000, Delay: Unset}}, 2000)
			require.Zero(t, j.Succeeded)
			require.Contains(t, j.Active, 1, "the lowest that is missing")
			fresh := j.Active[1].ID
			j.Settle([]End{{ID: 2, Verdict: Failed, At: 2000, Delay: Unset}}, 2000)
			require.Equal(t, fresh, j.Active[1].ID)
			require.Equal(t, []int{0, 0, 3, 0}, []int{j.Succeeded, j.Failed, len(j.Active), len(j.Waiting)})
		})
	}
}
