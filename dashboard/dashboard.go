package dashboard

import (
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"github.com/stint-go/stint"
)

//go:embed assets
var assets embed.FS

// board is a dashboard.
type board struct {
	cfg     Config
	names   []string // of the queues, in the order given
	queues  map[string]*stint.Queue
	streams streams
	cache   cache
}

// New makes a dashboard of queues, which it shows in this order; of queues of
// the same name it shows the first. It is safe for concurrent use, starts no
// goroutine and needs no closing. Mount it with [http.StripPrefix].
func New(queues []*stint.Queue, cfg Config) http.Handler {
	b := &board{cfg: cfg.withDefaults(), queues: map[string]*stint.Queue{}}
	for _, q := range queues {
		if q != nil && b.queues[q.Name()] == nil {
			b.names = append(b.names, q.Name())
			b.queues[q.Name()] = q
		}
	}
	b.streams.free = make(chan struct{}, b.cfg.MaxStreams)
	return secure(b.routes())
}

func (b *board) routes() http.Handler {
	mux := http.NewServeMux()
	static, _ := fs.Sub(assets, "assets") // the directory is embedded
	files := http.FileServerFS(static)
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})))
	mux.Handle("GET /{$}", b.page("overview", b.overview))
	mux.Handle("GET /jobs", b.page("jobs", b.jobs))
	mux.Handle("GET /cron", b.page("cron", b.cron))
	mux.Handle("GET /queues", b.page("queues", b.queuesPage))
	mux.Handle("GET /workers", b.page("workers", b.workers))
	mux.Handle("GET /queues/{queue}/jobs/{job}", b.page("job", b.job))
	mux.Handle("GET /queues/{queue}/jobs/{job}/index", b.page("index", b.index))
	mux.Handle("GET /queues/{queue}/jobs/{job}/confirm", b.page("confirm", b.confirm))
	mux.Handle("POST /queues/{queue}/jobs/{job}/do", b.action(b.doJob))
	mux.Handle("GET /queues/{queue}/jobs/{job}/indexes", b.answer(b.indexes))
	mux.Handle("GET /queues/{queue}/jobs/{job}/why", b.page("why", b.why))
	mux.Handle("GET /queues/{queue}/cron/{job}/confirm", b.page("confirm", b.confirmCron))
	mux.Handle("POST /queues/{queue}/cron/{job}/do", b.action(b.doCron))
	mux.Handle("GET /queues/{queue}/bulk", b.page("bulk", b.bulk))
	mux.Handle("POST /queues/{queue}/bulk", b.action(b.doBulk))
	mux.Handle("GET /", b.page("error", func(*request) (any, error) { return nil, stint.ErrNotFound }))
	protect := http.NewCrossOriginProtection()
	return protect.Handler(rooted(mux))
}

// rooted answers the path of the dashboard without its slash with the one that
// has it, since all addresses in pages are relative.
func rooted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "" {
			next.ServeHTTP(w, r)
			return
		}
		path, _, _ := strings.Cut(r.RequestURI, "?")
		w.Header().Set("Location", "./"+path[strings.LastIndexByte(path, '/')+1:]+"/")
		w.WriteHeader(http.StatusPermanentRedirect)
	})
}

// secure sets what keeps others out of the pages: nothing but the dashboard's
// own files is loaded, and nobody may frame it.
func secure(next http.Handler) http.Handler {
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// errReadOnly refuses a verb where the dashboard changes nothing.
var errReadOnly = errors.New("this dashboard is read-only")

// forbidden is a verb that Authorize has refused.
type forbidden struct{ error }

// may tells why a request may not do a verb; nil: it may.
func (b *board) may(r *http.Request, verb Verb, queue, job string) error {
	if verb != View && verb != ViewArgs && !b.cfg.Writable {
		return forbidden{errReadOnly}
	}
	if verb == ViewArgs && !b.cfg.ShowArgs {
		return forbidden{errors.New("args are hidden")}
	}
	if b.cfg.Authorize == nil {
		return nil
	}
	if err := b.cfg.Authorize(r, verb, queue, job); err != nil {
		return forbidden{err}
	}
	return nil
}

// visible are the queues that a request may see.
func (b *board) visible(r *http.Request) []*stint.Queue {
	var out []*stint.Queue
	for _, name := range b.names {
		if b.may(r, View, name, "") == nil {
			out = append(out, b.queues[name])
		}
	}
	return out
}
