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
