# Two commands matter to a newcomer: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.11 setup"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

.PHONY: setup
setup: $(STAMP) ## make .venv with the fleet command and all development tools

.PHONY: tools
tools: $(STAMP) ## get helm, kubectl and the control plane's binaries into the cache
	$(BIN)/python -m fleet.testing.tools
	$(BIN)/python -m fleet.testing.controlplane build

.PHONY: demo
demo: ## run the main job on three clusters in process and read the result back; needs only git and Python
	PYTHON=$(PYTHON) ./demo

.PHONY: demo-real
demo-real: $(STAMP) ## the same on three real control planes, built at the first time
	$(BIN)/fleet demo --real

.PHONY: check
check: $(STAMP) ## format, lint, types, import rules, unit tests: under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/unit -n 2 -m "not slow"

.PHONY: test
test: $(STAMP) ## everything, real control planes included
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	-@$(BIN)/python -m fleet.testing.tools >/dev/null && $(BIN)/python -m fleet.testing.controlplane build >/dev/null
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

.PHONY: faults
faults: tools ## kill the agent at every passing of every durable step: some minutes more than make test does
	FLEET_FAULTS=all $(BIN)/python -m pytest tests/faults/test_faults_failpoints.py -n 0 -s

.PHONY: bench
bench: tools ## first deploy, change in all, change in one, beside the raw limit; the last line is JSON
	$(BIN)/python -m tests.bench.deploy

.PHONY: schemas
schemas: tools ## take discovery, OpenAPI and wire formats anew from the kube-apiserver we build
	$(BIN)/python -m fleet.testing.schemadump

.PHONY: format
format: $(STAMP) ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: clean
clean: ## remove the environment and caches of the checkout
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
