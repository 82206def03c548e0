# Run `make help` for what there is.
GO         ?= go
BIN        := bin
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
LDFLAGS    := -s -w -X main.release=$(VERSION)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
RUNTIME    ?= process

.PHONY: help build demo deps test check vm lint bench soak clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

build: ## bin/reconcile and bin/reconcile-caddy
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/reconcile ./cmd/reconcile
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/reconcile-caddy ./cmd/reconcile-caddy

demo: build ## the main job on this machine, explained as it goes (RUNTIME=docker: on Docker)
	@CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/demo ./examples/demo
	@$(BIN)/demo -runtime $(RUNTIME)

deps: ## install what the tests need and is missing (Debian, root)
	@.ci/deps

vm: deps ## the image of the test VM with OpenZFS, if it is not there (about ten minutes); REFRESH=1: anew, from what Debian has now
	@.ci/vm $(if $(REFRESH),refresh)

test: deps ## all tests, on real parts
	@.ci/test

check: lint ## unit tests, vet and lint, under a minute
	@$(GO) test -short ./plans/... ./schema/... ./reconcile/... ./drivers/probe ./drivers/mem ./drivers/fault ./cmd/reconcile

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	@$(GO) vet ./...
	@$(GO) run $(STATICCHECK) ./...

bench: deps ## benchmarks; each prints its ratio to the floor
	@.ci/bench

soak: vm ## the long forms of the tests; results go to docs/soak.md
	@.ci/soak

clean: ## remove what was built
	rm -rf $(BIN)
