# `make help` lists what there is to make.
SHELL := /bin/sh
STAGE ?= local
PACELINE := dist/paceline

# The Node.js that package-lock.json pins, once it is installed.
export PATH := $(CURDIR)/node_modules/node/bin:$(CURDIR)/node_modules/.bin:$(PATH)
# The browser of the tests.
export CHROMIUM_PATH ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
CDK := cdk --app dist/infra --no-notices -c stage=$(STAGE)

GO_FOLDERS := cmd functions infra pkg standin test
# These need servers or Python of their own, so go.mod keeps them out of ./...
SERVER_TESTS := ./test/aws ./test/e2e ./test/stravalib

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "  make %-8s %s\n", $$1, $$2}'

.PHONY: run
run: paceline ## everything on this machine, until Ctrl-C
	@$(PACELINE) local run

.PHONY: up
up: paceline ## everything on this machine, in the background
	@$(PACELINE) local up

.PHONY: down
down: paceline ## end what run and up started
	@$(PACELINE) local down

.PHONY: test
test: tools chromium ## all tests
	go test ./...
	npm run --silent test:web
	go test -count=1 $(SERVER_TESTS)

.PHONY: prove
prove: tools chromium ## the system's story with 20,000 activities, and every deliberate fault, half an hour
	PACELINE_PROTOCOL_MORE=1 go test -count=1 -v -run TestTheRefreshProtocol ./pkg/credentials
	PACELINE_E2E_HISTORY=20000 PACELINE_E2E_FUZZ=10000 go test -count=1 -timeout 60m -v -run TestSystem ./test/e2e
	@go run ./test/mutants

.PHONY: soak
soak: ## the whole system simulated, with other seeds than make test, for SOAK=1h or until Ctrl-C
	SOAK=$(or $(SOAK),forever) go test -count=1 -timeout 0 -v -run TestNoSeedBreaksAPromise ./test/sim

.PHONY: bench
bench: paceline ## all benchmarks, into .local/bench.json
	@$(PACELINE) local build --for host
	@go run ./test/bench

.PHONY: scale
scale: ## weeks of gathering at every size, simulated, into .local/scale.json
	@go run ./test/scale

.PHONY: check
check: tools ## format, vet, lint, types, spelling and prose
	@unformatted=$$(gofmt -l $(GO_FOLDERS)); [ -z "$$unformatted" ] || { echo "not formatted by gofmt: $$unformatted"; exit 1; }
	go vet ./... $(SERVER_TESTS)
	go tool -modfile=tools/go.mod golangci-lint run ./... $(SERVER_TESTS)
	npm run --silent typecheck
	npm run --silent lint:prose
	npm run --silent test:prose

.PHONY: build
build: paceline ## the functions (for AWS Lambda unless STAGE=local), the CDK app, the site
	@$(PACELINE) local build --for $(if $(filter local,$(STAGE)),host,lambda)

.PHONY: synth
synth: build ## the CloudFormation templates of STAGE, into cdk.out
	@rm -rf cdk.out
	@$(CDK) synth --quiet && echo "templates of stage $(STAGE) are in cdk.out"

.PHONY: deploy
deploy: cloud-stage build ## every stack of STAGE=dev or STAGE=prod to your AWS account
	@$(CDK) deploy --all

.PHONY: destroy
destroy: ## clear STAGE=dev, which ends all authorizations, and then delete its stacks
	@[ "$(STAGE)" = dev ] || { echo "only dev is made to be thrown away: make destroy STAGE=dev (docs/runbook.md has the others)"; exit 1; }
	@$(MAKE) --no-print-directory build STAGE=$(STAGE)
	@$(PACELINE) admin --stage $(STAGE) stage clear
	@$(CDK) destroy --all

.PHONY: cloud-stage
cloud-stage:
	@case "$(STAGE)" in dev|prod) ;; *) echo "say which stage: make deploy STAGE=dev"; exit 1;; esac

.PHONY: clean
clean: down ## end the local cloud and remove everything that was made
	rm -rf .local cdk.out dist web/dist node_modules

.PHONY: tools
tools: paceline
	@$(PACELINE) local tools

.PHONY: paceline
paceline:
	@command -v go >/dev/null || { echo "go is missing from PATH; install Go $$(sed -n 's/^go //p' go.mod) or later"; exit 1; }
	@go build -o $(PACELINE) ./cmd/paceline

.PHONY: chromium
chromium:
	@[ -x "$$CHROMIUM_PATH" ] || \
		{ echo "chromium is missing; install it (Debian: apt-get install chromium) or set CHROMIUM_PATH"; exit 1; }
