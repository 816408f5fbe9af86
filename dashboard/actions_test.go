package dashboard_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/dashboard"
)

func TestActionsOnAJob(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Config{Writable: true})
	s.submit(other{}, stint.JobSpec{Name: "one", CompletionMode: stint.Indexed, Completions: new(5)})
	do := func(form url.Values) string {
		status, body := s.post("queues/media/jobs/one/do", form)
		require.Equal(t, http.StatusOK, status, body)
		return body
	}
	now := func() *stint.Job {
		j, err := s.queue.Get(t.Context(), "one")
		require.NoError(t, err)
		return j
	}
	require.Contains(t, do(url.Values{"verb": {"suspend"}}), "It is suspended.")
	require.True(t, now().Spec.Suspend)
	require.Contains(t, do(url.Values{"verb": {"resume"}}), "It goes on.")
	require.False(t, now().Spec.Suspend)
	do(url.Values{"verb": {"scale"}, "parallelism": {"3"}})
	require.Equal(t, 3, *now().Spec.Parallelism)
	do(url.Values{"verb": {"evict"}, "index": {"1"}})
	require.Equal(t, 1, now().Status.Failed)
	for _, form := range []url.Values{
		{"verb": {"scale"}, "parallelism": {"-1"}},
		{"verb": {"scale"}, "parallelism": {"100001"}},
		{"verb": {"evict"}, "index": {"x"}},
		{"verb": {"run"}},
		{"verb": {"nonsense"}},
		{},
	} {
		status, _ := s.post("queues/media/jobs/one/do", form)
		require.Equal(t, http.StatusBadRequest, status, form)
	}
	status, _ := s.post("queues/media/jobs/one/do", url.Values{"verb": {"retry"}})
	require.Equal(t, http.StatusConflict, status, "it has not finished")

	_, body := s.get("queues/media/jobs/one/confirm?verb=delete")
	require.Contains(t, body, "Delete this job?")
	require.Contains(t, body, "3 attempts active now")
	do(url.Values{"verb": {"delete"}})
	_, err := s.queue.Get(t.Context(), "one")
	require.ErrorIs(t, err, stint.ErrNotFound)
}

func TestRetryByIndexes(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Config{Writable: true})
	s.fill()
	_, body := s.get("queues/media/jobs/film/confirm?verb=retry")
	require.Contains(t, body, `name="indexes"`)
	status, body := s.post("queues/media/jobs/film/do", url.Values{"verb": {"retry"}, "indexes": {"101"}})
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "indexes")
	status, _ = s.post("queues/media/jobs/film/do", url.Values{"verb": {"retry"}, "indexes": {"0-2"}})
	require.Equal(t, http.StatusOK, status)
	j, err := s.queue.Wait(t.Context(), "film")
	require.NoError(t, err)
	require.Equal(t, stint.PhaseFailed, j.Phase(), "what failed before is failed still")
}

func TestActionsOnACronJob(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Config{Writable: true})
	_, err := s.queue.ApplyCron(t.Context(), stint.CronJob{Name: "yearly", Schedule: "@yearly", Args: other{}})
	require.NoError(t, err)
	do := func(verb string, want int) string {
		status, body := s.post("queues/media/cron/yearly/do", url.Values{"verb": {verb}})
		require.Equal(t, want, status, body)
		return body
	}
	require.Contains(t, do("suspend", http.StatusOK), "no run starts")
	c, err := s.queue.GetCron(t.Context(), "yearly")
	require.NoError(t, err)
	require.True(t, c.Suspend)
	do("resume", http.StatusOK)
	require.Contains(t, do("run", http.StatusOK), "A run is submitted.")
	n, err := s.queue.Count(t.Context(), stint.ListOptions{Name: "yearly-"})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	do("scale", http.StatusBadRequest)
	do("nonsense", http.StatusBadRequest)
	_, body := s.get("queues/media/cron/yearly/confirm?verb=delete")
	require.Contains(t, body, "Delete this cron job?")
	do("delete", http.StatusOK)
	do("delete", http.StatusNotFound)
}

// An action on a filter counts first, and is done to what passes the filter.
func TestBulk(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Config{Writable: true})
	for i := range 30 {
		s.submit(other{}, stint.JobSpec{Name: fmt.Sprintf("job-%02d", i), Labels: map[string]string{"even": fmt.Sprint(i%2 == 0)}, Suspend: true})
	}
	q := url.QueryEscape(`kind:other label:even=true status:suspended job`)
	_, body := s.get("queues/media/bulk?verb=delete&q=" + q)
	require.Contains(t, body, "Delete 15 jobs?")
	require.Contains(t, body, "job-00")
	require.NotContains(t, body, "job-01")
	status, _ := s.post("queues/media/bulk", url.Values{"verb": {"delete"}, "q": {"kind:other label:even=true status:suspended job"}})
	require.Equal(t, http.StatusOK, status)
	n, err := s.queue.Count(t.Context(), stint.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, 15, n)
	_, body = s.get("queues/media/bulk?verb=retry")
	require.Contains(t, body, "Retry 0 jobs?")
	status, _ = s.post("queues/media/bulk", url.Values{"verb": {"resume"}})
	require.Equal(t, http.StatusOK, status)
	n, err = s.queue.Count(t.Context(), stint.ListOptions{Phase: stint.PhaseSuspended})
	require.NoError(t, err)
	require.Zero(t, n)
	for _, form := range []url.Values{{"verb": {"scale"}}, {}, {"verb": {"delete"}, "q": {"color:red"}}, {"verb": {"delete"}, "continue": {"nonsense"}}} {
		status, _ = s.post("queues/media/bulk", form)
		require.Equal(t, http.StatusBadRequest, status, form)
	}
}

