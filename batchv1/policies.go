package batchv1

import (
	"slices"

	"github.com/stint-go/stint"
)

// failurePolicy reads spec.podFailurePolicy; its values are validated later.
func (d *decoder) failurePolicy(spec object, p pod) *stint.FailurePolicy {
	o, ok := spec.object("podFailurePolicy")
	if !ok {
		return nil
	}
	policy := &stint.FailurePolicy{}
	for _, rule := range o.objects("rules") {
		r := stint.FailureRule{
			Action:   stint.FailureAction(rule.text("action")),
			OnErrors: list[string](rule, "onErrors", "a string"),
		}
		if codes, ok := rule.object("onExitCodes"); ok {
			r.OnCodes = d.codes(codes, p)
		}
		for _, c := range rule.objects("onPodConditions") {
			r.OnConditions = append(r.OnConditions, stint.ConditionPattern{
				Type:   stint.ConditionType(c.text("type")),
				Status: stint.ConditionStatus(c.text("status")),
			})
			c.rest()
		}
		policy.Rules = append(policy.Rules, r)
		rule.rest()
	}
	o.rest()
	return policy
}

func (d *decoder) codes(o object, p pod) *stint.CodesRule {
	c := &stint.CodesRule{Operator: stint.CodesOperator(o.text("operator"))}
	for i, v := range list[int64](o, "values", "an integer") {
		if v != int64(int32(v)) {
			d.invalid(itemPath(o, "values", i), v, "must be an integer of 32 bits")
		}
		c.Values = append(c.Values, int(int32(v)))
	}
	if name := o.textOrNil("containerName"); name != nil {
		if slices.Contains(p.containers, *name) {
			d.warn(o.at("containerName"), "has no meaning here: codes are those of the handler's error")
		} else {
			d.invalid(o.at("containerName"), *name, "must be one of the container or initContainer names in the pod template")
		}
	}
	o.rest()
	return c
}

// successPolicy reads spec.successPolicy; its values are validated later.
func (d *decoder) successPolicy(spec object) *stint.SuccessPolicy {
	o, ok := spec.object("successPolicy")
	if !ok {
		return nil
	}
	policy := &stint.SuccessPolicy{}
	for _, rule := range o.objects("rules") {
		policy.Rules = append(policy.Rules, stint.SuccessRule{
			SucceededIndexes: rule.textOrNil("succeededIndexes"),
			SucceededCount:   rule.count("succeededCount"),
		})
		rule.rest()
	}
	o.rest()
	return policy
}
