package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/stint-go/stint"
)

// request is one request for a page or an action.
type request struct {
	*http.Request

	board *board
	queue *stint.Queue // of the path or the query; nil for none
	name  string       // of the job or cron job in the path
}

// ctx ends with the request, and with the server's shutdown for streams.
func (r *request) ctx() context.Context { return r.Context() }

// may tells whether the request may do a verb.
func (r *request) may(verb Verb, queue, job string) bool {
	return r.board.may(r.Request, verb, queue, job) == nil
}

// page is what every template is given.
type page struct {
	Brand  string
	Name   string // of the template
	Title  string
	Root   string // the relative address of the dashboard
	Path   string // of this page below Root, with its query
	Queue  string
	Queues []string
	Done   string // what was done by the action that led here
	Live   bool
	Data   any

	request *request
}

// Can tells whether the user may do a verb.
func (p *page) Can(verb Verb, queue, job string) bool { return p.request.may(verb, queue, job) }

// Writable tells whether the dashboard changes anything.
func (p *page) Writable() bool { return p.request.board.cfg.Writable }

// fail is an answer for the user with a status.
type fail struct {
	Status int
	Title  string
	Detail string
}

func (f *fail) Error() string { return f.Detail }

func badRequest(detail string) error {
	return &fail{http.StatusBadRequest, "That does not work", detail}
}

// failOf turns an error into what the user is told.
func (b *board) failOf(r *http.Request, err error) *fail {
	var told *fail
	var no forbidden
	var bad *stint.InvalidError
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &no):
		return &fail{http.StatusForbidden, "Not allowed", no.Error()}
	case errors.As(err, &bad):
		return &fail{http.StatusBadRequest, "That does not work", strings.TrimPrefix(bad.Error(), "stint: ")}
	case errors.Is(err, stint.ErrNotFound):
		return &fail{http.StatusNotFound, "Not found", "There is no such page, job or queue, or no more: finished jobs go when their time to live is over."}
	case errors.Is(err, stint.ErrConflict), errors.Is(err, stint.ErrFinished), errors.Is(err, stint.ErrExists):
		return &fail{http.StatusConflict, "That does not fit", strings.TrimPrefix(err.Error(), "stint: ")}
	}
	b.cfg.Logger.Error("dashboard", "path", r.URL.Path, "error", err)
	return &fail{http.StatusBadGateway, "Redis does not answer", "The queue could not be read. The log of the server says why."}
}

// open reads what the path names, and asks whether it may be seen.
func (b *board) open(r *http.Request) (*request, error) {
	in := &request{Request: r, board: b, name: r.PathValue("job")}
	if len(r.URL.RawQuery) > maxQueryBytes {
		return in, badRequest("The address is too long.")
	}
	name := r.PathValue("queue")
	if name == "" {
		if err := b.may(r, View, "", ""); err != nil {
			return in, err
		}
		if name = r.URL.Query().Get("queue"); name == "" {
			return in, nil
		}
	}
	q := b.queues[name]
	if q == nil {
		return in, stint.ErrNotFound
	}
	if err := b.may(r, View, name, in.name); err != nil {
		return in, err
	}
	in.queue = q
	return in, nil
}

// maxQueryBytes bounds the query of every request.
const maxQueryBytes = 8 << 10

// loader reads what a page shows.
type loader func(*request) (any, error)

// titled is what pages show that name themselves.
type titled interface{ title() string }

// page answers with a page; asked for events, with the page again and again.
func (b *board) page(name string, load loader) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, err := b.open(r)
		if err == nil && strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") {
			b.stream(w, in, name, load) //nolint:contextcheck // the request has it
			return
		}
		var data any
		if err == nil {
			data, err = load(in)
		}
		if err != nil {
			b.refuse(w, in, err)
			return
		}
		b.write(w, http.StatusOK, b.pageOf(in, name, data))
	})
}

func (b *board) pageOf(in *request, name string, data any) *page {
	p := &page{
		Brand: b.cfg.Title, Name: name, Title: titles[name], Root: rootOf(in.URL.EscapedPath()), Live: live[name], Data: data, request: in,
		Path: strings.TrimPrefix(in.URL.EscapedPath(), "/"), Done: dones[in.URL.Query().Get("done")],
	}
	if t, ok := data.(titled); ok {
		p.Title = t.title()
	}
	for _, q := range b.visible(in.Request) {
		p.Queues = append(p.Queues, q.Name())
	}
	if in.queue != nil {
		p.Queue = in.queue.Name()
	}
	return p
}

// rootOf is the way back to the dashboard's root from a path below it.
func rootOf(path string) string {
	up := strings.Count(strings.TrimPrefix(path, "/"), "/")
	if up == 0 {
		return "./"
	}
	return strings.Repeat("../", up)
}

var titles = map[string]string{
	"overview": "Overview", "jobs": "Jobs", "cron": "Cron jobs", "queues": "Queues", "workers": "Workers",
	"confirm": "Are you sure?", "bulk": "Are you sure?", "error": "Error", "why": "Why it waits",
}

// live are the pages that are shown again when something has changed.
var live = map[string]bool{"overview": true, "jobs": true, "job": true, "cron": true, "queues": true, "workers": true, "index": true}

// dones are what an action can have done, by the word in the query.
var dones = map[string]string{
	string(Suspend): "It is suspended.", string(Resume): "It goes on.", string(Scale): "Its parallelism is changed.",
	string(Retry): "It runs again.", string(Evict): "The attempt is told to stop.", string(Delete): "It is deleted.",
	string(Run): "A run is submitted.",
}

func (b *board) refuse(w http.ResponseWriter, in *request, err error) {
	f := b.failOf(in.Request, err)
	in.queue = nil
	p := b.pageOf(in, "error", f)
	p.Title = f.Title
	b.write(w, f.Status, p)
}

func (b *board) write(w http.ResponseWriter, status int, p *page) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, "layout", p); err != nil {
		b.cfg.Logger.Error("dashboard: template", "page", p.Name, "error", err)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// answer answers a script with JSON.
func (b *board) answer(load loader) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, err := b.open(r)
		var data any
		if err == nil {
			data, err = load(in)
		}
		status := http.StatusOK
		if err != nil {
			f := b.failOf(r, err)
			status, data = f.Status, map[string]string{"error": f.Detail}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(data)
	})
}

// action does something and leads to a page that shows it.
func (b *board) action(do func(*request) (to string, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const mostForm = 64 << 10
		r.Body = http.MaxBytesReader(w, r.Body, mostForm)
		in, err := b.open(r)
		if err == nil {
			if r.ParseForm() != nil {
				err = badRequest("The form cannot be read.")
			}
		}
		var to string
		if err == nil {
			to, err = do(in)
		}
		if err != nil {
			b.refuse(w, in, err)
			return
		}
		w.Header().Set("Location", rootOf(r.URL.EscapedPath())+to)
		w.WriteHeader(http.StatusSeeOther)
	})
}

// jobPath is the address of a job's page below the root.
func jobPath(queue, job string) string {
	return "queues/" + url.PathEscape(queue) + "/jobs/" + url.PathEscape(job)
}

// cronPath is the address below which a cron job is steered.
func cronPath(queue, name string) string {
	return "queues/" + url.PathEscape(queue) + "/cron/" + url.PathEscape(name)
}
