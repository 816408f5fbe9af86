package stint_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// submitLabelled submits jobs with a record, and as many plain ones, with the
// labels n=<0..> and env, which is "test" for the even.
func submitLabelled(t *testing.T, ctx context.Context, q *stint.Queue, n int) {
	t.Helper()
	jobs := make([]stint.NewJob, 0, 2*n)
	for i := range n {
		labels := map[string]string{"n": fmt.Sprint(i), "env": []string{"test", "prod"}[i%2]}
		jobs = append(jobs,
			stint.NewJob{Args: work{}, Spec: stint.JobSpec{Name: fmt.Sprintf("job-%d", i), Labels: labels}},
			stint.NewJob{Args: work{}, Spec: stint.JobSpec{Labels: labels}})
	}
	_, err := q.SubmitMany(ctx, jobs)
	require.NoError(t, err)
}

func count(t *testing.T, ctx context.Context, q *stint.Queue, o stint.ListOptions) int {
	t.Helper()
	n, err := q.Count(ctx, o)
	require.NoError(t, err)
	return n
}

func TestDeleteAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		submitLabelled(t, ctx, q, 12)
		o := stint.ListOptions{Selector: "env=test"}
		require.Equal(t, 12, count(t, ctx, q, o))
		first := 0
		for done, err := range q.DeleteAll(ctx, o) {
			require.NoError(t, err)
			require.Equal(t, "test", done.Job.Spec.Labels["env"])
			if first++; first == 5 {
				o.Continue = done.Continue
				break
			}
		}
		require.Equal(t, 7, count(t, ctx, q, stint.ListOptions{Selector: "env=test"}), "the rest is left alone")
		rest := 0
		for _, err := range q.DeleteAll(ctx, o) {
			require.NoError(t, err)
			rest++
		}
		require.Equal(t, 7, rest)
		require.Equal(t, 12, count(t, ctx, q, stint.ListOptions{}), "jobs that were not chosen stay")
	})
}

// More than a page, and the token of the second is given back.
func TestBulkContinue(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		submitLabelled(t, ctx, q, 250)
		var o stint.ListOptions
		seen := map[string]bool{}
		for done, err := range q.SuspendAll(ctx, o) {
			require.NoError(t, err)
			require.True(t, done.Job.Spec.Suspend)
			seen[done.Job.Name] = true
			if o.Continue = done.Continue; len(seen) == 220 {
				break
			}
		}
		require.NotEmpty(t, o.Continue)
		for done, err := range q.SuspendAll(ctx, o) {
			require.NoError(t, err)
			require.False(t, seen[done.Job.Name], "%s was suspended already", done.Job.Name)
			seen[done.Job.Name] = true
		}
		require.Len(t, seen, 500)
		require.Equal(t, 500, count(t, ctx, q, stint.ListOptions{Phase: stint.PhaseSuspended}))
	})
}

func TestSuspendAllAndResumeAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: "past"})
		require.NoError(t, err)
		stop := handle(t, q, stint.WorkerConfig{}, func(context.Context, *stint.Task[work]) error { return nil })
		_, err = q.Wait(ctx, "past")
		require.NoError(t, err)
		stop()
		for _, name := range []string{"a", "b", "c"} {
			_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: name})
			require.NoError(t, err)
		}
		_, err = q.Suspend(ctx, "b")
		require.NoError(t, err)
		names := func(all func(context.Context, stint.ListOptions) func(func(stint.Outcome, error) bool)) (names []string) {
			for done, err := range all(ctx, stint.ListOptions{}) {
				require.NoError(t, err)
				names = append(names, done.Job.Name)
			}
			slices.Sort(names)
			return names
		}
		suspend := func(ctx context.Context, o stint.ListOptions) func(func(stint.Outcome, error) bool) {
			return q.SuspendAll(ctx, o)
		}
		resume := func(ctx context.Context, o stint.ListOptions) func(func(stint.Outcome, error) bool) {
			return q.ResumeAll(ctx, o)
		}
		require.Equal(t, []string{"a", "c"}, names(suspend), "neither what is finished nor what is suspended")
		require.Empty(t, names(suspend))
		require.Equal(t, []string{"a", "b", "c"}, names(resume))
		require.Empty(t, names(resume))
	})
}

func TestRetryAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		none := 0
		specs := map[string]stint.JobSpec{"one": {}, "two": {}, "shared": {Parallelism: new(1)}, "fine": {}}
		for name, spec := range specs {
			spec.Name, spec.BackoffLimit = name, &none
			n := 1
			if name == "fine" {
				n = 0
			}
			_, err := q.Submit(ctx, work{n}, spec)
			require.NoError(t, err)
		}
		handle(t, q, stint.WorkerConfig{}, func(_ context.Context, task *stint.Task[work]) error {
			if task.Args.N > 0 {
				return errors.New("always")
			}
			return nil
		})
		for name := range specs {
			_, err := q.Wait(ctx, name)
			require.NoError(t, err)
		}
		// They fail again at once, and are retried once all the same.
		var retried []string
		for done, err := range q.RetryAll(ctx, stint.ListOptions{}) {
			if done.Job.Name == "shared" {
				var bad *stint.InvalidError
				require.ErrorAs(t, err, &bad, "a work-queue job cannot be retried; the others are")
				continue
			}
			require.NoError(t, err)
			retried = append(retried, done.Job.Name)
			_, err = q.Wait(ctx, done.Job.Name)
			require.NoError(t, err)
		}
		slices.Sort(retried)
		require.Equal(t, []string{"one", "two"}, retried)
	})
}

// What a verb finds in its page may have changed before its turn comes.
func TestBulkLooksAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		mine := map[string]string{"env": "test"}
		for _, name := range []string{"a", "gone", "relabelled", "replaced", "z"} {
			_, err := q.Submit(ctx, work{}, stint.JobSpec{Name: name, Labels: mine})
			require.NoError(t, err)
		}
		var deleted []string
		for done, err := range q.DeleteAll(ctx, stint.ListOptions{Selector: "env=test"}) {
			require.NoError(t, err)
			if deleted = append(deleted, done.Job.Name); len(deleted) > 1 {
				continue
			}
			require.NoError(t, q.Delete(ctx, "gone"))
			_, err := q.Update(ctx, "relabelled", func(s *stint.JobSpec) { s.Labels = nil })
			require.NoError(t, err)
			require.NoError(t, q.Delete(ctx, "replaced"))
			_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "replaced", Labels: mine})
			require.NoError(t, err)
			_, err = q.Submit(ctx, work{}, stint.JobSpec{Name: "zz-later"})
			require.NoError(t, err)
		}
		slices.Sort(deleted)
		require.Equal(t, []string{"a", "z"}, deleted)
		require.Equal(t, 3, count(t, ctx, q, stint.ListOptions{}))
	})
}

func TestBulkEndsWithItsContext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ctx context.Context, q *stint.Queue, _ redis.UniversalClient) {
		submitLabelled(t, ctx, q, 3)
		stopped, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		enough := errors.New("enough")
		done, failed := 0, 0
		for one, err := range q.DeleteAll(stopped, stint.ListOptions{}) {
			if err != nil {
				failed++
				require.Nil(t, one.Job)
				require.ErrorIs(t, err, enough)
				continue
			}
			done++
			cancel(enough)
		}
		require.Equal(t, 1, done)
		require.Equal(t, 1, failed)
		require.Equal(t, 5, count(t, ctx, q, stint.ListOptions{}))
	})
}
