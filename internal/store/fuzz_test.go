package store

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzRecord: whatever a job's hash holds, reading it gives a record that can
// be used, or an error.
func FuzzRecord(f *testing.F) {
	f.Add("1|2|3|0|0|1|0|0|0|0|1|1|0|0|0|9|0|0|0", "SuccessfulCreate 1 5 6;", "5 1-1+ 2-1-", "name", "\x80")
	f.Add("0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|", "x 9 9", "x+", "", "")
	f.Add(strings.Repeat("-1|", 18)+"99999999999999999999", ";;;", " ", "n", "\xff\x00")
	f.Fuzz(func(t *testing.T, state, log, memory, name, bitmap string) {
		hash := []any{"name", name, "uid", "u", "kind", "k", "state", state, "log", log, "memory", memory, "gen", log, "created", state, 7, 8}
		r, err := readJob([]any{hash, bitmap, bitmap, log})
		if err != nil {
			require.Nil(t, r)
			return
		}
		require.NotNil(t, r)
		require.NotEmpty(t, r.Name)
		require.GreaterOrEqual(t, strings.Count(state, "|"), 18)
		require.LessOrEqual(t, len(r.Happened()), strings.Count(log, ";")+1)
		r.MemoryOver()
		require.Equal(t, "k", KindOf(r.Lane()))
		require.LessOrEqual(t, r.Done.Len(), 8*len(bitmap))
	})
}

// FuzzTask: whatever an entry holds, it is a task of a job or a plain one.
func FuzzTask(f *testing.F) {
	f.Add("J name uid 3 1 0 0 0", "", "5-0")
	f.Add(`P{"labels":{}}`, `{"n":1}`, "1-1")
	f.Add("J name uid -3 99999999999999999999 0 0 0", "x", "")
	f.Fuzz(func(t *testing.T, header, args, entry string) {
		task := Task{Kind: "k", Entry: entry}
		task.read(header, args)
		require.NotEmpty(t, task.Job)
		require.Positive(t, task.Attempt)
		require.GreaterOrEqual(t, min(task.Slot, task.Failures, task.Ignored, task.Lost), 0)
		require.GreaterOrEqual(t, task.Waited(0), time.Duration(0))
		if task.Plain {
			require.Equal(t, args, string(task.Args))
		}
	})
}
