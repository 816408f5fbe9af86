package conformance

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Decision is a rule by which the system differs from Kubernetes on purpose.
// It goes by what a scenario is about, never by its name.
type Decision struct {
	Name, Why string
	// Parts tells that the two live on in different worlds after such a
	// difference: what follows is not compared.
	Parts   bool
	Applies func(*Scenario) bool
	Covers  func(*Scenario, Diff) bool // only asked where it applies
}

// Timetable reads a cron schedule in a time zone ("" is UTC), and answers the
// function that gives the first time after another; the zero time for none.
type Timetable func(schedule, zone string) (next func(time.Time) time.Time, err error)

// Decisions are all rules by which stint differs. Those about the times of
// cron jobs need a timetable, which must be able to read what Kubernetes
// accepts.
func Decisions(read Timetable) []Decision {
	cron := calendar{read}
	return slices.Concat(refusals(cron), []Decision{
		otherController(), delaySurvivesRestart(), startedIsReady(), victimsByReadiness(), statusIsWritten(),
		deletedInTheBackground(), evictionsByThePolicyOfTheirTime(),
		cron.exactCatchUp(), cron.onTime(), cron.changesLookForward(), cron.eachRunHasAName(),
	})
}

// refusals are the specs which only one of the two accepts.
func refusals(cron calendar) []Decision {
	refuse := func(name, why, field string, about func(*Scenario, map[string]any) bool) Decision {
		pattern := regexp.MustCompile("^(?:" + field + ")$")
		return Decision{
			Name: name, Why: why, Parts: true,
			Applies: func(s *Scenario) bool {
				for i := -1; i < len(s.Steps); i++ {
					if about(s, specAt(s, i)) {
						return true
					}
				}
				return false
			},
			Covers: func(s *Scenario, d Diff) bool {
				return about(s, specAt(s, d.Step)) && onlyAbout(d, pattern)
			},
		}
	}
	has := func(fields ...string) func(*Scenario, map[string]any) bool {
		return func(_ *Scenario, spec map[string]any) bool {
			return slices.ContainsFunc(fields, func(f string) bool { _, ok := spec[f]; return ok })
		}
	}
	zero := func(field string) func(*Scenario, map[string]any) bool {
		return func(_ *Scenario, spec map[string]any) bool { return spec[field] == 0.0 }
	}
	return []Decision{
		refuse("no deadline of zero", "a job that fails before it begins is a mistake",
			`spec\.activeDeadlineSeconds`, zero("activeDeadlineSeconds")),
		refuse("no success by zero", "the rule would hold only after some other success",
			`spec\.successPolicy\.rules\[\d+\]\.succeededCount`, func(_ *Scenario, spec map[string]any) bool {
				return anyRule(spec, "successPolicy", func(r map[string]any) bool { return r["succeededCount"] == 0.0 })
			}),
		refuse("no containers", "an attempt has one exit code and no containers to name",
			`spec\.podFailurePolicy\.rules\[\d+\]\.onExitCodes\.containerName`, func(_ *Scenario, spec map[string]any) bool {
				return anyRule(spec, "podFailurePolicy", func(r map[string]any) bool {
					codes, _ := r["onExitCodes"].(map[string]any)
					return codes["containerName"] != nil
				})
			}),
		refuse("no pods", "there is no pod, so what only describes pods means nothing",
			`spec\.(template|selector|manualSelector|scheduling|managedBy)(\..*)?`,
			has("template", "selector", "manualSelector", "scheduling", "managedBy")),
		refuse("no starting deadline of zero", "nothing would ever start",
			`spec\.startingDeadlineSeconds`, zero("startingDeadlineSeconds")),
		refuse("no schedule that is never due", "nothing would ever start", `spec\.schedule`, cron.never),
		refuse("no interval below a second", "Kubernetes makes it a second, which nobody asked for",
			`spec\.schedule`, func(_ *Scenario, spec map[string]any) bool {
				every, ok := interval(spec)
				return ok && every < time.Second
			}),
	}
}

