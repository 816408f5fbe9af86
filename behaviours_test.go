package stint

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/conformance"
)

// TestBehaviours plays testdata/behaviours.txt, where a scenario shows one or
// more of Kubernetes's behaviours, by their numbers. The engine works on
// miniredis, the rules beside it, and the two are compared after every look.
func TestBehaviours(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/behaviours.txt")
	require.NoError(t, err)
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	seen := map[string]bool{}
	//nolint:paralleltest // they share miniredis's clock
	for i, scenario := range strings.Split("\n"+string(text), "\n== ")[1:] {
		name, lines, _ := strings.Cut(scenario, "\n")
		require.False(t, seen[name], "%s is there twice", name)
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			p := player{t: t, tracedJob: newTracedJob(fmt.Sprintf("b%d", i), rdb, m)}
			for line := range strings.Lines(lines) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					p.line = line
					p.play(strings.Fields(line))
				}
			}
			require.Positive(t, p.looked, "the scenario looks at nothing")
		})
	}
	require.Greater(t, len(seen), 80)
}

// player plays a scenario, line by line.
type player struct {
	*tracedJob
	t      *testing.T
	line   string
	looked int
}

// play does what a line says: see the head of the file.
func (p *player) play(f []string) {
	switch rest := strings.TrimSpace(strings.TrimPrefix(p.line, f[0])); f[0] {
	case "job":
		p.accepted(p.Create(json.RawMessage(rest)))
		p.look()
	case "patch":
		p.accepted(p.Patch(json.RawMessage(rest)))
	case "refused":
		rejected, err := p.Patch(json.RawMessage(rest))
		require.NoError(p.t, err, p.line)
		require.NotEmpty(p.t, rejected, p.line)
		p.looked++
	case "delete":
		require.NoError(p.t, p.Delete(false))
	case "look":
		p.look()
	case "pass":
		d, err := time.ParseDuration(f[1])
		require.NoError(p.t, err, p.line)
		p.Advance(int(d.Seconds()))
	case "restart": // all that is left is in Redis
		clock := p.queue.store.Clock
		p.queue = NewQueue(p.queue.name, p.rdb)
		p.queue.store.Clock = clock
	case "see":
		p.see(f[1:])
	default:
		p.act(f[0], f[1:])
	}
}

func (p *player) accepted(rejected []conformance.Rejection, err error) {
	p.t.Helper()
	require.NoError(p.t, err, p.line)
	require.Empty(p.t, rejected, p.line)
}

func (p *player) look() {
	p.t.Helper()
	require.NoError(p.t, p.Sync(), p.line)
	_, err := p.Observe() // it learns of new attempts
	require.NoError(p.t, err, p.line)
}

// act has something happen to the attempts at some indexes.
func (p *player) act(what string, args []string) {
	outcome := conformance.Outcome{ExitCode: 1}
	over := false
	var slots []int
	for _, a := range args {
		switch key, value, _ := strings.Cut(a, "="); key {
		case "code":
			outcome.ExitCode = p.number(value)
		case "stopped":
			over = true
		default:
			slots = append(slots, p.slots(key)...)
		}
	}
	for _, slot := range slots {
		p.one(what, p.attemptAt(slot, over), outcome)
	}
}

func (p *player) one(what, id string, outcome conformance.Outcome) {
	switch what {
	case "start":
		require.NoError(p.t, p.Start(id), p.line)
	case "ok":
		require.NoError(p.t, p.End(id, conformance.Outcome{}), p.line)
	case "fail":
		require.NoError(p.t, p.End(id, outcome), p.line)
	case "evict":
		require.NoError(p.t, p.Disrupt(id, true), p.line)
	default:
		p.t.Fatalf("%q: no such step", p.line)
	}
}

// slots reads "0", or "0-9".
func (p *player) slots(text string) (out []int) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	for n := p.number(from); n <= p.number(to); n++ {
		out = append(out, n)
	}
	return out
}

func (p *player) number(text string) int {
	n, err := strconv.Atoi(text)
	require.NoError(p.t, err, p.line)
	return n
}

// attemptAt finds the attempt at an index, one that was told to stop if so
// wanted, which has not ended.
func (p *player) attemptAt(slot int, stopped bool) string {
	o, err := p.Observe()
	require.NoError(p.t, err)
	for _, a := range o.Attempts {
		if a.Index == slot && a.Terminating == stopped && !p.tasks[a.ID].over {
			return a.ID
		}
	}
	p.t.Fatalf("%q: there is no such attempt at %d", p.line, slot)
	return ""
}

// see compares what a line names.
func (p *player) see(want []string) {
	p.t.Helper()
	p.looked++
	o, err := p.Observe()
	require.NoError(p.t, err)
	facts := p.facts(o)
	for _, w := range want {
		key, value, _ := strings.Cut(w, "=")
		got, known := facts[key]
		require.True(p.t, known, "%q: no fact is called %s", p.line, key)
		require.Equal(p.t, value, got, "%q: %s", p.line, key)
	}
}

// facts are all that a scenario can look at, as text.
func (p *player) facts(o conformance.JobObservation) map[string]string {
	var active, stopping []int
	for _, a := range o.Attempts {
		switch {
		case a.Terminating:
			stopping = append(stopping, a.Index)
		default:
			active = append(active, a.Index)
		}
	}
	s := o.Status
	var conditions []string
	for _, c := range s.Conditions {
		text := c.Type + "/" + c.Reason
		if c.Status != "True" {
			text = "no-" + text
		}
		conditions = append(conditions, text)
	}
	facts := map[string]string{
		"gone": strconv.FormatBool(o.Deleted), "active": strconv.Itoa(s.Active), "stopping": strconv.Itoa(s.Terminating),
		"succeeded": strconv.Itoa(s.Succeeded), "failed": strconv.Itoa(s.Failed), "ready": strconv.Itoa(s.Ready),
		"done": s.CompletedIndexes, "bad": "none", "at": list(active), "stoppingAt": list(stopping),
		"started": optional(s.StartTime), "completed": optional(s.CompletionTime), "retry": optional(s.NextRetryDelay),
		"is": strings.Join(conditions, ","), "events": p.events(), "message": p.message(),
	}
	if s.FailedIndexes != nil {
		facts["bad"] = *s.FailedIndexes
	}
	return facts
}

func list(slots []int) string {
	slices.Sort(slots)
	out := make([]string, len(slots))
	for i, n := range slots {
		out[i] = strconv.Itoa(n)
	}
	return strings.Join(out, ",")
}

func optional(n *int) string {
	if n == nil {
		return "none"
	}
	return strconv.Itoa(*n)
}

// events are what happened to the job, as its watchers hear it.
func (p *player) events() string {
	msgs, err := p.rdb.XRange(context.Background(), "stint:{"+p.queue.name+"}:events", "-", "+").Result()
	require.NoError(p.t, err)
	out := make([]string, len(msgs))
	for i, m := range msgs {
		out[i], _ = m.Values["e"].(string)
	}
	return strings.Join(out, ",")
}

// message is that of the last condition, with _ for blanks.
func (p *player) message() string {
	job, err := p.queue.Get(context.Background(), p.name)
	if err != nil || len(job.Status.Conditions) == 0 {
		return ""
	}
	c := job.Status.Conditions
	return strings.ReplaceAll(c[len(c)-1].Message, " ", "_")
}
