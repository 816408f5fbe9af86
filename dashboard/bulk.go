package dashboard

import (
	"iter"
	"net/url"
	"strconv"
	"time"

	"github.com/stint-go/stint"
)

// bulkData asks before a verb is done to all jobs of a filter, with how many
// they are; or tells how far it is.
type bulkData struct {
	Queue    string
	Verb     Verb
	Filter   filter
	Count    int
	More     bool // there are at least so many
	Some     []string
	Continue string // goes on with the verb
	Started  bool
	Done     int // so far
	Failed   int
	LastFail string
}

// Bounds of a bulk action in one request.
const (
	countMost = 20_000
	countTime = 3 * time.Second
	bulkMost  = 2000
	bulkTime  = 5 * time.Second
)

// bulk counts what a verb would be done to.
func (b *board) bulk(in *request) (any, error) {
	query := in.URL.Query()
	verb, err := bulkVerb(in, query.Get("verb"))
	if err != nil {
		return nil, err
	}
	f, err := parseFilter(query.Get("q"))
	if err != nil {
		return nil, err
	}
	d := &bulkData{
		Queue: in.queue.Name(), Verb: verb, Filter: f, Continue: query.Get("continue"), Started: query.Get("continue") != "",
		Done: atoi(query.Get("n")), Failed: atoi(query.Get("failed")),
	}
	return d, b.countAll(in, d)
}

func (b *board) countAll(in *request, d *bulkData) error {
	o := d.Filter.Options
	if d.Verb == Retry && o.Phase == "" {
		o.Phase = stint.PhaseFailed
	}
	until := time.Now().Add(countTime)
	for {
		jobs, next, err := in.queue.ListPage(in.ctx(), o)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if applies(d.Verb, j) && in.may(d.Verb, d.Queue, j.Name) {
				if d.Count++; len(d.Some) < 10 {
					d.Some = append(d.Some, j.Name)
				}
			}
		}
		if o.Continue = next; next == "" {
			return nil
		}
		if d.Count >= countMost || time.Now().After(until) {
			d.More = true
			return nil
		}
	}
}

// applies tells whether a verb changes a job, as the engine sees it.
func applies(verb Verb, j *stint.Job) bool {
	switch verb { //nolint:exhaustive // those of bulkVerbs
	case Suspend:
		return !j.Finished() && !j.Spec.Suspend
	case Resume:
		return !j.Finished() && j.Spec.Suspend
	case Retry:
		return j.Finished()
	}
	return true
}

// doBulk does a verb to jobs of a filter for some seconds, and leads to a page
// that goes on.
func (b *board) doBulk(in *request) (string, error) {
	form := in.PostForm
	verb, err := bulkVerb(in, form.Get("verb"))
	if err != nil {
		return "", err
	}
	f, err := parseFilter(form.Get("q"))
	if err != nil {
		return "", err
	}
	f.Options.Continue = form.Get("continue")
	n, failed := atoi(form.Get("n")), atoi(form.Get("failed"))
	until := time.Now().Add(bulkTime)
	list := "jobs?queue=" + url.QueryEscape(in.queue.Name()) + "&q=" + url.QueryEscape(f.Text)
	looked := 0
	defer b.done(in, verb, nil)
	for out, err := range b.bulkOf(in, verb, f.Options) {
		switch {
		case out.Job == nil:
			return "", err
		case err != nil:
			failed++
		default:
			n++
		}
		if looked++; looked >= bulkMost || time.Now().After(until) {
			v := url.Values{
				"verb": {string(verb)}, "q": {f.Text}, "continue": {out.Continue}, "n": {strconv.Itoa(n)}, "failed": {strconv.Itoa(failed)},
			}
			return "queues/" + url.PathEscape(in.queue.Name()) + "/bulk?" + v.Encode(), nil
		}
	}
	return list + "&n=" + strconv.Itoa(n) + "&failed=" + strconv.Itoa(failed), nil
}

// bulkOf is the engine's bulk verb over the jobs of a filter to which the user
// may do it.
func (b *board) bulkOf(in *request, verb Verb, o stint.ListOptions) iter.Seq2[stint.Outcome, error] {
	q := in.queue
	if verb == Retry && o.Phase == "" {
		o.Phase = stint.PhaseFailed
	}
	o.Where = func(j *stint.Job) bool { return in.may(verb, q.Name(), j.Name) }
	switch verb { //nolint:exhaustive // those of bulkVerbs
	case Suspend:
		return q.SuspendAll(in.ctx(), o)
	case Resume:
		return q.ResumeAll(in.ctx(), o)
	case Retry:
		return q.RetryAll(in.ctx(), o)
	}
	return q.DeleteAll(in.ctx(), o)
}
