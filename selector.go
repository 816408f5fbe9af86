package stint

import "github.com/stint-go/stint/internal/selector"

// matcher tells which jobs the options choose.
func (o *ListOptions) matcher() (func(*Job) bool, error) {
	chosen, err := selector.Parse(o.Selector)
	if err != nil {
		return nil, &InvalidError{Fields: []FieldError{{
			Field: "selector", Cause: FieldInvalid, Value: o.Selector, Detail: err.Error(),
		}}}
	}
	return func(j *Job) bool {
		return (o.Kind == "" || j.Kind == o.Kind) && (o.Phase == "" || j.Phase() == o.Phase) &&
			hasAll(j.Spec.Labels, o.Labels) && chosen.Matches(j.Spec.Labels)
	}, nil
}

// hasAll tells whether the labels are there, with these values.
func hasAll(labels, want map[string]string) bool {
	for k, v := range want {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
