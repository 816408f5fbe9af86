package stint

import (
	"slices"
	"strings"

	"github.com/stint-go/stint/internal/selector"
)

// matcher tells which jobs the options choose.
func (o *ListOptions) matcher() (func(*Job) bool, error) {
	chosen, err := parseSelector(o.Selector)
	if err != nil {
		return nil, err
	}
	return func(j *Job) bool {
		return (o.Kind == "" || j.Kind == o.Kind) && (o.Phase == "" || j.Phase() == o.Phase) &&
			hasAll(j.Spec.Labels, o.Labels) && chosen.Matches(j.Spec.Labels) && contains(j.Name, o.Name) && j.failedWith(o.Error) &&
			(o.Where == nil || o.Where(j))
	}, nil
}

// failedWith tells whether the job tells of an error with this text.
func (j *Job) failedWith(text string) bool {
	return contains(j.Status.LastError, text) || slices.ContainsFunc(j.Status.Conditions, func(c Condition) bool {
		return contains(c.Reason, text) || contains(c.Message, text)
	})
}

// contains looks for a part of a text, whatever the case.
func contains(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// matcher tells which events the options choose.
func (o *WatchOptions) matcher() (func(*Event) bool, error) {
	chosen, err := parseSelector(o.Selector)
	if err != nil {
		return nil, err
	}
	return func(e *Event) bool {
		return (o.Name == "" || o.Name == e.Name) && (o.Kind == "" || o.Kind == e.Kind) && chosen.Matches(e.Labels)
	}, nil
}

func parseSelector(text string) (selector.Selector, error) {
	chosen, err := selector.Parse(text)
	if err != nil {
		return chosen, &InvalidError{Fields: []FieldError{{Field: "selector", Cause: FieldInvalid, Value: text, Detail: err.Error()}}}
	}
	return chosen, nil
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
