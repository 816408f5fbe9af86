package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/stint-go/stint"
)

// The exit codes, which scripts may rely on.
const (
	exitOK        = 0
	exitError     = 1   // anything else, as a Redis that does not answer
	exitUsage     = 2   // wrong flags or arguments, or invalid input
	exitNotFound  = 3   // there is no such job, cron job or worker
	exitFailed    = 4   // the job that was waited for has failed
	exitTimeout   = 5   // --timeout has passed
	exitDeclined  = 6   // a bulk action was not confirmed
	exitConflict  = 7   // the name is taken, or the job is in a state that does not allow it
	exitFindings  = 8   // audit or doctor has found something wrong
	exitInterrupt = 130 // by a signal
)

// exitHelp tells of the codes in the help of the root command.
const exitHelp = `Exit codes: 0 done, 1 failure, 2 wrong usage or invalid input, 3 not found, 4 the job waited for has failed,
5 timed out, 6 not confirmed, 7 conflict, 8 audit or doctor found something, 130 interrupted.`

// coded is an error with an exit code of its own.
type coded struct {
	code int
	err  error
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

func fail(code int, format string, a ...any) error { return &coded{code, fmt.Errorf(format, a...)} }

// codeOf finds the exit code of an error.
func codeOf(err error) int {
	var c *coded
	var invalid *stint.InvalidError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &c):
		return c.code
	case errors.As(err, &invalid), errors.Is(err, stint.ErrNoKeys):
		return exitUsage
	case errors.Is(err, stint.ErrNotFound):
		return exitNotFound
	case errors.Is(err, stint.ErrExists), errors.Is(err, stint.ErrConflict), errors.Is(err, stint.ErrFinished):
		return exitConflict
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case errors.Is(err, context.Canceled):
		return exitInterrupt
	}
	return exitError
}

// report writes an error for people: one line, or one for each bad field.
func report(w io.Writer, err error) {
	var invalid *stint.InvalidError
	if errors.As(err, &invalid) {
		for _, f := range invalid.Fields {
			_, _ = fmt.Fprintf(w, "error: %s\n", f.Error())
		}
		return
	}
	if codeOf(err) == exitInterrupt {
		return
	}
	_, _ = fmt.Fprintf(w, "error: %v\n", err)
}
