package quantity_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/quantity"
)

// The canonical forms are those of k8s.io/apimachinery's resource.Quantity.
func TestCanonicalForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "0", "0Gi": "0", "-0": "0", "0e3": "0", "00012": "12", "+5": "5", "-5": "-5", "5.": "5", ".5": "500m",
		"0.5": "500m", "500m": "500m", "1000m": "1", "1500m": "1500m", "1.5": "1500m", "0.001": "1m", "100u": "100u", "1000u": "1m",
		"1n": "1n", "0.1n": "1n", "0.0000000001": "1n", "-0.1n": "-1n", "1.0000000001": "1000000001n",
		"1000": "1k", "1024": "1024", "1k": "1k", "1500k": "1500k", "1.5M": "1500k", "2G": "2G", "1T": "1T", "1P": "1P", "1E": "1E",
		"1Ki": "1Ki", "1024Ki": "1Mi", "1.5Gi": "1536Mi", "1536": "1536", "1.5Ki": "1536", "0.5Ki": "512", "0.1Ki": "102400m", "1Gi": "1Gi",
		"1Ei": "1Ei", "1e3": "1e3", "1E3": "1e3", "12e6": "12e6", "1000e3": "1e6", "1e2": "100", "1e-3": "1e-3", "1e0": "1", "1e+3": "1e3",
		"9223372036854775807": "9223372036854775807", "-9223372036854775807": "-9223372036854775807",
		"1e-999999999999999999999999": "1e-9", "0e99999999999999999999": "0",
	} {
		q, err := quantity.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, q.String(), text)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", ".", "-", "+", "+-1", "--1", "1..2", "1.2.3", "K", "1K", "1ki", "1KI", "1kk", "1 ", " 1", "1 Gi", "Gi", "1e", "1ee3", "1e3Gi", "1eE3",
		"1e3.5", "1e+", "0x10", "1_000", "NaN", "Inf", "１", "1Zi", "10E", "8Ei", "9223372036854775808", "1e999", "1e99999999999999999999",
		"-8Ei", "1\x00", "00000000000000000000000000000000000000000000000000000000000000001",
	} {
		_, err := quantity.Parse(text)
		require.Error(t, err, "%q", text)
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	parse := func(s string) quantity.Quantity {
		q, err := quantity.Parse(s)
		require.NoError(t, err)
		return q
	}
	require.EqualValues(t, 1, parse("0.1").Units(), "rounded up, as Kubernetes does")
	require.EqualValues(t, -1, parse("-0.1").Units())
	require.EqualValues(t, 1<<30, parse("1Gi").Units())
	require.EqualValues(t, 500, parse("0.5").Milli())
	require.EqualValues(t, 1, parse("1u").Milli())
	require.Equal(t, int64(math.MaxInt64), parse("9E").Milli())
	require.Equal(t, int64(math.MinInt64), parse("-8E").Milli())
	require.Zero(t, quantity.Quantity{}.Milli())
	require.Zero(t, parse("1Ki").Cmp(parse("1024")))
	require.True(t, parse("1k").Whole())
	require.False(t, parse("1m").Whole())
	sum, ok := parse("1Gi").Add(parse("512Mi"))
	require.True(t, ok)
	require.Equal(t, "1536Mi", sum.String())
	sum, ok = quantity.Quantity{}.Add(parse("1Mi"))
	require.True(t, ok)
	require.Equal(t, "1Mi", sum.String())
	_, ok = parse("9E").Add(parse("1E"))
	require.False(t, ok)
	require.Equal(t, "1500m", quantity.OfMilli(1500).String())
	require.Equal(t, "3Gi", quantity.OfBytes(3<<30).String())
	require.Equal(t, "3k", quantity.OfUnits(3000).String())
}

// What is written reads as the same amount, and is written the same again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"1", "500m", "1.5Gi", "1e3", "-1E", "1E5", ".5u", "0.1Ki", "9223372036854775807", "1e-40"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := quantity.Parse(text)
		if err != nil {
			return
		}
		out := q.String()
		again, err := quantity.Parse(out)
		require.NoError(t, err, out)
		require.Zero(t, q.Cmp(again))
		require.Equal(t, out, again.String())
		if q.Sign() >= 0 {
			require.GreaterOrEqual(t, q.Milli(), q.Units())
		}
	})
}
