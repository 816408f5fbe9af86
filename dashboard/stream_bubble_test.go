package dashboard_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/dashboard"
	"github.com/stint-go/stint/internal/redistest"
)

// pipes is a listener without sockets: a bubble knows when its connections
// wait.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.ended) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.ended:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// channel is a dashboard within a bubble, whose end finds each goroutine that
// a stream leaves behind.
type channel struct {
	t      *testing.T
	queue  *stint.Queue
	server *http.Server
	pipes  *pipes
	client *http.Client
}

func inBubble(t *testing.T, cfg dashboard.Config, test func(t *testing.T, c *channel)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rdb, done := redistest.Bubble(t)
		defer done()
		c := &channel{t: t, queue: stint.NewQueue("media", rdb), pipes: &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}}
		c.server = &http.Server{Handler: dashboard.New([]*stint.Queue{c.queue}, cfg)}
		ended := make(chan error, 1)
		go func() { ended <- c.server.Serve(c.pipes) }()
		transport := &http.Transport{DialContext: c.pipes.dial}
		c.client = &http.Client{Transport: transport}
		test(t, c)
		transport.CloseIdleConnections()
		require.NoError(t, c.server.Shutdown(t.Context()))
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
}

// open asks for a page as its live part.
func (c *channel) open(ctx context.Context, page string) *http.Response {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://board/"+page, nil)
	require.NoError(c.t, err)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := c.client.Do(r)
	require.NoError(c.t, err)
	return resp
}

// lines reads what a stream says, line by line.
func lines(r *http.Response) func() string {
	in := bufio.NewReader(r.Body)
	return func() string {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return err.Error()
			}
			if line = strings.TrimSpace(line); line != "" {
				return line
			}
		}
	}
}

func TestStreamSendsWhatChanges(t *testing.T) {
	t.Parallel()
	inBubble(t, dashboard.Config{}, func(t *testing.T, c *channel) {
		r := c.open(t.Context(), "queues")
		defer func() { _ = r.Body.Close() }()
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Equal(t, "text/event-stream", r.Header.Get("Content-Type"))
		next := lines(r)
		require.Equal(t, "retry: 3000", next())
		require.Equal(t, "event: page", next())
		require.Contains(t, next(), "media")
		began := time.Now()
		require.Equal(t, ": still here", next(), "nothing has changed")
		require.GreaterOrEqual(t, time.Since(began), 15*time.Second)
		require.Less(t, time.Since(began), 15*time.Second+2*dashboard.DefaultRefresh)

		_, err := c.queue.Submit(t.Context(), work{}, stint.JobSpec{Name: "film"})
		require.NoError(t, err)
		began = time.Now()
		require.Equal(t, "event: page", next())
		require.LessOrEqual(t, time.Since(began), dashboard.DefaultRefresh)
		require.Contains(t, next(), "no worker takes this kind")
	})
}

func TestStreamEndsWithTheServer(t *testing.T) {
	t.Parallel()
	inBubble(t, dashboard.Config{}, func(t *testing.T, c *channel) {
		ends := make(chan error, 2)
		for _, page := range []string{"queues", "jobs"} {
			r := c.open(t.Context(), page)
			defer func() { _ = r.Body.Close() }()
			go func() {
				_, err := io.Copy(io.Discard, r.Body)
				ends <- err
			}()
		}
		time.Sleep(time.Minute)
		require.Empty(t, ends, "they are open")
		began := time.Now()
		require.NoError(t, c.server.Shutdown(t.Context()))
		require.Less(t, time.Since(began), 5*time.Second)
		for range cap(ends) {
			require.NoError(t, <-ends, "a stream has an end")
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	inBubble(t, dashboard.Config{MaxStreams: 1}, func(t *testing.T, c *channel) {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		first := c.open(ctx, "queues")
		require.Equal(t, http.StatusOK, first.StatusCode)
		second := c.open(t.Context(), "queues")
		require.Equal(t, http.StatusServiceUnavailable, second.StatusCode)
		require.Equal(t, "30", second.Header.Get("Retry-After"))
		text, err := io.ReadAll(second.Body)
		require.NoError(t, err)
		require.Equal(t, "too many live pages are open\n", string(text))
		require.NoError(t, second.Body.Close())
		page, err := c.client.Get("http://board/queues")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, page.StatusCode, "pages themselves are not bounded")
		require.NoError(t, page.Body.Close())

		leave()
		require.NoError(t, first.Body.Close())
		synctest.Wait()
		third := c.open(t.Context(), "queues")
		require.Equal(t, http.StatusOK, third.StatusCode, "the place of the client that left is free")
		require.NoError(t, third.Body.Close())
	})
}

func TestStreamsCanBeOff(t *testing.T) {
	t.Parallel()
	inBubble(t, dashboard.Config{MaxStreams: -1}, func(t *testing.T, c *channel) {
		r := c.open(t.Context(), "queues")
		require.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
		require.NoError(t, r.Body.Close())
	})
}

// A client that does not read holds no place for long.
func TestStreamEndsWithAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	inBubble(t, dashboard.Config{MaxStreams: 1}, func(t *testing.T, c *channel) {
		conn, err := c.pipes.dial(t.Context(), "", "")
		require.NoError(t, err)
		_, err = io.WriteString(conn, "GET /queues HTTP/1.1\r\nHost: board\r\nAccept: text/event-stream\r\n\r\n")
		require.NoError(t, err)
		synctest.Wait()
		r := c.open(t.Context(), "queues")
		require.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
		require.NoError(t, r.Body.Close())
		time.Sleep(11 * time.Second)
		r = c.open(t.Context(), "queues")
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.NoError(t, r.Body.Close())
		require.NoError(t, conn.Close())
	})
}

func TestStreamOfWhatMayNoLongerBeSeen(t *testing.T) {
	t.Parallel()
	var closed atomic.Bool
	cfg := dashboard.Config{Authorize: func(*http.Request, dashboard.Verb, string, string) error {
		if closed.Load() {
			return errors.New("the office is closed")
		}
		return nil
	}}
	inBubble(t, cfg, func(t *testing.T, c *channel) {
		_, err := c.queue.Submit(t.Context(), work{}, stint.JobSpec{Name: "film", Suspend: true})
		require.NoError(t, err)
		r := c.open(t.Context(), "queues/media/jobs/film/why")
		require.Equal(t, http.StatusNotAcceptable, r.StatusCode, "not a live page")
		require.NoError(t, r.Body.Close())

		r = c.open(t.Context(), "queues/media/jobs/film")
		defer func() { _ = r.Body.Close() }()
		closed.Store(true)
		all, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Contains(t, string(all), "event: gone\ndata: \"the office is closed\"\n")
	})
}
