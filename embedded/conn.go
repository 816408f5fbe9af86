package embedded

import (
	"net"
	"sync"
	"time"
)

// conn is the client's end of a pipe in memory, which has no buffer of its
// own: a client that writes many commands before it reads, and a server that
// answers the first of them before it reads on, would wait for each other. So
// what is written is kept until the server takes it.
type conn struct {
	net.Conn

	mu      sync.Mutex // guards what follows
	pending []byte
	busy    bool // somebody hands over what is pending
	err     error
}

// Write never waits. A failure is told by the next call.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.pending = append(c.pending, b...)
	if !c.busy {
		c.busy = true
		go c.handOver()
	}
	return len(b), nil
}

func (c *conn) handOver() {
	for {
		c.mu.Lock()
		next := c.pending
		c.pending = nil
		c.busy = len(next) > 0 && c.err == nil
		busy := c.busy
		c.mu.Unlock()
		if !busy {
			return
		}
		if _, err := c.Conn.Write(next); err != nil {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
		}
	}
}

// SetDeadline sets that for reading: nothing waits for writing.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline does nothing, since no write waits.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
