package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v2"

	"github.com/stint-go/stint/batchv1"
)

// output is in which form something is printed.
type output struct {
	format    string
	noHeaders bool
}

var formats = []string{"", "wide", "json", "yaml", "name"}

func (o *output) flags(c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "", "form of output: json, yaml, wide or name; a table otherwise")
	c.Flags().BoolVar(&o.noHeaders, "no-headers", false, "print tables without their first line")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats[1:], cobra.ShellCompDirectiveNoFileComp)) // fails for an unknown flag only
}

func (o *output) validate() error {
	if !slices.Contains(formats, o.format) {
		return fail(exitUsage, "--output: %q: must be json, yaml, wide or name", o.format)
	}
	return nil
}

// manifests prints objects as Kubernetes's manifests.
func (o *output) manifests(w io.Writer, objects []batchv1.Object) error {
	encode := batchv1.EncodeJSON
	if o.format == "yaml" {
		encode = batchv1.EncodeYAML
	}
	data, err := encode(objects...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, strings.TrimRight(string(data), "\n"))
	return err
}

// values prints anything else as JSON or YAML.
func (o *output) values(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if o.format == "yaml" {
		var ordered any = &yaml.MapSlice{}
		if strings.HasPrefix(string(data), "[") {
			ordered = &[]yaml.MapSlice{}
		}
		if err := yaml.Unmarshal(data, ordered); err != nil {
			return err
		}
		if data, err = yaml.Marshal(ordered); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(w, strings.TrimRight(string(data), "\n"))
	return err
}

// colour is an escape sequence of a terminal.
type colour string

const (
	plain  colour = ""
	red    colour = "\x1b[31m"
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
	faint  colour = "\x1b[2m"
	bold   colour = "\x1b[1m"
)

// painter colours text, or leaves it where colours are not wanted.
type painter bool

func (p painter) paint(c colour, text string) string {
	if !p || c == plain {
		return text
	}
	return string(c) + text + "\x1b[0m"
}

// painter tells whether standard output takes colours.
func (a *app) painter() painter {
	return painter(isTerminal(a.stdout) && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb")
}

// cell is a field of a table.
type cell struct {
	text   string
	colour colour
}

func text(format string, v ...any) cell { return cell{text: fmt.Sprintf(format, v...)} }

// table is printed as kubectl prints it: columns three spaces apart.
type table struct {
	head []string
	rows [][]cell
}

func (t *table) add(row ...cell) { t.rows = append(t.rows, row) }

func (t *table) print(w io.Writer, p painter, noHeaders bool) error {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		widths[i] = len(h)
	}
	for _, row := range t.rows {
		for i := range row {
			row[i].text = oneLine(row[i].text)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	var b strings.Builder
	line := func(row []cell) {
		for i, c := range row {
			b.WriteString(p.paint(c.colour, c.text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+3))
			}
		}
		b.WriteByte('\n')
	}
	if !noHeaders {
		head := make([]cell, len(t.head))
		for i, h := range t.head {
			head[i] = cell{text: h}
		}
		line(head)
	}
	for _, row := range t.rows {
		line(row)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// oneLine makes what others wrote harmless to a terminal: control characters,
// and so escape sequences, are shown and not sent.
func oneLine(s string) string {
	return safe(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", " "))
}

// safe is the same for text of several lines.
func safe(s string) string {
	bad := func(r rune) bool {
		return (r < ' ' && r != '\n' && r != '\t') || (r >= 0x7f && r < 0xa0) || r == utf8.RuneError || isBidi(r)
	}
	if !strings.ContainsFunc(s, bad) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if bad(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// isBidi tells characters that turn the direction of what follows.
func isBidi(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// age is how long something took or is ago, in kubectl's short form.
func age(d time.Duration) string {
	s := int(d / time.Second)
	switch {
	case d < 0:
		return "0s"
	case s < 2*60:
		return fmt.Sprintf("%ds", s)
	case s < 10*60:
		return two(s/60, "m", s%60, "s")
	case s < 3*3600:
		return fmt.Sprintf("%dm", s/60)
	case s < 8*3600:
		return two(s/3600, "h", s/60%60, "m")
	case s < 48*3600:
		return fmt.Sprintf("%dh", s/3600)
	case s < 8*86400:
		return two(s/86400, "d", s/3600%24, "h")
	case s < 2*365*86400:
		return fmt.Sprintf("%dd", s/86400)
	case s < 8*365*86400:
		return two(s/86400/365, "y", s/86400%365, "d")
	}
	return fmt.Sprintf("%dy", s/86400/365)
}

func two(a int, ua string, b int, ub string) string {
	if b == 0 {
		return fmt.Sprintf("%d%s", a, ua)
	}
	return fmt.Sprintf("%d%s%d%s", a, ua, b, ub)
}

// since is an age, or - for a time that never was.
func since(now, t time.Time) string {
	if t.IsZero() {
		return "<none>"
	}
	return age(now.Sub(t))
}
