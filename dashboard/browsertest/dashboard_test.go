package browsertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/dashboard"
	"github.com/stint-go/stint/internal/redistest"
)

// raw is args of a kind of tests.
type raw struct {
	kind string
	Text string
}

func (r raw) Kind() string { return r.kind }

// site is a queue with its dashboard, mounted under a path.
type site struct {
	queue *stint.Queue
	rdb   redis.UniversalClient
	base  string
}

func newSite(t *testing.T) *site {
	t.Helper()
	findBrowser(t)
	rdb := redistest.Mini(t)
	q := stint.NewQueue("media", rdb)
	mux := http.NewServeMux()
	board := dashboard.New([]*stint.Queue{q, stint.NewQueue("mail", rdb)}, dashboard.Config{Writable: true, ShowArgs: true, Refresh: 200 * time.Millisecond})
	mux.Handle("/admin/board/", http.StripPrefix("/admin/board", board))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &site{q, rdb, server.URL + "/admin/board/"}
}

func (s *site) worker(t *testing.T, kind string, h stint.Handler) {
	t.Helper()
	w := stint.NewWorker(s.queue, stint.WorkerConfig{Concurrency: 4, Lease: 2 * time.Second, ShutdownTimeout: -1, CancelTimeout: 10 * time.Millisecond})
	w.HandleRaw(kind, h)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

func (s *site) submit(t *testing.T, args raw, spec stint.JobSpec) *stint.Job {
	t.Helper()
	job, err := s.queue.Submit(t.Context(), args, spec)
	require.NoError(t, err)
	return job
}

func (s *site) jobPage(name string) string {
	return s.base + "queues/media/jobs/" + url.PathEscape(name)
}

// scheme makes the browser prefer light or dark.
func scheme(name string) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	})
}

// Every page loads, is live and draws what it has, in light and dark, wide and
// narrow, without a complaint of the browser.
func TestPagesLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker(t, "work", func(ctx context.Context, task *stint.RawTask) error {
		switch {
		case task.Job == "holds":
			<-ctx.Done()
			return context.Cause(ctx)
		case task.Index%9 == 4:
			return stint.FailIndex(errors.New("no such file"))
		}
		return nil
	})
	s.submit(t, raw{"work", "x"}, stint.JobSpec{
		Name: "film", Labels: map[string]string{"env": "prod"}, CompletionMode: stint.Indexed, Completions: new(200), Parallelism: new(4), BackoffLimitPerIndex: new(0),
	})
	s.submit(t, raw{"work", "x"}, stint.JobSpec{Name: "holds", CompletionMode: stint.Indexed, Completions: new(9), Parallelism: new(2)})
	s.submit(t, raw{"nobody", "x"}, stint.JobSpec{Name: "waits"})
	_, err := s.queue.ApplyCron(t.Context(), stint.CronJob{Name: "nightly", Schedule: "0 3 * * *", Args: raw{"work", ""}})
	require.NoError(t, err)
	b := newTab(t)
	_, err = s.queue.Wait(b.ctx, "film")
	require.NoError(t, err)

	for _, look := range []struct {
		scheme string
		width  int64
	}{{"light", 1360}, {"dark", 1360}, {"light", 390}} {
		b.run(scheme(look.scheme), chromedp.EmulateViewport(look.width, 900))
		for path, want := range map[string]string{
			"": "Throughput", "jobs": "film", "queues": "nobody", "workers": "holds", "cron": "nightly",
			"queues/media/jobs/film": "no such file", "queues/media/jobs/holds": "Why it is not further", "queues/media/jobs/film/index?i=4": "no such file",
			"queues/media/jobs/waits": "No live worker takes kind",
		} {
			b.open(s.base + path)
			b.live()
			require.Contains(t, eval[string](b, `document.getElementById("main").innerText`), want, path)
			const wide = `document.documentElement.scrollWidth <= innerWidth ? "" : [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll, .plot")).map((e) => e.outerHTML.slice(0, 80)).join("\n")`
			require.Empty(t, eval[string](b, wide), "%s is wider than %d", path, look.width)
		}
	}
	b.open(s.jobPage("film"))
	b.until(`document.querySelector("index-map").dataset.ready === "0-199"`)
	b.clean()
}

// What happens in the queue shows without a reload, and the focus stays.
func TestLiveUpdate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.submit(t, raw{"work", "x"}, stint.JobSpec{Name: "early"})
	b := newTab(t)
	b.open(s.base + "jobs?queue=media")
	eval[any](b, `window.kept = 1; document.getElementById("q").focus()`)
	b.run(key("half typed"))
	b.live()
	s.submit(t, raw{"work", "x"}, stint.JobSpec{Name: "later"})
	b.until(`[...document.querySelectorAll("a[data-row]")].some((a) => a.textContent === "later")`)
	require.Equal(t, 1, eval[int](b, `window.kept`), "the page is the same")
	require.Equal(t, "half typed", eval[string](b, `document.getElementById("q").value`))
	require.Equal(t, "q", eval[string](b, `document.activeElement.id`))

	b.open(s.jobPage("early"))
	b.live()
	require.Contains(t, eval[string](b, `document.getElementById("main").innerText`), "No live worker takes kind")
	s.worker(t, "work", func(context.Context, *stint.RawTask) error { return nil })
	b.until(`document.querySelector("h1 .phase").textContent === "Complete"`)
	require.NoError(t, s.queue.Delete(t.Context(), "early"))
	b.until(`document.getElementById("live").dataset.state === "gone"`)
	b.clean()
}