// otherController: managedBy hands a job to a controller of another name.
func otherController() Decision {
	return Decision{
		Name: "no other controller", Why: "managedBy means nothing where there is one implementation", Parts: true,
		Applies: func(s *Scenario) bool {
			by := object(s.Spec)["managedBy"]
			return by != nil && by != "kubernetes.io/job-controller"
		},
		Covers: func(_ *Scenario, d Diff) bool { return !refusal(d) },
	}
}

// delaySurvivesRestart: the recorded controller keeps the job-wide delay in
// memory, and starts sooner after a restart. Per index it is kept in the pods.
func delaySurvivesRestart() Decision {
	return Decision{
		Name: "the retry delay survives a restart", Why: "it is stored with the job", Parts: true,
		Applies: func(s *Scenario) bool {
			return hasOp(s, opRestart) && object(s.Spec)["backoffLimitPerIndex"] == nil
		},
		Covers: func(s *Scenario, d Diff) bool {
			restarted := slices.ContainsFunc(before(s, d), func(step Step) bool { return step.Op == opRestart })
			if !restarted {
				return false
			}
			switch d.Field {
			case "nextRetryDelaySeconds":
				return d.Got != nil && (d.Want == nil || number(d.Got) > number(d.Want))
			case "active", "createdPods":
				return number(d.Got) < number(d.Want)
			case "activeIndexes", "createdIndexes":
				return len(list(d.Got)) < len(list(d.Want))
			case "pods":
				want, _ := d.Want.(map[string]any)
				got, _ := d.Got.(map[string]any)
				return number(got["pending"]) < number(want["pending"])
			}
			return false
		},
	}
}

// startedIsReady: workers have no readiness probe.
func startedIsReady() Decision {
	return Decision{
		Name: "a started attempt is ready", Why: "a handler runs from the moment it is called",
		Applies: startsUnready,
		Covers: func(s *Scenario, d Diff) bool {
			return d.Field == "ready" && number(d.Got) > number(d.Want) && slices.ContainsFunc(before(s, d), unready)
		},
	}
}

// victimsByReadiness: so readiness can't choose which attempts a scale-down
// stops.
func victimsByReadiness() Decision {
	return Decision{
		Name: "readiness does not choose whom to stop", Why: "a handler runs from the moment it is called", Parts: true,
		Applies: func(s *Scenario) bool {
			return startsUnready(s) && object(s.Spec)["completionMode"] == "Indexed"
		},
		Covers: func(s *Scenario, d Diff) bool {
			steps := before(s, d)
			scaled := slices.ContainsFunc(steps, func(step Step) bool {
				return step.Op == opPatch && object(step.Spec)["parallelism"] != nil
			})
			switch d.Field {
			case "activeIndexes", "terminatingIndexes":
				return scaled && slices.ContainsFunc(steps, unready) && len(list(d.Got)) == len(list(d.Want))
			}
			return false
		},
	}
}

// deletedInTheBackground: a deletion cancels the handlers and takes the job
// away; it does not wait for them with the job still there.
func deletedInTheBackground() Decision {
	foreground := func(s Step) bool { return s.Op == opDelete && s.Propagation == "Foreground" }
	return Decision{
		Name: "no deletion in the foreground", Why: "a deleted job is gone, and its name is free", Parts: true,
		Applies: func(s *Scenario) bool { return slices.ContainsFunc(s.Steps, foreground) },
		Covers: func(s *Scenario, d Diff) bool {
			return !refusal(d) && slices.ContainsFunc(before(s, d), foreground)
		},
	}
}

// evictionsByThePolicyOfTheirTime: what an eviction means is decided when it
// is asked for, and a later change of the replacement policy leaves it so.
func evictionsByThePolicyOfTheirTime() Decision {
	fields := []string{
		"failed", "terminating", "pods", "active", "createdPods", "nextRetryDelaySeconds", "activeIndexes", "terminatingIndexes", "createdIndexes",
	}
	return Decision{
		Name: "an eviction goes by the policy of its time", Why: "it is decided once, when it is asked for", Parts: true,
		Applies: func(s *Scenario) bool { return policyChangedWhileTerminating(s.Steps) },
		Covers: func(s *Scenario, d Diff) bool {
			return slices.Contains(fields, d.Field) && policyChangedWhileTerminating(before(s, d))
		},
	}
}

