package batchv1

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/stint-go/stint"
)

// meaningless is what is said of a field that nothing here reads.
const meaningless = "has no meaning here"

// decoder gathers what is wrong with, and worth saying of, what it reads.
type decoder struct {
	warnings []Warning
	fields   []stint.FieldError
	refused  map[string]bool // paths in fields
}

func newDecoder() *decoder { return &decoder{refused: map[string]bool{}} }

func (d *decoder) warn(field, message string) {
	d.warnings = append(d.warnings, Warning{Field: field, Message: message})
}

// refuse notes what is wrong with a field, once, and nothing of what is
// within a field that is wrong itself.
func (d *decoder) refuse(field string, cause stint.FieldCause, value any, detail string) {
	if !d.told(field) {
		d.refused[field] = true
		d.fields = append(d.fields, stint.FieldError{Field: field, Cause: cause, Value: value, Detail: detail})
	}
}

func (d *decoder) invalid(field string, value any, detail string) {
	d.refuse(field, stint.FieldInvalid, value, detail)
}

// told tells whether a field, or one around it, is refused.
func (d *decoder) told(field string) bool {
	for i, c := range field {
		if (c == '.' || c == '[') && d.refused[field[:i]] {
			return true
		}
	}
	return d.refused[field]
}

// check adds what validation found, under the paths that rename gives, unless
// it comes of a field that was refused already.
func (d *decoder) check(err error, rename func(string) string) {
	var bad *stint.InvalidError
	if !errors.As(err, &bad) {
		return
	}
	for _, f := range bad.Fields {
		if f.Field = rename(f.Field); !d.told(f.Field) {
			d.fields = append(d.fields, f)
		}
	}
}

// object is a JSON object of which fields are taken one by one; what is left
// in the end is unknown.
type object struct {
	d      *decoder
	path   string // "" or with a dot at its end
	fields map[string]any
}

// at is the path of a field.
func (o object) at(key string) string { return o.path + key }

// take removes a field; one that is null is absent.
func (o object) take(key string) (any, bool) {
	v := o.fields[key]
	delete(o.fields, key)
	return v, v != nil
}

// rest warns of every field that was not taken.
func (o object) rest() {
	for _, key := range slices.Sorted(maps.Keys(o.fields)) {
		if o.fields[key] != nil {
			o.d.warn(o.at(key), meaningless)
		}
	}
}

// get takes a field of a type, which what describes.
func get[T any](o object, key, what string) (T, bool) {
	var none T
	v, ok := o.take(key)
	if !ok {
		return none, false
	}
	t, ok := v.(T)
	if !ok {
		o.d.invalid(o.at(key), v, "must be "+what)
	}
	return t, ok
}

func (o object) text(key string) string {
	v, _ := get[string](o, key, "a string")
	return v
}

func (o object) textOrNil(key string) *string {
	if v, ok := get[string](o, key, "a string"); ok {
		return &v
	}
	return nil
}

func (o object) flag(key string) bool {
	v, _ := get[bool](o, key, "true or false")
	return v
}

// whole takes an integer of at most 64 bits.
func (o object) whole(key string) (int64, bool) { return get[int64](o, key, "an integer") }

// count takes an integer of at most 32 bits.
func (o object) count(key string) *int {
	v, ok := o.whole(key)
	if !ok {
		return nil
	}
	if v < math.MinInt32 || v > math.MaxInt32 {
		o.d.invalid(o.at(key), v, fmt.Sprintf("must be at most %d", math.MaxInt32))
		return nil
	}
	return new(int(v))
}

// seconds takes a duration of at most so many seconds.
func (o object) seconds(key string, most int64) *time.Duration {
	v, ok := o.whole(key)
	if !ok {
		return nil
	}
	if v < -most || v > most {
		o.d.invalid(o.at(key), v, fmt.Sprintf("must be at most %d", most))
		return nil
	}
	return new(time.Duration(v) * time.Second)
}

// object takes an object, which is empty if there is none.
func (o object) object(key string) (object, bool) {
	fields, ok := get[map[string]any](o, key, "an object")
	return object{o.d, o.at(key) + ".", fields}, ok
}

// texts takes an object of strings, nil if there are none.
func (o object) texts(key string) map[string]string {
	raw, _ := get[map[string]any](o, key, "an object of strings")
	var out map[string]string
	for _, k := range slices.Sorted(maps.Keys(raw)) {
		v, ok := raw[k].(string)
		if !ok && raw[k] != nil {
			o.d.invalid(o.at(key)+"["+k+"]", raw[k], "must be a string")
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k] = v
	}
	return out
}

// list takes a list of values of a type.
func list[T any](o object, key, what string) []T {
	raw, _ := get[[]any](o, key, "a list")
	var out []T
	for i, item := range raw {
		v, ok := item.(T)
		if !ok {
			o.d.invalid(itemPath(o, key, i), item, "must be "+what)
		}
		out = append(out, v) // a bad one too: the indexes of paths stay true
	}
	return out
}

// objects takes a list of objects.
func (o object) objects(key string) []object {
	var out []object
	for i, fields := range list[map[string]any](o, key, "an object") {
		out = append(out, object{o.d, itemPath(o, key, i) + ".", fields})
	}
	return out
}

// itemPath is the path of an item of a list.
func itemPath(o object, key string, i int) string { return fmt.Sprintf("%s[%d]", o.at(key), i) }
