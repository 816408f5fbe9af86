package redistest

import (
	"net"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Proxy is a TCP proxy of a server, with [Faults].
type Proxy struct {
	Faults
	t        testing.TB
	listener net.Listener
	server   string
}

// NewProxy starts a proxy of the server that listens at an address, on a
// loopback port. It ends with the test. While the server is down, connections
// are closed at once.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	p := &Proxy{t: t, listener: l, server: server}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.close()
	})
	return p
}

// Addr is where the proxy listens, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Client is a new client of the server through the proxy, with go-redis's own
// options but for the changes. It is closed at the end of the test.
func (p *Proxy) Client(changes ...func(*redis.Options)) redis.UniversalClient {
	p.t.Helper()
	return newClient(p.t, &redis.Options{Addr: p.Addr()}, changes)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.join(client, server)
	}
}
