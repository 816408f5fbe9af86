// Package quantity reads and writes amounts as Kubernetes does: "500m",
// "1Gi", "2e3". It is exact down to a thousand-millionth, and rounds what is
// finer away from zero, as Kubernetes does.
package quantity

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Quantity is an amount, and the notation that it was given in. The zero value
// is none. It is not changed by any method.
type Quantity struct {
	nanos *big.Int // nil for 0
	form  form
}

type form int

const (
	decimal  form = iota // n, u, m, none, k, M, G, T, P, E
	binary               // Ki, Mi, Gi, Ti, Pi, Ei
	exponent             // e3
)

// Rule is the grammar, for error messages.
const Rule = "must be a quantity such as 1, 0.5, 500m, 64Mi, 2G or 1e3, at most 9223372036854775807"

var errSyntax = errors.New(Rule)

const (
	maxLen  = 64
	maxExp  = 128 // beyond it no text of maxLen bytes is in range
	nanoExp = 9
)

var (
	nano = big.NewInt(1e9)
	top  = new(big.Int).Mul(big.NewInt(math.MaxInt64), nano)
	// decimals are the suffixes of powers of 1000 from 10^-9 on, binaries those of 1024.
	decimals = []string{"n", "u", "m", "", "k", "M", "G", "T", "P", "E"}
	binaries = []string{"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}
)

// Parse reads a quantity.
func Parse(text string) (Quantity, error) {
	if len(text) > maxLen {
		return Quantity{}, errSyntax
	}
	rest, negative := strings.CutPrefix(text, "-")
	if !negative {
		rest = strings.TrimPrefix(text, "+")
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(rest)
	}
	whole, fraction, _ := strings.Cut(rest[:end], ".")
	digits, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok || strings.Contains(fraction, ".") {
		return Quantity{}, errSyntax
	}
	f, times, exp, ok := scale(rest[end:])
	if !ok {
		return Quantity{}, errSyntax
	}
	n := atPower(digits.Mul(digits, times), exp-len(fraction)+nanoExp)
	if n.Cmp(top) > 0 {
		return Quantity{}, errSyntax
	}
	if negative {
		n.Neg(n)
	}
	return Quantity{n, f}, nil
}

// scale reads a suffix: what it multiplies by, and the power of ten.
func scale(suffix string) (f form, times *big.Int, exp int, ok bool) {
	one := big.NewInt(1)
	for i, s := range decimals {
		if s == suffix {
			return decimal, one, 3*i - nanoExp, true
		}
	}
	for i, s := range binaries {
		if s == suffix {
			return binary, one.Lsh(one, uint(10*i)), 0, true //nolint:gosec // i is small
		}
	}
	digits := strings.TrimLeft(suffix, "eE")
	if len(suffix)-len(digits) != 1 || digits == "" {
		return 0, nil, 0, false
	}
	exp, err := strconv.Atoi(digits)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, nil, 0, false
	}
	return exponent, one, max(-maxExp, min(maxExp, exp)), true
}

// atPower is n times ten to a power, rounded up.
func atPower(n *big.Int, exp int) *big.Int {
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exp, -exp))), nil)
	if exp >= 0 {
		return n.Mul(n, power)
	}
	return ceil(n, power)
}

// ceil divides, rounding away from zero.
func ceil(n, by *big.Int) *big.Int {
	q, rest := new(big.Int).QuoRem(n, by, new(big.Int))
	return q.Add(q, big.NewInt(int64(rest.Sign())))
}

func (q Quantity) value() *big.Int {
	if q.nanos == nil {
		return new(big.Int)
	}
	return new(big.Int).Set(q.nanos)
}

// String is the canonical form: no fraction, the largest suffix that leaves
// none, and binary suffixes only where they were given and are exact.
func (q Quantity) String() string {
	n := q.value()
	if n.Sign() == 0 {
		return "0"
	}
	if units, rest := new(big.Int).QuoRem(n, nano, new(big.Int)); q.form == binary && rest.Sign() == 0 && units.CmpAbs(big.NewInt(1024)) >= 0 {
		units, i := strip(units, 1024, len(binaries)-1)
		return units.String() + binaries[i]
	}
	n, i := strip(n, 1000, len(decimals)-1)
	if q.form != exponent {
		return n.String() + decimals[i]
	}
	if exp := 3*i - nanoExp; exp != 0 {
		return n.String() + "e" + strconv.Itoa(exp)
	}
	return n.String()
}

// strip divides by a base as often as nothing is left over, and counts.
func strip(n *big.Int, base int64, most int) (*big.Int, int) {
	i := 0
	for b := big.NewInt(base); i < most; i++ {
		q, rest := new(big.Int).QuoRem(n, b, new(big.Int))
		if rest.Sign() != 0 {
			break
		}
		n = q
	}
	return n, i
}

// Sign is -1, 0 or 1.
func (q Quantity) Sign() int { return q.value().Sign() }

// Cmp compares amounts, whatever their notation.
func (q Quantity) Cmp(o Quantity) int { return q.value().Cmp(o.value()) }

// Add is the sum, in the notation of q unless that is none; ok is false where
// it is out of range.
func (q Quantity) Add(o Quantity) (sum Quantity, ok bool) {
	n := q.value()
	n.Add(n, o.value())
	f := q.form
	if q.Sign() == 0 {
		f = o.form
	}
	return Quantity{n, f}, n.CmpAbs(top) <= 0
}

// Whole tells whether it is a whole number.
func (q Quantity) Whole() bool { return new(big.Int).Rem(q.value(), nano).Sign() == 0 }

// Units is the amount, rounded away from zero to a whole number.
func (q Quantity) Units() int64 { return ceil(q.value(), nano).Int64() }

// Milli is the amount in thousandths, rounded away from zero; of what is too
// large for it, the most.
func (q Quantity) Milli() int64 {
	n := ceil(q.value(), big.NewInt(1e6))
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// OfMilli is an amount of thousandths.
func OfMilli(n int64) Quantity {
	v := big.NewInt(n)
	return Quantity{v.Mul(v, big.NewInt(1e6)), decimal}
}

// OfBytes is an amount that is written with binary suffixes.
func OfBytes(n int64) Quantity {
	v := big.NewInt(n)
	return Quantity{v.Mul(v, nano), binary}
}

// OfUnits is an amount that is written with decimal suffixes.
func OfUnits(n int64) Quantity {
	q := OfBytes(n)
	q.form = decimal
	return q
}
