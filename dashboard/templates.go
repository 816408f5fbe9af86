package dashboard

import (
	"embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"
)

//go:embed templates
var templateFiles embed.FS

// templates are the pages. They are parsed with the program, so that a broken
// one is found by every test.
var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"number":   number,
	"count":    count,
	"percent":  percent,
	"duration": duration,
	"setting":  setting,
	"short":    short,
	"rate":     PerSecond,
	"jobPath":  jobPath,
	"cronPath": cronPath,
	"word":     withWord,
	"lower":    func(v any) string { return strings.ToLower(fmt.Sprint(v)) },
	"verbWord": verbWord,
	"stamp":    stamp,
	"section":  newSection,
	"share":    func(n, of int) int { return min(100, 100*n/max(1, of)) },
	"keysOf":   labelsOf,
	"pairs":    func(p *page, v any) map[string]any { return map[string]any{"Page": p, "Row": v} },
	"deref": func(p *int) int {
		if p == nil {
			return 0
		}
		return *p
	},
}).ParseFS(templateFiles, "templates/*.html"))

// stamp is a time in a form for the time element; scripts make it relative.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// verbWord is a verb on a button.
func verbWord(v Verb) string {
	if v == Run {
		return "Run now"
	}
	return strings.ToUpper(string(v[:1])) + string(v[1:])
}

// plot is a chart with its heading.
type plot struct {
	Title, Note string
	Chart       chart
	Legend      [][2]string // class and text
}

// newSection is what the template of a chart is given: pairs of class and
// text make the legend.
func newSection(title, note string, c chart, legend ...string) plot {
	p := plot{Title: title, Note: note, Chart: c}
	for i := 0; i+1 < len(legend); i += 2 {
		p.Legend = append(p.Legend, [2]string{legend[i], legend[i+1]})
	}
	return p
}

// label is a label, in the order of their keys.
type label struct{ Key, Value string }

func labelsOf(m map[string]string) []label {
	out := make([]label, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, label{k, m[k]})
	}
	return out
}
