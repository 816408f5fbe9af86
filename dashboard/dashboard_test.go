package dashboard_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/dashboard"
	"github.com/stint-go/stint/internal/redistest"
)

type work struct {
	Secret string `json:"secret"`
}

func (work) Kind() string { return "work" }

type other struct{}

func (other) Kind() string { return "other" }

const within = 30 * time.Second

// site is a dashboard of one queue, mounted under a path as applications do.
type site struct {
	t     *testing.T
	queue *stint.Queue
	rdb   redis.UniversalClient
	base  string
}

func newSite(t *testing.T, cfg dashboard.Config) *site {
	t.Helper()
	rdb := redistest.Mini(t)
	q := stint.NewQueue("media", rdb)
	cfg.Refresh = 100 * time.Millisecond
	mux := http.NewServeMux()
	mux.Handle("/admin/board/", http.StripPrefix("/admin/board", dashboard.New([]*stint.Queue{q, q, nil}, cfg)))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &site{t, q, rdb, server.URL + "/admin/board/"}
}

// get reads a page; the addresses in it have to be relative.
func (s *site) get(path string) (int, string) {
	s.t.Helper()
	r, err := http.Get(s.base + path) //nolint:bodyclose // read does
	require.NoError(s.t, err)
	return s.read(r)
}

func (s *site) read(r *http.Response) (int, string) {
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, "nosniff", r.Header.Get("X-Content-Type-Options"))
	require.Contains(s.t, r.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	require.NotContains(s.t, r.Header.Get("Content-Security-Policy"), "unsafe")
	require.NotRegexp(s.t, `(href|src|action)="/`, string(body))
	return r.StatusCode, string(body)
}

// post sends a form, and follows to the page that it leads to.
func (s *site) post(path string, form url.Values) (int, string) {
	s.t.Helper()
	r, err := http.PostForm(s.base+path, form) //nolint:bodyclose // read does
	require.NoError(s.t, err)
	return s.read(r)
}

func (s *site) worker(h func(context.Context, *stint.Task[work]) error) {
	s.t.Helper()
	w := stint.NewWorker(s.queue, stint.WorkerConfig{Concurrency: 4, Lease: time.Second, ShutdownTimeout: -1, CancelTimeout: 10 * time.Millisecond})
	stint.Handle(w, h)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		require.NoError(s.t, <-done)
	})
}

func (s *site) submit(args stint.Args, spec stint.JobSpec) *stint.Job {
	s.t.Helper()
	job, err := s.queue.Submit(s.t.Context(), args, spec)
	require.NoError(s.t, err)
	return job
}

func quick() *stint.Backoff { return &stint.Backoff{Initial: time.Millisecond, Max: time.Millisecond} }

