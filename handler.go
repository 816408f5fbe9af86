package stint

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/stint-go/stint/internal/store"
)

// Handler runs tasks of one kind. What its error means is told at [Code].
type Handler func(ctx context.Context, t *RawTask) error

// Middleware wraps handlers.
type Middleware func(next Handler) Handler

// Handle registers the handler of A's kind. It must be called before Run; a
// second handler of the same kind is refused by Run. Args that can't be
// decoded fail the attempt with code [CodeUndecodable] and their bytes are
// kept.
func Handle[A Args](w *Worker, h func(ctx context.Context, t *Task[A]) error) {
	var zero A
	values := isValue(reflect.TypeFor[A]())
	w.HandleRaw(zero.Kind(), func(ctx context.Context, t *RawTask) error {
		task := &Task[A]{RawTask: t}
		if len(t.RawArgs) > MaxArgsBytes { // not by Submit
			return Code(CodeUndecodable, fmt.Errorf("%w: %d bytes are more than %d", ErrUndecodable, len(t.RawArgs), MaxArgsBytes))
		}
		if err := decode(t, &task.Args, values); err != nil {
			return Code(CodeUndecodable, fmt.Errorf("%w: %w", ErrUndecodable, err))
		}
		return h(ctx, task)
	})
}

// HandleResult is Handle for handlers that leave a result for their index.
func HandleResult[A Args, R any](w *Worker, h func(ctx context.Context, t *Task[A]) (R, error)) {
	Handle(w, func(ctx context.Context, t *Task[A]) error {
		r, err := h(ctx, t)
		if err != nil {
			return err
		}
		return t.SetResult(r)
	})
}

// CodeUndecodable is the error code of an attempt whose args could not be
// decoded.
const CodeUndecodable = 65

// fenced gives the store's word for a lost lease its public name.
func fenced(err error) error {
	if errors.Is(err, store.ErrFenced) {
		return ErrLeaseLost
	}
	return err
}
