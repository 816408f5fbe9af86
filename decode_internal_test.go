package stint

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type decodesItself struct{ N int }

func (d *decodesItself) UnmarshalJSON([]byte) error { d.N++; return nil }

type decodesItsText string

func (*decodesItsText) UnmarshalText([]byte) error { return nil }

func TestOnlyValuesAreShared(t *testing.T) {
	t.Parallel()
	for typ, want := range map[reflect.Type]bool{
		reflect.TypeFor[struct{}](): true,
		reflect.TypeFor[struct {
			A string
			B [3]float64
			c struct{ D uint8 }
		}](): true,
		reflect.TypeFor[struct{ N json.Number }]():   true,
		reflect.TypeFor[time.Duration]():             true,
		reflect.TypeFor[struct{ P *int }]():          false,
		reflect.TypeFor[*struct{}]():                 false,
		reflect.TypeFor[struct{ S []string }]():      false,
		reflect.TypeFor[[2]map[string]int]():         false,
		reflect.TypeFor[struct{ A any }]():           false,
		reflect.TypeFor[json.RawMessage]():           false,
		reflect.TypeFor[struct{ T time.Time }]():     false,
		reflect.TypeFor[struct{ D decodesItself }](): false,
		reflect.TypeFor[decodesItsText]():            false,
		reflect.TypeFor[chan int]():                  false,
		reflect.TypeFor[func()]():                    false,
		reflect.TypeFor[uintptr]():                   false,
	} {
		require.Equal(t, want, isValue(typ), "%v", typ)
	}
}
