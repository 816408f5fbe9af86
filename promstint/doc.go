// Package promstint has Prometheus metrics of stint.
//
//   - [NewCollector] reads queues when Prometheus asks: what waits and runs,
//     and what ended, whoever worked on it. One process needs it, beside
//     Prometheus or in any service.
//   - [NewMetrics] makes middleware that measures what this process submits and
//     runs.
//
// All labels have few values: queue, kind and outcome, and those keys of jobs'
// labels that the application names. Where there are more kinds, or more values
// of a key, than their limit, the rest goes together under "other". grafana.json
// beside this file is a dashboard of these metrics.
package promstint

// Other is the value of a label for what is beyond its limit.
const Other = "other"
