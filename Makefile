# viakv: every task is one target. `make` or `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN     := bin
OUT     := out
TOOL    := go tool -modfile=.tools/go.mod
# All files but those that targets make: under $(OUT) a Docker engine may be at work.
FIND    := find . -path ./$(OUT) -prune -o
COMMIT  := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.commit=$(COMMIT)

# How much make fuzz runs of each target: a number of runs, as in 20000x. A time does not work, because Go 1.26
# sometimes reports the end of that time as a failure, "context deadline exceeded" (https://go.dev/issue/75804).
FUZZTIME ?= 20000x
# How long make sim spends on all seeds.
SIMTIME  ?= 1m
# How long make chaos breaks each cluster.
CHAOSTIME ?= 20s
# How many keys the tests of scans, repairs and single faults have.
KEYS ?= 1000000
# How much of the matrix make test-health runs: all, or some.
HEALTH ?= all
# What make bench runs, and how often: make bench BENCH=Lookup COUNT=6
BENCH ?= .
COUNT ?= 1
# Further flags of go test in make cover.
COVERING ?=
# The least coverage, in percent, that make cover requires of each of these packages.
FLOORS := node/peer:90 node/storage:90 api:90 quorum:90 quorum/scan:90 quorum/version:90

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## /{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use

.PHONY: run
run: build ## start three nodes on this machine, http://127.0.0.1:8081 to 8083; Ctrl-C stops them
	@exec $(BIN)/viakv dev

.PHONY: build
build: ## build the commands into bin/
	@mkdir -p $(BIN)
	@go build -buildvcs=false -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/viakv ./cmd/bench

.PHONY: clean
clean: ## remove what the targets have made
	@rm -rf $(BIN) $(OUT)

##@ Check

.PHONY: test
test: ## run the tests; needs Go alone
	@go test ./...

# Vet is left out because make lint runs it. Without debug information the compilation takes three quarters of the time.
.PHONY: race
race: ## run the tests under the race detector, the long ones shortened, and print the coverage; needs a C compiler
	@CGO_ENABLED=1 $(MAKE) --no-print-directory cover COVERING='-race -short -timeout 30m -vet=off -gcflags=all=-dwarf=false'

.PHONY: test-million
test-million: ## run the tests of scans and repairs with a million keys: make test-million KEYS=1000000
	@VIAKV_TEST_KEYS=$(KEYS) go test -count 1 -v -run GetAllIsWhole ./cmd/viakv/e2e
	@VIAKV_TEST_KEYS=$(KEYS) go test -count 1 -v -run Timing ./node

.PHONY: test-faults
test-faults: ## run the tests that put single faults to real processes, with a million keys: make test-faults VIAKV_TEST_STRICT=1 on a quiet machine
	@VIAKV_TEST_FAULTS=1 VIAKV_TEST_KEYS=$(KEYS) go test -count 1 -timeout 30m -v -run 'Liveness|AfterEachFault' ./cmd/viakv/e2e

.PHONY: test-health
test-health: ## kill, restart, cut off and pause the nodes of real clusters in every combination, and compare what is said with what requests do: make test-health HEALTH=some
	@VIAKV_TEST_HEALTH=$(HEALTH) go test -count 1 -timeout 2h -parallel 8 -v -run HealthIsWhat ./cmd/viakv/e2e

.PHONY: test-namespaces
test-namespaces: ## run the tests that give nodes files of hosts of their own, where make test may skip them; needs Linux and mount namespaces
	@VIAKV_TEST_NAMESPACES=1 go test -count 1 -v -run Namespaces ./cmd/viakv/e2e

.PHONY: chaos
chaos: build ## break clusters of two to five real nodes for a while, and check what their clients saw: make chaos CHAOSTIME=5m
	@for nodes in 2 3 4 5; do $(BIN)/bench chaos --nodes $$nodes --duration $(CHAOSTIME) --out $(OUT)/chaos --quiet; done

.PHONY: cover
cover: ## print the coverage, and fail where a package is below its floor
	@mkdir -p $(OUT)
	@go test $(COVERING) -coverprofile=$(OUT)/cover.out ./... | tee $(OUT)/cover.txt
	@for floor in $(FLOORS); do \
	  awk -v package="viakv/$${floor%:*}" -v floor="$${floor#*:}" \
	    '$$2 == package { for (i = 3; i < NF; i++) if ($$i == "coverage:") { got = $$(i+1) + 0; seen = 1 } } \
	     END { if (!seen) { print package ": no coverage was reported"; exit 1 } \
	           if (got < floor) { print package ": coverage " got "%, want at least " floor "%"; exit 1 } }' $(OUT)/cover.txt; \
	done
	@go tool cover -func=$(OUT)/cover.out | tail -1

.PHONY: lint
lint: ## run gofmt, go vet and the linters that .tools/go.mod pins, and check that each go.mod is tidy
	@files=$$($(FIND) -name '*.go' -print0 | xargs -0 gofmt -l); if [ -n "$$files" ]; then echo "not formatted, run gofmt -w on:" $$files >&2; exit 1; fi
	@$(TOOL) golangci-lint run ./...
	@$(FIND) -name go.mod -print | while read -r module; do \
	  (cd "$$(dirname "$$module")" && go mod tidy -diff) || { echo "$$module is not tidy: run go mod tidy in its directory" >&2; exit 1; }; \
	done

