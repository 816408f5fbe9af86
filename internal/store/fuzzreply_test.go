package store

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// FuzzClaimed: whatever a claim's reply has in it, it is tasks or an error.
func FuzzClaimed(f *testing.F) {
	for _, s := range []string{
		"", "1 1-1 1 2 P{}", "1 1-1 21 0 J job uid 0 1 0 0 0\n2 1-2 2 3 P{}[1]", "1 1-1 9 0 P", "0 1-1 0 0 ", "3 1-1 0 0 ", "1 1-1 -1 2 P",
		"1 1-1 9223372036854775807 9223372036854775807 P", "1 1-1 9223372036854775807 1 P", "1 2-1 28 0 J job uid -1 0 -1 99999999 x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tasks, err := parseTasks(text, []string{"a", "b~cpu=1"}, 4)
		if err != nil {
			require.ErrorContains(t, err, "claim")
		}
		for i := range tasks {
			task := &tasks[i]
			require.NotEmpty(t, task.Job)
			require.NotEmpty(t, task.UID)
			require.GreaterOrEqual(t, min(task.Slot, task.Failures, task.Ignored, task.Lost, task.Attempt-1), 0)
			require.GreaterOrEqual(t, task.Waited(1<<41), time.Duration(0))
			task.lane()
			if task.Plain { // what is in the entry, one after the other
				require.Contains(t, text, string(task.Spec)+string(task.Args))
			}
		}
	})
}

// FuzzTexts: all other texts that are read back.
func FuzzTexts(f *testing.F) {
	for _, s := range []string{
		"", "1 2 3 4 5 6 7", "k-1-1", "-1-1", "k--", "1 2 \x01\x02{}1", "NEW\nP 1-1\nOLD u", "FULL", "J a b 0 1 0 0 0", "1-1 1 0 0 0", "1-18446744073709551616",
		`{"labels":{"a":"b"}}`, `{"labels":`, "cron/x", "kind~cpu=1,memory=2", "~", "OK 10", "99999999999999999999 1 1 1 1 1 1",
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if m, ok := readMinute(a); ok {
			require.Len(t, strings.Fields(a), 7, m)
		}
		if r := pastRecord(a, b); r != nil {
			require.True(t, r.Plain)
			require.Equal(t, a, PlainName(r.Kind, r.Entry))
		}
		if r := plainRecord("k", redis.XMessage{ID: a, Values: map[string]any{"t": b, "a": a}}, true); r != nil {
			require.Equal(t, "k-"+a, r.Name)
		}
		e := eventFrom(redis.XMessage{ID: a, Values: map[string]any{"e": b, "o": a, "x": b}})
		require.Equal(t, EntryTime(a), e.Time())
		if all, err := answers(a, 2); err == nil {
			require.Len(t, all, 2)
		}
		require.Equal(t, CompareEntries(a, b), -CompareEntries(b, a))
		require.Equal(t, Lane(KindOf(a), RequestsOf(a)) == a, !strings.HasSuffix(a, laneMark) || strings.Count(a, laneMark) > 1)
		var slot Slot
		slot.keep([]any{a, nil, b, a, b, 7})
		require.Len(t, slot.Errors, 2)
		task := ReadTask(a, b, b)
		require.NotEmpty(t, task.Job)
		labelsText([]byte(a))
		_ = verdictOf(a)
	})
}
