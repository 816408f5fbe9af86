package stint

import (
	"fmt"
	"slices"

	"github.com/stint-go/stint/internal/indexset"
)

// ReplacementPolicy says when an attempt that was told to stop by someone
// other than its job (an eviction) is replaced.
type ReplacementPolicy string

// The replacement policies.
const (
	// TerminatingOrFailed counts and replaces the attempt as soon as it is
	// told to stop; for a while more than Parallelism may run.
	TerminatingOrFailed ReplacementPolicy = "TerminatingOrFailed"
	// Failed waits until the attempt has ended, and counts what it ended as.
	Failed ReplacementPolicy = "Failed"
)

// FailurePolicy decides what the failure of an attempt means. The first rule
// that matches is taken; a failure that none matches is counted. An attempt
// whose handler returned [FailJob], [FailIndex] or [Ignore] is not looked at:
// the handler has decided.
type FailurePolicy struct {
	Rules []FailureRule `json:"rules,omitempty"` // at most 20
}

// FailureRule matches failures by exactly one of its three conditions.
type FailureRule struct {
	Action FailureAction `json:"action"`
	// OnCodes looks at the error code of the failure; see [Code].
	OnCodes *CodesRule `json:"onExitCodes,omitempty"`
	// OnConditions matches when the attempt has any of them; at most 20.
	OnConditions []ConditionPattern `json:"onPodConditions,omitempty"`
	// OnErrors matches when the handler's error is any of the errors that the
	// worker knows by these names; at most 20.
	OnErrors []string `json:"onErrors,omitempty"`
}

// FailureAction is what a matched failure does.
type FailureAction string

// The actions of a failure rule.
const (
	// ActionFailJob fails the job, with reason PodFailurePolicy.
	ActionFailJob FailureAction = "FailJob"
	// ActionFailIndex fails the index without further retries. It needs
	// BackoffLimitPerIndex.
	ActionFailIndex FailureAction = "FailIndex"
	// ActionIgnore retries without counting the failure.
	ActionIgnore FailureAction = "Ignore"
	// ActionCount counts the failure, as if no rule had matched.
	ActionCount FailureAction = "Count"
)

// CodesRule matches error codes. An attempt without a code, as a lost one, is
// never matched; nor is 0.
type CodesRule struct {
	Operator CodesOperator `json:"operator"`
	// Values are up to 255 codes, 1..255, in ascending order. OperatorNotIn
	// allows 0 too, without effect.
	Values []int `json:"values"`
}

// CodesOperator relates a code to the values of a rule.
type CodesOperator string

// The operators of a CodesRule.
const (
	OperatorIn    CodesOperator = "In"
	OperatorNotIn CodesOperator = "NotIn"
)

// ConditionPattern matches attempts that have the condition with this status.
type ConditionPattern struct {
	Type   ConditionType   `json:"type"`             // DisruptionTarget for lost and evicted attempts
	Status ConditionStatus `json:"status,omitempty"` // True by default
}

// SuccessPolicy completes an Indexed job before all its indexes have
// succeeded: as soon as one of the rules holds.
type SuccessPolicy struct {
	Rules []SuccessRule `json:"rules,omitempty"` // 1 to 20
}

// SuccessRule holds when SucceededIndexes have all succeeded, or any
// SucceededCount of the indexes, or, with both set, so many of those listed.
type SuccessRule struct {
	// SucceededIndexes is ascending text such as "0,2-4", of at most 64 KiB.
	// Empty text is allowed, as in Kubernetes, and never holds.
	SucceededIndexes *string `json:"succeededIndexes,omitempty"`
	// SucceededCount is more than 0.
	SucceededCount *int `json:"succeededCount,omitempty"`
}

// Limits of policies, those of Kubernetes.
const (
	maxPolicyRules   = 20
	maxRuleCodes     = 255
	maxRulePatterns  = 20
	maxRuleErrors    = 20
	maxIndexesBytes  = 64 << 10
	maxCode          = 255
	failureRulesPath = "spec.podFailurePolicy.rules"
	successRulesPath = "spec.successPolicy.rules"
)

