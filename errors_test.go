package stint

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestOutcome(t *testing.T) {
	t.Parallel()
	plain := errors.New("boom")
	tests := map[string]struct {
		err  error
		want outcome
	}{
		"success":              {nil, outcome{verb: verbSucceed, delay: -1}},
		"plain":                {plain, outcome{verb: verbFail, code: 1, delay: -1, message: "boom"}},
		"code":                 {Code(42, plain), outcome{verb: verbFail, code: 42, delay: -1, message: "boom"}},
		"code, wrapped":        {fmt.Errorf("in a: %w", Code(42, plain)), outcome{verb: verbFail, code: 42, delay: -1, message: "in a: boom"}},
		"outermost code":       {Code(2, Code(3, plain)), outcome{verb: verbFail, code: 2, delay: -1, message: "boom"}},
		"code 255":             {Code(255, plain), outcome{verb: verbFail, code: 255, delay: -1, message: "boom"}},
		"code 256":             {Code(256, plain), outcome{verb: verbFail, code: 1, delay: -1, message: "boom"}},
		"code 0":               {Code(0, plain), outcome{verb: verbFail, code: 1, delay: -1, message: "boom"}},
		"code without error":   {Code(7, nil), outcome{verb: verbFail, code: 7, delay: -1, message: "failed with code 7"}},
		"FailJob":              {FailJob(plain), outcome{verb: verbFailJob, code: 1, delay: -1, message: "boom"}},
		"FailJob of nothing":   {FailJob(nil), outcome{verb: verbFailJob, code: 1, delay: -1, message: "job failed"}},
		"FailIndex":            {FailIndex(plain), outcome{verb: verbFailIndex, code: 1, delay: -1, message: "boom"}},
		"FailIndex of nothing": {FailIndex(nil), outcome{verb: verbFailIndex, code: 1, delay: -1, message: "index failed"}},
		"Ignore":               {Ignore(plain), outcome{verb: verbIgnore, code: 1, delay: -1, message: "boom"}},
		"Ignore of nothing":    {Ignore(nil), outcome{verb: verbIgnore, code: 1, delay: -1, message: "failure ignored"}},
		"outermost verb":       {Ignore(FailJob(plain)), outcome{verb: verbIgnore, code: 1, delay: -1, message: "boom"}},
		"with a code":          {FailJob(Code(9, plain)), outcome{verb: verbFailJob, code: 9, delay: -1, message: "boom"}},
		"joined":               {errors.Join(plain, FailIndex(Code(3, io.EOF))), outcome{verb: verbFailIndex, code: 3, delay: -1, message: "boom\nEOF"}},
		"RetryAfter":           {RetryAfter(time.Minute, plain), outcome{verb: verbFail, code: 1, delay: time.Minute, message: "boom"}},
		"RetryAfter at once":   {RetryAfter(-1, plain), outcome{verb: verbFail, code: 1, delay: 0, message: "boom"}},
		"RetryAfter, nothing":  {RetryAfter(time.Minute, nil), outcome{verb: verbFail, code: 1, delay: time.Minute, message: "failed, retry after 1m0s"}},
		"ignored, with delay":  {Ignore(RetryAfter(time.Second, plain)), outcome{verb: verbIgnore, code: 1, delay: time.Second, message: "boom"}},
		"Snooze":               {Snooze(time.Minute), outcome{verb: verbSnooze, delay: time.Minute, message: "snoozed for 1m0s"}},
		"Snooze at once":       {Snooze(-1), outcome{verb: verbSnooze, delay: 0, message: "snoozed for 0s"}},
		"Snooze, wrapped":      {fmt.Errorf("later: %w", Snooze(time.Second)), outcome{verb: verbSnooze, delay: time.Second, message: "later: snoozed for 1s"}},
		"panic":                {&PanicError{"oh", []byte("stack")}, outcome{verb: verbFail, code: 1, delay: -1, message: "panic: oh", stack: "stack"}},
		"panic with a verb":    {&PanicError{FailJob(plain), nil}, outcome{verb: verbFailJob, code: 1, delay: -1, message: "panic: boom"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, outcomeOf(tt.err))
		})
	}
}

func TestVerbsUnwrap(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		Code(3, io.EOF), FailJob(io.EOF), FailIndex(io.EOF), Ignore(io.EOF), RetryAfter(1, io.EOF),
		Code(3, Ignore(RetryAfter(1, io.EOF))), &PanicError{Value: io.EOF},
	} {
		require.ErrorIs(t, err, io.EOF)
		require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	for _, err := range []error{Code(3, nil), FailJob(nil), FailIndex(nil), Ignore(nil), RetryAfter(1, nil), Snooze(1), &PanicError{Value: 1}} {
		require.NoError(t, errors.Unwrap(err))
		require.NotErrorIs(t, err, io.EOF)
	}
	var path *pathError
	require.ErrorAs(t, FailJob(Code(3, &pathError{})), &path)
}

