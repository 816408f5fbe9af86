package stint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stint-go/stint/internal/store"
)

// mounts are the config maps and secrets that a station's tasks read: each is
// kept once, and followed while a task has it. Without such tasks it asks
// nothing of Redis.
type mounts struct {
	queue *Queue
	log   *slog.Logger
	wake  chan struct{}
	looks sync.Mutex // one looks at a time
	mu    sync.Mutex // guards what follows
	all   map[string]*object
}

// object is a config map or secret as it was read.
type object struct {
	version string     // "" where there is none
	config  *ConfigMap // one of both, which is not changed; the last that was there
	secret  *Secret
	err     error // it could not be opened: config and secret are as before

	read  time.Time // when it was last looked at; zero: it has changed since
	used  time.Time
	tasks map[*RawTask]struct{}
}

// idleFor is how long what nobody uses is kept.
const idleFor = time.Minute

func newMounts(q *Queue, log *slog.Logger) mounts {
	return mounts{queue: q, log: log, wake: make(chan struct{}, 1), all: map[string]*object{}}
}

func (m *mounts) get(id string) object {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.all[id]; o != nil {
		return *o
	}
	return object{}
}

// attach follows what tasks mount, and tells what keeps some of them from
// starting; these are not attached.
func (m *mounts) attach(ctx context.Context, tasks []*RawTask) (map[*RawTask]store.Lack, error) {
	m.mu.Lock()
	for _, t := range tasks {
		t.changed = make(chan struct{})
		for i := range t.spec.Mounts {
			m.use(t.spec.Mounts[i].object()).tasks[t] = struct{}{}
		}
	}
	m.mu.Unlock()
	signal(m.wake)
	err := m.refresh(ctx)
	lacking := map[*RawTask]store.Lack{}
	for _, t := range tasks {
		if err == nil {
			l, lacks := m.lack(t)
			if !lacks {
				continue
			}
			lacking[t] = l
		}
		m.detach(t)
	}
	return lacking, err
}

// use finds or makes an object; mu is held.
func (m *mounts) use(id string) *object {
	o := m.all[id]
	if o == nil {
		o = &object{tasks: map[*RawTask]struct{}{}}
		m.all[id] = o
	}
	o.used = time.Now()
	return o
}

// detach forgets that a task reads what it mounts.
func (m *mounts) detach(t *RawTask) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range t.spec.Mounts {
		if o := m.all[t.spec.Mounts[i].object()]; o != nil {
			o.used = time.Now()
			delete(o.tasks, t)
		}
	}
}

// lack is what keeps a task from starting: the first mount that is missing, or
// does not open.
func (m *mounts) lack(t *RawTask) (store.Lack, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range t.spec.Mounts {
		mount := &t.spec.Mounts[i]
		o := m.all[mount.object()]
		l := store.Lack{Object: mount.object(), Version: o.version, AtMost: missingFor.Milliseconds()}
		if o.err != nil {
			l.AtMost, l.Reason = closedFor.Milliseconds(), o.err.Error()
			return l, true
		}
		if l.Reason = o.misses(mount); l.Reason != "" && !mount.Optional {
			return l, true
		}
	}
	return store.Lack{}, false
}

// misses says what of a mount is missing.
func (o *object) misses(m *Mount) string {
	if o.version == "" {
		return objectText(m.object()) + " is missing"
	}
	for _, key := range m.Keys {
		has := false
		if o.config != nil {
			_, has = o.config.Data[key]
		} else if o.secret != nil {
			_, has = o.secret.Data[key]
		}
		if !has {
			return fmt.Sprintf("%s has no key %q", objectText(m.object()), key)
		}
	}
	return ""
}

// changed is told that an object has changed.
func (m *mounts) changed(id string) {
	m.mu.Lock()
	o := m.all[id]
	if o != nil {
		o.read = time.Time{}
	}
	m.mu.Unlock()
	if o != nil {
		signal(m.wake)
	}
}

