package stint

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/stint-go/stint/internal/store"
)

// objectRecord is what Redis keeps of a config map or secret.
type objectRecord struct {
	UID         string            `json:"uid"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Immutable   bool              `json:"immutable,omitempty"`
	Type        string            `json:"type,omitempty"`
	Created     int64             `json:"created"`
	Updated     int64             `json:"updated"`
	Data        map[string]string `json:"data,omitempty"`   // of a config map
	Sealed      map[string][]byte `json:"sealed,omitempty"` // of a secret

	id, version string
}

func parseObject(id string, o store.Object) (*objectRecord, error) {
	r := &objectRecord{id: id, version: o.Version}
	if err := json.Unmarshal(o.Data, r); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrUnreadable, objectText(id)) // without what it says
	}
	return r, nil
}

func (q *Queue) readObject(ctx context.Context, id string) (*objectRecord, error) {
	if q.err != nil {
		return nil, q.err
	}
	all, err := q.store.Objects(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	if all[0].Version == "" {
		return nil, fmt.Errorf("%w: %s in queue %s", ErrNotFound, objectText(id), q.name)
	}
	return parseObject(id, all[0])
}

// applyObject stores an object over what is there. change is given that, nil
// for nothing, and answers what to store: nil where that would be the same. It
// may be called again, when somebody else was quicker.
func (q *Queue) applyObject(ctx context.Context, id, version string, change func(old *objectRecord) (*objectRecord, error)) (*objectRecord, error) {
	for range 20 {
		old, err := q.readObject(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound) && version == "":
		case err != nil:
			return nil, err
		case version != "" && version != old.version:
			return nil, fmt.Errorf("%w: %s", ErrConflict, objectText(id))
		}
		next, err := change(old)
		if err != nil || next == nil {
			return old, err
		}
		if err = q.putObject(ctx, old, next); err == nil || !errors.Is(err, store.ErrConflict) {
			return next, err
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrConflict, objectText(id))
}

func (q *Queue) putObject(ctx context.Context, old, next *objectRecord) error {
	now, err := q.store.Now(ctx)
	if err != nil {
		return err
	}
	next.UID, next.Created, next.Updated = uuid.NewString(), now, now
	read := ""
	if old != nil {
		read, next.UID, next.Created = old.version, old.UID, old.Created
	}
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	next.version, err = q.store.PutObject(ctx, next.id, rand.Text(), read, data)
	return err
}

// guardImmutable refuses a change of what is immutable.
func (r *objectRecord) guardImmutable(sameData, immutable bool) error {
	const rule = "field is immutable when `immutable` is set"
	var v validation
	if r.Immutable && !sameData {
		v.add("data", FieldInvalid, nil, rule)
	}
	if r.Immutable && !immutable {
		v.add("immutable", FieldInvalid, immutable, rule)
	}
	return v.err()
}

// sameMeta tells whether nothing but the data may differ.
func (r *objectRecord) sameMeta(o *objectRecord) bool {
	return maps.Equal(r.Labels, o.Labels) && maps.Equal(r.Annotations, o.Annotations) && r.Immutable == o.Immutable && r.Type == o.Type
}

// ApplyConfigMap stores a config map: a new one, or a change of the one of that
// name, which running handlers see within moments. Applying the same again
// changes nothing. With a ResourceVersion only that version is changed, and
// another one is [ErrConflict], none [ErrNotFound]. A change of what is
// immutable and other bad input is an [*InvalidError].
func (q *Queue) ApplyConfigMap(ctx context.Context, c ConfigMap) (*ConfigMap, error) {
	if err := firstError(q.err, c.Validate()); err != nil {
		return nil, err
	}
	id := configObject + "/" + c.Name
	r, err := q.applyObject(ctx, id, c.ResourceVersion, func(old *objectRecord) (*objectRecord, error) {
		next := &objectRecord{id: id, Labels: c.Labels, Annotations: c.Annotations, Immutable: c.Immutable, Data: c.Data}
		if old == nil {
			return next, nil
		}
		same := maps.Equal(old.Data, c.Data)
		if err := old.guardImmutable(same, c.Immutable); err != nil {
			return nil, err
		}
		if same && old.sameMeta(next) {
			return nil, nil
		}
		return next, nil
	})
	if err != nil {
		return nil, err
	}
	return r.config(), nil
}

func (r *objectRecord) name() string {
	_, name, _ := strings.Cut(r.id, "/")
	return name
}

func (r *objectRecord) config() *ConfigMap {
	c := &ConfigMap{
		Name: r.name(), Labels: r.Labels, Annotations: r.Annotations, Immutable: r.Immutable, Data: r.Data,
		UID: r.UID, ResourceVersion: r.version, CreatedAt: at(r.Created), UpdatedAt: at(r.Updated),
	}
	return c.clone()
}

// GetConfigMap reads a config map. It fails with [ErrNotFound].
func (q *Queue) GetConfigMap(ctx context.Context, name string) (*ConfigMap, error) {
	r, err := q.readObject(ctx, configObject+"/"+name)
	if err != nil {
		return nil, err
	}
	return r.config(), nil
}

// ListConfigMaps goes over the config maps of a queue, in the order of their
// names. It reads a page at a time.
func (q *Queue) ListConfigMaps(ctx context.Context) iter.Seq2[*ConfigMap, error] {
	return func(yield func(*ConfigMap, error) bool) {
		for r, err := range q.objects(ctx, configObject, "") {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(r.config(), nil) {
				return
			}
		}
	}
}

// DeleteConfigMap removes a config map, also an immutable one. Handlers that
// run keep what they have seen of it last; tasks that need it wait. It fails
// with [ErrNotFound].
func (q *Queue) DeleteConfigMap(ctx context.Context, name string) error {
	return q.deleteObject(ctx, configObject+"/"+name)
}

func (q *Queue) deleteObject(ctx context.Context, id string) error {
	for range 20 {
		r, err := q.readObject(ctx, id)
		if err != nil {
			return err
		}
		_, err = q.store.PutObject(ctx, id, rand.Text(), r.version, nil)
		switch {
		case errors.Is(err, store.ErrGone): // by a call whose reply was lost, or by somebody else
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
	}
	return fmt.Errorf("%w: %s", ErrConflict, objectText(id))
}

// objectPage is how many objects are read in one go.
const objectPage = 20

// objects goes over the records of a kind after a name.
func (q *Queue) objects(ctx context.Context, kind, after string) iter.Seq2[*objectRecord, error] {
	return func(yield func(*objectRecord, error) bool) {
		for err := q.err; ; {
			var ids []string
			var all []store.Object
			if err == nil {
				ids, err = q.store.ListObjects(ctx, kind, after, objectPage)
			}
			if err == nil && len(ids) > 0 {
				all, err = q.store.Objects(ctx, ids)
			}
			for i := 0; err == nil && i < len(all); i++ {
				if all[i].Version == "" {
					continue // gone meanwhile
				}
				var r *objectRecord
				if r, err = parseObject(ids[i], all[i]); err == nil && !yield(r, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if len(ids) < objectPage {
				return
			}
			_, after, _ = strings.Cut(ids[len(ids)-1], "/")
		}
	}
}

// ApplySecret stores a secret as ApplyConfigMap does a config map. A queue
// without keys refuses it with [ErrNoKeys].
func (q *Queue) ApplySecret(ctx context.Context, s Secret) (*Secret, error) {
	if err := firstError(q.err, s.Validate()); err != nil {
		return nil, err
	}
	if q.ring.Empty() {
		return nil, fmt.Errorf("%w: secret %s", ErrNoKeys, s.Name)
	}
	if s.Type == "" {
		s.Type = DefaultSecretType
	}
	id := secretObject + "/" + s.Name
	r, err := q.applyObject(ctx, id, s.ResourceVersion, func(old *objectRecord) (*objectRecord, error) {
		next := &objectRecord{id: id, Labels: s.Labels, Annotations: s.Annotations, Immutable: s.Immutable, Type: s.Type}
		if old == nil {
			return next, q.sealSecret(next, s.Data)
		}
		if old.Type != s.Type {
			return nil, &InvalidError{Fields: []FieldError{{Field: "type", Cause: FieldInvalid, Value: s.Type, Detail: "is immutable"}}}
		}
		had, err := q.openSecret(old) // what does not open is overwritten, unless it is immutable
		same := err == nil && maps.EqualFunc(had, s.Data, sameValue)
		if err := old.guardImmutable(same, s.Immutable); err != nil {
			return nil, err
		}
		if same && old.sameMeta(next) {
			return nil, nil
		}
		if same {
			next.Sealed = old.Sealed
			return next, nil
		}
		return next, q.sealSecret(next, s.Data)
	})
	if err != nil {
		return nil, err
	}
	out := r.secret()
	out.Data = maps.Clone(s.Data)
	return out, nil
}

// secret is a secret without its values.
func (r *objectRecord) secret() *Secret {
	s := &Secret{
		Name: r.name(), Labels: r.Labels, Annotations: r.Annotations, Immutable: r.Immutable, Type: r.Type,
		Keys: slices.Sorted(maps.Keys(r.Sealed)), UID: r.UID, ResourceVersion: r.version, CreatedAt: at(r.Created), UpdatedAt: at(r.Updated),
	}
	return s.clone()
}

// sealSecret encrypts the values of a secret into its record.
func (q *Queue) sealSecret(r *objectRecord, data map[string]SecretValue) error {
	r.Sealed = make(map[string][]byte, len(data))
	for key, v := range data {
		var err error
		if r.Sealed[key], err = q.ring.Seal([]byte(v.Reveal()), sealedSecret, q.name, r.name(), key); err != nil {
			return err
		}
	}
	return nil
}

// openSecret decrypts the values of a secret.
func (q *Queue) openSecret(r *objectRecord) (map[string]SecretValue, error) {
	out := make(map[string]SecretValue, len(r.Sealed))
	for key, data := range r.Sealed {
		text, err := q.open(data, sealedSecret, q.name, r.name(), key)
		if err != nil {
			return nil, fmt.Errorf("%s: key %q: %w", objectText(r.id), key, err)
		}
		out[key] = NewSecretValue(text)
	}
	return out, nil
}

// GetSecret reads a secret with its values. It fails with [ErrNotFound],
// [ErrUnknownKey] and [ErrTampered].
func (q *Queue) GetSecret(ctx context.Context, name string) (*Secret, error) {
	r, err := q.readObject(ctx, secretObject+"/"+name)
	if err != nil {
		return nil, err
	}
	s := r.secret()
	s.Data, err = q.openSecret(r)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// ListSecrets goes over the secrets of a queue as ListConfigMaps does, without
// their values: it needs no keys.
func (q *Queue) ListSecrets(ctx context.Context) iter.Seq2[*Secret, error] {
	return func(yield func(*Secret, error) bool) {
		for r, err := range q.objects(ctx, secretObject, "") {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(r.secret(), nil) {
				return
			}
		}
	}
}

// DeleteSecret removes a secret as DeleteConfigMap does a config map.
func (q *Queue) DeleteSecret(ctx context.Context, name string) error {
	return q.deleteObject(ctx, secretObject+"/"+name)
}

// Rotation is what RotateSecrets did to one secret.
type Rotation struct {
	Secret  string
	Changed bool // false: it was under the first key already
	// Continue goes on after this secret.
	Continue string
}

// RotateSecrets encrypts anew, with the first key of the queue, what secrets
// hold under others, also immutable ones. Like the bulk verbs it is lazy: it
// reads a page at a time and changes one secret for each turn of the loop;
// after has the Continue to go on from, or is "". An error with a Secret
// concerns that secret only, and the loop goes on; one without ends it. Values
// and running handlers see nothing of it.
//
// To change the key: give all processes the new key behind the old one, then
// in front of it, then rotate; and then drop the old one, when no encrypted job
// is left of the time before either.
func (q *Queue) RotateSecrets(ctx context.Context, after string) iter.Seq2[Rotation, error] {
	return func(yield func(Rotation, error) bool) {
		if q.err == nil && q.ring.Empty() {
			yield(Rotation{}, ErrNoKeys)
			return
		}
		for r, err := range q.objects(ctx, secretObject, after) {
			if err == nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				yield(Rotation{}, err)
				return
			}
			changed, err := q.rotate(ctx, r)
			if !yield(Rotation{Secret: r.name(), Changed: changed, Continue: r.name()}, err) {
				return
			}
		}
	}
}

func (q *Queue) rotate(ctx context.Context, r *objectRecord) (changed bool, err error) {
	_, err = q.applyObject(ctx, r.id, "", func(old *objectRecord) (*objectRecord, error) {
		changed = false
		if old == nil {
			return nil, nil // deleted meanwhile
		}
		for _, data := range old.Sealed {
			changed = changed || !q.ring.Current(data)
		}
		if !changed {
			return nil, nil
		}
		data, err := q.openSecret(old)
		if err != nil {
			changed = false
			return nil, err
		}
		next := *old
		return &next, q.sealSecret(&next, data)
	})
	return changed && err == nil, err
}
