package schedule

import "time"

// maxCounted is how many missed times are counted; beyond, there are "many".
const maxCounted = 100

// Last returns the latest scheduled time after after and not after notAfter,
// or the zero time if there is none. The times of @every are counted from
// after. It takes about as long for ten years as for a day.
//
// It returns too how many scheduled times there are, the latest among them. If
// there are more than a hundred, missed is 101 and more is true.
func (s *Schedule) Last(after, notAfter time.Time) (last time.Time, missed int, more bool) {
	if s.every > 0 {
		return s.lastInterval(after, notAfter)
	}
	for next := s.Next(after); !next.IsZero() && !next.After(notAfter); next = s.Next(next) {
		last = next
		if missed++; missed > maxCounted {
			return s.bisect(last, notAfter), missed, true
		}
	}
	return last, missed, false
}

func (s *Schedule) lastInterval(after, notAfter time.Time) (last time.Time, missed int, more bool) {
	first := s.Next(after)
	if first.After(notAfter) {
		return time.Time{}, 0, false
	}
	// Seconds, for a Duration cannot hold more than 292 years.
	step := int64(s.every / time.Second)
	steps := (notAfter.Unix() - first.Unix()) / step
	last = time.Unix(first.Unix()+steps*step, 0).In(s.zone)
	return last, int(min(steps, maxCounted)) + 1, steps >= maxCounted
}

// bisect returns the latest scheduled time up to high; low is one itself.
func (s *Schedule) bisect(low, high time.Time) time.Time {
	for high.Sub(low) >= time.Second {
		middle := low.Add(high.Sub(low) / 2)
		if next := s.Next(middle); next.IsZero() || next.After(high) {
			high = middle
		} else {
			low = next
		}
	}
	return low
}

// Base is what a cron job remembers of its runs.
type Base struct {
	Created time.Time // when the cron job was created
	LastRun time.Time // the scheduled time of its latest run; zero: none yet
	// StartingDeadline is how late a run may start; nil is any time, and with
	// 0 nothing is ever due.
	StartingDeadline *time.Duration
}

// Outlook says what a cron job has to do at a moment.
type Outlook struct {
	// At is the scheduled time that is due, in the zone of the schedule; zero
	// if none is. Earlier ones that were missed are dropped.
	At time.Time
	// TooManyMissed means that more than a hundred times could have been
	// started by now, At among them. It is worth a warning, no more.
	TooManyMissed bool
	// Wake is the next scheduled time, whatever becomes of At; zero if there
	// is none.
	Wake time.Time
}

// Due tells which run is due at now, if any: the latest scheduled time since
// the last run, or the creation where there was none, unless it is at least
// StartingDeadline ago. The times of @every are counted from there too.
//
// It is Kubernetes's rule with two differences: it is exact for schedules with
// uneven gaps, and a starting deadline does not move the times of @every.
func (s *Schedule) Due(b Base, now time.Time) Outlook {
	after := b.Created
	if !b.LastRun.IsZero() {
		after = b.LastRun
	}
	if b.StartingDeadline != nil {
		if cut := now.Add(-*b.StartingDeadline); cut.After(after) {
			after = s.skipTo(after, cut)
		}
	}
	var out Outlook
	out.At, _, out.TooManyMissed = s.Last(after, now)
	if out.At.IsZero() {
		out.Wake = s.Next(after)
	} else {
		out.Wake = s.Next(out.At)
	}
	return out
}

// skipTo moves after up to cut without moving the times of @every.
func (s *Schedule) skipTo(after, cut time.Time) time.Time {
	if s.every == 0 {
		return cut
	}
	if last, _, _ := s.Last(after, cut); !last.IsZero() {
		return last
	}
	return after
}
