package store

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A lane is a ready stream: the tasks of one kind with the same requests. It
// is named by both, as "render~cpu=500,memory=1024"; the lane of tasks without
// requests by the kind alone.

// laneMark parts kind and requests. It is in neither.
const laneMark = "~"

// NewLanes is a lane without tasks. Its bell tells that lanes have changed.
const NewLanes = laneMark

// Lane names the lane of a kind and of requests, "" for none.
func Lane(kind, requests string) string {
	if requests == "" {
		return kind
	}
	return kind + laneMark + requests
}

// KindOf is the kind of a lane.
func KindOf(lane string) string {
	kind, _, _ := strings.Cut(lane, laneMark)
	return kind
}

// RequestsOf are the requests of a lane, "" for none.
func RequestsOf(lane string) string {
	_, requests, _ := strings.Cut(lane, laneMark)
	return requests
}

// Lane is where the job's tasks are.
func (r *Record) Lane() string     { return Lane(r.Kind, r.Requests) }
func (t *Task) lane() string       { return Lane(t.Kind, t.Requests) }
func (j JobKey) lane() string      { return Lane(j.Kind, j.Requests) }
func (s *Submission) lane() string { return Lane(s.Kind, s.Requests) }

// Key is what steers the job.
func (r *Record) Key() JobKey { return JobKey{r.Name, r.Kind, r.Requests} }

// Lanes lists all lanes of the queue: those of the kinds that it has seen, and
// those with requests that unfinished jobs have.
func (s *Store) Lanes(ctx context.Context) ([]string, error) {
	kinds, err := s.Kinds(ctx)
	if err != nil {
		return nil, err
	}
	more, _, err := s.RequestLanes(ctx)
	return append(kinds, more...), err
}

// RequestLanes lists the lanes with requests, and the version of the list; ""
// where there never was one.
func (s *Store) RequestLanes(ctx context.Context) (lanes []string, version string, err error) {
	all, err := s.rdb.HGetAll(ctx, s.keys.lanes()).Result()
	for lane := range all {
		if lane != "" {
			lanes = append(lanes, lane)
		}
	}
	return lanes, all[""], s.seen(ctx, err)
}

// Heads reads which task of each lane will be handed over next: its entry, ""
// where there is none.
func (s *Store) Heads(ctx context.Context, lanes []string) ([]string, error) {
	keys := make([]string, len(lanes))
	for i, lane := range lanes {
		keys[i] = s.keys.ready(lane)
	}
	v, err := s.read(ctx, headsScript, keys)
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	out := make([]string, len(lanes))
	for i := range min(len(list), len(out)) {
		out[i], _ = list[i].(string)
	}
	return out, nil
}

// Ring wakes an idle worker that waits for a lane.
func (s *Store) Ring(ctx context.Context, lane string) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.LPush(ctx, s.keys.bell(lane), 1)
		p.LTrim(ctx, s.keys.bell(lane), 0, 0)
		return nil
	})
	return s.seen(ctx, err)
}
