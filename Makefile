# stint: `make help` lists what there is.
GOLANGCI = go tool -modfile=tools/go.mod golangci-lint
MODULES  = $(dir $(shell find . -name go.mod -not -path './tools/*' -not -path '*/testdata/*'))
TRACES  ?= $(CURDIR)/internal/conformance/testdata/traces
FUZZTIME ?= 30s

.PHONY: help test check lint race fuzz conformance redis tidy
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

test: redis ## all tests of all modules, on miniredis and a real Redis
	@set -e; for m in $(MODULES); do echo "== $$m"; (cd $$m && STINT_REQUIRE_REDIS=1 go test -timeout 8m ./...); done

check: lint test ## what CI runs: linters, then make test

lint: ## vet, formatting, linters, tidy modules
	go vet ./...
	$(GOLANGCI) run ./...
	@set -e; for m in $(MODULES); do (cd $$m && go mod tidy -diff); done

race: redis ## the tests under the race detector
	STINT_REQUIRE_REDIS=1 go test -race -timeout 15m ./...

fuzz: ## each fuzz test for FUZZTIME
	@script/fuzz $(FUZZTIME)

conformance: redis ## replay recorded Kubernetes behaviour: TRACES=dir
	@STINT_REQUIRE_REDIS=1 go test -count=1 -timeout 10m -run '^TestConformance$$' . -args -traces=$(TRACES)

redis: ## find or install a redis-server
	@script/redis

tidy: ## tidy all modules
	@set -e; for m in $(MODULES); do (cd $$m && go mod tidy); done
