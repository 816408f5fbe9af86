package browsertest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestShots takes the pictures of the documents from a running demo, where
// STINT_DEMO is its address, into STINT_SHOTS:
//
//	STINT_DEMO=http://127.0.0.1:8780/ STINT_SHOTS=../../docs/images go test -run Shots .
func TestShots(t *testing.T) {
	t.Parallel()
	demo, into := os.Getenv("STINT_DEMO"), os.Getenv("STINT_SHOTS")
	if demo == "" || into == "" {
		t.Skip("STINT_DEMO and STINT_SHOTS are not set")
	}
	b := newTab(t)
	for _, shot := range []struct {
		name, path, scheme string
		height             int64
	}{
		{"overview-light", "", "light", 940},
		{"job-light", "queues/demo-media/jobs/import-ledger", "light", 1000},
		{"job-dark", "queues/demo-media/jobs/import-ledger", "dark", 1000},
		{"jobs-dark", "jobs?queue=demo-media", "dark", 900},
		{"cron-light", "cron", "light", 760},
	} {
		b.run(scheme(shot.scheme), chromedp.EmulateViewport(1280, shot.height))
		b.open(demo + shot.path)
		b.live()
		b.until(`!document.querySelector("index-map") || !!document.querySelector("index-map").dataset.ready`)
		png := do(b, chromedp.CaptureScreenshot())
		require.NoError(t, os.WriteFile(filepath.Join(into, shot.name+".png"), png, 0o644))
	}
	b.clean()
}
