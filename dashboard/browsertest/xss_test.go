package browsertest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
)

// corpus is what would run, if it were not escaped where it is shown.
var corpus = []string{
	`<script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`'><svg/onload=alert(1)>`,
	`</title></textarea></pre></noscript><script>alert(1)</script>`,
	`javascript:alert(1)`,
	`" autofocus onfocus=alert(1) x="`,
	`' onmouseover='alert(1)`,
	`{{.}}{{template "x"}}${alert(1)}`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`,
	`<!--<img src="--><img src=x onerror=alert(1)//">`,
	`<iframe srcdoc="<script>alert(1)</script>">`,
	"\u2028\u2029\u202e<b>\x00\x1b[31m",
	`<base href=//evil.example/><meta http-equiv=refresh content=0;url=javascript:alert(1)>`,
	`<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>`,
}

// Whatever names, labels, annotations, args, progress and errors say, the
// pages only show it.
func TestXSS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker(t, "work", func(ctx context.Context, task *stint.RawTask) error {
		text := corpus[task.Index%len(corpus)]
		if task.Job == "holds" {
			_ = task.Progress(ctx, 1, 2, text)
			<-ctx.Done()
			return context.Cause(ctx)
		}
		if err := task.SetResult(text); err != nil {
			return err
		}
		if task.Index == 0 {
			panic(text)
		}
		return stint.FailIndex(errors.New(text))
	})
	notes := map[string]string{}
	for i, text := range corpus {
		notes[fmt.Sprintf("note-%d", i)] = text
	}
	b, n := newTab(t), len(corpus)
	s.submit(t, raw{"work", fmt.Sprint(corpus)}, stint.JobSpec{
		Name: "evil", Annotations: notes, Labels: map[string]string{"a.b/c": "x.y_z-1"},
		CompletionMode: stint.Indexed, Completions: new(n), Parallelism: new(4), BackoffLimitPerIndex: new(0),
	})
	_, err := s.queue.Wait(b.ctx, "evil")
	require.NoError(t, err)
	s.submit(t, raw{"work", "x"}, stint.JobSpec{Name: "holds", CompletionMode: stint.Indexed, Completions: new(n), Parallelism: new(n)})
	foreign := s.foreign(t)

	pages := []string{"", "jobs?queue=media", "queues", "workers", "cron", "queues/media/jobs/evil", "queues/media/jobs/holds", "queues/media/jobs/evil/confirm?verb=delete"}
	for i := range n {
		pages = append(pages, fmt.Sprintf("queues/media/jobs/evil/index?i=%d", i))
	}
	for _, page := range pages {
		b.open(s.base + page)
		b.harmless(page)
	}
	for i, text := range corpus {
		b.open(s.base + "jobs?queue=media&q=" + url.QueryEscape(text))
		b.harmless("filter " + text)
		b.open(s.jobPage(foreign[i]))
		b.harmless("job " + foreign[i])
		b.open(s.base + "queues/media/bulk?verb=delete&q=" + url.QueryEscape(`error:"x" `+text))
		b.harmless("bulk " + text)
	}
}

// harmless: nothing has run, and nothing was put into the page that is not of
// it.
func (b *tab) harmless(page string) {
	b.t.Helper()
	b.run(chromedp.WaitReady(chromedp.CSS("footer")))
	const strange = `[...document.querySelectorAll("iframe, base, meta[http-equiv], math, style, img, main script, [onerror], [onload], [onfocus], [onmouseover]")].map((e) => e.outerHTML).join() +
		[...document.querySelectorAll("a, form")].map((e) => e.href || e.action).filter((u) => !u.startsWith(location.origin + "/admin/board/")).join()`
	require.Empty(b.t, eval[string](b, strange), page)
	require.Equal(b.t, 1, eval[int](b, `document.querySelectorAll("script").length`), page)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range b.seen {
		require.Regexp(b.t, `status of 40[04]`, what, page) // of a filter or a name that is none
	}
	b.seen = nil
}

// foreign puts jobs into Redis whose names stint would have refused.
func (s *site) foreign(t *testing.T) []string {
	t.Helper()
	ctx := t.Context()
	s.submit(t, raw{"nobody", "x"}, stint.JobSpec{Name: "model", Suspend: true})
	record, err := s.rdb.HGetAll(ctx, "stint:{media}:job:model").Result()
	require.NoError(t, err)
	created, err := s.rdb.ZScore(ctx, "stint:{media}:jobs", "model").Result()
	require.NoError(t, err)
	var names []string
	for _, text := range corpus {
		record["name"], record["reason"], record["message"], record["error"], record["owner"] = text, text, text, text, text
		key := "stint:{media}:job:" + text
		for field, value := range record {
			require.NoError(t, s.rdb.HSet(ctx, key, field, value).Err())
		}
		require.NoError(t, s.rdb.Do(ctx, "ZADD", "stint:{media}:jobs", created, text).Err())
		require.NoError(t, s.rdb.Do(ctx, "XADD", "stint:{media}:events", "*", "e", text, "j", text, "u", "u", "k", text, "r", text, "l", "").Err())
		names = append(names, text)
	}
	return names
}
