# Rúbrica. `make run` is all that a clean Debian or Ubuntu machine needs.

# The toolchain that go.mod names comes with the modules, whichever Go is here.
export GOTOOLCHAIN := auto

GOLANGCI_LINT_VERSION := v2.15.0

# Built once and kept by version: it takes minutes.
TOOLS         := var/tools
GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)

# A go that is not in PATH may still be where the official archive, or a package
# of one version, puts it.
GO := $(or $(shell command -v go),$(firstword $(wildcard /usr/local/go/bin/go /usr/lib/go-1.2[1-9]/bin/go)),go)

# How long each fuzz target runs in `make test`, and in `make fuzz`.
FUZZTIME ?= 60s
SHORTFUZZ := 1s

# Of `make test`: a sixth of the targets, by days; empty is all. Their seeds run
# with the other tests anyway.
FUZZPART ?=

# How often each process dies at each step of the ceremony in `make faults`;
# `make test` has each die once.
FAULTS ?= 100

DOC ?=

# Citizens in the databases that `make bench SCALE=full` compares.
FULLSCALE := 1000,100000,1000000

.PHONY: run demo test races crashes faults corpus axe screenshots check fmt bench fuzz build generate deps test-deps clean

run: build ## start everything, sign a document, stay up
	bin/rubrica up --demo

# In the environment that is up, else in one that comes up for it.
demo: build ## sign the sede's sample, or DOC=path, without a hand
	@if [ -e var/up.lock ] && ! flock -n var/up.lock true; then \
		bin/rubrica demo --config var/rubrica.toml $(if $(DOC),'$(DOC)'); \
	else \
		bin/rubrica up --demo --once $(if $(DOC),--document '$(DOC)'); \
	fi

build: deps
	$(GO) build -trimpath -o bin/rubrica ./cmd/rubrica

# Race detection costs a factor of five to ten, which browsers and argon2id feel
# most; the packages that hold the concurrency get it.
RACED := ./signer/rpc/... ./store/... ./hsm/... ./audit/publication ./audit/witness ./ca/online
RACES := Histor|Once|Parallel|Simultaneous|Thousand|Shared|Races|Hundred|WhileBusy|Deregister$$|ChangeEmail

# The longest packages come first, so that none is left to run alone; e2e
# mostly waits for processes that come back. So do the crashes, beside which the
# races run. What go vet would say, make check has said.
test: test-deps ## all tests, with real PostgreSQL, SoftHSM and Chromium, and a short fuzz
	$(MAKE) -j2 --output-sync=target races crashes
	$(GO) test -vet=off -p 3 -timeout 15m ./internal/e2e ./signer ./internal/foreign $$({ $(GO) list ./...; $(GO) list $(RACED); } | sort | uniq -u)
	$(MAKE) fuzz FUZZTIME=$(SHORTFUZZ) FUZZPART=$$(( $$(date +%-j) % 6 ))

races: test-deps
	$(GO) test -vet=off -race -timeout 15m $(RACED)
	$(GO) test -vet=off -race -timeout 15m -run '$(RACES)' ./signer

crashes: test-deps
	$(GO) test -vet=off -timeout 10m -tags failpoints -run '^TestCrash' ./internal/e2e

# Hours: a crash that left an intent costs the lease and the signer's next look.
faults: test-deps ## end each process at each step of the ceremony FAULTS times, fail database, log and token
	FAULTS=$(FAULTS) FAULTS_REPORT=$(abspath var/faults.json) \
		$(GO) test -count=1 -timeout 24h -v -tags failpoints -run '^Test(Crash|Fault|KillDuringConfirmation)' ./internal/e2e

# A folder of PDFs with a MANIFEST.tsv that says what is to become of each.
corpus: deps ## sign every document of DIR, print a table, fail on any difference
	@[ -n '$(DIR)' ] || { echo "name a folder with a MANIFEST.tsv: make corpus DIR=…" >&2; exit 1; }
	RUBRICA_CORPUS=$(abspath $(DIR)) $(GO) test -count=1 -timeout 30m -v -run '^TestCorpus$$' ./signer/pades ./signer/inspect

# go test -fuzz takes one target at a time, and builds it first: two run beside
# each other, with a worker each. A target whose seeds are gone would run on
# nothing: that fails. Minimising what is merely new would eat a short run.
fuzz: deps ## every fuzz target for FUZZTIME
	@set -e; \
	targets=$$(grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' api audit ca citizen cmd hsm internal notify policies signer store | \
	while read -r file; do \
		dir=$$(dirname "$$file"); \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' "$$file"); do \
			if [ -z "$$(ls "$$dir/testdata/fuzz/$$target" 2>/dev/null)" ] && ! grep -q 'f\.Add(' "$$file"; then \
				echo "$$file: $$target has no seeds" >&2; exit 1; \
			fi; \
			echo "$$dir $$target"; \
		done; \
	done); \
	echo "$$targets" | awk -v part='$(FUZZPART)' 'part == "" || NR % 6 == part' | xargs -P 2 -n 2 sh -c 'out=$$($(GO) test -run "^$$" -fuzz "^$$1\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x -parallel 1 "./$$0" 2>&1) && \
		echo "fuzz $$0 $$1 $(FUZZTIME): $$(echo "$$out" | tail -n 1)" || { echo "$$out"; exit 255; }'

# The formatters of .golangci.yml are gofumpt and goimports: `run` reports what
# `fmt` would change. Of its linters govet is go vet, with every analysis.
check: deps $(GOLANGCI_LINT) ## formatting, vet, linters, import rules
	$(GOLANGCI_LINT) run --timeout 15m --build-tags failpoints ./...
	@if docker compose version >/dev/null 2>&1; then \
		echo docker compose config -q; docker compose config -q; \
	else \
		echo "docker compose is not here: docker-compose.yml is not checked"; \
	fi

# They come out of the tests that walk through these pages.
screenshots: test-deps ## take the pictures of README and docs anew
	SCREENSHOTS=$(abspath docs/images) $(GO) test -count=1 -timeout 15m -run '^Test(Life|OwnPages|KeyboardLetter|Desk.*)$$' ./internal/e2e

axe: test-deps ## axe-core on every page in every state, language and look; AXE=gl, AXE=es/pin
	AXE=$(or $(AXE),all) $(GO) test -count=1 -timeout 60m -v -run '^TestAxeFindsNothing$$' ./api/pages

fmt: $(GOLANGCI_LINT) ## put the code into the form that check wants
	$(GOLANGCI_LINT) fmt

bench: build ## figures against limits of the same run; ONLY=keys/scale, SCALE=full
	bin/rubrica bench $(if $(ONLY),--only '$(ONLY)') $(if $(filter full,$(SCALE)),--scale '$(FULLSCALE)')

generate: ## everything that is generated from something else
	$(GO) generate ./...

clean: ## remove what was built and the development environment's data, not the tools
	rm -rf bin
	[ ! -d var ] || find var -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +

deps:
	@sh .ci/deps run

test-deps: deps
	@sh .ci/deps test

$(GOLANGCI_LINT):
	@mkdir -p $(TOOLS)
	GOFLAGS= GOBIN=$(abspath $(TOOLS)) GOTOOLCHAIN=$$($(GO) env GOVERSION) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@mv $(TOOLS)/golangci-lint $@
