package store

import (
	"context"
	"errors"
	"strings"
)

// lasting are the answers of Redis that no repetition mends soon: an operator
// must, or they show a defect.
var lasting = []string{
	"OOM", "MISCONF", "NOAUTH", "WRONGPASS", "NOPERM", "WRONGTYPE", "CROSSSLOT", "ERR", "user_script", "NOSCRIPT",
}

// replyError is an error that Redis could have answered.
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}

// errRecord is the answer about a job whose record is something else.
const errRecord = replyError("WRONGTYPE the key of the job's record holds something else")

// Damaged tells an error that is about what the keys of a script hold, and
// stays the same for as long as nobody mends these.
func Damaged(err error) bool {
	return err != nil && isReply(err) && (strings.Contains(err.Error(), "WRONGTYPE") || strings.Contains(err.Error(), "script"))
}

// Temporary tells an error that may go away by itself: of the connection, or
// of a server that is loading, failing over or busy.
func Temporary(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if !isReply(err) {
		return !errors.Is(err, ErrGone) && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrFenced) && !errors.Is(err, ErrAlive) &&
			!errors.Is(err, ErrFull) && !errors.Is(err, errNoPrimary) && !errors.Is(err, ErrLayout)
	}
	text := err.Error()
	if strings.Contains(text, "READONLY") || strings.Contains(text, "max number of clients") {
		return true
	}
	for _, p := range lasting {
		if strings.HasPrefix(text, p) {
			return false
		}
	}
	return true
}
