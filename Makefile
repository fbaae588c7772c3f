# viakv: every task is one target. `make` or `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN    := bin
TOOL   := go tool -modfile=.tools/go.mod
COMMIT := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.commit=$(COMMIT)
# The floor, in percent, that `make cover` holds each of these packages to.
COVERED := viakv/node/storage:90 viakv/api:90 viakv/quorum:90 viakv/quorum/version:90

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use

.PHONY: run
run: build ## start three nodes on this machine (http://127.0.0.1:8081 to 8083); Ctrl-C stops them
	@$(BIN)/viakv dev

.PHONY: build
build: ## build both binaries into bin/
	@mkdir -p $(BIN)
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/viakv

.PHONY: clean
clean: ## remove what the targets have made
	@rm -rf $(BIN) out

##@ Check

.PHONY: test
test: ## run the tests; needs Go alone
	@go test ./...

.PHONY: race
race: ## run the tests under the race detector
	@go test -race ./...

.PHONY: cover
cover: ## print the coverage, and fail below a package's floor
	@mkdir -p out
	@go test -coverprofile=out/cover.out ./... | tee out/cover.txt
	@go tool cover -func=out/cover.out | tail -1
	@for want in $(COVERED); do \
	  got=$$(awk -v p="$${want%:*}" '$$2==p && /coverage:/{sub(/%/,"",$$5); print $$5}' out/cover.txt); \
	  awk -v g="$$got" -v w="$${want#*:}" -v p="$${want%:*}" 'BEGIN{if(g+0<w+0){print p": coverage "g"%, want "w"%"; exit 1}}'; \
	done

.PHONY: lint
lint: ## run the linters, with their versions pinned in .tools/go.mod
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	@go vet ./...
	@$(TOOL) golangci-lint run ./...

.PHONY: fuzz
fuzz: ## fuzz each decoder for a while: make fuzz FUZZTIME=10s
	@for f in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do \
	  for t in $$(grep -oE '^func Fuzz[A-Za-z0-9_]*' $$f | cut -c6-); do \
	    echo "$$f $$t"; go test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(or $(FUZZTIME),10s) ./$$(dirname $$f); done; done

.PHONY: bench
bench: ## run the benchmarks that docs/performance.md quotes
	@go test -run '^$$' -bench . -benchtime 1s ./node/storage ./node/transport/... ./quorum ./api

.PHONY: check
check: lint test ## what to run before a commit

.PHONY: ci
ci: test race lint cover ## everything; installs what it needs
