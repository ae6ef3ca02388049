# Everything runs in a virtual environment of this checkout's own; nothing is installed twice.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help demo test check lint types imports bench clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is `$(PYTHON) -V`; name another with make PYTHON=…" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## simulated station, proxy and CSMS: the main job on one screen, in under a minute
	$(BIN)/ocpp-proxy demo --out demo-out

test: $(STAMP) ## all tests
	$(BIN)/python -m pytest -n auto --dist loadfile

check: lint types imports ## lint, types, import contracts

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

# mitmproxy pins its dependencies narrowly, so it gets an environment of its own.
MITM_STAMP := .venv-mitmproxy/.installed

$(MITM_STAMP): pyproject.toml
	$(PYTHON) -m venv .venv-mitmproxy
	.venv-mitmproxy/bin/python -m pip install --quiet --disable-pip-version-check 'mitmproxy>=11'
	@touch $@

bench: $(STAMP) $(MITM_STAMP) ## speed and memory beside the peers, one table
	$(BIN)/python -m bench

clean: ## remove what was built and installed here
	rm -rf $(VENV) .venv-mitmproxy dist demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis
