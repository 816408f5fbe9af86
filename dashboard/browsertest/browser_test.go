package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const within = 60 * time.Second

// findBrowser is a Chromium, or "": then script/chromium installs one. Where
// CI or STINT_REQUIRE_REDIS says that nothing may be left out, it fails.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("STINT_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" || os.Getenv("STINT_REQUIRE_REDIS") == "1" {
		require.FailNow(t, "no Chromium on the PATH: script/chromium installs one, or name one in STINT_CHROMIUM")
	}
	t.Skip("no Chromium on the PATH: script/chromium installs one")
	return ""
}

var shared struct {
	sync.Once
	ctx  context.Context //nolint:containedctx // chromedp's contexts are its browsers
	stop func()
}

// browser starts one browser for all tests.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := findBrowser(t)
	shared.Do(func() {
		dir, err := os.MkdirTemp("", "stint-browser") //nolint:usetesting // it outlives the test that starts the browser
		require.NoError(t, err)
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.NoFirstRun, chromedp.DisableGPU,
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
			chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.WSURLReadTimeout(within),
			chromedp.WindowSize(1360, 900),
		)
		alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), options...)
		var stop func()
		shared.ctx, stop = chromedp.NewContext(alloc) //nolint:fatcontext // once
		shared.stop = func() {
			stop()
			stopAlloc()
			_ = os.RemoveAll(dir)
		}
		require.NoError(t, chromedp.Do(shared.ctx))
	})
	require.NotNil(t, shared.ctx)
	return shared.ctx
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stop != nil {
		shared.stop()
	}
	os.Exit(code)
}

// tab is a page of the browser. What goes wrong in it fails the test: errors
// on the console, exceptions, and dialogs that nobody asked for.
type tab struct {
	t    *testing.T
	ctx  context.Context //nolint:containedctx // chromedp's contexts are its tabs
	mu   sync.Mutex
	seen []string
}

func newTab(t *testing.T) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser(t))
	ctx, cancelTime := context.WithTimeout(ctx, 3*within)
	t.Cleanup(func() {
		cancelTime()
		cancel()
	})
	b := &tab{t: t, ctx: ctx}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.note("exception: " + e.ExceptionDetails.Text + " " + e.ExceptionDetails.Exception.Description)
		case *runtime.EventConsoleAPICalled:
			b.note("console: " + string(e.Type) + " " + e.Args[0].Description + string(e.Args[0].Value))
		case *log.EventEntryAdded:
			b.note(string(e.Entry.Level) + ": " + e.Entry.Text + " " + e.Entry.URL)
		case *page.EventJavascriptDialogOpening:
			b.note("dialog: " + e.Message)
			go func() { _ = chromedp.Do(ctx, closeDialog) }()
		}
	})
	require.NoError(t, err)
	return b
}

var closeDialog = chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
	_, err := cdp.Call(ctx, t, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
	return err
})

func (b *tab) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, what)
}

// clean fails where the browser has complained.
func (b *tab) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.seen, "the browser complains")
}

type action = chromedp.Action[chromedp.Void]

func (b *tab) run(actions ...action) {
	b.t.Helper()
	for _, a := range actions {
		do(b, a)
	}
}

// do does one thing in the page; when it does not come to an end the test's
// log has what is to be seen.
func do[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	for err != nil && strings.Contains(err.Error(), "Could not find node") && ctx.Err() == nil {
		v, err = chromedp.Run(ctx, a) // an update has put another element in its place
	}
	if errors.Is(err, context.DeadlineExceeded) {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		b.t.Log(strings.TrimSpace(text), b.seen)
	}
	require.NoError(b.t, err)
	return v
}

func click(css string) action   { return chromedp.Click(chromedp.CSS(css)) }
func visible(css string) action { return chromedp.WaitVisible(chromedp.CSS(css)) }
func key(keys string) action    { return chromedp.KeyEvent(keys) }

// open goes to a page and waits until it is live.
func (b *tab) open(address string) {
	b.t.Helper()
	b.run(chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("#main")))
}

// live waits until the page gets its updates.
func (b *tab) live() {
	b.t.Helper()
	b.run(chromedp.WaitReady(chromedp.CSS(`#live[data-state="on"]`)))
}

// eval asks the page.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	return do(b, chromedp.Evaluate[T](script))
}

// until asks the page again and again until a script says true. Each question
// is one of its own: a page that is left may keep one that waits for ever.
func (b *tab) until(script string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		ok, err := ask[bool](ctx, script)
		if ok {
			return
		}
		if err != nil {
			last = err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	seen, _ := ask[string](b.ctx, `location.href + "\n" + document.body.innerText`)
	require.FailNow(b.t, "the page did not come to this", "%s\n%v\n%v\n%v", script, last, seen, b.seen)
}

// ask evaluates within seconds, or not at all: a navigation may swallow it.
func ask[T any](ctx context.Context, script string) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script))
}
