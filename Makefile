# SPDX-License-Identifier: Apache-2.0
#
# `make` prints the targets. Tools are pinned in tools/go.mod and run by `go tool`.

GO       ?= go
PKGS     ?= ./...
FUZZTIME ?= 30s
BENCH    ?= .
RACE     ?=
MUTATED  ?= ./vclock ./kv ./ring ./antientropy ./locks ./quorum ./meta/state ./replica ./handoff ./coordinator ./rpc/memnet ./jepsen/checker ./jepsen/disk/image ./jepsen/network/link
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOL      = $(GO) tool -modfile=tools/go.mod

.DEFAULT_GOAL := help

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: ## vet and every test but the long ones (under 8 minutes on two cores)
	$(GO) vet $(PKGS)
	$(GO) test -timeout 8m $(PKGS)

.PHONY: test-race
test-race: ## every test under the race detector, assertions on (RACE=-short: fewer)
	$(GO) test -race -timeout 15m $(RACE) $(PKGS)

.PHONY: test-long
test-long: ## the largest models and the longest crash loops as well
	DYNO_LONG=1 $(GO) test -tags long,failpoints -count=1 -timeout 60m $(PKGS)

.PHONY: fuzz
fuzz: ## every fuzz target in turn, FUZZTIME each
	GO="$(GO)" tools/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## all that docs/performance.md shows, in one run (35 minutes on a quiet machine)
	bench/run.sh

.PHONY: bench-go
bench-go: ## the Go benchmarks of every package (BENCH=regexp)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(PKGS)

.PHONY: mutants
mutants: ## one-line mutants of the rooms that list some: each must be killed (12 minutes)
	$(GO) run ./internal/mutants $(MUTATED)

.PHONY: sim
sim: ## simulated clusters under faults, for five minutes (SEEDS="--seeds 200" for another sweep)
	$(GO) run ./cmd/dyno-jepsen sim $(or $(SEEDS),--minutes 5)

.PHONY: sim-smoke
sim-smoke: ## the same, as CI runs it: 60 seeds, 20 that must repeat themselves, 5 as they come
	$(GO) run ./cmd/dyno-jepsen sim --seeds 60
	$(GO) run ./cmd/dyno-jepsen sim --twice --from 60 --seeds 20
	$(GO) run ./cmd/dyno-jepsen sim --plain --from 80 --seeds 5

.PHONY: sim-schedules
sim-schedules: ## what the design guards against, step by step: each red without its rule
	$(GO) test -count=1 -tags mutant -run 'Schedule|Mutant|White' ./sim ./internal/mutant

.PHONY: sim-nightly
sim-nightly: ## the same for eight hours; every failpoint must be passed
	$(GO) run ./cmd/dyno-jepsen sim --minutes 480 --points

.PHONY: sim-mutants
sim-mutants: ## after how many seeds each known bug is seen, and each spoiled history (10 minutes)
	$(GO) run ./cmd/dyno-jepsen mutate
	$(GO) run ./cmd/dyno-jepsen mutate --corruptors 20

.PHONY: lock-faults
lock-faults: build ## locks of three real nodes under faults, for LOCK_SECONDS (60)
	$(GO) run ./cmd/dyno-jepsen locks --seconds $(or $(LOCK_SECONDS),60)

.PHONY: repair-faults
repair-faults: build ## keys of four real nodes that lose what they have, for REPAIR_SECONDS (60)
	$(GO) run ./cmd/dyno-jepsen repair --seconds $(or $(REPAIR_SECONDS),60)

.PHONY: jepsen
jepsen: ## five real nodes under all faults, for five minutes (JEPSEN="--time 1m --seed 7" for others)
	$(GO) run ./cmd/dyno-jepsen run $(or $(JEPSEN),--time 5m)

.PHONY: jepsen-smoke
jepsen-smoke: ## the same, as CI runs it: three nodes, a minute in all
	$(GO) run ./cmd/dyno-jepsen run --nodes 3 --time 40s --rate 1000 --seed 1

.PHONY: jepsen-nightly
jepsen-nightly: ## every workload under every group of faults for eight hours, then the known bugs
	$(GO) run ./cmd/dyno-jepsen matrix --time 2m --minutes 480
	$(GO) run ./cmd/dyno-jepsen mutate --real

.PHONY: arch
arch: ## the shape of the tree: imports, pure cores, comments, sizes
	$(GO) test -count=1 ./internal/arch

.PHONY: lint
lint: ## staticcheck, pinned
	$(TOOL) staticcheck -tags long,failpoints $(PKGS)

.PHONY: vuln
vuln: ## known vulnerabilities (needs the public database; VULNDB=url for a copy)
	$(TOOL) govulncheck $(if $(VULNDB),-db $(VULNDB)) $(PKGS)

.PHONY: fmt
fmt: ## format every file
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

.PHONY: fmt-check
fmt-check: ## fail where a file is not formatted
	@bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi

.PHONY: cover
cover: ## coverage by package, and bin/cover.html
	@mkdir -p bin
	$(GO) test -timeout 8m -coverprofile=bin/cover.out $(PKGS)
	$(GO) tool cover -html=bin/cover.out -o bin/cover.html
	$(GO) tool cover -func=bin/cover.out | tail -n 1

.PHONY: build
build: ## a static binary: bin/dyno
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' \
		-o bin/dyno ./cmd/dyno

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

.PHONY: ci
ci: ## what a submission must pass
	.ci/run
