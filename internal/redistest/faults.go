package redistest

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Way is a direction of what is said.
type Way int

// The ways.
const (
	Requests Way = iota // from clients to the server
	Replies             // from the server to clients
)

// Faults stand between clients and a server. At first all passes; every method
// applies to the connections that there are and to later ones. They are safe
// for concurrent use.
//
// A request is what a client writes at once: a command, or a pipeline, which
// goes by the name of its first command. What go-redis says of its own accord
// on a new connection (HELLO, CLIENT, …) counts only where it is named.
type Faults struct {
	mu       sync.Mutex
	requests rule
	replies  rule
	delay    time.Duration
	held     [2]chan struct{} // by way: closed when what is held may pass; nil: nothing is
	links    map[*link]bool
	onReq    func()
	lost     int
	closed   bool
	wg       sync.WaitGroup
}

// rule says which requests meet a fault.
type rule struct {
	n        int      // how many still
	commands []string // upper case; none: all but those of a new connection
}

// handshake are the commands with which go-redis opens a connection.
var handshake = []string{"HELLO", "AUTH", "SELECT", "CLIENT", "READONLY"}

// DropReplies cuts the connection in place of passing on each of the next n
// replies: the server has acted, and the client does not know. With commands
// it does so only to requests of those names. It takes the place of an earlier
// DropReplies.
func (f *Faults) DropReplies(n int, commands ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replies = newRule(n, commands)
}

// DropRequests cuts the connection in place of passing on each of the next n
// requests: the server knows nothing of it, and the client does not know that.
// With commands it does so only to requests of those names. It takes the place
// of an earlier DropRequests.
func (f *Faults) DropRequests(n int, commands ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = newRule(n, commands)
}

// Lost is how many requests and replies were dropped so far.
func (f *Faults) Lost() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// OnRequest has call called before each request is passed on; nil is nothing. It must
// be safe for concurrent use.
func (f *Faults) OnRequest(call func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onReq = call
}

// Delay has each reply reach its client d later; 0 is at once.
func (f *Faults) Delay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = d
}

// Hold has nothing pass one way any more, while connections stay: a network
// that loses every packet. What is said is held until Release.
func (f *Faults) Hold(way Way) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held[way] == nil {
		f.held[way] = make(chan struct{})
	}
}

// Release lets pass what is held, both ways.
func (f *Faults) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for way, held := range f.held {
		if held != nil {
			close(held)
			f.held[way] = nil
		}
	}
}

// Cut cuts all connections that there are.
func (f *Faults) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.links {
		l.cut()
	}
}

// close cuts all connections, refuses new ones, and waits until all is still.
func (f *Faults) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.Cut()
	f.wg.Wait()
}

// join passes what client and server say until either is closed, and owns both.
func (f *Faults) join(client, server net.Conn) {
	ctx, stop := context.WithCancel(context.Background())
	l := &link{client: client, server: server, done: ctx.Done(), stop: stop}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		l.cut()
		return
	}
	if f.links == nil {
		f.links = map[*link]bool{}
	}
	f.links[l] = true
	f.wg.Go(func() { l.pass(client, server, f.request) })
	f.wg.Go(func() {
		l.pass(server, client, f.reply)
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.links, l)
	})
}

// request tells whether a request may pass.
func (f *Faults) request(l *link, data []byte) bool {
	name := command(data)
	f.mu.Lock()
	drop := f.requests.meets(name)
	if drop {
		f.lost++
	} else if f.replies.meets(name) {
		l.doomed.Store(true)
	}
	held, call := f.held[Requests], f.onReq
	f.mu.Unlock()
	if call != nil {
		call()
	}
	return !drop && l.wait(held)
}

// reply tells whether a reply may pass.
func (f *Faults) reply(l *link, _ []byte) bool {
	f.mu.Lock()
	drop := l.doomed.Load()
	if drop {
		f.lost++
	}
	delay, held := f.delay, f.held[Replies]
	f.mu.Unlock()
	return !drop && l.sleep(delay) && l.wait(held)
}

func newRule(n int, commands []string) rule {
	r := rule{n: n}
	for _, c := range commands {
		r.commands = append(r.commands, strings.ToUpper(c))
	}
	return r
}

// meets tells whether a request meets the fault, and counts it.
func (r *rule) meets(name string) bool {
	if r.n <= 0 || name == "" {
		return false
	}
	if len(r.commands) == 0 && slices.Contains(handshake, name) ||
		len(r.commands) > 0 && !slices.Contains(r.commands, name) {
		return false
	}
	r.n--
	return true
}

// command is the name of the first command of a request in upper case, or ""
// for the rest of a long one. A request begins *2\r\n$3\r\nGET\r\n.
func command(data []byte) string {
	lines := bytes.SplitN(data, []byte("\r\n"), 4)
	if len(lines) < 4 || !bytes.HasPrefix(lines[0], []byte("*")) || !bytes.HasPrefix(lines[1], []byte("$")) {
		return ""
	}
	return strings.ToUpper(string(lines[2]))
}

// link is one connection of a client through the faults to the server.
type link struct {
	client, server net.Conn
	doomed         atomic.Bool // the next reply is dropped
	done           <-chan struct{}
	stop           func()
}

// cut closes both ends, which ends both directions.
func (l *link) cut() {
	l.stop()
	_ = l.client.Close()
	_ = l.server.Close()
}

// pass copies from one end to the other what may pass, until one of them is
// closed or something may not.
func (l *link) pass(from io.Reader, to io.Writer, may func(*link, []byte) bool) {
	defer l.cut()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || !may(l, buf[:n]) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// sleep waits for a time. It is false when the link is cut first.
func (l *link) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}

// wait waits until what is held may pass. It is false when the link is cut
// first.
func (l *link) wait(held <-chan struct{}) bool {
	if held == nil {
		return true
	}
	select {
	case <-held:
		return true
	case <-l.done:
		return false
	}
}
