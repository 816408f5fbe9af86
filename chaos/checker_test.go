//go:build unix

package chaos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// The checker sees each thing that it is there to see, and nothing in a run in
// which all is well.
func TestCheckerSees(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	job := func(succeeded int) *stint.Job {
		return &stint.Job{Name: "j", UID: "u", Spec: stint.JobSpec{Completions: new(2)}, Status: stint.JobStatus{
			Succeeded:  succeeded,
			Conditions: []stint.Condition{{Type: stint.JobComplete, Status: stint.ConditionTrue}},
		}}
	}
	handler := func(from, to int64, token string) []line {
		return []line{{At: from, PID: 1, What: "B", Job: "j", UID: "u", Token: token}, {At: to, PID: 1, What: "E", Job: "j", UID: "u", Token: token, Outcome: "ok"}}
	}
	well := append(handler(1, 2, "1-0"), handler(3, 4, "2-0")...)
	fired := func(uid string) line { return line{What: "B", Job: "c-1", UID: uid, Fired: "noon"} }
	late := append(handler(1, 2, "1-0"), handler(3, 4, "2-0")...)
	late = append(late, line{At: at.UnixNano() + 1, PID: 1, What: "B", Job: "j", UID: "u", Token: "3-0"})
	for want, c := range map[string]struct {
		told told
		side []line
	}{
		"lost 0, counted twice 0, over parallelism 0, ran after finish 0, stuck 0, cron fired twice 0": {told{parallelism: 1, now: job(2), finished: job(2), seen: at}, well},
		"lost 1, counted twice 0, over parallelism 0, ran after finish 0, stuck 0, cron fired twice 0": {told{gone: true}, nil},
		"lost 0, counted twice 1, over parallelism 0, ran after finish 0, stuck 0, cron fired twice 0": {told{parallelism: 1, now: job(2)}, handler(1, 2, "1-0")},
		"lost 0, counted twice 0, over parallelism 1, ran after finish 0, stuck 0, cron fired twice 0": {
			told{parallelism: 1, now: job(2)}, []line{well[0], {At: 1, PID: 2, What: "B", UID: "u", Token: "2-0"}, well[1], {At: 4, PID: 2, What: "E", UID: "u", Token: "2-0", Outcome: "ok"}},
		},
		"lost 0, counted twice 0, over parallelism 0, ran after finish 1, stuck 0, cron fired twice 0": {told{parallelism: 1, now: job(2), finished: job(2), seen: at}, late},
		"lost 0, counted twice 0, over parallelism 0, ran after finish 0, stuck 1, cron fired twice 0": {told{now: &stint.Job{}}, nil},
		"lost 0, counted twice 0, over parallelism 0, ran after finish 0, stuck 0, cron fired twice 1": {
			told{parallelism: 1, now: job(2)}, append([]line{fired("a"), fired("b")}, well...),
		},
	} {
		v := check([]*told{&c.told}, c.side, nil, nil)
		require.Contains(t, v.String(), want, "%v", v.notes)
	}
}
