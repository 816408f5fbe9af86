package schedule_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/schedule"
)

// In 2026 clocks change in Berlin at 2 on 29 March and at 3 on 25 October, in
// New York at 2 on 8 March and at 2 on 1 November.
func TestDaylightSaving(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, expr, zone, from string
		want                   []string
	}{
		{
			"B222 Berlin 2023 fires twice", "0 2 * * *", "Europe/Berlin", "2023-10-28T12:00:00Z",
			[]string{"2023-10-29T02:00:00+02:00", "2023-10-29T02:00:00+01:00", "2023-10-30T02:00:00+01:00"},
		},
		{
			"B222 Berlin, autumn", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"},
		},
		{
			"B222 New York, autumn", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-05:00"},
		},
		{
			"B222 not after the repeated hour", "0 3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T03:00:00+01:00", "2026-10-26T03:00:00+01:00"},
		},
		{
			"B223 Berlin 2023 skips the day", "30 2 * * *", "Europe/Berlin", "2023-03-25T00:00:00Z",
			[]string{"2023-03-25T02:30:00+01:00", "2023-03-27T02:30:00+02:00"},
		},
		{
			"B223 Berlin, spring", "0 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z",
			[]string{"2026-03-28T02:00:00+01:00", "2026-03-30T02:00:00+02:00"},
		},
		{
			"B223 New York, spring", "30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z",
			[]string{"2026-03-07T02:30:00-05:00", "2026-03-09T02:30:00-04:00"},
		},
		{
			"B223 not after the gap", "0 3 * * *", "America/New_York", "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T03:00:00-04:00"},
		},
		{
			"hourly through the gap, Berlin", "@hourly", "Europe/Berlin", "2026-03-29T00:30:00+01:00",
			[]string{"2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"},
		},
		{
			"hourly through the gap, New York", "@hourly", "America/New_York", "2026-03-08T00:30:00-05:00",
			[]string{"2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-08T04:00:00-04:00"},
		},
		{
			"hourly through the fold, Berlin", "@hourly", "Europe/Berlin", "2026-10-25T01:30:00+02:00",
			[]string{"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"},
		},
		{
			"hourly through the fold, New York", "@hourly", "America/New_York", "2026-11-01T00:30:00-04:00",
			[]string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00"},
		},
		{
			"every 90 minutes through the gap, Berlin", "@every 90m", "Europe/Berlin", "2026-03-29T00:00:00+01:00",
			[]string{"2026-03-29T01:30:00+01:00", "2026-03-29T04:00:00+02:00"},
		},
		{
			"every 24 hours through the gap, New York", "@every 24h", "America/New_York", "2026-03-07T02:30:00-05:00",
			[]string{"2026-03-08T03:30:00-04:00", "2026-03-09T03:30:00-04:00"},
		},
		{
			"every 24 hours through the fold, Berlin", "@every 24h", "Europe/Berlin", "2026-10-24T12:00:00+02:00",
			[]string{"2026-10-25T11:00:00+01:00", "2026-10-26T11:00:00+01:00"},
		},
		{
			"every hour through the fold, New York", "@every 1h", "America/New_York", "2026-11-01T00:30:00-04:00",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-01T02:30:00-05:00"},
		},
		{
			"no midnight in Cairo", "0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z",
			[]string{"2026-04-25T00:00:00+03:00"},
		},
		{
			"noon on a day without midnight", "0 12 24 4 *", "Africa/Cairo", "2026-04-01T00:00:00Z",
			[]string{"2026-04-24T12:00:00+03:00"}, // robfig alone: a year later
		},
		{
			"half an hour's gap", "15 3 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
			[]string{"2026-10-04T03:15:00+11:00"}, // robfig alone: a day later
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, following(t, parse(t, tc.expr, tc.zone), tc.from, len(tc.want)))
		})
	}
}

// A second reading of expressions: what the clock on the wall must show.
type wall struct {
	expr  string
	shows func(minute, hour, day int, month time.Month, weekday time.Weekday) bool
}

func walls() []wall {
	return []wall{
		{"* * * * *", func(int, int, int, time.Month, time.Weekday) bool { return true }},
		{"*/7 * * * *", func(m, _, _ int, _ time.Month, _ time.Weekday) bool { return m%7 == 0 }},
		{"15,45 0-3 * * *", func(m, h, _ int, _ time.Month, _ time.Weekday) bool { return (m == 15 || m == 45) && h <= 3 }},
		{"30 2 * * *", func(m, h, _ int, _ time.Month, _ time.Weekday) bool { return m == 30 && h == 2 }},
		{"0 0 * * *", func(m, h, _ int, _ time.Month, _ time.Weekday) bool { return m == 0 && h == 0 }},
		{"59 23 * * 0,6", func(m, h, _ int, _ time.Month, w time.Weekday) bool {
			return m == 59 && h == 23 && (w == time.Sunday || w == time.Saturday)
		}},
		{"20 1-23/2 */3 * 1", func(m, h, d int, _ time.Month, w time.Weekday) bool {
			return m == 20 && h%2 == 1 && (d%3 == 1 || w == time.Monday)
		}},
		{"0 12 * 3,10 *", func(m, h, _ int, mo time.Month, _ time.Weekday) bool {
			return m == 0 && h == 12 && (mo == time.March || mo == time.October)
		}},
	}
}

