package redistest

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Pipe is a miniredis that is reached through pipes in memory instead of
// sockets, with [Faults]. It works inside a testing/synctest bubble, and goes
// by its clock: keys expire in time.
type Pipe struct {
	Faults
	// Mini is the server.
	Mini *miniredis.Miniredis
	t    testing.TB
	once sync.Once
}

// NewPipe makes a Pipe. Inside a bubble it is to be made there. It ends with
// the test, or the bubble, if it is not closed before.
func NewPipe(t testing.TB) *Pipe {
	t.Helper()
	p := &Pipe{Mini: miniredis.NewMiniRedis(), t: t}
	p.Mini.ClockTTL(true)
	t.Cleanup(p.Close)
	return p
}

// Bubble is a client of a miniredis of its own inside a testing/synctest
// bubble. done ends both; the bubble's end does so too, but cannot before
// everything else in the bubble has ended.
func Bubble(t testing.TB) (rdb redis.UniversalClient, done func()) {
	t.Helper()
	p := NewPipe(t)
	c := p.Client()
	return c, func() {
		_ = c.Close()
		p.Close()
	}
}

// Client is a new client of the server, with go-redis's own options but for
// the changes and a large pool. It is closed at the end of the test or bubble.
func (p *Pipe) Client(changes ...func(*redis.Options)) redis.UniversalClient {
	p.t.Helper()
	return newClient(p.t, &redis.Options{
		Addr:     "127.0.0.1:1", // never dialled, but a name would be looked up, outside the bubble
		PoolSize: 200,           // waits for a connection leave timers of this bubble to the next one
		Dialer:   p.dial,
	}, changes)
}

// Close ends the server and cuts its connections. Closing it again does
// nothing.
func (p *Pipe) Close() {
	p.once.Do(func() {
		p.close()
		p.Mini.Close()
	})
}

// DialDirect connects to the server past the faults.
func (p *Pipe) DialDirect(context.Context, string, string) (net.Conn, error) { return p.Mini.Dial() }

func (p *Pipe) dial(context.Context, string, string) (net.Conn, error) {
	server, err := p.Mini.Dial()
	if err != nil {
		return nil, err
	}
	client, far := net.Pipe()
	p.join(far, server)
	return client, nil
}
