package stint_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// Counts are by the minute; a day later their place is taken by the new day's.
func TestStatsByTheMinute(t *testing.T) {
	bubble(t, func(t *testing.T, q *stint.Queue, rdb redis.UniversalClient, run func(func(context.Context) error)) {
		ctx := context.Background()
		begin := time.Now()
		w := stint.NewWorker(q, stint.WorkerConfig{})
		stint.Handle(w, func(ctx context.Context, _ *stint.Task[work]) error {
			<-time.After(2 * time.Second)
			return nil
		})
		run(w.Run)
		work1 := func(spec stint.JobSpec) {
			job, err := q.Submit(ctx, work{}, spec)
			require.NoError(t, err)
			_, err = q.Wait(ctx, job.Name)
			require.NoError(t, err)
		}
		work1(stint.JobSpec{})
		work1(stint.JobSpec{Name: "named"})
		time.Sleep(time.Minute)
		work1(stint.JobSpec{})
		points, err := q.Stats(ctx, begin.Add(-time.Minute), time.Now())
		require.NoError(t, err)
		require.Len(t, points, 2)
		require.Equal(t, 2, points[0].Succeeded)
		require.Equal(t, 4*time.Second, points[0].Run.Round(100*time.Millisecond))
		require.Equal(t, 1, points[1].Succeeded)
		require.Equal(t, time.Minute, points[1].At.Sub(points[0].At))

		// What yesterday left in the place of the next minute.
		time.Sleep(time.Minute)
		minute := time.Now().Unix() / 60
		require.NoError(t, rdb.HSet(ctx, "stint:{bubble}:stats:work", minute%1440, fmt.Sprint(minute-1440, " 7 7 7 7 7 7")).Err())
		work1(stint.JobSpec{})
		points, err = q.Stats(ctx, begin.Add(-time.Minute), time.Now())
		require.NoError(t, err)
		require.Len(t, points, 3)
		require.Equal(t, 1, points[2].Succeeded, "not added to what was there a day before")
		require.Zero(t, points[2].Failed)
	})
}
