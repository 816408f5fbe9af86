package seal_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/seal"
)

func ring(t testing.TB, ids ...string) *seal.Ring {
	t.Helper()
	var keys []seal.Key
	for _, id := range ids {
		keys = append(keys, seal.Key{ID: id, Secret: []byte((id + strings.Repeat("-", 32))[:32])})
	}
	r, err := seal.NewRing(keys)
	require.NoError(t, err)
	return r
}

func TestSealedOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1")
	data, err := r.Seal([]byte("hush"), "queue", "secret", "db", "password")
	require.NoError(t, err)
	require.True(t, seal.Is(data))
	require.NotContains(t, string(data), "hush")
	require.Len(t, data, len("hush")+r.Overhead())
	text, err := r.Open(data, "queue", "secret", "db", "password")
	require.NoError(t, err)
	require.Equal(t, "hush", string(text))
	for _, place := range [][]string{
		{"queue", "secret", "db", "user"}, {"queue", "secret", "dbp", "assword"}, {"queue", "secret", "db"}, {}, {"queue", "secret", "db", "password", ""},
	} {
		_, err := r.Open(data, place...)
		require.ErrorIs(t, err, seal.ErrTampered, place)
	}
	again, err := r.Seal([]byte("hush"), "queue", "secret", "db", "password")
	require.NoError(t, err)
	require.NotEqual(t, data, again)
}

func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k2")
	data, err := r.Seal([]byte("hush"), "a")
	require.NoError(t, err)
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 3 // k1 becomes k2
		_, err := r.Open(bad, "a")
		require.Error(t, err, i)
		_, err = r.Open(data[:i], "a")
		require.Error(t, err, i)
	}
}

func TestKeysOfARing(t *testing.T) {
	t.Parallel()
	old, both, other := ring(t, "k1"), ring(t, "k2", "k1"), ring(t, "k3")
	data, err := old.Seal([]byte("hush"))
	require.NoError(t, err)
	text, err := both.Open(data)
	require.NoError(t, err)
	require.Equal(t, "hush", string(text))
	require.False(t, both.Current(data))
	require.True(t, old.Current(data))
	for _, r := range []*seal.Ring{other, nil} {
		_, err = r.Open(data)
		require.ErrorIs(t, err, seal.ErrUnknownKey)
		require.ErrorContains(t, err, `"k1"`)
	}
	_, err = old.Open([]byte(`{"plain":1}`))
	require.ErrorIs(t, err, seal.ErrNoEnvelope)

	impostor, err := seal.NewRing([]seal.Key{{"k1", bytes.Repeat([]byte("x"), 32)}})
	require.NoError(t, err)
	_, err = impostor.Open(data)
	require.ErrorIs(t, err, seal.ErrTampered)

	require.Equal(t, old.Digests([]byte("a"), []byte("b"))[0], both.Digests([]byte("a"), []byte("b"))[1])
	require.NotEqual(t, old.Digests([]byte("a"), []byte("b")), old.Digests([]byte("ab"), []byte("")))
	for _, bad := range [][]seal.Key{
		{{"", make([]byte, 32)}}, {{"k", make([]byte, 31)}}, {{"same", make([]byte, 32)}, {"same", make([]byte, 32)}},
	} {
		_, err := seal.NewRing(bad)
		require.Error(t, err)
	}
}

// sealedHush was sealed once, for "a", since each sealing is another and the
// processes that fuzz have to know the same one.
const sealedHush = "007374696e7401026b31bc86cf25d660f0a68f5342c11ad5fad798a025d6e6612b41e22682b00a9ebd5a1c6ce6cc8df13e00034de7bb5d0dec1e"

// FuzzOpen: whatever is put into Redis, opening it neither panics nor gives
// anything that was not sealed.
func FuzzOpen(f *testing.F) {
	r := ring(f, "k1", "k2")
	data, err := hex.DecodeString(sealedHush)
	require.NoError(f, err)
	text, err := r.Open(data, "a")
	require.NoError(f, err)
	require.Equal(f, "hush", string(text))
	f.Add(data)
	f.Add(data[:20])
	f.Add([]byte{})
	f.Add([]byte("\x00stint\x01\xffk1"))
	f.Fuzz(func(t *testing.T, given []byte) {
		text, err := r.Open(given, "a")
		if err == nil && !bytes.Equal(given, data) {
			t.Fatalf("%q opens to %q", given, text)
		}
		seal.KeyOf(given)
	})
}
