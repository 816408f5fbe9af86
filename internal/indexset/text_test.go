package indexset_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/indexset"
)

func TestStringB086B087(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		indexes []int
		want    string
	}{
		{"B086 two are not compressed", []int{0, 1}, "0,1"},
		{"B087 three are", []int{1, 3, 4, 5, 7}, "1,3-5,7"},
		{"one", []int{4}, "4"},
		{"pairs beside runs", []int{1, 2, 4, 5, 6, 8, 9}, "1,2,4-6,8,9"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, setOf(tc.indexes...).String())
		})
	}
}

func TestParseLenientB088B089(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		text        string
		completions int
		want        string
	}{
		{"B088 touching runs join and the end is cut off", "0-2,3,5-9", 7, "0-3,5,6"},
		{"B088 what lies beyond is dropped", "1,7,8-9", 7, "1"},
		{"B089 words", "0-2,nonsense,5", 9, "0-2,5"},
		{"B089 half a range", "0,3-,5,-7", 9, "0,5"},
		{"B089 three parts", "0,1-2-3,5", 9, "0,5"},
		{"B089 reversed", "0,4-2", 9, "0"},
		{"B089 empty fragments", ",,1,,", 9, "1"},
		{"B089 too large a number", "1,99999999999999999999", 9, "1"},
		{"out of order and overlapping", "5-7,1,0-2,6", 9, "0-2,5-7"},
		{"empty", "", 9, ""},
		{"no completions", "0-3", 0, ""},
		{"negative completions", "0-3", -4, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, indexset.ParseLenient(tc.text, tc.completions).String())
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":          "",
		"0":         "0",
		"1,3-5,7":   "1,3-5,7",
		"0,1":       "0,1",
		"0-1":       "0,1",
		"0,1,2,3-4": "0-4",
		"9":         "9",
	} {
		s, err := indexset.Parse(text, 10)
		require.NoError(t, err, text)
		require.Equal(t, want, s.String(), text)
	}
}

func TestParseRefusesB032(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"3-1":     `interval "3-1": 3 is not below 1`,
		"1-1":     `interval "1-1": 1 is not below 1`,
		"1,1":     `interval "1": not above 1, which comes before it`,
		"0-2,2":   `interval "2": not above 2, which comes before it`,
		"3,0":     `interval "0": not above 3, which comes before it`,
		"5":       `interval "5": 5 is not below the 5 completions`,
		"1-5":     `interval "1-5": 5 is not below the 5 completions`,
		"1-2-3":   `interval "1-2-3": more than two parts`,
		"-1":      `interval "-1": "" is not an index`,
		"1,":      `interval "": "" is not an index`,
		"1, 2":    `interval " 2": " 2" is not an index`,
		"1-x":     `interval "1-x": "x" is not an index`,
		"9e9":     `interval "9e9": "9e9" is not an index`,
		"0x1":     `interval "0x1": "0x1" is not an index`,
		"1--2":    `interval "1--2": more than two parts`,
		"0,1,2;3": `interval "2;3": "2;3" is not an index`,
	} {
		s, err := indexset.Parse(text, 5)
		require.EqualError(t, err, want, text)
		require.Zero(t, s.Len(), text)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "0,1", "1,3-5,7", "0-2,3,5-9", "3-1", "1-2-3", "7,,x,1-", "0-9223372036854775807", "-0", "+1"} {
		f.Add(text, 10)
		f.Add(text, math.MaxInt)
	}
	f.Fuzz(func(t *testing.T, text string, completions int) {
		lenient := indexset.ParseLenient(text, completions)
		if last, ok := lenient.Max(); ok {
			require.Less(t, last, completions)
		}
		s, err := indexset.Parse(text, completions)
		if err != nil {
			return
		}
		require.True(t, s.Equal(lenient), "strict %v, lenient %v", s, lenient)
		again, err := indexset.Parse(s.String(), completions)
		require.NoError(t, err)
		require.True(t, s.Equal(again), "%v became %v", s, again)
		if last, _ := s.Max(); last < 1<<16 {
			require.True(t, s.Equal(indexset.FromBitmap(s.Bitmap())))
		}
		require.LessOrEqual(t, len(s.String()), len(text))
	})
}