type pathError struct{}

func (*pathError) Error() string { return "path" }

// nasty panics in all its methods, and so does printing what it panics with.
type nasty struct{}

func (n nasty) Error() string  { panic(n) }
func (n nasty) As(any) bool    { panic(n) }
func (n nasty) Is(error) bool  { panic(n) }
func (n nasty) String() string { panic(n) }

func TestErrorsThatPanic(t *testing.T) {
	t.Parallel()
	require.Contains(t, (&PanicError{Value: nasty{}}).Error(), "stint.nasty")
	var null *InvalidError
	tests := map[string]struct {
		err  error
		want verb
	}{
		"in all methods":     {nasty{}, verbFail},
		"nil pointer":        {null, verbFail},
		"below a verb":       {errors.Join(FailJob(nasty{})), verbFailJob},
		"a panic with it":    {&PanicError{Value: nasty{}}, verbFail},
		"a panic with a nil": {&PanicError{Value: null}, verbFail},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := outcomeOf(tt.err)
			require.Equal(t, tt.want, got.verb)
			require.Equal(t, 1, got.code)
			require.Equal(t, time.Duration(-1), got.delay)
			require.NotEmpty(t, got.message)
		})
	}
}

func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ in, want string }{
		"fits":           {strings.Repeat("a", maxMessageBytes), strings.Repeat("a", maxMessageBytes)},
		"too long":       {strings.Repeat("a", maxMessageBytes+1), strings.Repeat("a", maxMessageBytes)},
		"cut character":  {strings.Repeat("a", maxMessageBytes-2) + "€", strings.Repeat("a", maxMessageBytes-2)},
		"not UTF-8":      {"a\xff\xfeb", "a?b"},
		"all of it bad":  {strings.Repeat("\x80", 2*maxMessageBytes), "?"},
		"bad and spread": {strings.Repeat("\xffa", maxMessageBytes), strings.Repeat("?a", maxMessageBytes/2)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := outcomeOf(errors.New(tt.in)).message
			require.Equal(t, tt.want, got)
			require.True(t, utf8.ValidString(got))
		})
	}
	stack := outcomeOf(&PanicError{Value: 1, Stack: make([]byte, 1<<20)}).stack
	require.Len(t, stack, maxStackBytes)
}

func TestInvalidErrorNamesEveryField(t *testing.T) {
	t.Parallel()
	spec := JobSpec{
		Name: "UPPER", Parallelism: new(-1), ActiveDeadline: new(-time.Second), ReplacementPolicy: "Never",
		Backoff: &Backoff{Factor: math.NaN()},
	}
	err := fmt.Errorf("submit: %w", validateCreate(spec.withDefaults(0), "kind", 0))
	invalid, ok := errors.AsType[*InvalidError](err)
	require.True(t, ok)
	require.Len(t, invalid.Fields, 5)
	require.Contains(t, err.Error(), `metadata.name: Invalid value: "UPPER": must be a DNS-1123 subdomain`)
	require.Contains(t, err.Error(), `; spec.parallelism: Invalid value: -1: must not be negative; `)
	require.Contains(t, err.Error(), `spec.activeDeadlineSeconds: Invalid value: -1s: must be greater than 0; `)
	require.Contains(t, err.Error(), `spec.podReplacementPolicy: Unsupported value: "Never": must be one of "Failed", "TerminatingOrFailed"`)
	require.Contains(t, err.Error(), `spec.backoff.factor: Invalid value: NaN: `)
}

func TestFieldErrorText(t *testing.T) {
	t.Parallel()
	tests := map[string]FieldError{
		`f: Required value: say it`:                                   {"f", FieldRequired, "", "say it"},
		`f: Duplicate value: 3`:                                       {"f", FieldDuplicate, 3, ""},
		`f: Too many: 21: at most 20`:                                 {"f", FieldTooMany, 21, "at most 20"},
		`f: Too long: 300: at most 256`:                               {"f", FieldTooLong, 300, "at most 256"},
		`f: Invalid value: [3,2]: order`:                              {"f", FieldInvalid, []int{3, 2}, "order"},
		`f: Unsupported value: "<x>": words`:                          {"f", FieldNotSupported, FailureAction("<x>"), "words"},
		`f: Invalid value: "` + strings.Repeat("x", 99) + `...: long`: {"f", FieldInvalid, strings.Repeat("x", 1000), "long"},
	}
	for want, in := range tests {
		require.Equal(t, want, in.Error())
	}
}
