package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stint-go/stint"
)

func (a *app) topCommand() *cobra.Command {
	var every time.Duration
	var once bool
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch a queue in the terminal: kinds, workers, jobs and events",
		Long:  "Watch a queue in the terminal, until Ctrl-C. Where the output is no terminal, or with --once, it is printed once.",
		Args:  usage(cobra.NoArgs),
		RunE: a.onQueue(func(ctx context.Context, q *stint.Queue, _ []string) error {
			if every < 100*time.Millisecond {
				return fail(exitUsage, "--every: %v: must be 100ms at least", every)
			}
			out, _ := a.stdout.(*os.File)
			if once || !isTerminal(a.stdout) {
				s, err := a.snapshot(ctx, q)
				if err != nil {
					return err
				}
				a.printf("%s", s.frame(120, 60, a.painter()))
				return nil
			}
			return a.live(ctx, q, out, every)
		}),
	}
	c.Flags().DurationVar(&every, "every", 2*time.Second, "how often it is drawn")
	c.Flags().BoolVar(&once, "once", false, "print it once")
	return c
}

// live draws frames on another screen of the terminal, until ctx ends.
func (a *app) live(ctx context.Context, q *stint.Queue, out *os.File, every time.Duration) error {
	a.printf("\x1b[?1049h\x1b[?25l")       // the other screen, no cursor
	defer a.printf("\x1b[?25h\x1b[?1049l") // back
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		frame := ""
		if s, err := a.snapshot(ctx, q); err == nil {
			frame = s.frame(width, height, a.painter())
		} else {
			frame = fmt.Sprintf("%s: %v\n", stamp(time.Now()), oneLine(err.Error()))
		}
		if ctx.Err() != nil {
			return nil
		}
		// Each line is cleared to its end, and what is below, rather than all
		// at once: that would flicker.
		a.printf("\x1b[H%s\x1b[J", strings.ReplaceAll(frame, "\n", "\x1b[K\r\n"))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// snapshot is what a frame shows.
type snapshot struct {
	queue   string
	now     time.Time
	health  stint.QueueHealth
	kinds   []stint.KindInfo
	points  []stint.StatPoint // of the last 15 minutes
	workers []workerLine
	jobs    []*stint.Job // unfinished
	more    bool
	events  []stint.Event // the newest first
}

// lookAt bounds how many jobs a frame reads.
const lookAt = 400

func (a *app) snapshot(ctx context.Context, q *stint.Queue) (s snapshot, err error) {
	s.queue = q.Name()
	if s.now, err = a.now(ctx); err != nil {
		return s, err
	}
	if s.health, err = q.Health(ctx); err != nil {
		return s, err
	}
	if s.kinds, err = q.Kinds(ctx); err != nil {
		return s, err
	}
	if s.points, err = q.Stats(ctx, s.now.Add(-15*time.Minute), s.now); err != nil {
		return s, err
	}
	workers, err := q.Workers(ctx)
	if err != nil {
		return s, err
	}
	for _, w := range workers {
		s.workers = append(s.workers, lineOf(w))
	}
	if s.events, err = q.RecentEvents(ctx, 20); err != nil {
		return s, err
	}
	looked := 0
	for job, err := range q.List(ctx, stint.ListOptions{}) {
		if err != nil {
			return s, err
		}
		if looked++; looked > lookAt || len(s.jobs) == 100 {
			s.more = true
			break
		}
		if !job.Finished() {
			s.jobs = append(s.jobs, job)
		}
	}
	return s, nil
}

// kindLine is what a frame shows of a kind.
type kindLine struct {
	ended, failed int
	wait, run     time.Duration
}

// frame draws a screen of so many columns and lines.
func (s *snapshot) frame(width, height int, p painter) string {
	var b strings.Builder
	sums := map[string]*kindLine{}
	var total kindLine
	for _, k := range s.kinds {
		sums[k.Kind] = &kindLine{}
	}
	for _, pt := range s.points {
		k := sums[pt.Kind]
		if k == nil {
			continue
		}
		for _, l := range []*kindLine{k, &total} {
			l.ended += pt.Succeeded + pt.Failed + pt.Lost
			l.failed += pt.Failed + pt.Lost
			l.wait += pt.Wait
			l.run += pt.Run
		}
	}
	title := fmt.Sprintf("queue %s   %s   %d workers   ended in 15 min: %d, of these failed: %d", s.queue, stamp(s.now), s.health.Workers, total.ended, total.failed)
	b.WriteString(p.paint(bold, cutTo(title, width)) + "\n")
	if s.health.TimersLate > 2*time.Second {
		b.WriteString(p.paint(red, cutTo(fmt.Sprintf("timers are %s late: does a worker or scheduler run?", age(s.health.TimersLate)), width)) + "\n")
	}
	rest := height - strings.Count(b.String(), "\n") - 1
	parts := []*table{s.kindTable(sums), workerTable(s.workers, s.now), s.jobTable(), s.eventTable()}
	for i, t := range parts {
		left := len(parts) - i
		lines := min(len(t.rows), max(1, rest/left-2))
		rest -= s.section(&b, t, lines, width, p)
	}
	return b.String()
}

// section writes a table of at most so many rows, and answers how many lines
// that took.
func (s *snapshot) section(b *strings.Builder, t *table, rows, width int, p painter) int {
	t.rows = t.rows[:min(len(t.rows), max(rows, 0))]
	var out strings.Builder
	_ = t.print(&out, false, false) // to a string
	n := 1
	b.WriteByte('\n')
	for line := range strings.Lines(out.String()) {
		line = cutTo(strings.TrimRight(line, "\n"), width)
		if n == 1 {
			line = p.paint(faint, line)
		} else {
			line = p.paint(colourOf(line), line)
		}
		b.WriteString(line + "\n")
		n++
	}
	return n
}

// colourOf marks lines of what has failed.
func colourOf(line string) colour {
	if strings.Contains(line, " Failed") || strings.Contains(line, string(stint.JobFailureTarget)) {
		return red
	}
	return plain
}

func (s *snapshot) kindTable(sums map[string]*kindLine) *table {
	t := &table{head: []string{"KIND", "READY", "RUNNING", "ENDED/MIN", "FAILED/MIN", "AVG WAIT", "AVG RUN"}}
	for _, k := range s.kinds {
		l := sums[k.Kind]
		t.add(text("%s", k.Kind), text("%d", k.Ready), text("%d", k.Running), text("%.1f", float64(l.ended)/15), text("%.1f", float64(l.failed)/15),
			text("%s", average(l.wait, l.ended)), text("%s", average(l.run, l.ended)))
	}
	return t
}

func average(d time.Duration, n int) string {
	if n == 0 {
		return "-"
	}
	return (d / time.Duration(n)).Round(time.Millisecond).String()
}

func (s *snapshot) jobTable() *table {
	t := jobTable(s.jobs, s.now, false)
	t.head[0] = "UNFINISHED JOBS"
	if s.more {
		t.head[0] += " (some)"
	}
	return t
}

func (s *snapshot) eventTable() *table {
	t := &table{head: []string{"EVENTS", "AGE", "JOB", "REASON"}}
	for _, e := range s.events {
		t.add(text("%s", e.Type), text("%s", since(s.now, e.At)), text("%s", e.Name), text("%s", e.Reason))
	}
	return t
}

// cutTo cuts a line to the width of the screen.
func cutTo(line string, width int) string {
	r := []rune(line)
	if len(r) <= width {
		return line
	}
	return string(r[:max(width, 0)])
}
