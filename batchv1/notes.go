package batchv1

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// notes are the annotations of one object.
type notes struct {
	path string // of the object's annotations
	all  map[string]string
}

// settings reads stint's own annotations. They may stand at several objects:
// the first that has one is taken.
type settings struct {
	d     *decoder
	where []notes // at least one: that of the job
}

// at is the path of an annotation, by default where a job has it.
func (s settings) at(key string) string {
	for _, n := range s.where {
		if _, ok := n.all[key]; ok {
			return n.path + "[" + key + "]"
		}
	}
	return s.where[0].path + "[" + key + "]"
}

// take removes an annotation from where it was found.
func (s settings) take(key string) (value, path string, ok bool) {
	path = s.at(key)
	for _, n := range s.where {
		if value, ok = n.all[key]; ok {
			delete(n.all, key)
			return value, path, true
		}
	}
	return "", path, false
}

// rest are the job's own annotations: those that were not taken.
func (s settings) rest() map[string]string {
	own := s.where[0]
	for _, key := range slices.Sorted(maps.Keys(own.all)) {
		if strings.HasPrefix(key, ourPrefix) {
			s.d.warn(own.path+"["+key+"]", "is not one of stint's, and kept as a note")
		}
	}
	for _, n := range s.where[1:] {
		n.ignore(s.d)
	}
	if len(own.all) == 0 {
		return nil
	}
	return own.all
}

// ignore warns of every annotation.
func (n notes) ignore(d *decoder) {
	for _, key := range slices.Sorted(maps.Keys(n.all)) {
		d.warn(n.path+"["+key+"]", meaningless)
	}
}

// job reads what a job has beside batch/v1. What batch/v1 has is read before.
func (s settings) job(spec *stint.JobSpec, fields object, pod object) {
	s.backoff(spec)
	s.lost(spec)
	if text, path, ok := s.take(StartAtAnnotation); ok {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			s.d.invalid(path, text, "must be a time as in RFC 3339")
		}
		spec.StartAt = at.UTC()
	}
	var delay, timeout *time.Duration
	if spec.AttemptTimeout != 0 {
		timeout = &spec.AttemptTimeout
	}
	s.duration(DelayAnnotation, &delay, 0, "")
	s.duration(ActiveDeadlineAnnotation, &spec.ActiveDeadline, mostDeadline, fields.at("activeDeadlineSeconds"))
	s.duration(AttemptTimeoutAnnotation, &timeout, mostTimeout, pod.at("activeDeadlineSeconds"))
	s.ttl(spec, fields.at("ttlSecondsAfterFinished"))
	if delay != nil {
		spec.Delay = *delay
	}
	if timeout != nil {
		spec.AttemptTimeout = *timeout
	}
}

// backoff is Kubernetes's unless the annotation says otherwise.
func (s settings) backoff(spec *stint.JobSpec) {
	spec.Backoff = &stint.Backoff{Scope: stint.ScopeJob}
	text, path, ok := s.take(BackoffAnnotation)
	if !ok {
		return
	}
	var b stint.Backoff
	if err := unmarshalStrictly(text, &b); err != nil {
		s.d.invalid(path, text, "must be the JSON of a backoff: "+err.Error())
		return
	}
	spec.Backoff = &b
	if b == (stint.Backoff{}) {
		spec.Backoff = nil
	}
}

// unmarshalStrictly refuses fields that a backoff does not have.
func unmarshalStrictly(text string, b *stint.Backoff) error {
	var fields struct {
		Initial, Max, Factor, Jitter, Scope json.RawMessage
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&fields); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), b)
}

func (s settings) lost(spec *stint.JobSpec) {
	spec.LostCounts = true
	if text, path, ok := s.take(LostCountsAnnotation); ok {
		if text != "true" && text != "false" {
			s.d.invalid(path, text, "must be true or false")
		}
		spec.LostCounts = text == "true"
	}
	if text, path, ok := s.take(LostLimitAnnotation); ok {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			s.d.invalid(path, text, "must be an integer")
			return
		}
		spec.LostLimit = new(int(n))
	}
}

// ttl reads the TTL, which may be stint.NeverExpire.
func (s settings) ttl(spec *stint.JobSpec, field string) {
	text, path := s.where[0].all[TTLAnnotation], s.at(TTLAnnotation)
	for _, n := range s.where[1:] {
		if text == "" {
			text = n.all[TTLAnnotation]
		}
	}
	if text != never {
		s.duration(TTLAnnotation, &spec.TTLAfterFinished, mostTTL, field)
		return
	}
	_, _, _ = s.take(TTLAnnotation)
	if spec.TTLAfterFinished != nil {
		s.d.warn(path, "is taken, and not "+field)
	}
	spec.TTLAfterFinished = new(stint.NeverExpire)
}

// duration reads an annotation that goes before a field in seconds, to which
// it should round.
func (s settings) duration(key string, into **time.Duration, most int64, field string) {
	text, path, ok := s.take(key)
	if !ok {
		return
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		s.d.invalid(path, text, `must be a duration such as "1m30s"`)
		return
	}
	if *into != nil && **into != time.Duration(secondsOf(d, most))*time.Second {
		s.d.warn(path, "is taken, and not "+field)
	}
	*into = &d
}

// The most seconds that fields of batch/v1 hold, and a duration.
const (
	mostDeadline = math.MaxInt64 / int64(time.Second)
	mostTimeout  = math.MaxInt32
	mostTTL      = math.MaxInt32
)

// secondsOf rounds up, as far as the field goes.
func secondsOf(d time.Duration, most int64) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return min(s, most)
}
