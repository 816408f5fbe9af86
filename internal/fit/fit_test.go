package fit_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/fit"
	"github.com/stint-go/stint/internal/quantity"
)

type am = fit.Amounts

func TestText(t *testing.T) {
	t.Parallel()
	a := am{"memory": 1 << 30, "cpu": 500, "example.com/gpu": 1, "none": 0}
	text := a.Text()
	require.Equal(t, "cpu=500,example.com/gpu=1,memory=1073741824", text)
	back, err := fit.Parse(text)
	require.NoError(t, err)
	delete(a, "none")
	require.Equal(t, a, back)
	back, err = fit.Parse("")
	require.NoError(t, err)
	require.Empty(t, back)
	for _, bad := range []string{"cpu", "cpu=", "=1", "cpu=-1", "cpu=0", "cpu=1,,memory=1", "cpu=99999999999999999999"} {
		_, err := fit.Parse(bad)
		require.Error(t, err, bad)
	}
}

func TestAmount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, back string
		n                int64
	}{
		{"cpu", "0.5", "500m", 500},
		{"cpu", "1u", "1m", 1},
		{"memory", "1Gi", "1Gi", 1 << 30},
		{"memory", "100m", "1", 1},
		{"example.com/gpu", "2000", "2k", 2000},
	} {
		q, err := quantity.Parse(c.text)
		require.NoError(t, err)
		require.Equal(t, c.n, fit.Amount(c.name, q), c.text)
		require.Equal(t, c.back, fit.Format(c.name, c.n), c.text)
	}
}

// What is not declared is unlimited of cpu and memory, and none of anything else.
func TestUndeclared(t *testing.T) {
	t.Parallel()
	require.Equal(t, 7, am{}.Times(am{"cpu": math.MaxInt64, "memory": 1}, 7))
	require.Equal(t, 0, am{}.Times(am{"gpu": 1}, 7))
	require.Equal(t, 2, am{"gpu": 5}.Times(am{"gpu": 2, "cpu": 1}, 7))
	require.Equal(t, 0, am{"cpu": -3}.Times(am{"cpu": 2}, 7))
	require.Equal(t, []string{"cpu", "gpu"}, am{"cpu": 1}.Short(am{"gpu": 1, "memory": 5, "cpu": 2}))
	require.Empty(t, am{"cpu": 2}.Short(am{"cpu": 2}))
}

func TestAddSaturates(t *testing.T) {
	t.Parallel()
	a := am{}
	a.Add(am{"memory": math.MaxInt64 / 2, "cpu": 1}, 3)
	require.Equal(t, am{"memory": math.MaxInt64, "cpu": 3}, a)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	one, four, gpu := am{"cpu": 1000}, am{"cpu": 4000}, am{"cpu": 1000, "gpu": 1}
	for name, c := range map[string]struct {
		left    am
		needs   []am
		slots   int
		take    []int
		held    int
		blocked bool
	}{
		"the older takes what there is":     {am{"cpu": 4000}, []am{one, gpu}, 9, []int{4, 0}, 1, true},
		"slots bound":                       {am{"cpu": 4000}, []am{one, one}, 3, []int{3, 0}, -1, false},
		"an older large one keeps room":     {am{"cpu": 3000}, []am{four, one}, 9, []int{0, 0}, 0, true},
		"a younger one does not":            {am{"cpu": 3000}, []am{one, four}, 9, []int{3, 0}, 1, true},
		"room for one only":                 {am{"cpu": 2000}, []am{four, four, one}, 9, []int{0, 0, 0}, 0, true},
		"what can never fit keeps no room":  {am{"cpu": 3000}, []am{{"cpu": 9000}, one}, 9, []int{0, 3}, -1, false},
		"a missing resource keeps no room":  {am{"cpu": 3000}, []am{{"tpu": 1}, one}, 9, []int{0, 3}, -1, false},
		"other resources are not held back": {am{"cpu": 3000, "gpu": 2}, []am{four, {"gpu": 1}}, 9, []int{0, 2}, 0, true},
		"no slots, no reservation":          {am{"cpu": 0}, []am{one}, 0, []int{0}, -1, false},
	} {
		whole := am{"cpu": 4000, "gpu": 2}
		take, held, blocked := fit.Plan(c.left, whole, c.needs, c.slots)
		require.Equal(t, c.take, take, name)
		require.Equal(t, c.held, held, name)
		require.Equal(t, c.blocked, blocked, name)
	}
}
