package stint

import (
	"encoding/json"
	"errors"

	"github.com/stint-go/stint/internal/conformance"
)

// specFrom reads a batch/v1 spec in Kubernetes's own mode.
func specFrom(raw map[string]any) (JobSpec, error) {
	data, err := json.Marshal(raw)
	if err != nil {
		return JobSpec{}, err
	}
	var s JobSpec
	if err := json.Unmarshal(data, &s); err != nil {
		return s, err
	}
	s.Name = "job"
	s.LostCounts = true
	s.Backoff = &Backoff{Scope: ScopeJob}
	return s.withDefaults(NeverExpire), nil
}

func rejections(err error) []conformance.Rejection {
	var bad *InvalidError
	if err == nil {
		return nil
	}
	errors.As(err, &bad)
	var out []conformance.Rejection
	for _, f := range bad.Fields {
		out = append(out, conformance.Rejection{Field: f.Field, Reason: string(f.Cause)})
	}
	return out
}

func merge(into map[string]any, patch map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range into {
		out[k] = v
	}
	for k, v := range patch {
		sub, isMap := v.(map[string]any)
		old, wasMap := out[k].(map[string]any)
		switch {
		case v == nil:
			delete(out, k)
		case isMap && wasMap:
			out[k] = merge(old, sub)
		default:
			out[k] = v
		}
	}
	return out
}
