package store

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Cron is the record of a cron job and the version that a change must name.
type Cron struct {
	Version string
	Data    []byte
}

// GetCron reads a cron job's record.
func (s *Store) GetCron(ctx context.Context, name string) (Cron, error) {
	v, err := s.rdb.HGet(ctx, s.keys.cron(), name).Result()
	if errors.Is(err, redis.Nil) {
		return Cron{}, ErrGone
	}
	version, data, _ := strings.Cut(v, " ")
	return Cron{version, []byte(data)}, s.seen(ctx, err)
}

// ListCron reads a page of cron jobs' records, by name.
func (s *Store) ListCron(ctx context.Context, cursor uint64, each func(name string, c Cron)) (uint64, error) {
	page, next, err := s.rdb.HScan(ctx, s.keys.cron(), cursor, "", Limit).Result()
	if err != nil {
		return 0, s.seen(ctx, err)
	}
	for i := 0; i+1 < len(page); i += 2 {
		version, data, _ := strings.Cut(page[i+1], " ")
		each(page[i], Cron{version, []byte(data)})
	}
	return next, nil
}

// ErrTaken is the answer to a run whose name a foreign job has.
var ErrTaken = errors.New("taken")

// PutCron stores a cron job's record over the version that was read, "" for
// none; version "" removes it. due says when to look at it again, 0 for
// never. run, if any, is submitted in the same step.
func (s *Store) PutCron(ctx context.Context, name, read, version string, data []byte, due int64, run *Submission) error {
	keys := append(s.keys.queue(), s.keys.cron(), s.keys.kinds())
	args := []any{s.now(), name, read, version, data, due}
	if run != nil {
		keys = append(keys, s.keys.ready(run.lane()), s.keys.bell(run.lane()))
		keys = append(keys, s.keys.record(run.Name)...)
		if run.Requests != "" {
			keys = append(keys, s.keys.laneKeys()...)
		}
		args = append(args, run.lane(), run.Name, run.UID, rulesText(run.Rules), successText(run.Rules.Success), run.Spec, run.Args, labelsText(run.Spec))
	}
	word, err := s.word(ctx, cronScript, keys, args...)
	if err != nil {
		return err
	}
	if word == "TAKEN" {
		return ErrTaken
	}
	return verdictOf(word)
}
