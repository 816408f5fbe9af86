package dashboard

import (
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// cronData is the page of cron jobs.
type cronData struct {
	Rows []cronRow
	More bool
}

type cronRow struct {
	Queue string
	*stint.CronJob

	Next []time.Time
	Runs []stint.CronRun // that have finished, the latest last
	Why  string          // no run starts
}

const maxCronRows = 500

func (b *board) cron(in *request) (any, error) {
	d := &cronData{}
	for _, q := range b.chosen(in) {
		crons, err := cached(&b.cache, "cron "+q.Name(), b.cfg.Refresh/2, func() ([]*stint.CronJob, error) { return listCron(in, q) })
		if err != nil {
			return nil, err
		}
		for _, c := range crons {
			if in.may(View, q.Name(), c.Name) {
				d.Rows = append(d.Rows, cronRowOf(q.Name(), c))
			}
		}
	}
	d.More = len(d.Rows) > maxCronRows
	d.Rows = d.Rows[:min(len(d.Rows), maxCronRows)]
	return d, nil
}

func listCron(in *request, q *stint.Queue) ([]*stint.CronJob, error) {
	var out []*stint.CronJob
	for c, err := range q.ListCron(in.ctx()) {
		if err != nil {
			return nil, err
		}
		if out = append(out, c); len(out) > maxCronRows {
			break
		}
	}
	slices.SortFunc(out, func(a, b *stint.CronJob) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func cronRowOf(queue string, c *stint.CronJob) cronRow {
	r := cronRow{Queue: queue, CronJob: c, Runs: slices.Clone(c.Status.Finished)}
	slices.SortFunc(r.Runs, func(a, b stint.CronRun) int { return a.StartedAt.Compare(b.StartedAt) })
	r.Runs = r.Runs[max(0, len(r.Runs)-10):]
	var err error
	r.Next, err = c.Upcoming(time.Now(), 5)
	switch {
	case err != nil:
		r.Why = "Its schedule cannot be read."
	case c.Suspend:
		r.Why = "It is suspended: no run starts."
	case len(r.Next) == 0:
		r.Why = "Its schedule never comes true again."
	case len(c.Status.Active) > 0 && c.ConcurrencyPolicy == stint.ForbidConcurrent:
		r.Why = "The next run waits for the end of the one that is active."
	case len(c.Status.Active) > 0 && c.ConcurrencyPolicy == stint.SkipConcurrent:
		r.Why = "Runs are dropped while one is active."
	}
	return r
}

// Zone is the name of the time zone.
func (r cronRow) Zone() string {
	if r.TimeZone == "" {
		return "UTC"
	}
	return r.TimeZone
}
