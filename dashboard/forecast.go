package dashboard

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// forecast is when a job may be complete.
type forecast struct {
	Known        bool
	Fast, Slow   time.Time // the span in which it may end
	Rate         float64   // successes per second of late
	Overall      float64   // and since the first one
	Stalled      bool      // nothing has succeeded for long
	LastAt       time.Time
	Done, Wanted int
}

// forecastOf goes by two rates: that since the first success, and that of
// late.
func forecastOf(j *stint.Job, points []stint.PacePoint, now time.Time) forecast {
	f := forecast{Done: j.Status.Succeeded}
	if j.Spec.Completions != nil {
		f.Wanted = *j.Spec.Completions
	}
	if len(points) == 0 {
		return f
	}
	first, done := points[0].At, 0
	recent := max(20*time.Second, now.Sub(first)/5)
	from, fresh := now.Add(-recent), 0
	for _, p := range points {
		done += p.Succeeded
		if end := p.At.Add(p.For); end.After(from) {
			fresh += p.Succeeded
			if p.At.Before(from) && p.Succeeded > 0 { // counted from where the span begins
				from = p.At
			}
		}
		if p.Succeeded > 0 {
			f.LastAt = p.At.Add(p.For)
		}
	}
	f.Overall = float64(done) / max(1, now.Sub(first).Seconds())
	f.Rate = float64(fresh) / max(1, now.Sub(later(from, first)).Seconds())
	left := f.Wanted - f.Done
	if j.Finished() || left <= 0 || f.Overall == 0 {
		return f
	}
	f.Stalled = f.Rate == 0
	if f.Stalled || j.Spec.Suspend {
		return f
	}
	slow, fast := min(f.Rate, f.Overall), max(f.Rate, f.Overall)
	f.Fast, f.Slow = after(now, left, fast), after(now, left, slow)
	f.Known = true
	return f
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// after is when so many will have come at a rate, within a century.
func after(now time.Time, n int, rate float64) time.Time {
	const century = 100 * 365 * 24 * 3600
	return now.Add(time.Duration(min(century, float64(n)/rate)) * time.Second)
}

// Left is how long it may take, in words.
func (f forecast) Left() string {
	if !f.Known {
		return ""
	}
	fast, slow := time.Until(f.Fast), time.Until(f.Slow)
	if slow < time.Second {
		return "any moment"
	}
	a, b := duration(max(time.Second, fast).Round(time.Second)), duration(slow.Round(time.Second))
	if a == b {
		return "about " + a
	}
	return a + " to " + b
}

// PerSecond is a rate in words.
func PerSecond(rate float64) string {
	switch {
	case rate >= 10:
		return fmt.Sprintf("%s/s", number(int(rate)))
	case rate >= 1:
		return fmt.Sprintf("%.1f/s", rate)
	case rate*60 >= 1:
		return fmt.Sprintf("%.1f/min", rate*60)
	}
	return fmt.Sprintf("%.1f/h", rate*3600)
}

// burnPlot is the frame of a job's completions over time.
type burnPlot struct {
	start, end, until time.Time // end: of what is known
	wanted            float64
}

func (b *burnPlot) x(t time.Time) float64 {
	whole := max(1, b.until.Sub(b.start).Seconds())
	return math.Max(0, math.Min(plotWidth, t.Sub(b.start).Seconds()/whole*plotWidth))
}

func (b *burnPlot) y(n float64) float64 {
	return plotHeight - math.Min(1, math.Max(0, n/b.wanted))*plotHeight
}

// burnUp draws what is complete over time, up to now and from there to the
// estimated end.
func burnUp(j *stint.Job, points []stint.PacePoint, f forecast, now time.Time) chart {
	if len(points) == 0 || f.Wanted == 0 {
		return chart{Empty: true}
	}
	last := points[len(points)-1]
	b := &burnPlot{start: points[0].At, end: last.At.Add(last.For), wanted: float64(f.Wanted)}
	if !j.Finished() {
		b.end = later(now, b.end)
	}
	if b.until = b.end; f.Known { // not so far that nothing else is to be seen
		b.until = f.Slow
		if most := b.end.Add(4 * b.end.Sub(b.start)); b.until.After(most) {
			b.until = most
		}
	}
	c := chart{Top: number(f.Wanted), Middle: number(f.Wanted / 2)}
	sum := b.past(&c, points, f.Done)
	if f.Known {
		c.Layers = append(c.Layers, layer{Class: "ahead", Path: b.ahead(f, float64(sum))})
	}
	for i := range 5 {
		c.Ticks = append(c.Ticks, b.start.Add(b.until.Sub(b.start)*time.Duration(i)/4))
	}
	return c
}

// past draws what has ended, and answers how much of it succeeded.
func (b *burnPlot) past(c *chart, points []stint.PacePoint, done int) int {
	before := done // of before the pace was kept, as by a retry
	for _, p := range points {
		before -= p.Succeeded
	}
	sum := max(0, before)
	var curve, ticks strings.Builder
	fmt.Fprintf(&curve, "M0 %.2f", b.y(float64(sum)))
	for _, p := range points {
		from, to := b.x(p.At), b.x(p.At.Add(p.For))
		fmt.Fprintf(&curve, "L%.1f %.2f", from, b.y(float64(sum)))
		sum += p.Succeeded
		fmt.Fprintf(&curve, "L%.1f %.2f", to, b.y(float64(sum)))
		if p.Failed > 0 {
			fmt.Fprintf(&ticks, "M%.1f 100v-4", (from+to)/2)
		}
		text := fmt.Sprintf("%s UTC: %s done, %s in %s, %s failed",
			p.At.UTC().Format("15:04:05"), number(sum), number(p.Succeeded), duration(p.For), number(p.Failed))
		c.Marks = append(c.Marks, mark{from, max(2, to-from), text})
	}
	fmt.Fprintf(&curve, "L%.1f %.2f", b.x(b.end), b.y(float64(sum)))
	area := curve.String() + fmt.Sprintf("L%.1f 100L0 100Z", b.x(b.end))
	c.Layers = append(c.Layers, layer{Class: "ok under", Path: area}, layer{Class: "ok", Path: curve.String(), Line: true},
		layer{Class: "bad", Path: ticks.String(), Line: true})
	return sum
}

// ahead is the field between the two estimates.
func (b *burnPlot) ahead(f forecast, sum float64) string {
	at := func(rate float64) float64 { return b.y(sum + rate*b.until.Sub(b.end).Seconds()) }
	slow, fast := min(f.Rate, f.Overall), max(f.Rate, f.Overall)
	if f.Fast.After(b.until) {
		return fmt.Sprintf("M%.1f %.2fL1000 %.2fL1000 %.2fZ", b.x(b.end), b.y(sum), at(fast), at(slow))
	}
	return fmt.Sprintf("M%.1f %.2fL%.1f 0L1000 0L1000 %.2fZ", b.x(b.end), b.y(sum), b.x(f.Fast), at(slow))
}