// Whatever the dashboard shows or does, Authorize is asked first.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	allowed := func(r *http.Request, verb dashboard.Verb, queue, job string) error {
		switch {
		case queue == "" && verb == dashboard.View:
			return nil
		case queue != "media":
			return errors.New("not your queue")
		case strings.HasPrefix(job, "other-"):
			return errors.New("not your job")
		case verb == dashboard.View, verb == dashboard.Suspend:
			return nil
		}
		return fmt.Errorf("you may not %s", verb)
	}
	s := newSite(t, dashboard.Config{Writable: true, ShowArgs: true, Authorize: allowed})
	s.submit(work{"s3cret"}, stint.JobSpec{Name: "mine"})
	s.submit(work{"s3cret"}, stint.JobSpec{Name: "other-1"})
	_, body := s.get("jobs")
	require.Contains(t, body, "mine")
	require.NotContains(t, body, "other-1")
	require.NotContains(t, body, "Delete all")
	_, body = s.get("")
	require.NotContains(t, body, "other-1", "nor in the events")
	_, body = s.get("queues/media/jobs/mine")
	require.Contains(t, body, "Suspend")
	require.NotContains(t, body, "Delete…")
	require.NotContains(t, body, "s3cret")
	for _, path := range []string{"queues/media/jobs/other-1", "queues/media/jobs/other-1/index?i=0", "queues/media/jobs/other-1/indexes", "queues/media/jobs/mine/confirm?verb=delete", "queues/media/bulk?verb=delete"} {
		status, body := s.get(path)
		require.Equal(t, http.StatusForbidden, status, path)
		require.Regexp(t, "not your job|you may not", body)
	}
	for path, form := range map[string]url.Values{
		"queues/media/jobs/other-1/do": {"verb": {"suspend"}},
		"queues/media/jobs/mine/do":    {"verb": {"delete"}},
		"queues/media/bulk":            {"verb": {"delete"}},
	} {
		status, _ := s.post(path, form)
		require.Equal(t, http.StatusForbidden, status, path)
	}
	status, _ := s.post("queues/media/bulk", url.Values{"verb": {"suspend"}})
	require.Equal(t, http.StatusOK, status)
	for name, want := range map[string]bool{"mine": true, "other-1": false} {
		j, err := s.queue.Get(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, want, j.Spec.Suspend, name)
	}
}

// A read-only dashboard changes nothing, whatever Authorize says.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Config{})
	s.submit(work{}, stint.JobSpec{Name: "one"})
	for _, verb := range []string{"suspend", "resume", "scale", "retry", "evict", "delete", "run"} {
		status, body := s.post("queues/media/jobs/one/do", url.Values{"verb": {verb}})
		require.Equal(t, http.StatusForbidden, status)
		require.Contains(t, body, "read-only")
		status, _ = s.post("queues/media/cron/one/do", url.Values{"verb": {verb}})
		require.Equal(t, http.StatusForbidden, status)
	}
	status, _ := s.get("queues/media/jobs/one/do")
	require.NotEqual(t, http.StatusOK, status)
}

// Other sites cannot make the browser of a user act.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Config{Writable: true})
	s.submit(work{}, stint.JobSpec{Name: "one"})
	for name, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+"queues/media/jobs/one/do", strings.NewReader("verb=delete"))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(name, value)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusForbidden, answer.StatusCode)
	}
	_, err := s.queue.Get(t.Context(), "one")
	require.NoError(t, err)
}

func TestArgs(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Config{ShowArgs: true, Redact: func(kind string, data []byte) []byte {
		if kind == "other" {
			return []byte("redacted")
		}
		return data
	}})
	s.submit(work{"s3cret"}, stint.JobSpec{Name: "seen"})
	s.submit(other{}, stint.JobSpec{Name: "unseen"})
	_, err := s.queue.SubmitRaw(t.Context(), stint.Submission{Kind: "work", Args: []byte{0, 1, 2, 255}, Spec: stint.JobSpec{Name: "binary"}})
	require.NoError(t, err)
	var keys [32]byte
	sealed := stint.NewQueue("media", s.rdb, stint.QueueConfig{
		EncryptJobs: true, Keys: []stint.Key{{ID: "k", Secret: stint.NewSecretValue(string(keys[:]))}},
	})
	_, err = sealed.Submit(t.Context(), work{"s3cret"}, stint.JobSpec{Name: "sealed"})
	require.NoError(t, err)
	for name, want := range map[string]string{"sealed": "[encrypted]", "seen": "s3cret", "unseen": "redacted", "binary": "[4 bytes that are no text]"} {
		_, body := s.get("queues/media/jobs/" + name)
		require.Contains(t, body, want, name)
	}
}
