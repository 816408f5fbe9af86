package stint_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// soakEnv is for how long TestSoak works; `make soak` sets it.
const soakEnv = "STINT_SOAK"

// used is what the data of a Redis takes, in bytes, without the two streams
// that keep a fixed number of entries and fill for a while before they are flat.
func used(t *testing.T, ctx context.Context, rdb redis.UniversalClient, queue string) int64 {
	t.Helper()
	bounded := int64(0)
	for _, stream := range []string{"events", "ctl"} {
		key := "stint:{" + queue + "}:" + stream
		require.Less(t, rdb.XLen(ctx, key).Val(), int64(12_000), key)
		size, err := rdb.MemoryUsage(ctx, key, 0).Result()
		require.NoError(t, err, key)
		bounded += size
	}
	info, err := rdb.Info(ctx, "memory").Result()
	require.NoError(t, err)
	m := regexp.MustCompile(`used_memory_dataset:(\d+)`).FindStringSubmatch(info)
	require.NotNil(t, m)
	n, err := strconv.ParseInt(m[1], 10, 64)
	require.NoError(t, err)
	return n - bounded
}

// F30, F71, F74, F113: jobs of every shape come and go, for as long as one
// likes, while one job stays at the head of the stream. The memory of Redis
// stays what it was.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	long := 2 * time.Second
	if text := os.Getenv(soakEnv); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		require.NoError(t, err, soakEnv)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*long+2*within)
	defer cancel()
	rdb := s.Client()
	q := stint.NewQueue("soak", rdb)
	var done atomic.Int64
	handleUnaudited(t, q, stint.WorkerConfig{Concurrency: 50}, func(ctx context.Context, task *stint.Task[work]) error {
		switch {
		case task.Args.N < 0:
			<-ctx.Done()
			return context.Cause(ctx)
		case task.Args.N%50 == 0 && task.Attempt == 1:
			return errors.New("again")
		}
		done.Add(1)
		return nil
	})
	stays, err := q.Submit(ctx, work{-1}, stint.JobSpec{Name: "stays"})
	require.NoError(t, err)
	gone := new(time.Duration(0))
	round := func() {
		jobs := make([]stint.NewJob, 200)
		for i := range jobs {
			jobs[i] = stint.NewJob{Args: work{i}, Spec: stint.JobSpec{TTLAfterFinished: gone, Backoff: quick()}}
			switch i % 20 {
			case 1:
				jobs[i].Spec.Name = "named-" + strconv.Itoa(i)
			case 2:
				jobs[i].Spec.CompletionMode, jobs[i].Spec.Completions, jobs[i].Spec.Parallelism = stint.Indexed, new(20), new(5)
			}
		}
		want := done.Load() + 200 + 10*19
		_, err := q.SubmitMany(ctx, jobs)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return done.Load() >= want }, within, time.Millisecond)
	}
	for range 20 { // by now there is each kind of key, and Redis has its buffers
		round()
	}
	began, first, from := time.Now(), used(t, ctx, rdb, q.Name()), done.Load()
	for time.Since(began) < long {
		round()
	}
	last, n := used(t, ctx, rdb, q.Name()), done.Load()-from
	t.Logf("soak: %v, %d attempts, memory %d to %d bytes: slope %.2f bytes per attempt, %.0f bytes per second",
		time.Since(began).Round(time.Second), n, first, last, float64(last-first)/float64(n), float64(last-first)/time.Since(began).Seconds())
	require.Less(t, last, first+first/4+200_000, "memory grows")
	left := keysOf(t, rdb)
	require.Less(t, len(left), 30, left)
	require.NoError(t, q.Delete(ctx, stays.Name)) // or the worker would wait for it to the end of its grace
}