// withDefaults copies the policy and sets the status of condition patterns.
func (p *FailurePolicy) withDefaults() *FailurePolicy {
	if p == nil {
		return nil
	}
	out := &FailurePolicy{Rules: slices.Clone(p.Rules)}
	for i := range out.Rules {
		patterns := slices.Clone(out.Rules[i].OnConditions)
		for k := range patterns {
			if patterns[k].Status == "" {
				patterns[k].Status = ConditionTrue
			}
		}
		out.Rules[i].OnConditions = patterns
	}
	return out
}

// attemptEnd is what a failure policy can see of an attempt that failed.
type attemptEnd struct {
	code       int // 0: none
	conditions []ConditionPattern
	errors     []string // registered names that the handler's error answers to
}

// match finds the first rule for a failed attempt. Rules with an action that
// this version does not know are passed over. A nil policy matches nothing.
func (p *FailurePolicy) match(o attemptEnd) (action FailureAction, rule int, ok bool) {
	if p == nil {
		return "", 0, false
	}
	for i, r := range p.Rules {
		if r.Action.known() && r.matches(o) {
			return r.Action, i, true
		}
	}
	return "", 0, false
}

func (a FailureAction) known() bool { return slices.Contains(actions(), a) }

func actions() []FailureAction {
	return []FailureAction{ActionCount, ActionFailIndex, ActionFailJob, ActionIgnore}
}

func (r FailureRule) matches(o attemptEnd) bool {
	switch {
	case r.OnCodes != nil:
		return r.OnCodes.matches(o.code)
	case len(r.OnConditions) > 0:
		return slices.ContainsFunc(r.OnConditions, func(c ConditionPattern) bool {
			return slices.Contains(o.conditions, c)
		})
	default:
		return slices.ContainsFunc(r.OnErrors, func(name string) bool {
			return slices.Contains(o.errors, name)
		})
	}
}

func (c *CodesRule) matches(code int) bool {
	if code == 0 {
		return false
	}
	listed := slices.Contains(c.Values, code)
	switch c.Operator {
	case OperatorIn:
		return listed
	case OperatorNotIn:
		return !listed
	default:
		return false
	}
}

func (v *validation) failurePolicy(s *JobSpec) {
	if s.FailurePolicy == nil {
		return
	}
	v.most(failureRulesPath, len(s.FailurePolicy.Rules), maxPolicyRules)
	for i, r := range s.FailurePolicy.Rules {
		v.failureRule(fmt.Sprintf("%s[%d]", failureRulesPath, i), r, s.BackoffLimitPerIndex != nil)
	}
}

func (v *validation) failureRule(path string, r FailureRule, perIndex bool) {
	action := path + ".action"
	switch {
	case r.Action == "":
		v.add(action, FieldRequired, "", oneOf(actions()))
	case r.Action == ActionFailIndex && !perIndex:
		v.add(action, FieldInvalid, r.Action, "requires backoffLimitPerIndex")
	case !r.Action.known():
		v.add(action, FieldNotSupported, r.Action, oneOf(actions()))
	}
	given := 0
	if r.OnCodes != nil {
		given++
		v.codesRule(path+".onExitCodes", r.OnCodes)
	}
	if len(r.OnConditions) > 0 {
		given++
		v.patterns(path+".onPodConditions", r.OnConditions)
	}
	if len(r.OnErrors) > 0 {
		given++
		v.errorNames(path+".onErrors", r.OnErrors)
	}
	if given != 1 {
		v.add(path, FieldInvalid, nil, "must have exactly one of onExitCodes, onPodConditions and onErrors")
	}
}

