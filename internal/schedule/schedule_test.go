package schedule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/schedule"
)

func parse(t *testing.T, expr, zone string) *schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(expr, zone)
	require.NoError(t, err, "Parse(%q, %q)", expr, zone)
	return s
}

// at reads "2026-03-29T02:00:00+01:00".
func at(t *testing.T, text string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	return instant
}

// following lists the n scheduled times after from, as the zone shows them.
func following(t *testing.T, s *schedule.Schedule, from string, n int) []string {
	t.Helper()
	var got []string
	next := at(t, from)
	for range n {
		next = s.Next(next)
		got = append(got, next.Format(time.RFC3339))
	}
	return got
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, expr, want string }{
		{"B210 empty", "", "empty"},
		{"B210 words", "every day", "expected exactly 5 fields"},
		{"B210 unknown descriptor", "@fortnightly", "unrecognized descriptor"},
		{"B210 minute 60", "60 * * * *", "above maximum (59)"},
		{"B210 hour 24", "0 24 * * *", "above maximum (23)"},
		{"B210 day 0", "0 0 0 * *", "below minimum (1)"},
		{"B210 month 13", "0 0 1 13 *", "above maximum (12)"},
		{"B211 TZ", "TZ=UTC * * * * *", "must not be part"},
		{"B211 CRON_TZ", "CRON_TZ=Europe/Berlin 0 3 * * *", "must not be part"},
		{"B217 Sunday as 7", "* * * * 7", "above maximum (6)"},
		{"B217 at reboot", "@reboot", "unrecognized descriptor"},
		{"B217 wrapping range", "0 22-2 * * *", "beyond end of range"},
		{"B217 last day", "0 0 L * *", "failed to parse int"},
		{"B217 six fields", "0 * * * * *", "expected exactly 5 fields"},
		{"B217 four fields", "* * * *", "expected exactly 5 fields"},
		{"B217 step of zero", "*/0 * * * *", "step of range should be a positive number"},
		{"B220 fraction of a second over one", "@every 1500ms", "1.5s is not a whole number of seconds"},
		{"B220 fraction of a second", "@every 500ms", "500ms is less than a second"},
		{"B220 zero", "@every 0s", "0s is less than a second"},
		{"B220 negative", "@every -5m", "-5m0s is less than a second"},
		{"B220 no duration", "@every soon", "is not a duration"},
		{"B220 nothing", "@every ", "is not a duration"},
		{"B220 no blank", "@every5m", "unrecognized descriptor"},
		{"B221 bare TZ", "TZ=UTC", "must not be part"},
		{"B221 bare CRON_TZ", "CRON_TZ=", "must not be part"},
		{"B224 31 February", "59 23 31 2 *", "never comes true"},
		{"B224 30 February", "0 0 30 FEB *", "never comes true"},
		{"B224 31st of short months", "0 0 31 4,6,9,11 *", "never comes true"},
		{"B224 empty list of minutes", ", * * * *", "empty list"},
		{"B224 empty list of weekdays", "0 0 * * ,", "empty list"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, err := schedule.Parse(tc.expr, "")
			require.ErrorContains(t, err, tc.want)
			require.Nil(t, s)
		})
	}
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"* * * * *":           "2026-05-13T10:31:00Z",
		"5/15 * * * ?":        "2026-05-13T10:35:00Z",
		"0 12 * jun MON-wed":  "2026-06-01T12:00:00Z",
		"15 9-17/4 * * 1-5":   "2026-05-13T13:15:00Z",
		"3,33,48 * * * *":     "2026-05-13T10:33:00Z",
		"0 0 31 * *":          "2026-05-31T00:00:00Z",
		"0 0 31 2,3 *":        "2027-03-31T00:00:00Z",
		"0 0 31 2 1":          "2027-02-01T00:00:00Z", // either: Mondays
		"@yearly":             "2027-01-01T00:00:00Z",
		"@annually":           "2027-01-01T00:00:00Z",
		"@monthly":            "2026-06-01T00:00:00Z",
		"@weekly":             "2026-05-17T00:00:00Z",
		"@daily":              "2026-05-14T00:00:00Z",
		"@midnight":           "2026-05-14T00:00:00Z",
		"@hourly":             "2026-05-13T11:00:00Z",
		"@every 90m":          "2026-05-13T12:00:20Z",
		"@every 1s":           "2026-05-13T10:30:21Z",
		"@every 0h0m2.0s":     "2026-05-13T10:30:22Z",
		" 0  11   *  * *\t\n": "2026-05-13T11:00:00Z",
	} {
		t.Run(expr, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []string{want}, following(t, parse(t, expr, ""), "2026-05-13T10:30:20.25Z", 1))
		})
	}
}

func TestDayFieldsB218B219(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, expr string
		want       []string
	}{
		{"B218 the 13th or a Friday", "0 0 13 * 5", []string{"2026-02-06", "2026-02-13", "2026-02-20", "2026-02-27", "2026-03-06", "2026-03-13"}},
		{"B219 odd days or a Monday", "0 0 */2 * 1", []string{"2026-02-02", "2026-02-03", "2026-02-05", "2026-02-07", "2026-02-09"}},
		{"B219 every day is a star", "0 0 */1 * 1", []string{"2026-02-02", "2026-02-09", "2026-02-16"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := following(t, parse(t, tc.expr, ""), "2026-02-01T00:00:00Z", len(tc.want))
			for i, day := range tc.want {
				require.Equal(t, day+"T00:00:00Z", got[i])
			}
		})
	}
}

