# stint: `make help` lists what there is.
LINT     = go tool -modfile=$(CURDIR)/tools/go.mod golangci-lint
MODULES  = $(dir $(shell find . -name go.mod -not -path './tools/*' -not -path '*/testdata/*'))
TRACES  ?= internal/conformance/testdata/traces
FUZZTIME ?= 30s
SOAK    ?= 10m
SCRIPTS ?=

# Tests fail, and are not skipped, when there is no server for them.
export STINT_REQUIRE_REDIS = 1

.PHONY: help chaos test check lint fmt race cover fuzz conformance bench bench-quick redis tidy soak mutate

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

test: redis chromium ## all tests of all modules, on miniredis, a real Redis and in a real browser
	@set -e; for m in $(MODULES); do echo "== go test, module $$m"; (cd $$m && go test -timeout 15m ./...); done

check: ## what CI runs: lint, test, conformance, bench-quick
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory conformance
	@$(MAKE) --no-print-directory bench-quick

lint: ## vet, formatting and linters of all modules, and whether their go.mod are tidy
	@set -e; for m in $(MODULES); do echo "== lint, module $$m"; (cd $$m && go vet ./... && $(LINT) run --allow-parallel-runners ./... && go mod tidy -diff); done

fmt: ## format all modules
	@set -e; for m in $(MODULES); do (cd $$m && $(LINT) fmt ./...); done

race: redis ## the tests of the library under the race detector
	go test -race -timeout 15m ./...

cover: redis ## how much of the library its tests run, by function, and coverage.out
	go test -timeout 10m -coverpkg=./... -coverprofile=coverage.out ./...
	go tool cover -func=coverage.out

fuzz: ## each fuzz test for FUZZTIME (30s)
	@script/fuzz $(FUZZTIME)

# SEED repeats the strikes and submissions of a run; 0 takes one and prints it.
DURATION ?= 3m
SEED ?= 0
chaos: redis ## kill, stop, cut and reset what jobs stand on, and check: DURATION=3m SEED=0
	@go test ./chaos -count=1 -v -timeout 24h -run TestChaos -args -duration=$(DURATION) -seed=$(SEED)

soak: redis ## jobs of every shape for SOAK (10m), and the slope of Redis's memory
	STINT_SOAK=$(SOAK) go test -count=1 -timeout 0 -v -run '^TestSoak$$' .

mutate: redis ## delete one line of a script at a time and list what no test notices: SCRIPTS="claim finish", or all in an hour
	nice go run ./internal/mutate $(SCRIPTS)

conformance: redis ## replay what Kubernetes did: TRACES=dir for other recordings
	@script/conformance $(abspath $(TRACES))

bench: redis ## stint beside its peers, in 10 minutes: bench/results.md, results.json and plots
	@script/postgres
	@cd bench && go build -o ../bin/bench . && ../bin/bench

bench-quick: redis ## stint beside asynq and bare Streams, in 50 seconds: JSON on standard output
	@cd bench && go build -o ../bin/bench . && ../bin/bench -quick

redis: ## find or install a redis-server, which the tests start
	@script/redis

chromium: ## find or install a Chromium, in which the dashboard is tested
	@script/chromium

tidy: ## tidy all modules
	@set -e; for m in $(MODULES) tools; do (cd $$m && go mod tidy); done