// fill makes a queue in which there is something of everything.
func (s *site) fill() {
	s.t.Helper()
	s.worker(func(ctx context.Context, task *stint.Task[work]) error {
		switch {
		case task.Job == "holds":
			_ = task.Progress(ctx, 3, 10, "a third of it")
			<-ctx.Done()
			return context.Cause(ctx)
		case task.Index%7 == 3:
			return stint.FailIndex(stint.Code(7, errors.New("cannot read frame")))
		}
		return nil
	})
	s.submit(work{"s3cret"}, stint.JobSpec{
		Name: "film", Labels: map[string]string{"env": "prod"}, CompletionMode: stint.Indexed, Completions: new(100), Parallelism: new(4), BackoffLimitPerIndex: new(0),
		MaxFailedIndexes: new(50), Backoff: quick(),
	})
	s.submit(work{}, stint.JobSpec{Name: "holds", CompletionMode: stint.Indexed, Completions: new(2), Parallelism: new(1)})
	s.submit(work{}, stint.JobSpec{Name: "asleep", Suspend: true})
	s.submit(other{}, stint.JobSpec{Name: "nobody-takes"})
	plain := s.submit(work{"s3cret"}, stint.JobSpec{})
	_, err := s.queue.ApplyCron(s.t.Context(), stint.CronJob{Name: "nightly", Schedule: "0 3 * * *", TimeZone: "Europe/Vienna", Args: work{"s3cret"}})
	require.NoError(s.t, err)
	for _, name := range []string{"film", plain.Name} {
		_, err := s.queue.Wait(s.t.Context(), name)
		require.NoError(s.t, err)
	}
	require.Eventually(s.t, func() bool {
		info, err := s.queue.Index(s.t.Context(), "holds", 0)
		crew, err2 := s.queue.Workers(s.t.Context())
		return err == nil && info.Progress != nil && err2 == nil && len(crew[0].Kinds) > 0
	}, within, 10*time.Millisecond)
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Config{Title: "Film studio"})
	s.fill()
	for path, want := range map[string][]string{
		"":                        {"Film studio", "Overview", "no worker takes this kind", "nobody-takes", "read-only"},
		"?range=24h":              {"24 hours"},
		"jobs":                    {"film", "holds", "asleep", "nobody-takes", "env=prod", "cannot read frame"},
		"jobs?q=status:suspended": {"asleep"},
		"queues":                  {"media", "no worker takes this kind"},
		"workers":                 {"holds", "4 slots"},
		"cron":                    {"nightly", "0 3 * * *", "Europe/Vienna", "03:00:00 CE", "It has not run yet."},
		"queues/media/jobs/film":  {"FailedIndexes", "code 7", "14×", "cannot read frame", "3,10,17", "maxFailedIndexes: 50", "Failed indexes", "of 50", "Hidden."},
		"queues/media/jobs/holds": {"a third of it", "Running", "Why it is not further", "Longest attempts"},
		"queues/media/jobs/asleep": {
			"It is suspended.", "Why it waits", "completions: 1",
		},
		"queues/media/jobs/nobody-takes":          {"No live worker takes kind"},
		"queues/media/jobs/nobody-takes/why":      {"NoWorker"},
		"queues/media/jobs/film/index?i=3":        {"Index 3", "Failed", "cannot read frame"},
		"queues/media/jobs/holds/index?i=0":       {"Active", "3 of 10"},
		"queues/media/jobs/film/indexes":          {`"total":100`, `[1,0,0,0]`, `[0,1,0,0]`},
		"queues/media/jobs/film/indexes?tiles=10": {`"size":10`},
	} {
		status, body := s.get(path)
		require.Equal(t, http.StatusOK, status, path)
		for _, w := range want {
			require.Contains(t, body, w, path)
		}
		require.NotContains(t, body, "s3cret", path)
		require.NotContains(t, body, "ZgotmplZ", path)
		require.NotContains(t, body, `method="post"`, path)
		require.NotContains(t, body, "style=", path)
	}
}

func TestMissingAndBad(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Config{})
	s.submit(work{}, stint.JobSpec{Name: "one"})
	for path, want := range map[string]int{
		"nothing":                                            http.StatusNotFound,
		"jobs?queue=unknown":                                 http.StatusNotFound,
		"queues/unknown/jobs/one":                            http.StatusNotFound,
		"queues/media/jobs/none":                             http.StatusNotFound,
		"queues/media/jobs/one/index?i=1":                    http.StatusBadRequest,
		"queues/media/jobs/one/index?i=-1":                   http.StatusBadRequest,
		"queues/media/jobs/one/index":                        http.StatusBadRequest,
		"queues/media/jobs/one/indexes?tiles=100000":         http.StatusBadRequest,
		"queues/media/jobs/one/indexes?from=x":               http.StatusBadRequest,
		"jobs?limit=501":                                     http.StatusBadRequest,
		"jobs?limit=no":                                      http.StatusBadRequest,
		"jobs?continue=nonsense":                             http.StatusBadRequest,
		"jobs?q=" + strings.Repeat("x", 9000):                http.StatusBadRequest,
		"jobs?q=color:red":                                   http.StatusOK, // told beside the filter
		"queues/media/jobs/one/confirm?verb=delete":          http.StatusForbidden,
		"queues/media/bulk?verb=delete":                      http.StatusForbidden,
		"queues/media/bulk?verb=view":                        http.StatusBadRequest,
		"static/app.css":                                     http.StatusOK,
		"static/none.css":                                    http.StatusNotFound,
		"queues/media/jobs/" + url.PathEscape("<script>x/y"): http.StatusNotFound,
	} {
		status, body := s.get(path)
		require.Equal(t, want, status, path+"\n"+body)
		require.NotContains(t, body, "<script>x")
	}
	_, body := s.get("jobs?q=color:red")
	require.Contains(t, body, "&#34;color:&#34; is no word of a filter")
}

func TestMountedWithoutSlash(t *testing.T) {
	t.Parallel()
	board := dashboard.New(nil, dashboard.Config{})
	mux := http.NewServeMux()
	mux.Handle("GET /deep/board", http.StripPrefix("/deep/board", board))
	mux.Handle("/deep/board/", http.StripPrefix("/deep/board", board))
	server := httptest.NewServer(mux)
	defer server.Close()
	r, err := http.Get(server.URL + "/deep/board?x=1")
	require.NoError(t, err)
	defer func() { _ = r.Body.Close() }()
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Equal(t, "/deep/board/", r.Request.URL.Path)
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "No job was submitted yet.")
}