// changes finds the changes of clocks in a year by looking at every hour.
func changes(zone *time.Location, year int) []time.Time {
	var found []time.Time
	t := time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)
	for ; t.Year() == year; t = t.Add(time.Hour) {
		_, before := t.In(zone).Zone()
		if _, after := t.Add(time.Hour).In(zone).Zone(); before != after {
			found = append(found, t)
		}
	}
	return found
}

// scan looks at the wall each minute and notes when the expression comes true.
func scan(w wall, zone *time.Location, from, to time.Time) []time.Time {
	var hits []time.Time
	for t := from.Add(time.Minute); !t.After(to); t = t.Add(time.Minute) {
		local := t.In(zone)
		if w.shows(local.Minute(), local.Hour(), local.Day(), local.Month(), local.Weekday()) {
			hits = append(hits, local)
		}
	}
	return hits
}

// TestScan compares Next and Last with a look at every minute around changes
// of clocks: by an hour, by half and two hours, at midnight, of several in a
// month, and of a whole day that was left out.
func TestScan(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		zone string
		year int
	}{
		{"Europe/Berlin", 2026},
		{"America/New_York", 2026},
		{"Australia/Lord_Howe", 2026},
		{"Antarctica/Troll", 2026},
		{"Africa/Cairo", 2026},
		{"Africa/Casablanca", 2026},
		{"America/Havana", 2026},
		{"America/Sao_Paulo", 2018},
		{"Europe/Dublin", 2044},
		{"Pacific/Apia", 2011},
		{"Asia/Pyongyang", 2018},
	} {
		t.Run(tc.zone, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(tc.zone)
			require.NoError(t, err)
			found := changes(zone, tc.year)
			require.NotEmpty(t, found)
			rnd := rand.New(rand.NewPCG(1, uint64(tc.year)))
			for _, change := range found {
				for _, w := range walls() {
					s := parse(t, w.expr, tc.zone)
					from, to := change.Add(-30*time.Hour), change.Add(30*time.Hour)
					hits := scan(w, zone, from, to)
					compareNext(t, s, hits, from, to)
					for range 20 {
						after := from.Add(time.Duration(rnd.Int64N(int64(to.Sub(from)))))
						notAfter := after.Add(time.Duration(rnd.Int64N(int64(to.Sub(after)))))
						compareLast(t, s, hits, after, notAfter)
					}
				}
			}
		})
	}
}

func compareNext(t *testing.T, s *schedule.Schedule, hits []time.Time, from, to time.Time) {
	t.Helper()
	for _, want := range hits {
		got := s.Next(from)
		require.True(t, got.Equal(want), "Next(%v) = %v, want %v", from, got, want)
		from = got
	}
	require.True(t, s.Next(from).After(to), "Next(%v) = %v, want it after %v", from, s.Next(from), to)
}

func compareLast(t *testing.T, s *schedule.Schedule, hits []time.Time, after, notAfter time.Time) {
	t.Helper()
	var want time.Time
	count := 0
	for _, hit := range hits {
		if hit.After(after) && !hit.After(notAfter) {
			want = hit
			count++
		}
	}
	last, missed, more := s.Last(after, notAfter)
	require.True(t, last.Equal(want), "Last(%v, %v) = %v, want %v", after, notAfter, last, want)
	require.Equal(t, min(count, 101), missed, "between %v and %v", after, notAfter)
	require.Equal(t, count > 100, more, "between %v and %v", after, notAfter)
}

// Where clocks move by whole hours, and not at midnight, times are exactly
// those of robfig, which are Kubernetes's.
func TestNextIsThatOfRobfig(t *testing.T) {
	t.Parallel()
	exprs := []string{
		"*/20 * * * *", "30 2 * * *", "0 1-3 * * *", "0 0 * * *", "15 9-17/4 * * 1-5", "0 0 13 * 5", "0 0 */2 * 1",
		"59 23 31 * *", "0 12 29 2 *", "@weekly", "@monthly", "@yearly", "@hourly",
	}
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York"} {
		for _, expr := range exprs {
			theirs, err := cron.ParseStandard("CRON_TZ=" + zone + " " + expr)
			require.NoError(t, err)
			ours := parse(t, expr, zone)
			now := at(t, "2025-12-31T12:34:56.789Z")
			for range 2000 {
				want := theirs.Next(now)
				require.True(t, want.Equal(ours.Next(now)), "%s in %s: Next(%v) = %v, want %v", expr, zone, now, ours.Next(now), want)
				now = now.Add(293 * time.Minute)
			}
		}
	}
}
