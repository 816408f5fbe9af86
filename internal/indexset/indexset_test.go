package indexset_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/indexset"
)

func setOf(indexes ...int) indexset.Set {
	var s indexset.Set
	for _, i := range indexes {
		s.Add(i)
	}
	return s
}

func TestZeroSetIsEmpty(t *testing.T) {
	t.Parallel()
	var s indexset.Set
	require.Zero(t, s.Len())
	require.False(t, s.Has(0))
	require.Empty(t, s.String())
	require.Empty(t, s.Bitmap())
	require.Empty(t, slices.Collect(s.All()))
	_, ok := s.Min()
	require.False(t, ok)
	_, ok = s.Max()
	require.False(t, ok)
	s.Remove(3)
	s.Truncate(0)
	require.True(t, s.Equal(indexset.Set{}))
}

func TestRangesJoinNeighboursAndOverlaps(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ranges [][2]int
		want   string
	}{
		"touching":     {[][2]int{{0, 2}, {3, 5}}, "0-5"},
		"overlapping":  {[][2]int{{4, 9}, {2, 6}}, "2-9"},
		"filling":      {[][2]int{{0, 2}, {6, 8}, {3, 5}}, "0-8"},
		"swallowing":   {[][2]int{{1, 1}, {3, 3}, {5, 5}, {0, 9}}, "0-9"},
		"inside":       {[][2]int{{0, 9}, {3, 4}}, "0-9"},
		"before all":   {[][2]int{{5, 9}, {0, 2}}, "0-2,5-9"},
		"reversed":     {[][2]int{{5, 4}, {0, -1}}, ""},
		"largest ints": {[][2]int{{0, 3}, {math.MaxInt - 1, math.MaxInt}, {4, 5}}, "0-5,9223372036854775806,9223372036854775807"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s indexset.Set
			for _, r := range tc.ranges {
				s.AddRange(r[0], r[1])
			}
			require.Equal(t, tc.want, s.String())
		})
	}
}

func TestNegativeIndexPanics(t *testing.T) {
	t.Parallel()
	var s indexset.Set
	require.Panics(t, func() { s.Add(-1) })
	require.Panics(t, func() { s.AddRange(-1, 3) })
}

func TestRemoveSplits(t *testing.T) {
	t.Parallel()
	var s indexset.Set
	s.AddRange(0, 9)
	for _, i := range []int{5, 0, 9, 5, 77} {
		s.Remove(i)
	}
	require.Equal(t, "1-4,6-8", s.String())
	s.Remove(-1)
	require.Equal(t, 7, s.Len())
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{-1: "", 0: "", 1: "", 2: "1", 4: "1,3", 5: "1,3,4", 7: "1,3-5", 8: "1,3-5,7", 100: "1,3-5,7"} {
		s := setOf(1, 3, 4, 5, 7)
		s.Truncate(n)
		require.Equal(t, want, s.String(), "Truncate(%d)", n)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	t.Parallel()
	s := setOf(1, 3)
	c := s.Clone()
	c.Add(2)
	s.Truncate(2)
	require.Equal(t, "1-3", c.String())
	require.Equal(t, "1", s.String())
}

func TestOperationsLeaveTheirOperandsAlone(t *testing.T) {
	t.Parallel()
	a, b := setOf(0, 1, 2, 8), setOf(1, 3)
	u, i, m := a.Union(b), a.Intersect(b), a.Minus(b)
	require.Equal(t, []string{"0-3,8", "1", "0,2,8"}, []string{u.String(), i.String(), m.String()})
	u.AddRange(0, 20)
	i.AddRange(0, 20)
	m.AddRange(0, 20)
	require.Equal(t, "0-2,8", a.String())
	require.Equal(t, "1,3", b.String())
}

func TestIteratorsStopEarly(t *testing.T) {
	t.Parallel()
	s := setOf(1, 2, 3, 8)
	var got []int
	for i := range s.All() {
		if i == 3 {
			break
		}
		got = append(got, i)
	}
	require.Equal(t, []int{1, 2}, got)
	for lo, hi := range s.Ranges() {
		require.Equal(t, []int{1, 3}, []int{lo, hi})
		break
	}
}

func TestTenMillionIndexes(t *testing.T) {
	t.Parallel()
	const n = 10_000_000
	var s indexset.Set
	for i := range n {
		s.Add(i)
	}
	require.Equal(t, n, s.Len())
	require.Equal(t, "0-9999999", s.String())
	require.Len(t, s.Bitmap(), n/8)
}

// model is the same set kept as a map, the plain way.
type model map[int]bool

func (m model) sorted() []int { return slices.Sorted(maps.Keys(m)) }

func (m model) change(s *indexset.Set, rnd *rand.Rand, size int) {
	a := rnd.IntN(size)
	switch rnd.IntN(5) {
	case 0:
		s.Add(a)
		m[a] = true
	case 1:
		b := a + rnd.IntN(size/4+1)
		s.AddRange(a, b)
		for i := a; i <= b; i++ {
			m[i] = true
		}
	case 2, 3:
		s.Remove(a)
		delete(m, a)
	default:
		cut := size/2 + a
		s.Truncate(cut)
		maps.DeleteFunc(m, func(i int, _ bool) bool { return i >= cut })
	}
}

// TestSetAgainstMap drives pairs of sets and maps through the same changes.
func TestSetAgainstMap(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		size := 4 + rnd.IntN(60)
		var a, b indexset.Set
		ma, mb := model{}, model{}
		for range 120 {
			ma.change(&a, rnd, size)
			mb.change(&b, rnd, size)
			checkAgainstMap(t, a, ma, seed)
			both, either, only := model{}, maps.Clone(ma), maps.Clone(ma)
			for i := range mb {
				either[i] = true
				delete(only, i)
				if ma[i] {
					both[i] = true
				}
			}
			checkAgainstMap(t, a.Union(b), either, seed)
			checkAgainstMap(t, a.Intersect(b), both, seed)
			checkAgainstMap(t, a.Minus(b), only, seed)
		}
	}
}

