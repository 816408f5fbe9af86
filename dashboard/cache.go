package dashboard

import (
	"sync"
	"time"
)

// cache keeps what several live pages read, for a moment, so that many
// viewers cost Redis as much as one.
type cache struct {
	mu      sync.Mutex
	entries map[string]*entry
}

type entry struct {
	mu    sync.Mutex // held while it is read
	at    time.Time
	value any
}

const cacheEntries = 1000

// cached is what read answers, or has answered no longer ago than fresh.
func cached[T any](c *cache, key string, fresh time.Duration, read func() (T, error)) (T, error) {
	e := c.entry(key)
	e.mu.Lock()
	defer e.mu.Unlock()
	if v, ok := e.value.(T); ok && time.Since(e.at) < fresh {
		return v, nil
	}
	v, err := read()
	if err == nil {
		e.value, e.at = v, time.Now()
	}
	return v, err
}

func (c *cache) entry(key string) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		return e
	}
	if c.entries == nil || len(c.entries) >= cacheEntries {
		c.entries = map[string]*entry{}
	}
	e := &entry{}
	c.entries[key] = e
	return e
}

// forget lets go of all.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = nil
}
