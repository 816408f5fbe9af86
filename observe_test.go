package stint_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

func TestVerdictOf(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancelCause(t.Context())
	end(stint.ErrShutdown)
	plain := errors.New("plain")
	check := func(ctx context.Context, err error, want stint.Verdict) {
		t.Helper()
		got := stint.VerdictOf(ctx, err)
		require.Equal(t, want, got)
		require.Contains(t, stint.Verdicts(), got)
	}
	check(t.Context(), nil, stint.VerdictSucceeded)
	check(ended, nil, stint.VerdictSucceeded)
	check(t.Context(), plain, stint.VerdictFailed)
	check(t.Context(), stint.Code(7, plain), stint.VerdictFailed)
	check(ended, plain, stint.VerdictInterrupted)
	check(ended, stint.FailJob(plain), stint.VerdictJobFailed)
	check(t.Context(), stint.FailIndex(nil), stint.VerdictIndexFailed)
	check(t.Context(), stint.Ignore(plain), stint.VerdictIgnored)
	check(t.Context(), stint.Snooze(0), stint.VerdictSnoozed)
}

// A named job submitted again in another trace is the same job.
func TestTraceAnnotationsAreNotCompared(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		spec := func(trace, other string) stint.JobSpec {
			s := stint.JobSpec{Name: "traced", Annotations: map[string]string{}}
			if trace != "" {
				s.Annotations[stint.TracePrefix+"traceparent"] = trace
			}
			if other != "" {
				s.Annotations["other"] = other
			}
			return s
		}
		first, err := q.Submit(ctx, work{1}, spec("a", ""))
		require.NoError(t, err)
		for _, again := range []stint.JobSpec{spec("b", ""), spec("", ""), {Name: "traced"}} {
			job, err := q.Submit(ctx, work{1}, again)
			require.NoError(t, err)
			require.Equal(t, first.UID, job.UID)
		}
		_, err = q.Submit(ctx, work{1}, spec("a", "x"))
		require.ErrorIs(t, err, stint.ErrExists)
		got, err := q.Get(ctx, "traced")
		require.NoError(t, err)
		require.Equal(t, "a", got.Spec.Annotations[stint.TracePrefix+"traceparent"])
	})
}
