package stint

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// SecretValue is a text that is not shown by accident: printed in whatever
// way, logged or marshalled, it is "[redacted]". The zero value is empty.
type SecretValue struct{ text *string } // behind a pointer, where even reflection prints no more than an address

// NewSecretValue hides a text, or bytes.
func NewSecretValue[T string | []byte](v T) SecretValue { return SecretValue{new(string(v))} }

const redacted = "[redacted]"

// Reveal is the text itself.
func (s SecretValue) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

func sameValue(a, b SecretValue) bool { return a.Reveal() == b.Reveal() }

// String hides the text.
func (SecretValue) String() string { return redacted }

// GoString hides the text.
func (SecretValue) GoString() string { return redacted }

// Format hides the text from every verb of package fmt.
func (SecretValue) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides the text from package slog.
func (SecretValue) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the text from JSON, YAML and XML. It cannot be read back.
func (SecretValue) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Secret is a ConfigMap whose values are nobody's business: they are kept in
// Redis encrypted with the keys of [QueueConfig]. It is Kubernetes's Secret.
//
// Each value is encrypted by itself with AES-256-GCM, and bound to its queue,
// secret and key: moved elsewhere it does not open. Names, keys, labels and
// annotations are not encrypted, and lengths can be told. Who may write to
// Redis can delete a secret, or put back an older state of it, unnoticed.
type Secret struct {
	// Name, Labels, Annotations and Immutable are as in [ConfigMap].
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Immutable   bool              `json:"immutable,omitempty"`
	// Type is for people and tools, "Opaque" by default, at most 253 bytes.
	// It can't be changed.
	Type string `json:"type,omitempty"`
	// Data are the values, bytes of any kind. Keys and limits are as in
	// [ConfigMap]. What is listed has none, but Keys.
	Data map[string]SecretValue `json:"data,omitempty"`

	Keys            []string  `json:"keys,omitempty"`  // read only: those of Data, sorted
	UID             string    `json:"uid"`             // read only
	ResourceVersion string    `json:"resourceVersion"` // as in ConfigMap
	CreatedAt       time.Time `json:"createdAt"`       // read only
	UpdatedAt       time.Time `json:"updatedAt"`       // read only
}

// Value is the value of a key, revealed; "" where there is none.
func (s *Secret) Value(key string) string { return s.Data[key].Reveal() }

// DefaultSecretType is the Type of secrets that name none.
const DefaultSecretType = "Opaque"

func (s *Secret) clone() *Secret {
	c := *s
	c.Labels, c.Annotations, c.Data, c.Keys = maps.Clone(s.Labels), maps.Clone(s.Annotations), maps.Clone(s.Data), slices.Clone(s.Keys)
	return &c
}
