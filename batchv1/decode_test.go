package batchv1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batchv1"
)

// job is a small manifest: fields of its spec, and of its pod's.
func job(spec, pod string) []byte {
	return fmt.Appendf(nil, `{"apiVersion": "batch/v1", "kind": "Job",
		"metadata": {"name": "j", "annotations": {"stint.dev/kind": "k"}},
		"spec": {%s "template": {"spec": {%s "containers": [{"name": "handler"}]}}}}`, spec, pod)
}

const neverRestart = `"restartPolicy": "Never",`

// cron is a small manifest of a cron job: fields of its spec, and of the job's.
func cron(spec, jobSpec string) []byte {
	return fmt.Appendf(nil, `{"apiVersion": "batch/v1", "kind": "CronJob",
		"metadata": {"name": "c", "annotations": {"stint.dev/kind": "k"}},
		"spec": {%s "jobTemplate": {"spec": {%s "template": {"spec": {"restartPolicy": "Never",
			"containers": [{"name": "handler"}]}}}}}}`, spec, jobSpec)
}

// refusals are the paths and causes of what is wrong.
func refusals(t *testing.T, data []byte) []string {
	t.Helper()
	objects, _, err := batchv1.Decode(data)
	if err == nil {
		return nil
	}
	require.Nil(t, objects)
	var bad *stint.InvalidError
	require.ErrorAs(t, err, &bad)
	var out []string
	for _, f := range bad.Fields {
		out = append(out, f.Field+" "+strings.TrimPrefix(string(f.Cause), "FieldValue"))
	}
	return out
}

func warnings(t *testing.T, data []byte) []string {
	t.Helper()
	_, list, err := batchv1.Decode(data)
	require.NoError(t, err)
	var out []string
	for _, w := range list {
		out = append(out, w.String())
	}
	return out
}

func TestAJobIsRead(t *testing.T) {
	t.Parallel()
	objects, _, err := batchv1.Decode(manifest(t, "report.yaml"))
	require.NoError(t, err)
	require.Len(t, objects, 1)
	require.Equal(t, "reports", objects[0].Namespace)
	require.Nil(t, objects[0].CronJob)
	require.Equal(t, &stint.Submission{
		Kind: "script",
		Args: []byte(`{"MONTH":"2026-03"}`),
		Spec: stint.JobSpec{
			Name:             "report",
			Labels:           map[string]string{"team": "finance"},
			Annotations:      map[string]string{"example.com/owner": "ada"},
			BackoffLimit:     new(4),
			ActiveDeadline:   new(10 * time.Minute),
			AttemptTimeout:   2 * time.Minute,
			Resources:        stint.Resources{Limits: stint.ResourceList{"memory": "64Mi"}},
			TTLAfterFinished: new(time.Hour),
			Backoff:          &stint.Backoff{Scope: stint.ScopeJob},
			LostCounts:       true,
			Mounts:           []stint.Mount{{Secret: "report", Keys: []string{"token"}}},
		},
	}, objects[0].Job)
}

func TestEveryFieldWithoutMeaningIsNamed(t *testing.T) {
	t.Parallel()
	const pod = "spec.template.spec."
	require.ElementsMatch(t, []string{
		"spec.template.metadata.labels: has no meaning here",
		pod + "restartPolicy: retries are new attempts, as with Never",
		pod + "nodeSelector: has no meaning here",
		pod + "tolerations: has no meaning here",
		pod + "volumes[0]: has no meaning here",
		pod + "containers[0].name: has no meaning here",
		pod + "containers[0].image: has no meaning here",
		pod + "containers[0].command: has no meaning here",
		pod + "containers[0].env[1].valueFrom.secretKeyRef: is mounted: handlers read it by its key, and the args are without TOKEN",
		pod + "containers[0].volumeMounts: has no meaning here",
	}, warnings(t, manifest(t, "report.yaml")))

	require.Empty(t, warnings(t, job("", neverRestart)))
	for spec, want := range map[string]string{
		`"backofLimit": 3,`:       "spec.backofLimit: has no meaning here",
		`"selector": {"a": "b"},`: "spec.selector: has no meaning here",
		`"successPolicy": {"rule": 1, "rules": [{"succeededCount": 1, "x": 1}]}, "completionMode": "Indexed", "completions": 1,`: "spec.successPolicy.rules[0].x: has no meaning here",
		`"podFailurePolicy": {"rules": [{"action": "Count", "onPodConditions": [{"type": "T", "reason": "r"}]}]},`:               "spec.podFailurePolicy.rules[0].onPodConditions[0].reason: has no meaning here",
	} {
		require.Contains(t, warnings(t, job(spec, neverRestart)), want)
	}
}

