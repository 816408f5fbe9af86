// Package scale computes the figures of docs/scale.md from its constants.
package scale

import (
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	million = 1e6
	micro   = 1e-6
	day     = 24 * 60 * 60
	giga    = 1e9
)

// figures are the results, each from the constants.
func figures(c map[string]float64) map[string]float64 {
	plain := (c["submit"] + c["task"]) * micro
	primaries := func(each float64) float64 { return million * each * micro / c["share"] }
	const delayed = 100 * million
	shards := math.Ceil(delayed * c["delayed-bytes"] / (c["primary-bytes"] * giga))
	return map[string]float64{
		"tasks/s of one queue, plain jobs":                       c["share"] / plain,
		"primaries for plain jobs":                               primaries(c["submit"] + c["task"]),
		"client cores for plain jobs":                            primaries(c["submit-client"] + c["task-client"]),
		"primaries for completions of large Indexed jobs":        primaries(c["completion"]),
		"primaries for completions of 10,000 small Indexed jobs": primaries(c["completion-many"]),
		"primaries for jobs with a record":                       primaries(c["named-submit"] + c["named-task"]),
		"GB of finished jobs, plain, kept for a minute":          60 * million * c["kept-bytes"] / giga,

		"GB in all":           delayed * c["delayed-bytes"] / giga,
		"primaries by memory": shards,
		"cores to run them, due evenly over a day":                        delayed / day * c["delayed-task"] * micro,
		"minutes to run them on these primaries, all due at once":         delayed * c["delayed-task"] * micro / (shards * c["share"]) / 60,
		"MB as 100 Indexed jobs of a million completions each, all ended": 100 * (c["record-bytes"] + million/8) / million,
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/scale.md")
	require.NoError(t, err)
	rows := map[string]float64{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(cells[2]), 64); err == nil {
			rows[strings.TrimSpace(cells[1])] = v
		}
	}
	want := figures(rows)
	require.Len(t, rows, 15+len(want), "a figure that nothing computes, or a constant that is new")
	for name, v := range want {
		require.InEpsilon(t, v, rows[name], 0.04, "%s: docs/scale.md says %v, computed %v", name, rows[name], v)
	}
}
