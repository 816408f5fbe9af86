package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/store"
)

func wish(op string) store.Claim {
	return store.Claim{Worker: "w", Op: op, Lanes: []string{"k"}, Max: 2, Lease: time.Second}
}

// waiting claims after a wait, in the background, and returns when it waits.
func waiting(t *testing.T, rdb redis.UniversalClient, s *store.Store, op string) <-chan []store.Task {
	t.Helper()
	got := make(chan []store.Task, 1)
	go func() {
		c, ok, err := s.WaitClaim(context.Background(), nil, wish(op), 20*time.Second)
		if ok && err == nil {
			got <- c.Tasks
		}
		close(got)
	}()
	if _, err := rdb.Info(t.Context(), "server").Result(); err == nil { // miniredis has no such section
		require.Eventually(t, func() bool {
			text, err := rdb.Info(t.Context(), "clients").Result()
			return err == nil && !strings.Contains(text, "blocked_clients:0")
		}, 10*time.Second, time.Millisecond)
	}
	return got
}

// A wait ends with the task that ended it, in the same round trip.
func TestWaitClaim(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "wait")
		_, err := s.Claim(ctx, wish("1")) // loads the script
		require.NoError(t, err)
		got := waiting(t, rdb, s, "2")
		_, err = s.Submit(ctx, "me", "1", true, []store.Submission{{Kind: "k", Plain: true, Args: []byte("1")}})
		require.NoError(t, err)
		tasks := <-got
		require.Len(t, tasks, 1)
		again, err := s.Claim(ctx, wish("2")) // as after a lost reply
		require.NoError(t, err)
		require.Equal(t, tasks, again.Tasks)
	})
}

// A claim that waits gets nothing when a later one has come before it.
func TestWaitClaimIsOvertaken(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, s := t.Context(), store.New(rdb, "overtaken")
		_, err := s.Claim(ctx, wish("1"))
		require.NoError(t, err)
		got := waiting(t, rdb, s, "2")
		_, err = s.Claim(ctx, store.Claim{Worker: "w", Op: "3", Lease: time.Second})
		require.NoError(t, err)
		_, err = s.Submit(ctx, "me", "1", true, []store.Submission{{Kind: "k", Plain: true, Args: []byte("1")}})
		require.NoError(t, err)
		require.NoError(t, s.Wake(ctx, "w"))
		tasks, open := <-got
		require.True(t, open)
		require.Empty(t, tasks)
		other := wish("1")
		other.Worker = "other"
		left, err := s.Claim(ctx, other)
		require.NoError(t, err)
		require.Len(t, left.Tasks, 1)
	})
}

// Where the script is not known, the claim is made again.
func TestWaitClaimWithoutScript(t *testing.T) {
	t.Parallel()
	ctx, rdb := t.Context(), redistest.Start(t).Client()
	s := store.New(rdb, "noscript")
	_, err := s.Submit(ctx, "me", "1", true, []store.Submission{{Kind: "k", Plain: true, Args: []byte("1")}})
	require.NoError(t, err)
	got, ok, err := s.WaitClaim(ctx, nil, wish("1"), time.Second)
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, got.Tasks, 1)
}

// other is a client of a type that WaitClaim does not know.
type other struct{ redis.UniversalClient }

func TestWaitClaimOfOtherClients(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		_, ok, err := store.New(other{rdb}, "other").WaitClaim(t.Context(), nil, wish("1"), time.Second)
		require.NoError(t, err)
		require.False(t, ok)
	})
}
