package stint

import (
	"encoding"
	"encoding/json"
	"reflect"
)

// decode reads the args of a task. Those of the many tasks of one job are
// decoded once where they are plain values: a copy of one is as good as
// another.
func decode[A Args](t *RawTask, args *A, values bool) error {
	codec := t.station.queue.codec
	if _, own := codec.(jsonCodec); !own || !values || !t.work.holds(t.RawArgs) {
		return codec.Unmarshal(t.RawArgs, args)
	}
	if known := t.work.decoded.Load(); known != nil {
		if a, ok := (*known).(A); ok {
			*args = a
			return nil
		}
	}
	if err := codec.Unmarshal(t.RawArgs, args); err != nil {
		return err
	}
	known := any(*args)
	t.work.decoded.Store(&known)
	return nil
}

// holds tells that args are those of the job, and no others in their place.
func (w *cachedWork) holds(args []byte) bool {
	return w != nil && len(args) == len(w.args) && len(args) > 0 && &args[0] == &w.args[0]
}

var (
	jsonDecoder = reflect.TypeFor[json.Unmarshaler]()
	textDecoder = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isValue tells a type whose copies have nothing in common, and which does not
// decode itself.
func isValue(t reflect.Type) bool {
	if p := reflect.PointerTo(t); p.Implements(jsonDecoder) || p.Implements(textDecoder) {
		return false
	}
	k := t.Kind()
	switch {
	case k == reflect.Array:
		return isValue(t.Elem())
	case k != reflect.Struct:
		return k == reflect.String || k >= reflect.Bool && k <= reflect.Float64 && k != reflect.Uintptr
	}
	for f := range t.NumField() {
		if !isValue(t.Field(f).Type) {
			return false
		}
	}
	return true
}
