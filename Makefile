# Everything a developer, CI or a first visitor runs. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.PHONY: help setup system torch test lint fmt unit integration e2e demo drill fuzz faults audit bench soak million eye-report lock hooks wheel wheelhouse clean

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
KEEP ?=
STOP ?=
ARGS ?=
N ?= 100000
SEED ?= 1
EPISODES ?= 25
FILMS ?= 300
SENDERS ?= 10
SHAPE ?= embedded
# Of eye-report: what is measured, on projections and real films that are not in the repository.
BUNDLE ?= models/shipped/anatomy-mini
BASES ?= build/bases
REAL ?= build/real
PART ?= valid
FROZEN ?=
LOG ?=
INTO ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## create .venv with the locked requirements (does nothing when they are unchanged)
	@scripts/bootstrap.sh venv

system: ## install Orthanc, dcmtk, RabbitMQ, strace, Chromium and Node.js by apt where they are missing
	@scripts/bootstrap.sh system

torch: setup ## install the CPU build of torch where the package index offers one
	@scripts/bootstrap.sh torch

test: system torch ## all checks: lint, types, contracts, then unit, integration and end-to-end tests
	@scripts/lint.sh
	@$(BIN)/python -m scripts.advisories
	$(PYTEST) tests/unit tests/integration tests/e2e --durations=15 $(ARGS)

lint: setup ## format, ruff, mypy --strict, import contracts, spelling
	@scripts/lint.sh

fmt: setup ## rewrite the code in the house format and apply the safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: setup ## the quick tests
	$(PYTEST) tests/unit $(ARGS)

integration: system setup ## tests with a real Postgres, broker, sockets and Orthanc
	$(PYTEST) tests/integration $(ARGS)

e2e: system setup ## tests of the whole system, and of what a browser shows
	$(PYTEST) tests/e2e $(ARGS)

demo: system setup ## seven films through the whole system; KEEP=1 leaves it running, STOP=1 ends that
	@$(BIN)/python -m scripts.demo $(if $(KEEP),--keep) $(if $(STOP),--stop) $(ARGS)

drill: system setup ## back up under traffic, destroy, restore, prove that nothing is lost or twice; ARGS="--films 8"
	@$(BIN)/python -m scripts.drill $(ARGS)

fuzz: setup ## N mutated inputs (default 100000) against everything that reads strangers' bytes
	$(BIN)/python -m scripts.fuzz --count $(N) --seed $(SEED) $(ARGS)

faults: system setup ## EPISODES seeded faults (default 25) on a whole system, looked at from outside; ARGS=--controls
	$(BIN)/python -m scripts.faults --episodes $(EPISODES) --seed $(SEED) $(ARGS)

audit: setup ## ask the advisory database about every locked requirement; says so when it cannot be reached
	$(BIN)/python -m scripts.advisories $(ARGS)

bench: system setup ## measure latency, memory and ingest; writes docs/bench.md
	@$(BIN)/python -m scripts.bench $(ARGS)

soak: system setup ## FILMS small films (default 300) from SENDERS (10) through the whole system; can be taken up again
	@$(BIN)/python -m scripts.soak --films $(FILMS) --senders $(SENDERS) $(ARGS)

million: setup ## a million studies by SQL, and what the service's questions cost on top of them
	@$(BIN)/python -m scripts.million $(ARGS)

eye-report: torch ## measure the eye into build/eye-report; BASES=… REAL=… PART=test FROZEN=… INTO=1
	@$(BIN)/python -m scripts.strangers --out build/strangers $(if $(wildcard $(BASES)/source),--source $(BASES)/source)
	$(BIN)/python -m models.evaluation.report --bundle $(BUNDLE) --bases $(BASES) --real $(REAL) \
		--strangers build/strangers --part $(PART) --out build/eye-report \
		$(if $(FROZEN),--frozen $(FROZEN)) $(if $(LOG),--log $(LOG)) $(if $(INTO),--into) $(ARGS) >build/eye-report.jsonl

lock: setup ## solve the requirements again and write them down with hashes
	@scripts/lock.sh $(ARGS)

hooks: setup ## run the quick checks before every commit of this checkout
	$(BIN)/pre-commit install

wheel: setup ## build the wheel of Carina into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

wheelhouse: wheel ## collect every wheel that a site without internet needs (docs/offline.md)
	@deploy/wheelhouse.sh $(SHAPE)

clean: ## remove what was built, not the virtual environment
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
