// Package seal encrypts what stint keeps in Redis: with AES-256-GCM, under a
// ring of keys, bound to the place where it is kept.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// What opening an envelope can fail with.
var (
	ErrNoEnvelope = errors.New("not encrypted")
	ErrUnknownKey = errors.New("unknown key")
	ErrTampered   = errors.New("does not open")
)

// KeyBytes is the length of a key.
const KeyBytes = 32

// An envelope is magic, the length of the key's ID and the ID, salt, nonce,
// and what GCM makes of the text. Each has a key of its own, made of the ring's
// key and the salt: so there is no limit to how many one key of the ring seals.
const (
	magic      = "\x00stint\x01"
	saltBytes  = 16
	nonceBytes = 12
	tagBytes   = 16
)

// Ring is an ordered set of keys. The nil ring has none.
type Ring struct {
	first *key
	all   []*key
	byID  map[string]*key
}

type key struct {
	id     string
	secret []byte
	mac    []byte
}

// Key is one key of a ring.
type Key struct {
	ID     string // 1 to 255 bytes
	Secret []byte // KeyBytes
}

// NewRing makes a ring; the first key seals, all of them open. No two may have
// the same ID.
func NewRing(keys []Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	r := &Ring{byID: make(map[string]*key, len(keys))}
	for i, k := range keys {
		if len(k.Secret) != KeyBytes || k.ID == "" || len(k.ID) > 255 || r.byID[k.ID] != nil {
			return nil, fmt.Errorf("key %d: want %d bytes, and an ID of its own", i, KeyBytes)
		}
		mac, err := hkdf.Key(sha256.New, k.Secret, nil, "stint digest", KeyBytes)
		if err != nil {
			return nil, err
		}
		own := &key{id: k.ID, secret: bytes.Clone(k.Secret), mac: mac}
		r.all, r.byID[k.ID] = append(r.all, own), own
	}
	r.first = r.all[0]
	return r, nil
}

// Empty tells whether there is no key.
func (r *Ring) Empty() bool { return r == nil }

// Overhead is how many bytes an envelope of this ring adds.
func (r *Ring) Overhead() int {
	return len(magic) + 1 + len(r.first.id) + saltBytes + nonceBytes + tagBytes
}

// Is tells whether data is in an envelope.
func Is(data []byte) bool { return bytes.HasPrefix(data, []byte(magic)) }

// KeyOf names the key of an envelope; "" where there is none.
func KeyOf(data []byte) string {
	id, _, _ := split(data)
	return id
}

// Current tells whether data is sealed with the first key.
func (r *Ring) Current(data []byte) bool { return r != nil && KeyOf(data) == r.first.id }

// Seal encrypts text for a place: only there it opens.
func (r *Ring) Seal(text []byte, place ...string) ([]byte, error) {
	if r == nil {
		return nil, ErrUnknownKey
	}
	out := make([]byte, 0, len(text)+r.Overhead())
	out = append(append(out, magic...), byte(len(r.first.id)))
	out = append(out, r.first.id...)
	head := len(out)
	out = out[:head+saltBytes+nonceBytes]
	rand.Read(out[head:])
	aead, err := r.first.aead(out[head : head+saltBytes])
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, out[head+saltBytes:], text, bind(out[:head], place)), nil
}

// Open decrypts what was sealed for a place.
func (r *Ring) Open(data []byte, place ...string) ([]byte, error) {
	id, head, err := split(data)
	if err != nil {
		return nil, err
	}
	var k *key
	if r != nil {
		k = r.byID[id]
	}
	if k == nil {
		return nil, fmt.Errorf("%w %q", ErrUnknownKey, id)
	}
	aead, err := k.aead(data[head : head+saltBytes])
	if err != nil {
		return nil, err
	}
	body := data[head+saltBytes:]
	text, err := aead.Open(nil, body[:nonceBytes], body[nonceBytes:], bind(data[:head], place))
	if err != nil {
		return nil, ErrTampered
	}
	return text, nil
}

// split finds the key's ID and where the head ends.
func split(data []byte) (id string, head int, err error) {
	if !Is(data) {
		return "", 0, ErrNoEnvelope
	}
	at := len(magic)
	if len(data) == at {
		return "", 0, ErrTampered
	}
	n := int(data[at])
	head = at + 1 + n
	if n == 0 || len(data) < head+saltBytes+nonceBytes+tagBytes {
		return "", 0, ErrTampered
	}
	return string(data[at+1 : head]), head, nil
}

func (k *key) aead(salt []byte) (cipher.AEAD, error) {
	once, err := hkdf.Key(sha256.New, k.secret, salt, "stint aes-256-gcm", KeyBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(once)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// bind is the additional data: the head of the envelope and the place, each
// part with its length, so that no two places look alike.
func bind(head []byte, place []string) []byte {
	out := append(make([]byte, 0, 128), head...)
	for _, p := range place {
		out = binary.AppendUvarint(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}

// Digests are keyed digests of text, one for each key in the order of the
// ring: they tell equal texts and say nothing else of them.
func (r *Ring) Digests(parts ...[]byte) []string {
	if r == nil {
		return nil
	}
	out := make([]string, len(r.all))
	for i, k := range r.all {
		h := hmac.New(sha256.New, k.mac)
		for _, p := range parts {
			h.Write(binary.AppendUvarint(nil, uint64(len(p))))
			h.Write(p)
		}
		out[i] = hex.EncodeToString(h.Sum(nil)[:16])
	}
	return out
}
