package stint

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// numbered are n tasks, known by their indexes.
func numbered(n int) []*RawTask {
	tasks := make([]*RawTask, n)
	for i := range tasks {
		tasks[i] = &RawTask{Index: i}
	}
	return tasks
}

// inHands runs a test with hands, which end with it.
func inHands(t *testing.T, perform func(*RawTask), f func(base context.Context, h *hands)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		base, stop := context.WithCancel(context.Background())
		f(base, newHands(perform))
		stop() // a hand that stays would fail the bubble
	})
}

// No task waits while others block, whether hands have to be made for them or
// rest, and however the tasks come.
func TestHandsThatBlock(t *testing.T) {
	t.Parallel()
	const n = 100
	started, goOn := make(chan int, n), (chan struct{})(nil) // one of the bubble
	inHands(t, func(task *RawTask) {
		started <- task.Index
		<-goOn
	}, func(base context.Context, h *hands) {
		goOn = make(chan struct{})
		for _, chunk := range []int{n, 1, 7} {
			for at := 0; at < n; at += chunk {
				h.start(base, numbered(min(chunk, n-at)))
			}
			synctest.Wait()
			require.Len(t, started, n)
			for range n {
				<-started
				goOn <- struct{}{}
			}
			synctest.Wait()
			require.Equal(t, n, h.resting)
			require.Empty(t, h.waiting)
			require.False(t, h.called)
		}
	})
}

// Tasks that come after one that blocks run all the same.
func TestHandsBehindOneThatBlocks(t *testing.T) {
	t.Parallel()
	const n = 60
	started, goOn := make(chan int, n), (chan struct{})(nil) // one of the bubble
	inHands(t, func(task *RawTask) {
		if started <- task.Index; task.Index%3 == 0 {
			<-goOn
		}
	}, func(base context.Context, h *hands) {
		goOn = make(chan struct{})
		h.start(base, numbered(n))
		synctest.Wait()
		require.Len(t, started, n)
		require.Empty(t, h.waiting)
		close(goOn)
		synctest.Wait()
	})
}

// A hand that a handler ends leaves nothing behind.
func TestHandsThatEnd(t *testing.T) {
	t.Parallel()
	const n = 50
	started := make(chan int, 2*n)
	inHands(t, func(task *RawTask) {
		started <- task.Index
		runtime.Goexit()
	}, func(base context.Context, h *hands) {
		for _, all := range []int{n, 2 * n} {
			h.start(base, numbered(n))
			synctest.Wait()
			require.Len(t, started, all)
			require.Zero(t, h.resting)
		}
	})
}

// No more hands are kept than mostResting.
func TestHandsAreLetGo(t *testing.T) {
	t.Parallel()
	var goOn chan struct{} // of the bubble
	inHands(t, func(*RawTask) { <-goOn }, func(base context.Context, h *hands) {
		goOn = make(chan struct{})
		h.start(base, numbered(mostResting+200))
		synctest.Wait()
		close(goOn)
		synctest.Wait()
		require.Equal(t, mostResting, h.resting)
	})
}
