package stint

import (
	"context"
	"sync"
)

// hands are the goroutines that run a station's tasks. One that is through with
// a task takes the next that waits; and as long as any waits, one more hand is on
// its way, which calls the next when it arrives, as Go's own scheduler wakes its
// threads. So tasks that are soon done need a few hands, while each that blocks
// has the next one run at once. A goroutine for each task, to be woken or made
// with its stack, was a third of what a worker did.
type hands struct {
	perform func(*RawTask)
	call    chan struct{} // to one that rests; has room, as one is called at a time
	mu      sync.Mutex    // guards what follows
	waiting []*RawTask    // from next on
	next    int
	called  bool // one is on its way
	resting int
}

// mostResting bounds the hands that are kept while there is nothing to do.
const mostResting = 1000

func newHands(perform func(*RawTask)) *hands {
	return &hands{perform: perform, call: make(chan struct{}, 1)}
}

// start has tasks run, in their order. Hands live no longer than base.
func (h *hands) start(base context.Context, tasks []*RawTask) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = append(h.waiting, tasks...)
	h.more(base)
}

// more calls a hand if a task waits and none is on its way. It needs mu.
func (h *hands) more(base context.Context) {
	switch {
	case h.called || h.next == len(h.waiting):
		return
	case h.resting > 0:
		h.resting--
		h.call <- struct{}{}
	default:
		go h.work(base)
	}
	h.called = true
}

// work is the life of a hand, which is called when it begins.
func (h *hands) work(base context.Context) {
	for called := true; called; {
		for t := h.take(base, true); t != nil; t = h.take(base, false) {
			h.perform(t)
		}
		called = h.rest(base)
	}
}

// take is the next task, nil for none. arrived is the hand that was called.
func (h *hands) take(base context.Context, arrived bool) *RawTask {
	h.mu.Lock()
	defer h.mu.Unlock()
	if arrived {
		h.called = false
	}
	if h.next == len(h.waiting) {
		return nil
	}
	t := h.waiting[h.next]
	h.waiting[h.next] = nil
	if h.next++; h.next == len(h.waiting) {
		h.waiting, h.next = h.waiting[:0], 0
	}
	h.more(base)
	return t
}

// rest waits to be called. It answers false where the hand is not needed.
func (h *hands) rest(base context.Context) bool {
	h.mu.Lock()
	enough := h.resting >= mostResting
	if !enough {
		h.resting++
	}
	h.mu.Unlock()
	if enough {
		return false
	}
	select {
	case <-h.call:
		return true
	case <-base.Done():
		return false
	}
}
