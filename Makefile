# Every target works from a fresh clone: what it needs is installed first, and once.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AZURITE := .cache/azurite/.ready
TESTS ?= tests

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.runtime: requirements/build.txt requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "livecalc needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(AZURITE): tools/azurite/package.json tools/azurite/package-lock.json
	@command -v npm >/dev/null || { echo "the blob store of the tests needs Node 20 with npm: apt-get install nodejs npm" >&2; exit 1; }
	@mkdir -p .cache/azurite
	cp tools/azurite/package.json tools/azurite/package-lock.json .cache/azurite
	npm ci --prefix .cache/azurite --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: install
install: $(VENV)/.runtime ## Make .venv with livecalc in it (.venv/bin/livecalc)

.PHONY: demo
demo: $(VENV)/.runtime $(if $(STORE),$(AZURITE)) ## The whole life of a bucket on this machine, explained (STORE=azurite: with its blobs there)
	@$(if $(STORE),$(PYTHON) tools/blobstore.py run) $(BIN)/livecalc demo
	@$(if $(STORE),echo 'The store and the home of this demo are gone with it: `make azurite` starts a store that stays.' >&2)

ifneq ($(filter-out azurite,$(STORE)),)
$(error STORE=$(STORE) is no store that the demo knows: leave it out, or say STORE=azurite)
endif

.PHONY: azurite
azurite: $(AZURITE) ## Start a blob store on this machine to play with, and say how to use it
	@$(PYTHON) tools/blobstore.py start

.PHONY: cluster
cluster: ## Bring up a one-node Kubernetes on this machine, and print what to export (root)
	@$(PYTHON) -m tools.cluster up

.PHONY: cluster-down
cluster-down: ## End it, and leave nothing but its cache (root)
	@$(PYTHON) -m tools.cluster down

.PHONY: test
test: $(VENV)/.dev $(AZURITE) ## Run the tests (a twentieth of each attack)
	$(BIN)/python -m pytest $(TESTS)

.PHONY: test-wheel
test-wheel: $(VENV)/.dev ## Install the wheel alone in a fresh environment and run its demo
	rm -rf .cache/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir .cache/wheel .
	$(PYTHON) -m venv .cache/wheel/venv
	.cache/wheel/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	.cache/wheel/venv/bin/pip install --quiet --disable-pip-version-check --no-deps .cache/wheel/*.whl
	cd .cache/wheel && LIVECALC_HOME=$$PWD/home venv/bin/livecalc demo

.PHONY: attack
attack: $(VENV)/.dev $(AZURITE) ## Run the attacks in full
	LIVECALC_ATTACK=full $(BIN)/python -m pytest tests/attack

.PHONY: format
format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

.PHONY: lint
lint: $(VENV)/.dev ## Format, lint, types, imports, dependencies; no tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/deptry src

.PHONY: check
check: lint test ## Everything that must be green before a change lands

.PHONY: bench
bench: $(VENV)/.dev $(AZURITE) ## Run the benchmarks and write their table into bench/README.md
	$(BIN)/python bench/run_all.py

.PHONY: lock
lock: ## Renew requirements/*.txt from pyproject.toml (needs uv)
	uv pip compile -q pyproject.toml --generate-hashes --no-emit-index-url --no-emit-find-links --universal --python-version 3.11 --custom-compile-command 'make lock' -o requirements/runtime.txt
	printf 'hatchling\neditables\n' | uv pip compile -q - --generate-hashes --no-emit-index-url --no-emit-find-links --universal --python-version 3.11 --custom-compile-command 'make lock' -o requirements/build.txt
	uv pip compile -q pyproject.toml --group dev --generate-hashes --no-emit-index-url --no-emit-find-links --universal --python-version 3.11 -c requirements/runtime.txt -c requirements/build.txt --custom-compile-command 'make lock' -o requirements/dev.txt

.PHONY: clean
clean: ## Remove .venv and caches
	@[ ! -d .cache/cluster/run ] || $(PYTHON) -m tools.cluster down
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis dist
