package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		fill(t, stint.NewQueue("media", rdb))
		s := newShell(t, rdb)
		require.Equal(t, "queue media: nothing found\n", s.ok("audit", "--orphans"))
		require.Equal(t, "[]\n", s.ok("audit", "-o", "json"))
		require.NoError(t, rdb.HSet(t.Context(), "stint:{media}:job:gone:data", "r:0", "1").Err())
		require.Contains(t, s.code(exitFindings, "audit", "--orphans"), "gone")
		require.Contains(t, s.code(exitFindings, "audit", "--orphans", "-o", "json", "--limit", "1"), `"invariant"`)
		s.code(exitUsage, "audit", "--limit", "0")
	})
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, _ *stint.Queue) {
		for _, env := range []map[string]string{s.env, nil} { // one queue, and all that there are
			ctx, stop := context.WithCancel(t.Context())
			r, w := io.Pipe()
			code := make(chan int, 1)
			go func() {
				code <- run(ctx, []string{"--redis", s.url, "dashboard", "--listen", "127.0.0.1:0"}, streams{strings.NewReader(""), w, os.Stderr},
					func(k string) string { return env[k] })
			}()
			url, err := bufio.NewReader(r).ReadString('\n')
			require.NoError(t, err)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSpace(url)+"/", nil)
			require.NoError(t, err)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Contains(t, string(body), "media")
			stop()
			require.Zero(t, <-code)
		}
		require.Contains(t, s.code(exitUsage, "dashboard", "--listen", "0.0.0.0:0"), "no log-in")
		require.Contains(t, s.code(exitUsage, "dashboard", "--listen", "nonsense"), "--listen")
	})
	s := newShell(t, redistest.Mini(t))
	s.env = nil
	require.Contains(t, s.code(exitNotFound, "dashboard"), "there are no queues")
}

func TestApplyConfigMapsAndSecrets(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *shell, q *stint.Queue) {
		const config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {size: large}\n"
		const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: hunter2}\n"
		s.in = config
		require.Equal(t, "configmap/settings created (dry run)\n", s.ok("apply", "-f", "-", "--dry-run"))
		require.Equal(t, "configmap/settings created\n", s.ok("apply", "-f", "-"))
		require.Equal(t, "configmap/settings unchanged\n", s.ok("apply", "-f", "-"))
		s.in = strings.Replace(config, "large", "small", 1)
		require.Equal(t, "configmap/settings configured\n", s.ok("apply", "-f", "-"))
		c, err := q.GetConfigMap(t.Context(), "settings")
		require.NoError(t, err)
		require.Equal(t, "small", c.Data["size"])
		s.in = secret
		require.NotContains(t, s.code(exitUsage, "apply", "-f", "-"), "hunter2", "there are no keys")
		s.env["STINT_KEYS"] = "k1:nonsense"
		require.NotContains(t, s.code(exitUsage, "apply", "-f", "-"), "nonsense")
		s.env["STINT_KEYS"] = "k1:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))
		require.Equal(t, "secret/login created\n", s.ok("apply", "-f", "-"))
		require.Equal(t, "secret/login unchanged\n", s.ok("apply", "-f", "-"))
	})
}