func TestMetadataIsRead(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer(`"name": "j"`, `"generateName": "j-", "uid": "1"`, `"stint.dev/kind"`, `"stint.dev/knid": "k", "stint.dev/kind"`).
		Replace(string(job("", neverRestart)))
	require.Equal(t, []string{
		"metadata.generateName: is not used: a name is made of the kind",
		"metadata.uid: has no meaning here",
		"metadata.annotations[stint.dev/knid]: is not one of stint's, and kept as a note",
	}, warnings(t, []byte(text)))
	s, _, err := batchv1.DecodeJob([]byte(text))
	require.NoError(t, err)
	require.Empty(t, s.Spec.Name)
	require.Equal(t, map[string]string{"stint.dev/knid": "k"}, s.Spec.Annotations)
}

func TestB020_FailurePolicyNeedsRestartPolicyNever(t *testing.T) {
	t.Parallel()
	const policy = `"podFailurePolicy": {"rules": []},`
	require.Empty(t, refusals(t, job(policy, neverRestart)))
	require.Equal(t, []string{"spec.template.spec.restartPolicy Invalid"}, refusals(t, job(policy, `"restartPolicy": "OnFailure",`)))
}

func TestB021_RestartPolicyIsNeeded(t *testing.T) {
	t.Parallel()
	for _, pod := range []string{"", `"restartPolicy": "Always",`, `"restartPolicy": null,`} {
		require.Equal(t, []string{"spec.template.spec.restartPolicy Required"}, refusals(t, job("", pod)), pod)
	}
	require.Equal(t, []string{"spec.template.spec.restartPolicy NotSupported"}, refusals(t, job("", `"restartPolicy": "Often",`)))
}

func TestB026_ContainerNameIsOneOfTheTemplate(t *testing.T) {
	t.Parallel()
	policy := func(name string) string {
		return `"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"containerName": "` + name + `", "operator": "In", "values": [1]}}]},`
	}
	const (
		path = "spec.podFailurePolicy.rules[0].onExitCodes.containerName"
		pod  = neverRestart + `"initContainers": [{"name": "setup"}],`
	)
	require.Equal(t, []string{path + " Invalid"}, refusals(t, job(policy("other"), pod)))
	for _, name := range []string{"handler", "setup"} {
		require.Contains(t, warnings(t, job(policy(name), pod)), path+": has no meaning here: codes are those of the handler's error")
	}
}

func TestB034_ManagedByIsAPathUnderADomain(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"":                                       "Invalid",
		"kueue":                                  "Invalid",
		"/kueue":                                 "Invalid",
		"-example.com/kueue":                     "Invalid",
		"example.com/":                           "Invalid",
		"example.com/k k":                        "Invalid",
		"example.com/" + strings.Repeat("k", 52): "TooLong",
	} {
		require.Equal(t, []string{"spec.managedBy " + want}, refusals(t, job(`"managedBy": "`+name+`",`, neverRestart)), name)
	}
	require.Equal(t, []string{"spec.managedBy: has no meaning here: the job is worked on all the same"},
		warnings(t, job(`"managedBy": "example.com/kueue",`, neverRestart)))
}

func TestB207_ManagedByTheJobControllerIsNormal(t *testing.T) {
	t.Parallel()
	require.Empty(t, warnings(t, job(`"managedBy": "kubernetes.io/job-controller",`, neverRestart)))
}

func TestB211_ScheduleHasNoTimeZoneOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, schedule := range []string{"TZ=UTC * * * * *", "CRON_TZ=UTC * * * * *"} {
		require.Equal(t, []string{"spec.schedule Invalid"}, refusals(t, cron(`"schedule": "`+schedule+`",`, "")), schedule)
	}
}