func (v *validation) codesRule(path string, c *CodesRule) {
	operators := []CodesOperator{OperatorIn, OperatorNotIn}
	switch {
	case c.Operator == "":
		v.add(path+".operator", FieldRequired, "", oneOf(operators))
	case !slices.Contains(operators, c.Operator):
		v.add(path+".operator", FieldNotSupported, c.Operator, oneOf(operators))
	}
	path += ".values"
	if len(c.Values) == 0 {
		v.add(path, FieldInvalid, c.Values, "must have at least one value")
	}
	if !v.most(path, len(c.Values), maxRuleCodes) {
		return
	}
	for i, code := range c.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case code == 0 && c.Operator == OperatorIn:
			v.add(at, FieldInvalid, code, "must not be 0 with operator In")
		case code < 0 || code > maxCode:
			v.add(at, FieldInvalid, code, fmt.Sprintf("must be between 0 and %d", maxCode))
		}
		if slices.Contains(c.Values[:i], code) {
			v.add(at, FieldDuplicate, code, "")
		}
	}
	if !slices.IsSorted(c.Values) {
		v.add(path, FieldInvalid, c.Values, "must be in ascending order")
	}
}

func (v *validation) patterns(path string, patterns []ConditionPattern) {
	statuses := []ConditionStatus{ConditionFalse, ConditionTrue, ConditionUnknown}
	v.most(path, len(patterns), maxRulePatterns)
	for i, p := range patterns {
		at := fmt.Sprintf("%s[%d]", path, i)
		if !isQualifiedName(string(p.Type)) {
			v.add(at+".type", FieldInvalid, p.Type, qualifiedNameRule)
		}
		if !slices.Contains(statuses, p.Status) {
			v.add(at+".status", FieldNotSupported, p.Status, oneOf(statuses))
		}
	}
}

func (v *validation) errorNames(path string, names []string) {
	if !v.most(path, len(names), maxRuleErrors) {
		return
	}
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		if !isErrorName(name) {
			v.add(at, FieldInvalid, name, labelValueRule)
		}
		if slices.Contains(names[:i], name) {
			v.add(at, FieldDuplicate, name, "")
		}
	}
}

// successPolicy can only be judged once Completions is known to be there.
func (v *validation) successPolicy(s *JobSpec) {
	switch {
	case s.SuccessPolicy == nil:
		return
	case s.CompletionMode != Indexed:
		v.add("spec.successPolicy", FieldInvalid, nil, "requires completionMode Indexed")
		return
	}
	list := s.SuccessPolicy.Rules
	if len(list) == 0 {
		v.add(successRulesPath, FieldRequired, nil, "must have at least one rule")
	}
	v.most(successRulesPath, len(list), maxPolicyRules)
	for i, r := range list {
		v.successRule(fmt.Sprintf("%s[%d]", successRulesPath, i), r, s.Completions)
	}
}

func (v *validation) successRule(path string, r SuccessRule, completions *int) {
	if r.SucceededIndexes == nil && r.SucceededCount == nil {
		v.add(path, FieldRequired, nil, "must have succeededIndexes or succeededCount")
	}
	listed := -1
	if r.SucceededIndexes != nil && completions != nil && *completions >= 0 {
		listed = v.succeededIndexes(path+".succeededIndexes", *r.SucceededIndexes, *completions)
	}
	if r.SucceededCount == nil {
		return
	}
	path += ".succeededCount"
	count := *r.SucceededCount
	switch {
	case count <= 0:
		v.add(path, FieldInvalid, count, "must be greater than 0")
	case completions != nil && count > *completions:
		v.add(path, FieldInvalid, count, "must not be more than completions")
	case listed >= 0 && count > listed:
		v.add(path, FieldInvalid, count, "must not be more than the indexes in succeededIndexes")
	}
}

// succeededIndexes answers how many indexes the text lists, or -1.
func (v *validation) succeededIndexes(path, text string, completions int) int {
	if len(text) > maxIndexesBytes {
		v.tooLong(path, len(text), maxIndexesBytes)
		return -1
	}
	set, err := indexset.Parse(text, completions)
	if err != nil {
		v.add(path, FieldInvalid, text, err.Error())
		return -1
	}
	return set.Len()
}
