package dashboard

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/stint-go/stint"
)

// jobsData is a page of a list of jobs.
type jobsData struct {
	Filter  filter
	Wrong   string // with the filter
	Limit   int
	Rows    []jobRow
	Next    string // the token of the next page
	Beyond  bool   // this is not the first one
	Scanned bool   // it is not known whether there are more
	Phases  []stint.Phase
	Kinds   []stint.KindInfo
	Verbs   []Verb // that may be done to the whole filter
}

type jobRow struct {
	Queue string
	*stint.Job

	Duration time.Duration
	Waits    bool
}

// Bounds of a page of jobs.
const (
	defaultRows = 50
	maxRows     = 500
	mostPages   = 25 // of jobs that are read for it
	readPage    = 200
)

func (b *board) jobs(in *request) (any, error) {
	query := in.URL.Query()
	d := &jobsData{Limit: defaultRows, Phases: phases, Beyond: query.Get("continue") != ""}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxRows {
			return nil, badRequest(fmt.Sprintf("limit is a number from 1 to %d.", maxRows))
		}
		d.Limit = n
	}
	if in.queue == nil { // a list is of one queue
		all := b.visible(in.Request)
		if len(all) == 0 {
			return d, nil
		}
		in.queue = all[0]
	}
	var err error
	if d.Filter, err = parseFilter(query.Get("q")); err != nil {
		d.Wrong = err.Error()
		return d, nil //nolint:nilerr // it is told beside the filter
	}
	d.Kinds, err = cached(&b.cache, "kinds "+in.queue.Name(), b.cfg.Refresh/2, func() ([]stint.KindInfo, error) { return in.queue.Kinds(in.ctx()) })
	if err != nil {
		return nil, err
	}
	for _, v := range []Verb{Suspend, Resume, Retry, Delete} {
		if in.may(v, in.queue.Name(), "") {
			d.Verbs = append(d.Verbs, v)
		}
	}
	return d, b.listJobs(in, d, query.Get("continue"))
}

// listJobs fills the rows of a page, for which it reads a bounded number of
// jobs: with a filter that hardly any job passes, the page is short.
func (b *board) listJobs(in *request, d *jobsData, token string) error {
	o := d.Filter.Options
	o.Newest, o.Continue = true, token
	for range mostPages {
		o.Limit = min(readPage, d.Limit-len(d.Rows))
		if o.Name+o.Error+o.Kind+o.Selector+string(o.Phase) != "" {
			o.Limit = min(readPage, maxRows-len(d.Rows))
		}
		jobs, next, err := in.queue.ListPage(in.ctx(), o)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if in.may(View, in.queue.Name(), j.Name) {
				d.Rows = append(d.Rows, rowOf(in.queue.Name(), j))
			}
		}
		if o.Continue = next; next == "" || len(d.Rows) >= d.Limit {
			d.Next = next
			return nil
		}
	}
	d.Next, d.Scanned = o.Continue, true
	return nil
}

func rowOf(queue string, j *stint.Job) jobRow {
	r := jobRow{Queue: queue, Job: j}
	end := endOf(j)
	if s := j.Status.StartedAt; !s.IsZero() {
		if end.IsZero() {
			end = time.Now()
		}
		r.Duration = max(0, end.Sub(s))
	}
	r.Waits = !j.Finished() && j.Status.Active == 0
	return r
}

// endOf is when a job finished, or the zero time.
func endOf(j *stint.Job) time.Time {
	for _, t := range []stint.ConditionType{stint.JobComplete, stint.JobFailed} {
		if c, ok := j.Condition(t); ok {
			return c.TransitionAt
		}
	}
	return time.Time{}
}

// Goal is how many completions the job needs, 0 where any one success will do.
func (r jobRow) Goal() int {
	if r.Spec.Completions == nil {
		return 0
	}
	return *r.Spec.Completions
}

// Link is the address of a page of jobs below the root.
func (d *jobsData) Link(queue, q, token string) string {
	v := url.Values{}
	set := func(key, value string) {
		if value != "" {
			v.Set(key, value)
		}
	}
	set("queue", queue)
	set("q", q)
	set("continue", token)
	if d.Limit != defaultRows {
		v.Set("limit", strconv.Itoa(d.Limit))
	}
	return "jobs?" + v.Encode()
}