func TestB213_TimeZoneIsKnown(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"", "Local", " Europe/Rome", "Europe/InvalidRome", "bad-time-zone"} {
		require.Equal(t, []string{"spec.timeZone Invalid"}, refusals(t, cron(`"schedule": "@daily", "timeZone": "`+zone+`",`, "")), zone)
	}
}

func TestB215_JobTemplateHasNoSelector(t *testing.T) {
	t.Parallel()
	const daily = `"schedule": "@daily",`
	require.Equal(t, []string{"spec.jobTemplate.spec.selector Invalid"}, refusals(t, cron(daily, `"selector": {"matchLabels": {"a": "b"}},`)))
	require.Equal(t, []string{"spec.jobTemplate.spec.manualSelector NotSupported"}, refusals(t, cron(daily, `"manualSelector": true,`)))
	require.Empty(t, refusals(t, cron(daily, `"manualSelector": false,`)))
}

// TestB244_RunsAreNamedByStint keeps a name of the template from being lost
// without a word.
func TestB244_RunsAreNamedByStint(t *testing.T) {
	t.Parallel()
	text := strings.Replace(string(cron(`"schedule": "@daily",`, "")), `"jobTemplate": {`, `"jobTemplate": {"metadata": {"name": "n"}, `, 1)
	require.Equal(t, []string{"spec.jobTemplate.metadata.name: is not used: runs are named after the cron job"}, warnings(t, []byte(text)))
}

func TestB011_EverythingWrongIsReportedTogether(t *testing.T) {
	t.Parallel()
	data := []byte(`
apiVersion: batch/v1
kind: Job
metadata:
  name: Not_A_Name
  labels: {a: 1}
  annotations:
    stint.dev/start-at: tomorrow
    stint.dev/backoff: '{"initial": "-1s"}'
    stint.dev/lost-limit: many
spec:
  parallelism: -1
  completions: "3"
  backoffLimit: 2147483648
  ttlSecondsAfterFinished: 1.5
  suspend: yes please
  podFailurePolicy:
    rules:
    - action: Explode
      onExitCodes: {operator: In, values: [x]}
    - text
  template:
    spec:
      activeDeadlineSeconds: 0
      containers: {}
`)
	require.ElementsMatch(t, []string{
		"metadata.name Invalid",
		"metadata.labels[a] Invalid",
		"metadata.annotations[stint.dev/kind] Required",
		"metadata.annotations[stint.dev/start-at] Invalid",
		"metadata.annotations[stint.dev/backoff].initial Invalid",
		"metadata.annotations[stint.dev/lost-limit] Invalid",
		"spec.parallelism Invalid",
		"spec.completions Invalid",
		"spec.backoffLimit Invalid",
		"spec.ttlSecondsAfterFinished Invalid",
		"spec.suspend Invalid",
		"spec.podFailurePolicy.rules[0].action NotSupported",
		"spec.podFailurePolicy.rules[0].onExitCodes.values[0] Invalid",
		"spec.podFailurePolicy.rules[1] Invalid",
		"spec.template.spec.activeDeadlineSeconds Invalid",
		"spec.template.spec.containers Invalid",
		"spec.template.spec.restartPolicy Required",
	}, refusals(t, data))
}

func TestAnnotationsStandAtJobOrCronJobOrPod(t *testing.T) {
	t.Parallel()
	text := string(cron(`"schedule": "@daily",`, ""))
	c, _, err := batchv1.DecodeCronJob([]byte(text))
	require.NoError(t, err)
	require.Equal(t, "k", c.JobKind)
	at := strings.Replace(text, `"jobTemplate": {`, `"jobTemplate": {"metadata": {"annotations": {"stint.dev/kind": "of-job"}}, `, 1)
	require.Equal(t, []string{"metadata.annotations[stint.dev/kind]: has no meaning here"}, warnings(t, []byte(at)))
	c, _, err = batchv1.DecodeCronJob([]byte(at))
	require.NoError(t, err)
	require.Equal(t, "of-job", c.JobKind)
	at = strings.NewReplacer(`"stint.dev/kind": "k"`, ``, `"template": {`, `"template": {"metadata": {"annotations": {"stint.dev/kind": "of-pod", "a": "b"}}, `).Replace(text)
	require.Equal(t, []string{"spec.jobTemplate.spec.template.metadata.annotations[a]: has no meaning here"}, warnings(t, []byte(at)))
	c, _, err = batchv1.DecodeCronJob([]byte(at))
	require.NoError(t, err)
	require.Equal(t, "of-pod", c.JobKind)
	require.Equal(t, []string{"spec.jobTemplate.metadata.annotations[stint.dev/kind] Required"},
		refusals(t, []byte(strings.Replace(text, `"stint.dev/kind": "k"`, ``, 1))))
}