// policyChangedWhileTerminating tells whether the replacement policy was
// changed between an eviction and the end of what it stopped.
func policyChangedWhileTerminating(steps []Step) bool {
	terminating := false
	for _, s := range steps {
		switch {
		case s.Op == opDisrupt:
			terminating = true
		case s.Op == opSettle && (s.Kubelet == nil || *s.Kubelet):
			terminating = false
		case s.Op == opPatch && terminating && object(s.Spec)["podReplacementPolicy"] != nil:
			return true
		}
	}
	return false
}

// statusIsWritten: where the API refused the controller's status, the record
// shows an old one.
func statusIsWritten() Decision {
	fields := []string{
		"active", "ready", "terminating", "succeeded", "failed", "completedIndexes", "failedIndexes", "conditions",
		"finished", "startTime", "startTimeSet", "completionTime", "completionTimeSet",
	}
	return Decision{
		Name: "the status is always written", Why: "Kubernetes could not write its own here, which is a defect",
		Applies: func(s *Scenario) bool {
			return slices.ContainsFunc(s.Steps, failedWrite)
		},
		Covers: func(s *Scenario, d Diff) bool {
			return d.Step >= 0 && failedWrite(s.Steps[d.Step]) && slices.Contains(fields, d.Field)
		},
	}
}

func failedWrite(s Step) bool { return len(list(s.Expect["controllerErrors"])) > 0 }

func unready(s Step) bool {
	return s.Op == opReady || s.Op == opStart && s.Ready != nil && !*s.Ready
}

func startsUnready(s *Scenario) bool { return slices.ContainsFunc(s.Steps, unready) }

// specAt is what was submitted at a step: the spec, or a patch of it.
func specAt(s *Scenario, step int) map[string]any {
	if step < 0 {
		return object(s.Spec)
	}
	return object(s.Steps[step].Spec)
}

// before are the steps before the one that differs.
func before(s *Scenario, d Diff) []Step { return s.Steps[:max(d.Step, 0)] }

func hasOp(s *Scenario, op string) bool {
	return slices.ContainsFunc(s.Steps, func(step Step) bool { return step.Op == op })
}

func refusal(d Diff) bool { return d.Field == FieldCreate || d.Field == "rejected" }

// onlyAbout tells whether the two answers to a write differ in nothing but
// fields of this pattern.
func onlyAbout(d Diff, pattern *regexp.Regexp) bool {
	if !refusal(d) {
		return false
	}
	want, got := list(d.Want), list(d.Got)
	for _, pair := range [][2][]any{{want, got}, {got, want}} {
		for _, one := range pair[0] {
			fields, _ := one.(map[string]any)
			field, _ := fields["field"].(string)
			if !contains(pair[1], one) && !pattern.MatchString(field) {
				return false
			}
		}
	}
	return true
}

func contains(l []any, v any) bool {
	return slices.ContainsFunc(l, func(e any) bool { return text(e) == text(v) })
}

// anyRule tells whether a rule of the policy is like that.
func anyRule(spec map[string]any, policy string, like func(map[string]any) bool) bool {
	p, _ := spec[policy].(map[string]any)
	return slices.ContainsFunc(list(p["rules"]), func(r any) bool {
		rule, _ := r.(map[string]any)
		return like(rule)
	})
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// number of a JSON value; NaN, which compares with nothing, for any other.
func number(v any) float64 {
	if n, ok := v.(float64); ok {
		return n
	}
	return math.NaN()
}

// interval is the duration of an "@every" schedule.
func interval(spec map[string]any) (time.Duration, bool) {
	schedule, _ := spec["schedule"].(string)
	rest, ok := strings.CutPrefix(schedule, "@every ")
	if !ok {
		return 0, false
	}
	every, err := time.ParseDuration(rest)
	return every, err == nil
}
