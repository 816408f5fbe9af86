package main

// quickPlan is what `make bench-quick` measures. The numbers are such that a
// measurement takes a second or less where the system is fast.
func quickPlan() []measurement {
	return []measurement{
		{System: "stint", Scenario: "drain", N: 60_000},
		{System: "asynq", Scenario: "drain", N: 10_000},
		{System: "streams", Scenario: "drain", N: 200_000},
		{System: "stint", Scenario: "drain-kept", N: 50_000},
		{System: "asynq", Scenario: "drain-kept", N: 10_000},
		{System: "streams", Scenario: "drain-kept", N: 200_000},
		{System: "stint", Scenario: "submit", N: 50_000},
		{System: "asynq", Scenario: "submit", N: 20_000},
		{System: "streams", Scenario: "submit", N: 100_000},
		{System: "stint", Scenario: "latency", N: 200},
		{System: "asynq", Scenario: "latency", N: 200},
		{System: "streams", Scenario: "latency", N: 200},
		{System: "stint", Scenario: "bigjob", N: bigJob},
		{System: "asynq", Scenario: "bigjob", N: bigJob},
		{System: "streams", Scenario: "bigjob", N: bigJob},
	}
}

// bigJob is how many completions it has.
const bigJob = 100_000

// fullPlan is what `make bench` measures. River's throughput is bounded by its
// default polling interval, so that it is measured with the shortest one, but
// for "-default".
func fullPlan() []measurement {
	var plan []measurement
	add := func(scenario string, sizes map[string]int) {
		for _, system := range systems {
			if n := sizes[system]; n > 0 {
				plan = append(plan, measurement{System: system, Scenario: scenario, N: n})
			}
		}
	}
	add("drain", map[string]int{"stint": 100_000, "asynq": 15_000, "asynq-4": 30_000, "river": 20_000, "taskq": 40_000, "streams": 300_000})
	add("drain-kept", map[string]int{"stint": 80_000, "asynq": 15_000, "asynq-4": 30_000, "streams": 300_000})
	add("submit", map[string]int{"stint": 80_000, "asynq": 30_000, "river": 5_000, "taskq": 30_000, "streams": 150_000})
	add("submit-1", map[string]int{"stint": 15_000, "asynq": 15_000, "river": 1_000, "taskq": 15_000, "streams": 20_000})
	add("submit-many", map[string]int{"stint": 150_000, "river": 20_000, "streams": 300_000})
	add("latency", map[string]int{"stint": 300, "asynq": 300, "river": 300, "taskq": 300, "streams": 300})
	add("e2e", map[string]int{"stint": 50_000, "asynq": 15_000, "asynq-4": 15_000, "river": 3_000, "taskq": 15_000, "streams": 100_000})
	add("bigjob", map[string]int{"stint": bigJob, "asynq": bigJob, "asynq-4": bigJob, "river": bigJob, "taskq": bigJob, "streams": bigJob})
	add("retry", map[string]int{"stint": 20_000, "asynq": 20_000, "river": 20_000, "taskq": 20_000})
	add("delay", map[string]int{"stint": 1_000, "asynq": 1_000, "river": 1_000, "taskq": 1_000})
	add("memory", map[string]int{"stint": 50_000, "asynq": 15_000, "river": 20_000, "taskq": 20_000, "streams": 100_000})
	for _, m := range []measurement{
		{System: "asynq", Scenario: "latency", Suffix: tuned, N: 300},
		{System: "asynq", Scenario: "retry", Suffix: tuned, N: 20_000},
		{System: "asynq", Scenario: "delay", Suffix: tuned, N: 1_000},
		{System: "river", Scenario: "drain", Suffix: byDefault, N: 2_000},
		{System: "river", Scenario: "latency", Suffix: byDefault, N: 300},
	} {
		m.Rounds = 2
		plan = append(plan, m)
	}
	return append(append(plan, aofPlan()...), oncePlan()...)
}

// aofPlan is measured on a Redis that appends to a file and syncs it every
// second.
func aofPlan() []measurement {
	var plan []measurement
	for _, system := range []string{"stint", "asynq", "streams"} {
		for _, scenario := range []string{"drain", "drain-kept", "submit", "latency"} {
			n := map[string]int{"stint": 60_000, "asynq": 10_000, "streams": 150_000}[system]
			if scenario == "latency" {
				n = 200
			}
			plan = append(plan, measurement{System: system, Scenario: scenario, Suffix: onAOF, N: n, Rounds: 3})
		}
	}
	return plan
}

// oncePlan is what takes long, or varies little.
func oncePlan() []measurement {
	const idleMillis = 20_000
	plan := []measurement{
		{System: "stint", Scenario: "drain", N: 300_000, Profile: "stint.prof", Rounds: 1},
		{System: "stint", Scenario: "bigjob-10m", N: 10_000_000, Rounds: 3},
		{System: "stint", Scenario: "many", N: 10_000, Rounds: 1},
		{System: "stint", Scenario: "many-delayed", N: 100_000, Rounds: 1},
		{System: "stint", Scenario: "idle", N: idleMillis, Rounds: 1},
		{System: "asynq", Scenario: "idle", N: idleMillis, Rounds: 1},
	}
	for _, scenario := range []string{"workers-1", "workers-2", "workers-4", "workers-8", "workers-cluster-1", "workers-cluster-3"} {
		plan = append(plan, measurement{System: "stint", Scenario: scenario, N: 120_000, Rounds: 3})
	}
	return plan
}
