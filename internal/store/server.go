package store

import (
	"context"
	"strings"
)

// Warnings tells of settings of the server under which it may lose jobs. What
// the server does not tell is passed over.
func (s *Store) Warnings(ctx context.Context) []string {
	memory, err := s.rdb.Info(ctx, "memory").Result()
	if err != nil {
		return nil
	}
	persistence, err := s.rdb.Info(ctx, "persistence").Result()
	if err != nil {
		return nil
	}
	var out []string
	if policy := infoField(memory, "maxmemory_policy"); policy != "" && policy != "noeviction" && infoField(memory, "maxmemory") != "0" {
		out = append(out, "Redis evicts keys (maxmemory-policy "+policy+"): jobs can be lost; set noeviction")
	}
	if infoField(persistence, "aof_enabled") == "0" {
		out = append(out, "Redis has no append-only file: a restart loses what came after the last snapshot, or everything; set appendonly yes")
	}
	return out
}

// infoField finds a field in the answer of INFO.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return v
		}
	}
	return ""
}
