package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// streams are the live pages that are open.
type streams struct {
	free    chan struct{}
	servers sync.Map // *http.Server -> context.Context that ends with its shutdown
}

const (
	heartbeat   = 15 * time.Second // between two messages, at most
	streamLife  = time.Hour        // then the browser asks again
	writeWithin = 10 * time.Second
)

// stream sends the inner part of a page whenever it has changed. It ends with
// the request, with the server, when the client does not read, and when the
// page can't be made any more.
func (b *board) stream(w http.ResponseWriter, in *request, name string, load loader) {
	select {
	case b.streams.free <- struct{}{}:
		defer func() { <-b.streams.free }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many live pages are open", http.StatusServiceUnavailable)
		return
	}
	if !live[name] {
		http.Error(w, "this page is not live", http.StatusNotAcceptable)
		return
	}
	ctx, cancel := context.WithTimeout(in.Context(), streamLife)
	defer cancel()
	defer b.streams.untilShutdown(in.Request, cancel)()
	in.Request = in.WithContext(ctx)

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Vary", "Accept")
	s := &sender{w: w, control: http.NewResponseController(w)}
	if !s.send("retry: 3000\n\n") {
		return
	}
	b.follow(s, in, name, load)
	s.allow() // the server ends the answer: the last message may be older
}

func (b *board) follow(s *sender, in *request, name string, load loader) {
	var last []byte
	said := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-in.Context().Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		now, err := b.inner(in, name, load)
		took := time.Since(began)
		switch {
		case in.Context().Err() != nil:
			return
		case err != nil:
			s.send(event("gone", b.failOf(in.Request, err).Detail))
			return
		case !bytes.Equal(now, last):
			if last, said = now, time.Now(); !s.send(event("page", string(now))) {
				return
			}
		case time.Since(said) >= heartbeat:
			if said = time.Now(); !s.send(": still here\n\n") {
				return
			}
		}
		timer.Reset(max(b.cfg.Refresh, 10*took)) // a slow Redis is asked less
	}
}

// inner makes the inner part of a page. Who may see it is asked each time.
func (b *board) inner(in *request, name string, load loader) ([]byte, error) {
	if _, err := b.open(in.Request); err != nil {
		return nil, err
	}
	data, err := load(in)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = templates.ExecuteTemplate(&out, "inner", b.pageOf(in, name, data))
	return out.Bytes(), err
}

// event is a message of the stream; JSON keeps it in one line.
func event(name, data string) string {
	text, _ := json.Marshal(data) // of a string
	return fmt.Sprintf("event: %s\ndata: %s\n\n", name, text)
}

type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// allow gives what is written next its time.
func (s *sender) allow() {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeWithin)) // some writers have none
}

// send writes a message, and tells whether there is any sense in going on. A
// writer without deadlines or flushing is none that streams.
func (s *sender) send(text string) bool {
	s.allow()
	if _, err := s.w.Write([]byte(text)); err != nil {
		return false
	}
	return s.control.Flush() == nil
}

// untilShutdown calls cancel when the server of a request shuts down, which
// otherwise waits for the stream. Call what it returns when the stream ends.
func (s *streams) untilShutdown(r *http.Request, cancel func()) func() {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return func() {}
	}
	ctx, stop := context.WithCancel(context.Background())
	known, loaded := s.servers.LoadOrStore(server, ctx)
	if loaded {
		stop()
	} else {
		server.RegisterOnShutdown(stop)
	}
	ends, _ := known.(context.Context)
	done := context.AfterFunc(ends, cancel) //nolint:contextcheck // it ends with the server, not with a request
	return func() { done() }
}
