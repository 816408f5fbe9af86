package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"
)

// measureIdle counts what a worker of three kinds asks of Redis while there is
// nothing to do, for N milliseconds.
func measureIdle(ctx context.Context, r *rig) ([]Result, error) {
	r.kinds = 3
	s, closer, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	c := newCounter(0, concurrency)
	if err := fill(ctx, s, concurrency); err != nil {
		return nil, err
	}
	stop, err := s.work(ctx, c.handle)
	if err != nil {
		return nil, err
	}
	if err := await(ctx, c); err != nil {
		return nil, err
	}
	pause(ctx, time.Second) // until it has settled down
	from, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	sent, err := monitor(ctx, r.redis.rdbs[0].Options().Addr, time.Duration(r.N)*time.Millisecond)
	if err != nil {
		return nil, err
	}
	goroutines := runtime.NumGoroutine()
	to, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	seconds := to.at.Sub(from.at).Seconds()
	const own = 2 // the INFO of the first mark, and MONITOR
	r.notes = append(r.notes, fmt.Sprintf("%s, idle: %.2f commands a second sent, %.2f with those that scripts call; %.2f ms of client CPU and %.2f ms of Redis's a second, %d goroutines",
		r.System, float64(sent)/seconds, float64(to.server.commands-from.server.commands-own)/seconds,
		micros(to.client-from.client)/1000/seconds, micros(to.server.cpu-from.server.cpu)/1000/seconds, goroutines))
	return []Result{{CommandsPerS: float64(sent) / seconds}}, stop()
}

// monitor counts the commands that clients send to a Redis, without those that
// scripts call.
func monitor(ctx context.Context, addr string, d time.Duration) (sent int, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		return 0, err
	}
	lines := bufio.NewReader(conn)
	for ctx.Err() == nil {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the time is over
		}
		if strings.Contains(line, "[") && !strings.Contains(line, " lua] ") {
			sent++
		}
	}
	return sent, ctx.Err()
}
