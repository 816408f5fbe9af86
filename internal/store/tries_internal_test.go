package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What attempts came to is read as it was written; of a header that is torn
// the numbers are, and it is no spec.
func TestTriesAsText(t *testing.T) {
	t.Parallel()
	none, rest := cutTries(`P{"a":"R 1 0 1 1 1:"}`)
	require.Nil(t, none)
	require.Equal(t, `P{"a":"R 1 0 1 1 1:"}`, rest)
	require.Empty(t, none.text())
	require.Zero(t, none.count())
	tries := &Tries{Failed: 3, Ignored: 4, First: 5, Last: 1795684908045}
	for range errorsKept {
		tries.Errors = append(tries.Errors, SlotError{At: 1795684908046, Data: []byte(`{"message":"R 1 P 2: ü"}`)})
		text := tries.text()
		got, rest := cutTries(text + `P{"a":"b"}`)
		require.Equal(t, tries, got)
		require.Equal(t, `P{"a":"b"}`, rest)
		for n := range len(text) {
			got, rest := cutTries(text[:n])
			require.NotEqual(t, tries, got)
			if got == nil {
				require.Equal(t, text[:n], rest)
				continue
			}
			require.Equal(t, 7, got.count())
			require.Equal(t, text[:n], rest)
			require.NotEmpty(t, got.text())
		}
	}
	tries.Errors = append(tries.Errors, SlotError{})
	got, rest := cutTries(tries.text() + "P")
	require.Equal(t, []SlotError{{}}, got.Errors, "there are never so many")
	require.NotEmpty(t, rest)
	for _, odd := range []string{"R 0 0 1 1 1:1 x", "R -1 2 1 1 1:1 x", "R 1 0 1 1:1 x", "R 1 0 1 1 1 1 x", "R 1 0 -1 1 1:1 x", "R 1e3 0 1 1 1:1 x", "R 99999999999999 0 1 1 1:1 x"} {
		got, rest := cutTries(odd)
		require.Nil(t, got, odd)
		require.Equal(t, odd, rest)
	}
	for _, odd := range []string{"R 1 0 1 1 -1:1 x", "R 1 0 1 1 2:1 x", "R 1 0 1 1 1:x", "R 1 0 1 1 1:-1 x", "R 1 0 1 1 +1:1 x"} {
		got, rest := cutTries(odd)
		require.Equal(t, 1, got.count(), odd)
		require.Equal(t, odd, rest)
	}
}
