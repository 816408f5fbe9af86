// Package batchv1 reads and writes jobs and cron jobs in the form that
// Kubernetes gives them: Job and CronJob of batch/v1, in JSON or YAML; and what
// they mount, ConfigMap and Secret of v1.
//
// [Decode] reads manifests. The goal of a job, its limits and policies are
// taken over; a pod template says what to run with, but not what to run, so
// that annotations name the kind and, if they like, the args:
//
//	metadata:
//	  annotations:
//	    stint.dev/kind: resize
//	    stint.dev/args: '{"width": 640}'
//
// Without stint.dev/args the args are the environment of the first container,
// as a JSON object {"NAME": "value"}. The annotations of a cron job may stand
// at its job template, or at the cron job itself; those of the pod template
// are looked at last.
//
// What is read as Kubernetes's own behaves as there: after a failure nothing of
// the job starts until its backoff is over, and attempts lost with their
// workers count as failures. Config maps and secrets among the volumes, envFrom
// and valueFrom are the job's mounts, and written as volumes. Resources of
// several containers are added, as Kubernetes does to place a pod. Fields that
// mean nothing here, such as images and other volumes, and unknown ones are
// each reported as a [Warning].
//
// What batch/v1 has no field for is written as an annotation as well, so that
// reading back what was written gives the same job:
//
//	stint.dev/backoff              JSON of stint.Backoff; {} for its defaults
//	stint.dev/lost-counts          "true" (as in Kubernetes) or "false"
//	stint.dev/lost-limit           a number
//	stint.dev/start-at             RFC 3339
//	stint.dev/delay                a duration such as "1m30s"
//	stint.dev/active-deadline      a duration, where seconds are too coarse
//	stint.dev/attempt-timeout      the same
//	stint.dev/starting-deadline    the same, at the cron job
//	stint.dev/ttl-after-finished   the same, or "never"
//
// They are no annotations of the job then, and a job's own annotation under
// one of these names is not written.
//
// Two values of stint's own stand in fields of batch/v1, where Kubernetes
// refuses them: onErrors in a rule of podFailurePolicy, and concurrencyPolicy
// Skip. Nor does it take what is written here without an image.
//
// Nothing in this package keeps state; all of it may be called from any
// goroutine.
package batchv1
