package promstint_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/promstint"
)

// names are the metrics that there are, with their labels.
func names(t *testing.T) map[string][]string {
	t.Helper()
	m, err := promstint.NewMetrics(promstint.Config{})
	require.NoError(t, err)
	to := make(chan *prometheus.Desc, 100)
	m.Describe(to)
	promstint.NewCollector(promstint.CollectorConfig{}, stint.NewQueue("q", nil)).Describe(to)
	close(to)
	text := regexp.MustCompile(`fqName: "([a-z_]+)".*variableLabels: \{([a-z_,]*)\}`)
	out := map[string][]string{}
	for d := range to {
		found := text.FindStringSubmatch(d.String())
		require.NotNil(t, found, d.String())
		name, labels := found[1], strings.Split(found[2], ",")
		out[name] = labels
		if name == "stint_attempt_wait_seconds" || name == "stint_attempt_duration_seconds" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				out[name+suffix] = append([]string{"le"}, labels...)
			}
		}
	}
	return out
}

// The dashboard asks for metrics and labels that there are, and for all of
// them.
func TestGrafanaDashboard(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("grafana.json")
	require.NoError(t, err)
	var board struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct {
				Name  string
				Query json.RawMessage
			}
		}
	}
	require.NoError(t, json.Unmarshal(data, &board))
	known, used := names(t), map[string]bool{}
	metric := regexp.MustCompile(`\b(stint_[a-z_]+)(?:\{([^}]*)\})?`)
	check := func(expr string) {
		require.Equal(t, strings.Count(expr, "("), strings.Count(expr, ")"), expr)
		found := metric.FindAllStringSubmatch(expr, -1)
		require.NotEmpty(t, found, expr)
		for _, f := range found {
			labels, ok := known[f[1]]
			require.True(t, ok, "%s: there is no metric %s", expr, f[1])
			used[f[1]] = true
			for _, l := range regexp.MustCompile(`([a-z_]+)=~?"`).FindAllStringSubmatch(f[2], -1) {
				require.Contains(t, labels, l[1], expr)
			}
		}
	}
	ids := map[int]bool{}
	for _, p := range board.Panels {
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		require.NotEmpty(t, p.Targets, p.Title)
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for _, target := range p.Targets {
			check(target.Expr)
			for _, l := range regexp.MustCompile(`\{\{([a-z]+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				require.Regexp(t, `by \([^)]*\b`+l[1]+`\b`, target.Expr, p.Title)
			}
		}
	}
	require.Len(t, board.Templating.List, 3)
	for _, v := range board.Templating.List[1:] {
		var q struct{ Query string }
		require.NoError(t, json.Unmarshal(v.Query, &q))
		check(q.Query)
	}
	for name := range known {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		require.True(t, used[name] || used[base] || used[base+"_bucket"], "the dashboard does not show %s", name)
	}
}