.PHONY: fuzz
fuzz: ## fuzz each decoder for a while: make fuzz FUZZTIME=20000x
	@mkdir -p $(OUT)/fuzz
	@grep -rlE --include='*_test.go' --exclude-dir=$(OUT) '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r package; do \
	  go test -vet=off -fuzz . -c -o $(OUT)/fuzz/fuzz.test "$$package"; \
	  grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$$package"/*_test.go | cut -c6- | while read -r name; do \
	    echo "$$package: $$name"; \
	    (cd "$$package" && $(CURDIR)/$(OUT)/fuzz/fuzz.test -test.run '^$$' -test.fuzz "^$$name\$$" -test.fuzztime $(FUZZTIME) \
	      -test.fuzzminimizetime 100x -test.fuzzcachedir $(CURDIR)/$(OUT)/fuzz/cache); \
	  done; \
	done

.PHONY: sim
sim: ## simulate clusters with faults in virtual time, as many seeds as fit: make sim SIMTIME=1m
	@go test ./node/simulation -timeout 0 -sim.for $(SIMTIME)

.PHONY: mutation
mutation: ## switch off one rule of the protocol after the other; the tests must notice
	@go test -tags mutation -count 1 -run MutationGate -timeout 15m -v ./node/simulation
	@VIAKV_BREAK=keyed-hash go test -tags mutation -count 1 -run CollidingKeys -timeout 15m ./node ./node/storage

.PHONY: test-against
test-against: ## run the tests of the program that measures other stores, on real ones; installs Redis, etcd, NATS and wrk when it may
	@.ci/neighbours
	@cd bench/against && go vet ./... && VIAKV_TEST_NEIGHBOURS=1 go test ./...

.PHONY: check
check: lint test ## what to run before a commit

.PHONY: ci
ci: ## everything, installing what it needs (as root): what .ci/run does
	@.ci/run

.PHONY: ci-long
ci-long: ## ten times the simulation, the chaos and the fuzzing of make ci, and a million keys; about half an hour
	@$(MAKE) --no-print-directory sim SIMTIME=200s
	@$(MAKE) --no-print-directory chaos CHAOSTIME=100s
	@$(MAKE) --no-print-directory fuzz FUZZTIME=50000x
	@$(MAKE) --no-print-directory test-million test-faults

##@ Measure

.PHONY: bench
bench: ## run the benchmarks: make bench BENCH=Lookup COUNT=6; keeps the figures for make compare
	@mkdir -p $(OUT)
	@if [ -f $(OUT)/bench.txt ]; then mv $(OUT)/bench.txt $(OUT)/bench-before.txt; fi
	@go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) -timeout 0 -p 1 ./... | tee $(OUT)/bench.txt

.PHONY: stress
stress: build ## start three nodes, stress them for a short while, check everything, and leave a report in out/stress
	@$(BIN)/bench stress --keys 100k -d 10s -o $(OUT)/stress

.PHONY: build-against
build-against: build ## build bench-against into bin/, with the drivers of other stores: bin/bench baseline --against raft
	@cd bench/against && go build -buildvcs=false -o ../../$(BIN)/bench-against .

.PHONY: compare
compare: ## compare the last two runs of make bench
	@$(TOOL) benchstat $(OUT)/bench-before.txt $(OUT)/bench.txt

##@ Deployment

.PHONY: test-envoy
test-envoy: ## put a real Envoy in front of real nodes, and kill, pause, join, leave and restart them; installs Envoy when it may
	@envoy=$$(.ci/envoy); VIAKV_ENVOY=$$envoy go test -tags envoy -count 1 -run Envoy -timeout 10m -v ./cmd/viakv/e2e

.PHONY: test-compose
test-compose: ## run docker-compose.yml on a real Docker engine, and kill, pause, cut off, join and restart nodes; installs Docker when it may
	@.ci/compose

.PHONY: test-alerts
test-alerts: ## make the case of each Prometheus alert on real processes, and see which alerts fire; installs promtool and PostgreSQL when it may
	@.ci/prometheus
	@.ci/postgresql
	@go test -tags alerts,postgres -count 1 -run Alert -parallel 6 -timeout 15m -v ./cmd/viakv/e2e

##@ Databases

.PHONY: test-db
test-db: ## run the tests of the database stores on real servers; installs PostgreSQL when it may
	@.ci/postgresql
	@go test -tags postgres -timeout 15m ./node/database/...
	@cd node/database/mongodb/mongotest && go vet ./... && go test -timeout 15m .
	@go test -tags postgres,mongodb -run 'PostgreSQL|MongoDB' -timeout 15m ./cmd/viakv/e2e

.PHONY: test-db-envoy
test-db-envoy: ## put a real Envoy in front of nodes on a real PostgreSQL, and kill nodes and the database; installs both when it may
	@.ci/postgresql
	@envoy=$$(.ci/envoy); VIAKV_ENVOY=$$envoy go test -tags envoy,postgres -count 1 -run EnvoyInFrontOfNodesOnPostgreSQL -timeout 10m -v ./cmd/viakv/e2e

.PHONY: bench-db
bench-db: ## measure the database stores beside the raw drivers: a store should reach 80 % of its driver, and 70 % in a scan
	@.ci/postgresql
	@go test -tags postgres -run '^$$' -bench Single -benchtime 3s ./node/database/postgres
	@go test -tags postgres -run '^$$' -bench Scan -benchtime 8x ./node/database/postgres
	@go test -run '^$$' -bench Single -benchtime 3s ./node/database/mongodb
	@go test -run '^$$' -bench Scan -benchtime 8x ./node/database/mongodb
	@cd node/database/mongodb/mongotest && go test -run '^$$' -bench . -benchtime 3s .

##@ Pages

.PHONY: test-browser
test-browser: ## run the tests of the pages in a real Chromium; installs it when it may
	@.ci/chromium
	@go test -tags browser -count 1 -timeout 15m -p 1 $$(grep -rl --include='*_test.go' '^//go:build browser' api bench | xargs -n 1 dirname | sort -u | sed 's|^|./|')
