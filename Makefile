# make run · make test · make check · make fix · make golden · make bench · make soak · make lock
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CONFIG ?= $(or $(GATEWAY_CONFIG),config/gateway.yaml)

.PHONY: setup run test check fix golden schemas bench soak lock clean
.DEFAULT_GOAL := run

setup: $(VENV)/.runtime

$(VENV)/.runtime: requirements.lock
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' || { echo "The gateway needs Python 3.11 or newer with venv (Debian: apt install python3 python3-venv; or PYTHON=/path/to/python make run)."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) (once; about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "Installing the locked developer tools into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

run: setup
	@exec $(BIN)/python -m gateway run --config $(CONFIG)

# Every rule a machine can hold, in seconds.
check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q -n 4 tests/normalizers tests/channels tests/gateway tests/test_*.py

test: check
	$(BIN)/python -m pytest -q tests/acceptance

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Rewrite what is generated; the diff is the review.
golden: $(VENV)/.dev
	$(BIN)/python -m pytest -q tests/normalizers --golden

schemas: $(VENV)/.dev
	$(BIN)/python -m gateway schema envelope > docs/schemas/ticket-envelope-1.json
	$(BIN)/python -m gateway schema config > config/gateway.schema.json

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks

# Half an hour of load on every channel while things break at random; SOAK="--minutes 5 --seed 1" for less.
soak: $(VENV)/.dev
	$(BIN)/python -m tests.acceptance.soak $(SOAK)

lock: $(VENV)/.dev
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) var