func TestLeapDaysEightYearsApart(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"":                 {"2092-02-29T12:00:00Z", "2096-02-29T12:00:00Z", "2104-02-29T12:00:00Z", "2108-02-29T12:00:00Z"},
		"America/New_York": {"2092-02-29T12:00:00-05:00", "2096-02-29T12:00:00-05:00", "2104-02-29T12:00:00-05:00", "2108-02-29T12:00:00-05:00"},
		"Australia/Sydney": {"2092-02-29T12:00:00+11:00", "2096-02-29T12:00:00+11:00", "2104-02-29T12:00:00+11:00", "2108-02-29T12:00:00+11:00"},
	}
	for zone, times := range want {
		require.Equal(t, times, following(t, parse(t, "0 12 29 2 *", zone), "2089-01-01T00:00:00Z", 4), zone)
	}
}

// The end that Go gives to the last stretch of a leap year lies a day early.
func TestLastDayOfALeapYear(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Sydney", "Pacific/Auckland"} {
		s := parse(t, "0 */6 * * *", zone)
		previous := s.Next(at(t, "2040-12-30T00:00:00Z"))
		for range 16 {
			next := s.Next(previous)
			require.Equal(t, 6*time.Hour, next.Sub(previous), "%s after %v", zone, previous)
			previous = next
		}
	}
}

func TestNextIsStrictlyLater(t *testing.T) {
	t.Parallel()
	s := parse(t, "0 * * * *", "")
	require.Equal(t, []string{"2026-01-01T11:00:00Z"}, following(t, s, "2026-01-01T10:00:00Z", 1))
	require.Equal(t, []string{"2026-01-01T10:00:00Z"}, following(t, s, "2026-01-01T09:59:59.999999999Z", 1))
}

func TestTimesAreInTheZoneOfTheScheduleB243(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-07-01T00:00:00-07:00")
	for _, expr := range []string{"30 9 * * *", "@every 30m"} {
		require.Equal(t, "UTC", parse(t, expr, "").Next(now).Location().String())
		s := parse(t, expr, "Europe/Berlin")
		require.Equal(t, "Europe/Berlin", s.Next(now).Location().String())
		last, _, _ := s.Last(now, now.AddDate(0, 0, 2))
		require.Equal(t, "Europe/Berlin", last.Location().String())
		require.Equal(t, "Europe/Berlin", s.Due(schedule.Base{Created: now}, now.AddDate(0, 0, 2)).At.Location().String())
	}
}

func TestZonesB213(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string]string{
		"":                      "non-empty",
		"Local":                 "not Local",
		"local":                 "not Local",
		" Europe/Rome":          "not a name",
		"Europe/Rome ":          "not a name",
		"../Europe/Rome":        "not a name",
		"Europe/../Rome":        "not a name",
		"./UTC":                 "not a name",
		"/Europe/Rome":          "not a name",
		"Europe//Rome":          "not a name",
		"-UTC":                  "not a name",
		"Europe/Rome\x00":       "not a name",
		"Etc/Ümlaut":            "not a name",
		strings.Repeat("A", 15): "not a name",
		strings.Repeat("A", 14): "unknown",
		"Europe/InvalidRome":    "unknown",
		"bad-time-zone":         "unknown",
		"Europe":                "unknown",
	} {
		require.ErrorContains(t, schedule.ValidateZone(&zone), want, "%q", zone)
		if zone != "" {
			_, err := schedule.Parse("@daily", zone)
			require.ErrorContains(t, err, want, "%q", zone)
		}
	}
	require.NoError(t, schedule.ValidateZone(nil))
	for _, zone := range []string{"UTC", "Europe/Rome", "Etc/GMT+5", "America/Argentina/ComodRivadavia", "Asia/Ust-Nera"} {
		require.NoError(t, schedule.ValidateZone(&zone), zone)
		parse(t, "@daily", zone)
	}
}

func FuzzParse(f *testing.F) {
	for _, expr := range []string{
		"* * * * *", "0 0 29 2 *", "5/15 1-5 * jun MON-wed", "@every 90m", "@weekly", "TZ=UTC", "CRON_TZ=UTC 0 0 * * *",
		"59 23 31 2 *", ",, * * * *", "*/9223372036854775807 * * * *", "@every -5m", "@every 2562047h", "? ? ? ? ?", "30 2 * 3,10 *",
	} {
		f.Add(expr, "", int64(1_790_000_000))
		f.Add(expr, "Europe/Berlin", int64(1_774_745_999))
		f.Add(expr, "Australia/Lord_Howe", int64(2_240_000_000))
	}
	f.Fuzz(func(t *testing.T, expr, zone string, unix int64) {
		s, err := schedule.Parse(expr, zone)
		if err != nil {
			return
		}
		const aboutYear6000 = 1 << 37
		from := time.Unix(unix%aboutYear6000, 123)
		next := s.Next(from)
		require.True(t, next.After(from), "Next(%v) = %v", from, next)
		require.Zero(t, next.Nanosecond())
		last, missed, more := s.Last(from, next)
		require.True(t, last.Equal(next), "Last(%v, %v) = %v", from, next, last)
		require.Equal(t, 1, missed)
		require.False(t, more)
		last, missed, _ = s.Last(from, next.Add(-1))
		require.True(t, last.IsZero() && missed == 0, "Last just before %v = %v", next, last)
	})
}
