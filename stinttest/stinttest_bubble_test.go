package stinttest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/stinttest"
)

func TestServerInABubble(t *testing.T) {
	for range 3 { // go-redis keeps things from one bubble to the next
		synctest.Test(t, func(t *testing.T) {
			s := stinttest.New(t)
			q := s.Queue("shop")
			began := time.Now()
			fired := 0
			w := stint.NewWorker(q, stint.WorkerConfig{})
			stint.Handle(w, func(context.Context, *stint.Task[Charge]) error {
				fired++
				return nil
			})
			stop := s.Start(w)
			_, err := q.ApplyCron(t.Context(), stint.CronJob{Name: "often", Schedule: "* * * * *", Args: Charge{}})
			require.NoError(t, err)
			s.Advance(6 * time.Minute)
			require.Equal(t, 6, fired)
			require.Equal(t, began.Add(6*time.Minute), time.Now())
			require.True(t, s.Now().Equal(time.Now()))
			stop()
		})
	}
}

func TestDrainInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stinttest.New(t)
		q := s.Queue("shop")
		_, err := q.Submit(t.Context(), Charge{}, stint.JobSpec{Name: "slow", Delay: 5 * time.Minute})
		require.NoError(t, err)
		began := time.Now()
		left := s.Drain(q, stinttest.Handle(func(_ context.Context, t *stint.Task[Charge]) error {
			time.Sleep(2 * time.Minute)
			if t.Attempt < 3 {
				return errors.New("again")
			}
			return nil
		}))
		require.Empty(t, left)
		require.InDelta(t, (11*time.Minute + 30*time.Second).Seconds(), time.Since(began).Seconds(), 10)
	})
}

// Inside a bubble leases go by the bubble's clock, so that a worker which is
// cut off loses them.
func TestPartitionLosesLeasesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stinttest.New(t)
		q := s.Queue("shop")
		causes := make(chan error, 1)
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(ctx context.Context, t *stint.Task[Charge]) error {
			if t.Attempt == 1 && len(causes) == 0 {
				<-ctx.Done()
				causes <- context.Cause(ctx)
			}
			return nil
		})
		s.Start(w)
		_, err := q.Submit(t.Context(), Charge{}, stint.JobSpec{Name: "held"})
		require.NoError(t, err)
		s.Advance(time.Second)
		s.Partition()
		s.Advance(stint.DefaultLease)
		require.ErrorIs(t, <-causes, stint.ErrLeaseLost)
		s.Heal()
		job, err := q.Wait(t.Context(), "held")
		require.NoError(t, err)
		require.Equal(t, stint.PhaseComplete, job.Phase())
	})
}

func TestRunAndAssertIdempotentInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stinttest.New(t)
		ran := s.Run(stinttest.Handle(nothing), Charge{}, stinttest.TaskOptions{Index: 1, Attempt: 2})
		require.Equal(t, "Succeeded", ran.Outcome)
		s.AssertIdempotent(Charge{}, func() (stinttest.Handlers, func() any) {
			return stinttest.Handle(func(ctx context.Context, _ *stint.Task[Charge]) error {
				time.Sleep(time.Minute)
				return ctx.Err()
			}), func() any { return nil }
		})
	})
}
