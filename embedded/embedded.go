// Package embedded is a Redis inside the process, for examples, tests and
// trying stint out. It keeps its data in memory and loses it with the process.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Redis starts a Redis in this process that listens nowhere, and connects to
// it. Keys expire by the clock, as they do in a real one. The func closes both,
// from any goroutine; calling it again does nothing.
func Redis() (redis.UniversalClient, func()) {
	m := newServer()
	rdb := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", // never dialled; a name would be looked up
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			pipe, err := m.Dial()
			return &conn{Conn: pipe}, err
		},
	})
	return rdb, func() {
		_ = rdb.Close()
		m.Close()
	}
}

// Listen starts a Redis in this process that other processes of this machine
// can reach at the URL, which has a free port of the loopback interface. It
// fails where there is no such port. The func closes it.
func Listen() (address string, stop func(), err error) {
	m := newServer()
	if err := m.Start(); err != nil {
		return "", nil, fmt.Errorf("embedded: %w", err)
	}
	return "redis://" + m.Addr(), m.Close, nil
}

func newServer() *miniredis.Miniredis {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	return m
}

// FromEnv connects to the Redis that the environment variable REDIS_URL
// names, as [Connect] does, or is [Redis] where that is empty. The func closes
// the client.
func FromEnv() (redis.UniversalClient, func(), error) {
	address := os.Getenv("REDIS_URL")
	if address == "" {
		rdb, stop := Redis()
		return rdb, stop, nil
	}
	rdb, err := Connect(address)
	if err != nil {
		return nil, nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	return rdb, func() { _ = rdb.Close() }, nil
}

// Connect makes a client of the Redis at a URL. One that cannot be read is an
// error, which does not show its password; whether anybody answers is not
// tried.
//
// Schemes are redis and rediss (with TLS), as [redis.ParseURL] reads them,
// redis+cluster and rediss+cluster ([redis.ParseClusterURL]), and
// redis+sentinel and rediss+sentinel ([redis.ParseFailoverURL], which wants
// the query parameter master_name).
func Connect(address string) (redis.UniversalClient, error) {
	rdb, err := connect(address)
	var bad *url.Error
	if errors.As(err, &bad) { // it quotes the URL, and so its password
		err = bad.Err
	}
	return rdb, err
}

func connect(address string) (redis.UniversalClient, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	kind := u.Scheme
	switch kind {
	case "redis+cluster", "redis+sentinel":
		u.Scheme = "redis"
	case "rediss+cluster", "rediss+sentinel":
		u.Scheme = "rediss"
	}
	switch kind {
	case "redis+cluster", "rediss+cluster":
		o, err := redis.ParseClusterURL(u.String())
		if err != nil {
			return nil, err
		}
		return redis.NewClusterClient(o), nil
	case "redis+sentinel", "rediss+sentinel":
		o, err := redis.ParseFailoverURL(u.String())
		if err != nil {
			return nil, err
		}
		if o.MasterName == "" {
			return nil, errors.New("the parameter master_name is missing")
		}
		return redis.NewFailoverClient(o), nil
	}
	o, err := redis.ParseURL(address)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(o), nil
}