func TestDurationsInAnnotationsGoBeforeSeconds(t *testing.T) {
	t.Parallel()
	with := func(annotation, spec string) []byte {
		return []byte(strings.Replace(string(job(spec, neverRestart)), `"stint.dev/kind"`, annotation+`, "stint.dev/kind"`, 1))
	}
	data := with(`"stint.dev/active-deadline": "1.5s"`, `"activeDeadlineSeconds": 2,`)
	require.Empty(t, warnings(t, data), "they agree")
	s, _, err := batchv1.DecodeJob(data)
	require.NoError(t, err)
	require.Equal(t, 1500*time.Millisecond, *s.Spec.ActiveDeadline)
	require.Equal(t, []string{"metadata.annotations[stint.dev/active-deadline]: is taken, and not spec.activeDeadlineSeconds"},
		warnings(t, with(`"stint.dev/active-deadline": "1.5s"`, `"activeDeadlineSeconds": 20,`)))
	require.Equal(t, []string{"metadata.annotations[stint.dev/ttl-after-finished]: is taken, and not spec.ttlSecondsAfterFinished"},
		warnings(t, with(`"stint.dev/ttl-after-finished": "never"`, `"ttlSecondsAfterFinished": 20,`)))
	require.Equal(t, []string{"metadata.annotations[stint.dev/delay] Invalid"}, refusals(t, with(`"stint.dev/delay": "soon"`, "")))
}

func TestArgsOfTheAnnotationGoBeforeTheEnvironment(t *testing.T) {
	t.Parallel()
	with := func(args string) []byte {
		return []byte(strings.NewReplacer(`"name": "handler"`, `"name": "handler", "env": [{"name": "A"}]`,
			`"stint.dev/kind"`, `"stint.dev/args": "`+args+`", "stint.dev/kind"`).Replace(string(job("", neverRestart))))
	}
	s, list, err := batchv1.DecodeJob(with("[1]"))
	require.NoError(t, err)
	require.Equal(t, "[1]", string(s.Args))
	require.Len(t, list, 1)
	require.Equal(t, "spec.template.spec.containers[0].env", list[0].Field)
	require.Equal(t, []string{"metadata.annotations[stint.dev/args] Invalid"}, refusals(t, with("[1")))
	s, _, err = batchv1.DecodeJob(with(""))
	require.NoError(t, err)
	require.Empty(t, s.Args)
	long := strings.Repeat(" ", stint.MaxArgsBytes) + "1"
	require.Equal(t, []string{"metadata.annotations[stint.dev/args] TooLong"}, refusals(t, with(long)))
}

func TestEnvironmentIsReadWithWarnings(t *testing.T) {
	t.Parallel()
	with := func(env string) []byte {
		return []byte(strings.Replace(string(job("", neverRestart)), `"name": "handler"`, `"name": "handler", "env": [`+env+`]`, 1))
	}
	const path = "spec.template.spec.containers[0].env"
	for env, want := range map[string]string{
		`{"name": "A", "value": "1"}, {"name": "A", "value": "2"}`: path + "[1].name: A is given twice: the last value counts",
		`{"name": "A", "value": "$(B)"}`:                           path + "[0].value: is taken as it is: references are not expanded",
		`{"name": "A", "values": "1"}`:                             path + "[0].values: has no meaning here",
	} {
		require.Equal(t, []string{want}, warnings(t, with(env)))
	}
	require.Equal(t, []string{path + "[2] Invalid", path + "[0].value Invalid", path + "[1].name Required", path + "[3].valueFrom Invalid"},
		refusals(t, with(`{"name": "A", "value": 1}, {"value": "x"}, 7, {"name": "B", "value": "x", "valueFrom": {}}`)))
}
