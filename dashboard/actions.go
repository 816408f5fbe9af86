package dashboard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-go/stint"
)

// confirmData asks before something is done that cannot be undone.
type confirmData struct {
	Queue, Name, Action string // where the form goes, below the root
	Back                string
	Verb                Verb
	Question, Effect    string
	Indexes             bool // may be given
	Fields              map[string]string
}

func (b *board) confirm(in *request) (any, error) {
	verb := Verb(in.URL.Query().Get("verb"))
	if err := b.may(in.Request, verb, in.queue.Name(), in.name); err != nil {
		return nil, err
	}
	j, err := in.queue.Get(in.ctx(), in.name)
	if err != nil {
		return nil, err
	}
	at := jobPath(in.queue.Name(), in.name)
	d := &confirmData{Queue: in.queue.Name(), Name: in.name, Action: at + "/do", Back: at, Verb: verb}
	switch verb {
	case Delete:
		d.Question = "Delete this job?"
		d.Effect = "It goes with its results and errors."
		if n := j.Status.Active; n > 0 {
			d.Effect += fmt.Sprintf(" %s active now; handlers are cancelled.", count(n, "attempt"))
		}
	case Retry:
		d.Question = "Run again what has not succeeded?"
		d.Effect = "A new job takes its place and name, and keeps its successes. What was counted begins anew."
		d.Indexes = j.Spec.CompletionMode == stint.Indexed
	case View, ViewArgs, Suspend, Resume, Scale, Evict, Run:
		return nil, badRequest("That is done without being asked.")
	default:
		return nil, badRequest("There is no such verb.")
	}
	return d, nil
}

func (b *board) confirmCron(in *request) (any, error) {
	if err := b.may(in.Request, Delete, in.queue.Name(), in.name); err != nil {
		return nil, err
	}
	if _, err := in.queue.GetCron(in.ctx(), in.name); err != nil {
		return nil, err
	}
	return &confirmData{
		Queue: in.queue.Name(), Name: in.name, Action: cronPath(in.queue.Name(), in.name) + "/do", Back: "cron", Verb: Delete,
		Question: "Delete this cron job?", Effect: "Its runs go with it, finished or not.",
	}, nil
}

// doJob does a verb to a job.
func (b *board) doJob(in *request) (string, error) {
	verb := Verb(in.PostForm.Get("verb"))
	q, name := in.queue, in.name
	if err := b.may(in.Request, verb, q.Name(), name); err != nil {
		return "", err
	}
	var err error
	switch verb {
	case Suspend:
		_, err = q.Suspend(in.ctx(), name)
	case Resume:
		_, err = q.Resume(in.ctx(), name)
	case Scale:
		var n int
		if n, err = wholeNumber(in.PostForm.Get("parallelism"), "parallelism"); err == nil {
			_, err = q.Scale(in.ctx(), name, n)
		}
	case Retry:
		_, err = q.Retry(in.ctx(), name, strings.TrimSpace(in.PostForm.Get("indexes")))
	case Evict:
		var i int
		if i, err = wholeNumber(in.PostForm.Get("index"), "index"); err == nil {
			err = q.Evict(in.ctx(), name, i)
		}
	case Delete:
		err = q.Delete(in.ctx(), name)
	case View, ViewArgs, Run:
		err = badRequest("That cannot be done to a job.")
	default:
		err = badRequest("There is no such verb.")
	}
	b.done(in, verb, err)
	if verb == Delete {
		return "jobs?queue=" + q.Name() + "&done=" + string(verb), err
	}
	return jobPath(q.Name(), name) + "?done=" + string(verb), err
}

// doCron does a verb to a cron job.
func (b *board) doCron(in *request) (string, error) {
	verb := Verb(in.PostForm.Get("verb"))
	q, name := in.queue, in.name
	if err := b.may(in.Request, verb, q.Name(), name); err != nil {
		return "", err
	}
	to := "cron?done=" + string(verb)
	var err error
	switch verb {
	case Suspend:
		_, err = q.SuspendCron(in.ctx(), name)
	case Resume:
		_, err = q.ResumeCron(in.ctx(), name)
	case Delete:
		err = q.DeleteCron(in.ctx(), name)
	case Run:
		var j *stint.Job
		if j, err = q.RunCron(in.ctx(), name); err == nil {
			to = jobPath(q.Name(), j.Name) + "?done=" + string(verb)
		}
	case View, ViewArgs, Scale, Retry, Evict:
		err = badRequest("That cannot be done to a cron job.")
	default:
		err = badRequest("There is no such verb.")
	}
	b.done(in, verb, err)
	return to, err
}

// done notes what was done, and lets the next page see it.
func (b *board) done(in *request, verb Verb, err error) {
	b.cache.forget()
	if err == nil {
		b.cfg.Logger.Info("dashboard", "verb", verb, "queue", in.queue.Name(), "job", in.name, "remote", in.RemoteAddr)
	}
}

// bulkVerbs are what can be done to all jobs of a filter.
var bulkVerbs = []Verb{Suspend, Resume, Retry, Delete}

func bulkVerb(in *request, text string) (Verb, error) {
	verb := Verb(text)
	if !slices.Contains(bulkVerbs, verb) {
		return "", badRequest("That cannot be done to all jobs of a filter.")
	}
	return verb, in.board.may(in.Request, verb, in.queue.Name(), "")
}
