package dashboard

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// chart is a plot in a box of 1000 by 100; its labels are made in HTML, so
// that text is not stretched.
type chart struct {
	Layers []layer
	Top    string // what the upper edge stands for
	Middle string
	Marks  []mark // that tell what lies below the pointer
	Ticks  []time.Time
	Empty  bool
}

// layer is an area, or a line where Line is set. Its class gives the colour.
type layer struct {
	Class, Path string
	Line        bool
}

// mark is a strip of a chart and what is to be said of it.
type mark struct {
	X, W float64
	Text string
}

const plotWidth, plotHeight = 1000.0, 100.0

// series is a row of values, drawn as bars on top of the ones before.
type series struct {
	class  string
	values []float64
}

// bars stacks series.
func bars(top float64, all ...series) []layer {
	n := len(all[0].values)
	base := make([]float64, n)
	w := plotWidth / float64(n)
	out := make([]layer, len(all))
	for i, s := range all {
		var path strings.Builder
		for k, v := range s.values {
			if v > 0 {
				h := v / top * plotHeight
				y := plotHeight - base[k]/top*plotHeight
				fmt.Fprintf(&path, "M%.1f %.2fV%.2fH%.1fV%.2fZ", float64(k)*w+w*0.12, y, y-h, float64(k+1)*w-w*0.12, y)
			}
			base[k] += v
		}
		out[i] = layer{Class: s.class, Path: path.String()}
	}
	return out
}

// line joins values; where there is none (NaN) it is broken.
func line(top float64, s series) layer {
	w := plotWidth / float64(len(s.values))
	var path strings.Builder
	pen := "M"
	for k, v := range s.values {
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		x, y := (float64(k)+0.5)*w, plotHeight-v/top*plotHeight
		if fmt.Fprintf(&path, "%s%.1f %.2f", pen, x, y); pen == "M" {
			fmt.Fprintf(&path, "h.1") // one value alone is a point
		}
		pen = "L"
	}
	return layer{Class: s.class, Path: path.String(), Line: true}
}

// niceTop is a round number that is not below v.
func niceTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8, 10} {
		if f*unit >= v {
			return f * unit
		}
	}
	return 10 * unit
}

func spread(bins []tally, of func(tally) float64) []float64 {
	out := make([]float64, len(bins))
	for i, t := range bins {
		out[i] = of(t)
	}
	return out
}

func highest(values ...[]float64) float64 {
	top := 0.0
	for _, row := range values {
		for _, v := range row {
			if v > top { // never NaN
				top = v
			}
		}
	}
	return top
}

// framed adds what all charts over time have.
func framed(c chart, bins []tally, first time.Time, width time.Duration, say func(tally) string) chart {
	w := plotWidth / float64(len(bins))
	for i, t := range bins {
		from := first.Add(time.Duration(i) * width)
		text := from.UTC().Format("15:04") + " UTC: " + say(t)
		c.Marks = append(c.Marks, mark{float64(i) * w, w, text})
	}
	for i := range 5 {
		c.Ticks = append(c.Ticks, first.Add(time.Duration(len(bins)*i/4)*width))
	}
	c.Empty = true
	for _, t := range bins {
		c.Empty = c.Empty && t.Ended() == 0
	}
	return c
}

func throughput(bins []tally, first time.Time, width time.Duration) chart {
	top := niceTop(highest(spread(bins, func(t tally) float64 { return float64(t.Ended()) })))
	c := chart{
		Layers: bars(top,
			series{"ok", spread(bins, func(t tally) float64 { return float64(t.Succeeded) })},
			series{"bad", spread(bins, func(t tally) float64 { return float64(t.Failed) })},
			series{"lost", spread(bins, func(t tally) float64 { return float64(t.Lost) })},
			series{"back", spread(bins, func(t tally) float64 { return float64(t.GaveBack) })}),
		Top: number(int(top)), Middle: number(int(top / 2)),
	}
	return framed(c, bins, first, width, func(t tally) string {
		return fmt.Sprintf("%s succeeded, %s failed, %s lost, %s given back", number(t.Succeeded), number(t.Failed), number(t.Lost), number(t.GaveBack))
	})
}

func latency(bins []tally, first time.Time, width time.Duration) chart {
	mean := func(of func(tally) time.Duration) []float64 {
		return spread(bins, func(t tally) float64 {
			if t.Ended() == 0 {
				return math.NaN()
			}
			return of(t).Seconds()
		})
	}
	wait, run := mean(tally.MeanWait), mean(tally.MeanRun)
	top := niceTop(highest(wait, run))
	c := chart{
		Layers: []layer{line(top, series{"run", run}), line(top, series{"wait", wait})},
		Top:    duration(time.Duration(top * float64(time.Second))), Middle: duration(time.Duration(top / 2 * float64(time.Second))),
	}
	return framed(c, bins, first, width, func(t tally) string {
		return fmt.Sprintf("waited %s, ran %s on average", duration(t.MeanWait()), duration(t.MeanRun()))
	})
}

func failures(bins []tally, first time.Time, width time.Duration) chart {
	rate := spread(bins, tally.FailureRate)
	top := min(100, niceTop(highest(rate)))
	c := chart{Layers: bars(top, series{"bad", rate}), Top: percent(top), Middle: percent(top / 2)}
	return framed(c, bins, first, width, func(t tally) string {
		return fmt.Sprintf("%s of %s failed or lost, %s", number(t.Bad()), number(t.Succeeded+t.Bad()), percent(t.FailureRate()))
	})
}

// spark is a small chart without labels, of at most 36 bars.
func spark(bins []tally) chart {
	const most = 36
	step := (len(bins) + most - 1) / most
	var few []tally
	for i := 0; i < len(bins); i += step {
		var t tally
		for _, o := range bins[i:min(i+step, len(bins))] {
			t.merge(o)
		}
		few = append(few, t)
	}
	good := spread(few, func(t tally) float64 { return float64(t.Succeeded + t.GaveBack) })
	bad := spread(few, func(t tally) float64 { return float64(t.Bad()) })
	top := max(1, highest(spread(few, func(t tally) float64 { return float64(t.Ended()) })))
	return chart{Layers: bars(top, series{"ok", good}, series{"bad", bad})}
}
