package rules

import "math"

// Delay is how long to wait after the n-th failure: Initial, then Factor
// times as long for each further one, up to Max. With Jitter, up to that
// fraction is added; seed makes it repeatable, so that the same attempt always
// waits equally long.
func (b Backoff) Delay(n int, seed int64) int64 {
	if n <= 0 || b.Initial <= 0 {
		return 0
	}
	d := float64(b.Initial) * math.Pow(b.Factor, float64(n-1))
	d = min(d, float64(b.Max))
	if b.Jitter > 0 {
		d += d * b.Jitter * spread(seed)
	}
	return int64(d)
}

// spread maps a seed to [0, 1), with nothing a script could not compute too.
func spread(seed int64) float64 {
	return float64((seed%997*613+seed/997%1009*389)%1000) / 1000
}