// A job is suspended, scaled and deleted with the mouse.
func TestAction(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.submit(t, raw{"work", "x"}, stint.JobSpec{Name: "mine", CompletionMode: stint.Indexed, Completions: new(10)})
	b := newTab(t)
	b.open(s.jobPage("mine"))
	b.run(click(`button[value="suspend"]`), visible(`button[value="resume"]`))
	j, err := s.queue.Get(t.Context(), "mine")
	require.NoError(t, err)
	require.True(t, j.Spec.Suspend)
	require.Contains(t, eval[string](b, `document.querySelector(".done").textContent`), "It is suspended.")

	eval[any](b, `document.getElementById("parallelism").focus(); document.getElementById("parallelism").select()`)
	b.run(key("7"), click(`.scale button`))
	b.until(`document.querySelector(".done")?.textContent.includes("parallelism")`)
	j, err = s.queue.Get(t.Context(), "mine")
	require.NoError(t, err)
	require.Equal(t, 7, *j.Spec.Parallelism)

	b.run(click(`.acts a.danger`), visible(`.ask button.danger`), click(`.ask button.danger`), visible(`.filter`))
	_, err = s.queue.Get(t.Context(), "mine")
	require.ErrorIs(t, err, stint.ErrNotFound)
	b.clean()
}

// All jobs of a filter are counted, and then deleted.
func TestBulk(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 20 {
		s.submit(t, raw{"work", "x"}, stint.JobSpec{Name: fmt.Sprintf("job-%d", i), Suspend: i%2 == 0})
	}
	b := newTab(t)
	b.open(s.base + "jobs?queue=media")
	b.run(chromedp.SendKeys(chromedp.CSS(`#q`), "status:suspended job\r"), visible(`.chips a[aria-current]`))
	b.until(`location.search.includes("suspended")`)
	b.run(click(`.bulk button[value="delete"]`), visible(`.ask`))
	require.Contains(t, eval[string](b, `document.querySelector(".ask h1").textContent`), "Delete 10 jobs?")
	b.run(click(`.ask button`), visible(`.filter`))
	n, err := s.queue.Count(t.Context(), stint.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, 10, n)
	b.clean()
}

// A job of a million indexes is looked at from afar, and with the keyboard down
// to one of them.
func TestMillion(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const n = 1_000_000
	s.submit(t, raw{"work", "x"}, stint.JobSpec{
		Name: "million", CompletionMode: stint.Indexed, Completions: new(n), Parallelism: new(100), BackoffLimitPerIndex: new(1), MaxFailedIndexes: new(100),
	})
	// As if most of it had run: ragged, so that it is as large as it can be.
	done := bytes.Repeat([]byte{0xb6, 0xdb, 0x6d}, n/8*9/10/3)
	require.NoError(t, s.rdb.SetRange(t.Context(), "stint:{media}:job:million:done", 128, string(done)).Err())
	require.NoError(t, s.rdb.SetBit(t.Context(), "stint:{media}:job:million:bad", 999_999, 1).Err())
	b := newTab(t)
	began := time.Now()
	b.open(s.jobPage("million"))
	b.until(`document.querySelector("index-map")?.dataset.ready === "0-999999"`)
	t.Log("the map of a million indexes was there after", time.Since(began).Round(time.Millisecond))
	require.Less(t, eval[int](b, `document.querySelector("index-map canvas").clientHeight`), 700)
	b.run(chromedp.Focus(chromedp.CSS(`index-map canvas`)), key(kb.ArrowRight), key(kb.End))
	require.Contains(t, eval[string](b, `document.querySelector("index-map .say").textContent`), "1 failed")
	b.run(key(kb.Enter))
	b.until(`!["0-999999"].includes(document.querySelector("index-map").dataset.ready)`)
	require.True(t, strings.HasSuffix(eval[string](b, `document.querySelector("index-map").dataset.ready`), "-999999"))
	for range 4 { // until a tile is one index
		if eval[bool](b, `document.querySelector("index-map .where").textContent.includes("one index")`) {
			break
		}
		before := eval[string](b, `document.querySelector("index-map").dataset.ready`)
		b.run(key(kb.End), key(kb.Enter))
		b.until(fmt.Sprintf(`document.querySelector("index-map").dataset.ready !== %q`, before))
	}
	b.run(key(kb.End), key(kb.End))
	require.Equal(t, "Index 999,999: failed", eval[string](b, `document.querySelector("index-map .say").textContent`))
	b.run(key(kb.Enter))
	b.until(`document.querySelector("h1")?.textContent.includes("Index 999999")`)
	b.clean()
}

func TestKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.submit(t, raw{"work", "x"}, stint.JobSpec{Name: "first"})
	s.submit(t, raw{"work", "x"}, stint.JobSpec{Name: "second"})
	b := newTab(t)
	b.open(s.base)
	b.run(key("?"), visible(`#keys`), click(`#keys button`))
	b.until(`!document.getElementById("keys").open`)
	b.run(key("g"), key("j"))
	b.until(`document.querySelector("h1")?.textContent === "Jobs" && document.readyState === "complete"`)
	b.live()
	b.run(key("j"))
	require.Equal(t, "second", eval[string](b, `document.activeElement.textContent`))
	b.run(key("j"))
	require.Equal(t, "first", eval[string](b, `document.activeElement.textContent`))
	b.run(key("/"))
	require.Equal(t, "q", eval[string](b, `document.activeElement.id`))
	eval[any](b, `document.activeElement.blur()`)
	b.run(key("t"))
	require.NotEmpty(t, eval[string](b, `document.documentElement.dataset.theme`))
	b.run(key("j"), key(kb.Enter))
	b.until(`document.querySelector("h1")?.textContent.includes("second")`)
	b.clean()
}
