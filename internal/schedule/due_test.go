package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/schedule"
)

// january reads a minute of UTC in January 2026: "05T10:00" or "05T10:00:30.5".
func january(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	const short = len("05T10:00")
	if len(text) == short {
		text += ":00"
	}
	return at(t, "2026-01-"+text+"Z")
}

func TestDue(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, expr       string
		created, lastRun string
		deadline         *time.Duration
		now, due, wake   string
		tooMany          bool
	}{
		{name: "B225 never ran, before the hour", expr: "0 * * * *", created: "05T09:30", now: "05T09:59", wake: "05T10:00"},
		{name: "B226 never ran, a minute after the hour", expr: "0 * * * *", created: "05T09:30", now: "05T10:01", due: "05T10:00", wake: "05T11:00"},
		{name: "B226 on the hour", expr: "0 * * * *", created: "05T09:30", now: "05T10:00", due: "05T10:00", wake: "05T11:00"},
		{name: "B226 created on the hour", expr: "0 * * * *", created: "05T10:00", now: "05T10:01", wake: "05T11:00"},
		{name: "B227 ran before", expr: "0 * * * *", created: "01T09:30", lastRun: "05T09:00", now: "05T10:01", due: "05T10:00", wake: "05T11:00"},
		{name: "B231 past the deadline", expr: "0 * * * *", created: "05T09:30", deadline: new(30 * time.Second), now: "05T10:01", wake: "05T11:00"},
		{name: "B232 within the deadline", expr: "0 * * * *", created: "05T09:30", deadline: new(2 * time.Minute), now: "05T10:01", due: "05T10:00", wake: "05T11:00"},
		{name: "B232 deadline from before the creation", expr: "0 * * * *", created: "05T10:30", deadline: new(24 * time.Hour), now: "05T10:45", wake: "05T11:00"},
		{name: "B233 deadline 0", expr: "0 * * * *", created: "05T09:30", deadline: new(time.Duration(0)), now: "05T10:00", wake: "05T11:00"},
		{name: "B235 the latest of three", expr: "0 * * * *", created: "01T00:00", lastRun: "05T07:00", now: "05T10:01", due: "05T10:00", wake: "05T11:00"},
		{name: "B236 over the weekend", expr: "30 6-16/4 * * 1-5", created: "01T00:00", lastRun: "02T10:30", now: "05T06:31", due: "05T06:30", wake: "05T10:30"},
		{name: "B236a Friday's last, on Saturday", expr: "30 6-16/4 * * 1-5", created: "01T00:00", lastRun: "02T06:30", now: "03T12:00", due: "02T14:30", wake: "05T06:30"},
		{name: "B236b a second's deadline, in time", expr: "* * * * *", created: "05T09:30", deadline: new(time.Second), now: "05T10:00:00.1", due: "05T10:00", wake: "05T10:01"},
		{name: "B236b a second's deadline, too late", expr: "* * * * *", created: "05T09:30", deadline: new(time.Second), now: "05T10:00:01.5", wake: "05T10:01"},
		{name: "B237 anchored at the last run", expr: "@every 6h", created: "01T00:00", lastRun: "05T01:17", now: "05T15:00", due: "05T13:17", wake: "05T19:17"},
		{name: "B237 anchored at the creation", expr: "@every 6h", created: "05T01:17:10.6", now: "05T08:00", due: "05T07:17:10", wake: "05T13:17:10"},
		{name: "B237 a deadline does not move the anchor", expr: "@every 6h", created: "01T00:00", lastRun: "05T01:17", deadline: new(time.Hour), now: "05T13:30", due: "05T13:17", wake: "05T19:17"},
		{name: "B237 a deadline that has passed", expr: "@every 6h", created: "01T00:00", lastRun: "05T01:17", deadline: new(time.Hour), now: "05T15:00", wake: "05T19:17"},
		{name: "B237 a deadline before the first time", expr: "@every 6h", created: "05T01:17", deadline: new(time.Hour), now: "05T05:00", wake: "05T07:17"},
		{name: "B238 a new schedule's time lies behind", expr: "30 * * * *", created: "01T00:00", lastRun: "05T10:00", now: "05T10:45", due: "05T10:30", wake: "05T11:30"},
		{name: "B239 suspended over several times", expr: "0 0 * * *", created: "01T00:00", lastRun: "02T00:00", now: "05T10:45", due: "05T00:00", wake: "06T00:00"},
		{name: "B242 the same time again", expr: "0 * * * *", created: "01T00:00", lastRun: "05T10:00", now: "05T10:00:00.1", wake: "05T11:00"},
		{name: "B245 two times in a minute, the first", expr: "@every 30s", created: "05T10:00", now: "05T10:00:30", due: "05T10:00:30", wake: "05T10:01"},
		{name: "B245 two times in a minute, the second", expr: "@every 30s", created: "05T10:00", lastRun: "05T10:00:30", now: "05T10:01", due: "05T10:01", wake: "05T10:01:30"},
		{name: "a clock that went back", expr: "0 * * * *", created: "05T12:30", now: "05T10:01", wake: "05T13:00"},
		{name: "a hundred missed", expr: "* * * * *", created: "05T10:00", now: "05T11:40", due: "05T11:40", wake: "05T11:41"},
		{name: "a hundred and one missed", expr: "* * * * *", created: "05T10:00", now: "05T11:41", due: "05T11:41", wake: "05T11:42", tooMany: true},
		{name: "a hundred missed, @every", expr: "@every 1m", created: "05T10:00", now: "05T11:40", due: "05T11:40", wake: "05T11:41"},
		{name: "a hundred and one missed, @every", expr: "@every 1m", created: "05T10:00", now: "05T11:41", due: "05T11:41", wake: "05T11:42", tooMany: true},
		{name: "few within the deadline", expr: "* * * * *", created: "01T00:00", deadline: new(time.Hour), now: "05T11:41", due: "05T11:41", wake: "05T11:42"},
		{name: "few within the deadline, @every", expr: "@every 1m", created: "01T00:00", deadline: new(time.Hour), now: "05T11:41", due: "05T11:41", wake: "05T11:42"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			base := schedule.Base{Created: january(t, tc.created), LastRun: january(t, tc.lastRun), StartingDeadline: tc.deadline}
			want := schedule.Outlook{At: january(t, tc.due), TooManyMissed: tc.tooMany, Wake: january(t, tc.wake)}
			require.Equal(t, want, parse(t, tc.expr, "").Due(base, january(t, tc.now)))
		})
	}
}

