package stint

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/conformance"
)

// TestCronBehaviours plays testdata/behaviours_cron.txt, on miniredis.
func TestCronBehaviours(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/behaviours_cron.txt")
	require.NoError(t, err)
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	scenarios := strings.Split("\n"+string(text), "\n== ")[1:]
	require.Greater(t, len(scenarios), 20)
	//nolint:paralleltest // they share miniredis's clock
	for i, scenario := range scenarios {
		name, lines, _ := strings.Cut(scenario, "\n")
		t.Run(name, func(t *testing.T) {
			p := cronPlayer{t: t, tracedCron: newTracedCron(fmt.Sprintf("c%d", i), rdb, m, cronDay)}
			for line := range strings.Lines(lines) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					p.line = line
					p.play(strings.Fields(line))
				}
			}
			require.Positive(t, p.looked, "the scenario looks at nothing")
		})
	}
}

// cronDay is the day on which the scenarios happen: a Monday.
var cronDay = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// cronPlayer plays a scenario, line by line.
type cronPlayer struct {
	*tracedCron
	t      *testing.T
	line   string
	looked int
}

func (p *cronPlayer) play(f []string) {
	rest := strings.TrimSpace(strings.TrimPrefix(p.line, f[0]))
	switch f[0] {
	case "cron":
		p.accepted(p.Create("c", json.RawMessage(rest)))
	case "patch":
		p.accepted(p.Patch(json.RawMessage(rest)))
	case "refused":
		p.refused(rest)
	case "now":
		p.SetTime(p.time(f[1]))
	case "look":
		require.NoError(p.t, p.Sync(), p.line)
	case "until":
		require.NoError(p.t, p.RunUntil(p.time(f[1])), p.line)
	case "ok", "fail":
		require.NoError(p.t, p.Finish(p.run(f[1]), f[0] == "ok"), p.line)
	case "delete":
		require.NoError(p.t, p.Delete(p.run(f[1])), p.line)
	case "see":
		p.see(f[1:])
	default:
		p.t.Fatalf("%q: no such step", p.line)
	}
}

func (p *cronPlayer) accepted(rejected []conformance.Rejection, err error) {
	p.t.Helper()
	require.NoError(p.t, err, p.line)
	require.Empty(p.t, rejected, p.line)
}

// refused has a change refused.
func (p *cronPlayer) refused(patch string) {
	p.looked++
	rejected, err := p.Patch(json.RawMessage(patch))
	require.NoError(p.t, err, p.line)
	require.NotEmpty(p.t, rejected, p.line)
}

// time reads "10:00", of the day, or "3/10:00:30", of a later one.
func (p *cronPlayer) time(text string) time.Time {
	day, clock, later := strings.Cut(text, "/")
	if !later {
		day, clock = "0", text
	}
	var n, h, m, s int
	_, err := fmt.Sscanf(day, "%d", &n)
	require.NoError(p.t, err, p.line)
	_, err = fmt.Sscanf(clock+":0", "%d:%d:%d", &h, &m, &s)
	require.NoError(p.t, err, p.line)
	return cronDay.AddDate(0, 0, n).Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second)
}

// text is a time as scenarios write it.
func (p *cronPlayer) text(t *time.Time) string {
	if t == nil {
		return "none"
	}
	at := t.UTC()
	out := at.Format("15:04")
	if at.Second() != 0 {
		out = at.Format("15:04:05")
	}
	if n := int(at.Sub(cronDay) / (24 * time.Hour)); n > 0 {
		out = fmt.Sprintf("%d/%s", n, out)
	}
	return out
}

// run finds the job of a scheduled time.
func (p *cronPlayer) run(scheduled string) string {
	o, err := p.Observe()
	require.NoError(p.t, err)
	for _, j := range o.Jobs {
		if j.Scheduled.Equal(p.time(scheduled)) {
			return j.Name
		}
	}
	p.t.Fatalf("%q: there is no such job", p.line)
	return ""
}

func (p *cronPlayer) see(want []string) {
	p.t.Helper()
	p.looked++
	o, err := p.Observe()
	require.NoError(p.t, err)
	byState := map[conformance.CronJobState][]string{}
	for _, j := range o.Jobs {
		byState[j.State] = append(byState[j.State], p.text(&j.Scheduled))
	}
	active := []string{}
	for _, name := range o.Active {
		for _, j := range o.Jobs {
			if j.Name == name {
				active = append(active, p.text(&j.Scheduled))
			}
		}
	}
	join := func(all []string) string { slices.Sort(all); return strings.Join(all, ",") }
	facts := map[string]string{
		"active": join(active), "running": join(byState[conformance.CronJobActive]),
		"complete": join(byState[conformance.CronJobComplete]), "failed": join(byState[conformance.CronJobFailed]),
		"last": p.text(o.LastScheduleTime), "success": p.text(o.LastSuccessfulTime),
	}
	for _, w := range want {
		key, value, _ := strings.Cut(w, "=")
		got, known := facts[key]
		require.True(p.t, known, "%q: no fact is called %s", p.line, key)
		require.Equal(p.t, value, got, "%q: %s", p.line, key)
	}
}
