package main

import (
	"fmt"
	"html"
	"strings"
)

// panels of a plot, and which systems they compare.
var (
	tasksPanels = []string{"drain", "drain-kept", "submit", "e2e", "bigjob", "retry"}
	redisPanels = []string{"drain", "drain-kept", "submit", "bigjob"}
)

// bar is one of a panel.
type bar struct {
	label string
	value float64
}

// panel is a group of bars of one scale.
type panel struct {
	title string
	bars  []bar
}

// panelsOf has a panel for each scenario that was measured.
func panelsOf(all []Result, scenarios []string, name string) []panel {
	t := tableOf(all)
	var out []panel
	for _, s := range scenarios {
		p := panel{title: s}
		for _, system := range systems {
			if v, ok := t.figure(system, s, name); ok {
				p.bars = append(p.bars, bar{system, v})
			}
		}
		if len(p.bars) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// Sizes of a plot, in pixels.
const (
	plotColumns = 3
	panelWidth  = 300
	barHeight   = 16
	rowGap      = 34
	labelWidth  = 62
	valueWidth  = 66
)

// plot draws panels of horizontal bars as SVG. It has no background, and
// colours that can be read on a light one and on a dark one.
func plot(title string, panels []panel) string {
	most := 0
	for _, p := range panels {
		most = max(most, len(p.bars))
	}
	rowHeight := most*barHeight + rowGap
	rows := (len(panels) + plotColumns - 1) / plotColumns
	width, height := plotColumns*panelWidth, 30+rows*rowHeight
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="11" fill="#808080" role="img">`,
		width, height, width, height)
	say(`<title>%s</title>`, html.EscapeString(title))
	say(`<text x="0" y="16" font-size="14" font-weight="600">%s</text>`, html.EscapeString(title))
	for i, p := range panels {
		x, y := i%plotColumns*panelWidth, 30+i/plotColumns*rowHeight
		say(`<text x="%d" y="%d" font-weight="600">%s</text>`, x, y+14, html.EscapeString(p.title))
		scale := 0.0
		for _, bar := range p.bars {
			scale = max(scale, bar.value)
		}
		for j, bar := range p.bars {
			top := y + 20 + j*barHeight
			colour := "#8b949e"
			if bar.label == "stint" {
				colour = "#2f81f7"
			}
			length := bar.value / scale * (panelWidth - labelWidth - valueWidth)
			say(`<text x="%d" y="%d">%s</text>`, x, top+11, html.EscapeString(bar.label))
			say(`<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, x+labelWidth, top+2, max(length, 1), barHeight-4, colour)
			say(`<text x="%.1f" y="%d">%s</text>`, float64(x+labelWidth)+max(length, 1)+4, top+11, number(bar.value))
		}
	}
	say(`</svg>`)
	return b.String()
}