func TestManyMissedB234(t *testing.T) {
	t.Parallel()
	now := january(t, "05T10:00:07")
	got := parse(t, "* * * * *", "").Due(schedule.Base{Created: now.AddDate(0, 0, -98)}, now)
	require.Equal(t, schedule.Outlook{At: january(t, "05T10:00"), TooManyMissed: true, Wake: january(t, "05T10:01")}, got)
}

// Stepping through two thousand years of minutes would take longer than a test
// may, so that this one ends only if the work is bounded.
func TestLastIsBounded(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-03-29T01:15:30Z")
	for expr, want := range map[string]string{
		"* * * * *":         "2026-03-29T03:15:00+02:00",
		"30 2 * * *":        "2026-03-28T02:30:00+01:00",
		"30 6-16/4 * * 1-5": "2026-03-27T14:30:00+01:00",
		"* 0 1 1 *":         "2026-01-01T00:59:00+01:00",
		"0 12 29 2 *":       "2024-02-29T12:00:00+01:00",
	} {
		s := parse(t, expr, "Europe/Berlin")
		last, missed, more := s.Last(time.Time{}, now)
		require.Equal(t, want, last.Format(time.RFC3339), expr)
		require.Equal(t, 101, missed, expr)
		require.True(t, more, expr)
	}
	onTheMinute := now.Truncate(time.Minute)
	last, _, _ := parse(t, "* * * * *", "").Last(time.Time{}, onTheMinute)
	require.True(t, last.Equal(onTheMinute), "%v", last)
	last, missed, more := parse(t, "@every 7s", "").Last(time.Time{}, now)
	require.True(t, last.After(now.Add(-7*time.Second)) && !last.After(now), "%v", last)
	require.Equal(t, 101, missed)
	require.True(t, more)
}

func TestLastFindsNothing(t *testing.T) {
	t.Parallel()
	now := january(t, "05T10:00")
	for _, expr := range []string{"0 * * * *", "@every 1h"} {
		s := parse(t, expr, "")
		for _, from := range []time.Time{now, now.Add(time.Second), now.Add(240 * time.Hour)} {
			last, missed, more := s.Last(from, now)
			require.True(t, last.IsZero(), "%s: Last(%v, %v) = %v", expr, from, now, last)
			require.Zero(t, missed)
			require.False(t, more)
		}
	}
}

func BenchmarkLastTenYearsOfMinutes(b *testing.B) {
	s, err := schedule.Parse("* * * * *", "Europe/Berlin")
	require.NoError(b, err)
	now := time.Date(2026, time.November, 1, 12, 0, 30, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		s.Last(now.AddDate(-10, 0, 0), now)
	}
}
