package dashboard

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// number groups the digits of a number by three.
func number(n int) string {
	text := strconv.Itoa(n)
	start := 0
	if n < 0 {
		start = 1
	}
	for at := len(text) - 3; at > start; at -= 3 {
		text = text[:at] + "\u202f" + text[at:]
	}
	return text
}

// count counts things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return number(n) + " " + thing + "s"
}

func percent(v float64) string {
	switch {
	case v == 0:
		return "0 %"
	case v < 1:
		return fmt.Sprintf("%.2f %%", v)
	case v < 10:
		return fmt.Sprintf("%.1f %%", v)
	}
	return fmt.Sprintf("%.0f %%", v)
}

// duration is a duration in at most two units.
func duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + duration(-d)
	case d == 0:
		return "0 s"
	case d < time.Millisecond:
		return "< 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return two(d, time.Minute, "min", time.Second, "s")
	case d < 48*time.Hour:
		return two(d, time.Hour, "h", time.Minute, "min")
	}
	const day = 24 * time.Hour
	return two(d, day, "d", time.Hour, "h")
}

func two(d, large time.Duration, a string, small time.Duration, b string) string {
	text := fmt.Sprintf("%d %s", d/large, a)
	if rest := d % large / small; rest > 0 {
		text += fmt.Sprintf(" %d %s", rest, b)
	}
	return text
}

// setting is a limit of a spec, of which the highest number means none.
func setting(p *int) string {
	switch {
	case p == nil:
		return "none"
	case *p == math.MaxInt32:
		return "no limit"
	}
	return number(*p)
}

// short cuts a text for a table.
func short(text string, most int) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most-1]) + "…"
}
