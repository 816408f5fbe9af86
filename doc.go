// Package stint gives an application Kubernetes Job and CronJob semantics on
// Redis Streams: no server of its own, no pods. Submit jobs to a [Queue], and
// run their handlers in a [Worker] embedded in any service.
package stint
