// Package schedule reads cron expressions and computes the times they stand
// for. It has no clock: every function is told what time it is.
//
// # Expressions
//
// An expression has the five fields minute, hour, day of month, month and day
// of week (0 to 6, from Sunday), or is one of @yearly, @annually, @monthly,
// @weekly, @daily, @midnight, @hourly and "@every 90m". It is read by
// robfig/cron, as in Kubernetes. Refused are, beyond what robfig refuses, a
// time zone inside the expression, intervals of @every that are not whole and
// positive seconds, empty lists, and dates that no calendar has.
//
// Where day of month and day of week are both restricted, either may match.
//
// # Daylight saving
//
// A time is scheduled when the clock on the wall shows it. A time that the
// clock skips is therefore not scheduled that day, and one that it shows twice
// is scheduled twice. This is what Kubernetes does too. It differs only where
// robfig errs: on days without a midnight, and where clocks move by other than
// whole hours, robfig leaves out times that do exist. The times of @every are
// counted from the run before, through all changes of clocks.
package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// horizon is how many years ahead a scheduled time is looked for. Leap days
// can be eight years apart, and a change of clocks may skip one more.
const horizon = 40

// Schedule is an expression in a time zone. It never changes, and may be used
// from several goroutines.
type Schedule struct {
	zone     *time.Location
	calendar *cron.SpecSchedule // in UTC, standing for the clock on the wall; nil for @every
	every    time.Duration      // whole seconds; 0 unless @every
}

// Parse reads an expression, to be understood in the time zone of that name;
// "" is UTC. It fails if the expression or the zone is not valid, or if the
// expression never comes true.
func Parse(expr, zone string) (*Schedule, error) {
	location := time.UTC
	if zone != "" {
		var err error
		if location, err = loadZone(zone); err != nil {
			return nil, err
		}
	}
	if strings.Contains(expr, "TZ") { // a bare "TZ=UTC" makes robfig panic
		return nil, errors.New("the time zone must not be part of the schedule")
	}
	if interval, ok := strings.CutPrefix(expr, "@every "); ok {
		every, err := parseInterval(interval)
		if err != nil {
			return nil, err
		}
		return &Schedule{zone: location, every: every}, nil
	}
	calendar, err := parseCalendar(expr)
	if err != nil {
		return nil, err
	}
	return &Schedule{zone: location, calendar: calendar}, nil
}

// parseInterval refuses what robfig would round to something else.
func parseInterval(text string) (time.Duration, error) {
	every, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("@every: %q is not a duration", text)
	case every < time.Second:
		return 0, fmt.Errorf("@every: %v is less than a second", every)
	case every%time.Second != 0:
		return 0, fmt.Errorf("@every: %v is not a whole number of seconds", every)
	}
	return every, nil
}

func parseCalendar(expr string) (*cron.SpecSchedule, error) {
	parsed, err := parseGuarded(expr)
	if err != nil {
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q is not a calendar expression", expr)
	}
	for _, field := range []uint64{spec.Minute, spec.Hour, spec.Dom, spec.Month, spec.Dow} {
		if field == 0 {
			return nil, fmt.Errorf("%q has an empty list", expr)
		}
	}
	spec.Location = time.UTC
	leapYear := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	if spec.Next(leapYear).IsZero() {
		return nil, fmt.Errorf("%q never comes true: no month it names has such a day", expr)
	}
	return spec, nil
}

// parseGuarded turns a panic of the parser into an error.
func parseGuarded(expr string) (parsed cron.Schedule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%q cannot be read: %v", expr, p)
		}
	}()
	return cron.ParseStandard(expr)
}

// Next returns the first scheduled time after t, in the zone of the schedule.
// That of @every is one interval after t, on a whole second. It is the zero
// time if there is none within 40 years.
func (s *Schedule) Next(t time.Time) time.Time {
	if s.every > 0 {
		return t.Add(s.every - time.Duration(t.Nanosecond())).In(s.zone)
	}
	// Between two changes of clocks the wall is a fixed offset away from UTC,
	// where robfig's arithmetic is exact. So the search goes from change to
	// change.
	at, from := t.In(s.zone), t
	for limit := at.AddDate(horizon, 0, 0); at.Before(limit); {
		_, seconds := at.Zone()
		offset := time.Duration(seconds) * time.Second
		end := stretchEnd(at)
		if wall := s.nextOnWall(from.Add(offset).UTC()); !wall.IsZero() {
			next := wall.Add(-offset)
			if end.IsZero() || next.Before(end) {
				return next.In(s.zone)
			}
		}
		if end.IsZero() {
			break
		}
		at, from = end, end.Add(-1)
	}
	return time.Time{}
}

// nextOnWall is Next where clocks never change. A single search of robfig
// ends after five years.
func (s *Schedule) nextOnWall(t time.Time) time.Time {
	for range horizon / 5 {
		if next := s.calendar.Next(t); !next.IsZero() {
			return next
		}
		t = t.AddDate(5, 0, 0)
	}
	return time.Time{}
}

// stretchEnd returns until when the offset in force at t lasts at least; the
// zero time means for ever.
func stretchEnd(t time.Time) time.Time {
	_, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		// On the last day of a leap year the end that Go gives can lie behind
		// t. No zone changes its clocks before that day ends in UTC.
		const day = 24 * time.Hour
		end = t.Truncate(day).Add(day).In(t.Location())
	}
	return end
}