func checkAgainstMap(t *testing.T, s indexset.Set, m model, seed uint64) {
	t.Helper()
	want := m.sorted()
	require.Equal(t, want, slices.Collect(s.All()), "seed %d", seed)
	require.Equal(t, len(want), s.Len(), "seed %d", seed)
	for i := -1; i < 130; i++ {
		if s.Has(i) != m[i] {
			t.Fatalf("seed %d: Has(%d) = %v, want %v", seed, i, s.Has(i), m[i])
		}
	}
	require.True(t, s.Equal(indexset.FromBitmap(s.Bitmap())), "seed %d: bitmap of %v", seed, s)
	if len(want) > 0 {
		lo, _ := s.Min()
		hi, _ := s.Max()
		require.Equal(t, []int{want[0], want[len(want)-1]}, []int{lo, hi}, "seed %d", seed)
	}
	last := -2
	for lo, hi := range s.Ranges() {
		if lo <= last+1 || hi < lo {
			t.Fatalf("seed %d: runs of %v touch or are reversed", seed, s)
		}
		last = hi
	}
}

func TestBitmapIsInTheOrderOfSetbit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text   string
		bitmap []byte
	}{
		{"0", []byte{0x80}},
		{"7", []byte{0x01}},
		{"8", []byte{0, 0x80}},
		{"1,3-5,7", []byte{0b0101_1101}},
		{"6-9", []byte{0x03, 0xc0}},
		{"0-23", []byte{0xff, 0xff, 0xff}},
		{"5-18,20", []byte{0x07, 0xff, 0b1110_1000}},
	} {
		s, err := indexset.Parse(tc.text, 100)
		require.NoError(t, err)
		require.Equal(t, tc.bitmap, s.Bitmap(), tc.text)
		require.Equal(t, tc.text, indexset.FromBitmap(tc.bitmap).String())
		padded := append(slices.Clone(tc.bitmap), 0, 0)
		require.Equal(t, tc.text, indexset.FromBitmap(padded).String())
	}
}

func BenchmarkFromBitmap(b *testing.B) {
	for name, fill := range map[string]byte{"dense": 0xff, "holes": 0xaa} {
		b.Run(name, func(b *testing.B) {
			bitmap := make([]byte, 125_000) // a million indexes
			for i := range bitmap {
				bitmap[i] = fill
			}
			b.ReportAllocs()
			for b.Loop() {
				indexset.FromBitmap(bitmap)
			}
		})
	}
}
