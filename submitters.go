package stint

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/stint-go/stint/internal/store"
)

// submitters groups concurrent submissions: while one call is under way the
// next ones gather, and then go together.
type submitters struct {
	id      string
	mu      sync.Mutex // guards what follows
	busy    bool
	calls   int64
	waiting gathering
	idle    sync.Pool // of waiters
}

// gathering are submissions, and who waits for each.
type gathering struct {
	subs    []store.Submission
	waiters []waiter
}

// waiter has room for one submitted, so that nobody waits for whoever waits.
type waiter chan submitted

type submitted struct {
	answer store.Answer
	err    error
}

// one submits a job, alone or together with others.
func (b *submitters) one(ctx context.Context, st *store.Store, sub store.Submission) (store.Answer, error) {
	b.mu.Lock()
	if !b.busy {
		b.busy = true
		op := b.next()
		b.mu.Unlock()
		return b.lead(ctx, st, op, sub)
	}
	w, _ := b.idle.Get().(waiter)
	if w == nil {
		w = make(waiter, 1)
	}
	b.waiting.subs = append(b.waiting.subs, sub)
	b.waiting.waiters = append(b.waiting.waiters, w)
	b.mu.Unlock()
	select {
	case s := <-w:
		b.idle.Put(w)
		return s.answer, s.err
	case <-ctx.Done(): // the waiter goes with what it will be told
		return store.Answer{}, fmt.Errorf("%w: %w", ErrUncertain, context.Cause(ctx))
	}
}

// next is the number of the next operation.
func (b *submitters) next() string {
	b.calls++
	return strconv.FormatInt(b.calls, 10)
}

// lead submits a job while nobody else does; then a goroutine goes on for those
// who have come meanwhile, if there are any.
func (b *submitters) lead(ctx context.Context, st *store.Store, op string, sub store.Submission) (store.Answer, error) {
	ctx = context.WithoutCancel(ctx)
	answers, err := submitSurely(ctx, st, b.id, op, false, []store.Submission{sub})
	if group, op := b.gathered(gathering{}); op != "" {
		go b.follow(ctx, st, op, group)
	}
	if err != nil {
		return store.Answer{}, err
	}
	return answers[0], nil
}

// follow submits what has gathered, for as long as something has.
func (b *submitters) follow(ctx context.Context, st *store.Store, op string, group gathering) {
	for op != "" {
		answers, err := submitSurely(ctx, st, b.id, op, false, group.subs)
		for i, w := range group.waiters {
			if err != nil {
				w <- submitted{err: err}
			} else {
				w <- submitted{answer: answers[i]}
			}
		}
		group, op = b.gathered(group)
	}
}

// gathered are those who wait, as many as go at once, and the number of their
// operation; without any the turn ends. The next ones gather where those did
// that are done.
func (b *submitters) gathered(done gathering) (group gathering, op string) {
	if cap(done.subs) > store.Limit {
		done = gathering{}
	}
	clear(done.subs)
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.waiting
	n := store.AtOnce(all.subs)
	if b.busy = n > 0; !b.busy {
		return gathering{}, ""
	}
	b.waiting = gathering{append(done.subs[:0], all.subs[n:]...), append(done.waiters[:0], all.waiters[n:]...)}
	clear(all.subs[n:])
	return gathering{all.subs[:n], all.waiters[:n]}, b.next()
}
