package stint

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBackoffDefaults(t *testing.T) {
	t.Parallel()
	full := Backoff{10 * time.Second, 10 * time.Minute, 2, 0, ScopeTask}
	tests := map[string]struct {
		in   *Backoff
		want Backoff
	}{
		"nil":             {nil, full},
		"zero":            {&Backoff{}, full},
		"long initial":    {&Backoff{Initial: time.Hour}, Backoff{time.Hour, time.Hour, 2, 0, ScopeTask}},
		"short max":       {&Backoff{Max: time.Second}, Backoff{time.Second, time.Second, 2, 0, ScopeTask}},
		"all set":         {&Backoff{1, 2, 3, 1, ScopeJob}, Backoff{1, 2, 3, 1, ScopeJob}},
		"bad stays to be": {&Backoff{Initial: -1}, Backoff{-1, 10 * time.Minute, 2, 0, ScopeTask}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tt.in.withDefaults()
			require.Equal(t, tt.want, got)
		})
	}
}

func TestBackoffValidation(t *testing.T) {
	t.Parallel()
	const initial, most, factor, jitter = "spec.backoff.initial", "spec.backoff.max", "spec.backoff.factor", "spec.backoff.jitter"
	tests := map[string]struct {
		in   Backoff
		want []badField
	}{
		"defaults":           {Backoff{}, nil},
		"constant":           {Backoff{Initial: 1, Max: 1, Factor: 1, Jitter: 1}, nil},
		"negative initial":   {Backoff{Initial: -1}, []badField{{initial, FieldInvalid}}},
		"max below initial":  {Backoff{Initial: 2, Max: 1}, []badField{{most, FieldInvalid}}},
		"negative max":       {Backoff{Max: -1}, []badField{{most, FieldInvalid}}},
		"shrinking":          {Backoff{Factor: 0.9}, []badField{{factor, FieldInvalid}}},
		"factor NaN":         {Backoff{Factor: math.NaN()}, []badField{{factor, FieldInvalid}}},
		"factor infinite":    {Backoff{Factor: math.Inf(1)}, []badField{{factor, FieldInvalid}}},
		"jitter above 1":     {Backoff{Jitter: 1.1}, []badField{{jitter, FieldInvalid}}},
		"jitter negative":    {Backoff{Jitter: -0.1}, []badField{{jitter, FieldInvalid}}},
		"jitter NaN":         {Backoff{Jitter: math.NaN()}, []badField{{jitter, FieldInvalid}}},
		"jitter for the job": {Backoff{Jitter: 0.1, Scope: ScopeJob}, []badField{{jitter, FieldInvalid}}},
		"unknown scope":      {Backoff{Scope: "World"}, []badField{{"spec.backoff.scope", FieldNotSupported}}},
		"all at once": {
			Backoff{Initial: -1, Max: -2, Factor: -1, Jitter: -1},
			[]badField{{initial, FieldInvalid}, {most, FieldInvalid}, {factor, FieldInvalid}, {jitter, FieldInvalid}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := JobSpec{Backoff: &tt.in}.withDefaults(0)
			require.Equal(t, tt.want, badFields(t, validateCreate(spec, "kind", 0)))
		})
	}
}

func TestMillisRoundsUp(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int64{0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, math.MaxInt64: 9223372036855} {
		require.Equal(t, want, millis(d), d)
	}
}

func TestFailurePolicyMatch(t *testing.T) {
	t.Parallel()
	codes := func(a FailureAction, op CodesOperator, values ...int) FailureRule {
		return FailureRule{Action: a, OnCodes: &CodesRule{op, values}}
	}
	disrupted := FailureRule{Action: ActionIgnore, OnConditions: []ConditionPattern{{DisruptionTarget, ConditionTrue}}}
	busy := FailureRule{Action: ActionFailIndex, OnErrors: []string{"gone", "busy"}}
	lost := attemptEnd{conditions: []ConditionPattern{{"Other", ConditionTrue}, {DisruptionTarget, ConditionTrue}}}
	tests := map[string]struct {
		rules []FailureRule
		end   attemptEnd
		want  FailureAction // empty: no match
		rule  int
	}{
		"B135 code in the list":                         {[]FailureRule{codes(ActionFailJob, OperatorIn, 1, 3)}, attemptEnd{code: 1}, ActionFailJob, 0},
		"B136 ignored code":                             {[]FailureRule{codes(ActionIgnore, OperatorIn, 42)}, attemptEnd{code: 42}, ActionIgnore, 0},
		"B137 lost attempt":                             {[]FailureRule{codes(ActionFailJob, OperatorIn, 1), disrupted}, lost, ActionIgnore, 1},
		"B137 condition with another status":            {[]FailureRule{disrupted}, attemptEnd{conditions: []ConditionPattern{{DisruptionTarget, ConditionFalse}}}, "", 0},
		"B139 the first match wins":                     {[]FailureRule{codes(ActionIgnore, OperatorIn, 1), codes(ActionFailJob, OperatorNotIn, 2)}, attemptEnd{code: 1}, ActionIgnore, 0},
		"B139 the second when the first does not match": {[]FailureRule{codes(ActionIgnore, OperatorIn, 1), codes(ActionFailJob, OperatorNotIn, 1)}, attemptEnd{code: 2}, ActionFailJob, 1},
		"B140 NotIn never matches no code":              {[]FailureRule{codes(ActionFailJob, OperatorNotIn, 5)}, attemptEnd{}, "", 0},
		"B140 NotIn 0 neither":                          {[]FailureRule{codes(ActionFailJob, OperatorNotIn, 0, 5)}, attemptEnd{}, "", 0},
		"NotIn a listed code":                           {[]FailureRule{codes(ActionFailJob, OperatorNotIn, 5)}, attemptEnd{code: 5}, "", 0},
		"B141 nothing matches":                          {[]FailureRule{codes(ActionFailJob, OperatorIn, 1), disrupted, busy}, attemptEnd{code: 2}, "", 0},
		"B142 no rules":                                 {nil, attemptEnd{code: 1}, "", 0},
		"B145 several conditions, any of them":          {[]FailureRule{{Action: ActionCount, OnConditions: []ConditionPattern{{"A", ConditionTrue}, {DisruptionTarget, ConditionTrue}}}}, lost, ActionCount, 0},
		"registered error":                              {[]FailureRule{busy}, attemptEnd{code: 1, errors: []string{"busy", "other"}}, ActionFailIndex, 0},
		"another registered error":                      {[]FailureRule{busy}, attemptEnd{code: 1, errors: []string{"other"}}, "", 0},
		"an unknown action is passed over":              {[]FailureRule{codes("Explode", OperatorIn, 1), codes(ActionCount, OperatorIn, 1)}, attemptEnd{code: 1}, ActionCount, 1},
		"an unknown operator matches nothing":           {[]FailureRule{codes(ActionFailJob, "Near", 1)}, attemptEnd{code: 1}, "", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			action, rule, ok := (&FailurePolicy{Rules: tt.rules}).match(tt.end)
			require.Equal(t, tt.want != "", ok)
			require.Equal(t, tt.want, action)
			require.Equal(t, tt.rule, rule)
		})
	}
	_, _, ok := (*FailurePolicy)(nil).match(attemptEnd{code: 1})
	require.False(t, ok, "no policy")
}