// keep follows the objects: it reads what has changed, and looks now and then
// whether a change was not heard of.
func (m *mounts) keep(ctx context.Context) {
	for {
		m.mu.Lock()
		idle := len(m.all) == 0
		m.mu.Unlock()
		wait := cacheFor
		if idle {
			wait = time.Hour
		}
		timer := time.NewTimer(wait)
		select {
		case <-m.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		if err := m.refresh(ctx); err != nil && ctx.Err() == nil {
			m.log.Warn("config maps and secrets cannot be read", "error", err)
			pause(ctx, time.Second)
		}
	}
}

// refresh looks at the objects in use, as far as it was not done just now.
func (m *mounts) refresh(ctx context.Context) error {
	m.looks.Lock()
	defer m.looks.Unlock()
	ids, had := m.due()
	for len(ids) > 0 {
		n := min(len(ids), store.Limit)
		if err := m.look(ctx, ids[:n], had); err != nil {
			for _, id := range ids {
				m.changed(id)
			}
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// unopened is the version of no object: what could not be opened is read again,
// whether or not it is still there.
const unopened = "?"

// due lists what is to be looked at, and forgets what nobody uses.
func (m *mounts) due() (ids []string, had map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	had = map[string]string{}
	for id, o := range m.all {
		switch {
		case len(o.tasks) == 0 && time.Since(o.used) > idleFor:
			delete(m.all, id)
		case len(o.tasks) > 0 && time.Since(o.read) >= cacheFor:
			ids = append(ids, id)
			o.read = time.Now() // before it is read: what changes from now on is heard of
			had[id] = o.version
			if o.err != nil {
				had[id] = unopened
			}
		}
	}
	slices.Sort(ids)
	return ids, had
}

// look asks for versions, and reads what has others than it had.
func (m *mounts) look(ctx context.Context, ids []string, had map[string]string) error {
	versions, err := m.queue.store.Versions(ctx, ids)
	if err != nil {
		return err
	}
	var changed []string
	for i, id := range ids {
		if versions[i] != had[id] {
			changed = append(changed, id)
		}
	}
	for page := range slices.Chunk(changed, objectPage) {
		all, err := m.queue.store.Objects(ctx, page)
		if err != nil {
			return err
		}
		for i, id := range page {
			m.set(id, all[i])
		}
	}
	return nil
}

// set takes over what was read of an object, and tells the tasks.
func (m *mounts) set(id string, stored store.Object) {
	config, secret, err := m.queue.openObject(id, stored)
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.all[id]
	if o == nil {
		return
	}
	if err != nil && o.err == nil {
		m.log.Warn("a mounted object cannot be read", "object", id, "error", err)
	}
	o.version, o.err = stored.Version, err
	if config == nil && secret == nil || o.same(config, secret) {
		return // running handlers keep what they have
	}
	o.config, o.secret = config, secret
	for t := range o.tasks {
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// same tells whether handlers would see no change.
func (o *object) same(config *ConfigMap, secret *Secret) bool {
	if config != nil {
		return o.config != nil && o.config.ResourceVersion == config.ResourceVersion
	}
	return o.secret != nil && o.secret.UID == secret.UID && maps.Equal(o.secret.Labels, secret.Labels) &&
		maps.Equal(o.secret.Annotations, secret.Annotations) &&
		maps.EqualFunc(o.secret.Data, secret.Data, sameValue) // not where it was only rotated
}

// openObject reads an object as it is stored; nothing where there is none.
func (q *Queue) openObject(id string, stored store.Object) (*ConfigMap, *Secret, error) {
	if stored.Version == "" {
		return nil, nil, nil
	}
	r, err := parseObject(id, stored)
	if err != nil {
		return nil, nil, err
	}
	if strings.HasPrefix(id, configObject+"/") {
		return r.config(), nil, nil
	}
	s := r.secret()
	if s.Data, err = q.openSecret(r); err != nil {
		return nil, nil, err
	}
	return nil, s, nil
}

// mount attaches tasks to what they mount, and gives back those that lack
// something of it: it answers the others.
func (s *station) mount(base context.Context, tasks []*RawTask) []*RawTask {
	var mounting []*RawTask
	for _, t := range tasks {
		if len(t.spec.Mounts) > 0 {
			mounting = append(mounting, t)
		}
	}
	if len(mounting) == 0 {
		return tasks
	}
	lacking, err := s.mounts.attach(base, mounting)
	if err != nil {
		for _, t := range mounting {
			t.cancel(nil)
			s.refuse(base, t, err)
		}
		return slices.DeleteFunc(tasks, func(t *RawTask) bool { return len(t.spec.Mounts) > 0 })
	}
	if len(lacking) > 0 {
		s.running.Go(func() { s.park(base, lacking) })
	}
	return slices.DeleteFunc(tasks, func(t *RawTask) bool { _, lacks := lacking[t]; return lacks })
}

// park gives back tasks that lack something, and has their jobs start nothing
// until it is there.
func (s *station) park(ctx context.Context, lacking map[*RawTask]store.Lack) {
	delays := map[string]time.Duration{} // by job
	for t, l := range lacking {
		delay, parked := delays[t.UID]
		if !parked {
			if err := s.parkJob(ctx, t, l); err != nil {
				s.log.Warn("a job that lacks something cannot be parked", "job", t.Job, "error", err)
				delay = unreadableFor // or it would come back at once
			}
			delays[t.UID] = delay
		}
		t.cancel(nil)
		s.settle(t, outcome{verb: verbSnooze, delay: delay})
		s.release(ctx, t)
	}
}

func (s *station) parkJob(ctx context.Context, t *RawTask, l store.Lack) error {
	if t.task.Plain {
		if err := s.store.Adopt(ctx, t.task, s.id, t.spec.rules()); err != nil {
			return err
		}
	}
	l.Generation = 1
	if t.work != nil {
		l.Generation = t.work.gen
		t.work.stale.Store(true) // the job may be changed while it waits
	}
	ok, err := s.store.Park(ctx, store.JobKey{Name: t.Job, Kind: t.Kind, Requests: t.task.Requests}, t.UID, l)
	switch {
	case errors.Is(err, store.ErrGone):
		return nil
	case err == nil && !ok:
		s.mounts.changed(l.Object) // read it anew
		return nil
	case err == nil:
		s.log.Info("a job waits for what it mounts", "job", t.Job, "reason", l.Reason)
	}
	return err
}
