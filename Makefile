# Every target sets up what it needs; nothing has to be installed or activated by hand.
# Needs: make, git and python3 (3.11 or newer) with its venv module.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The second name is for pip 25.3 and newer, where the first no longer reaches build environments.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test integration check format bench docs lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-12s %s\n", $$1, $$2}' Makefile

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is missing or older than 3.11; install Python 3.11, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "$(PYTHON) has no venv module; install it: apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) (once)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(READY) ## the whole loop on the embedded sandpit, in ./demo-specs
	@$(BIN)/reconciler demo demo-specs
	@printf '\nPut the command on your path:\n\n  export PATH="%s:$$PATH"\n' "$(CURDIR)/$(BIN)"

test: $(READY) ## every test that needs nothing outside
	@$(BIN)/pytest

integration: $(READY) ## tests against local servers; tests/testbed/*/install.sh bring those once, as root
	@$(BIN)/pytest tests/integration

check: $(READY) ## format, lint, types, import contracts, wheel contents
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@rm -rf build/wheel && mkdir -p build
	@$(BIN)/python -m build --wheel --no-isolation --outdir build/wheel . > build/wheel.log 2>&1 || { cat build/wheel.log >&2; exit 1; }
	@$(BIN)/check-wheel-contents build/wheel

format: $(READY) ## put the code into the shape `check` wants
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## the whole suite: peers (installed once, out of the tree) beside this program, and which goals are met
	@$(BIN)/python -m benchmarks.goals

docs: $(READY) ## write docs/reference anew from the code
	@$(BIN)/python -m docs.generate

lock: ## refresh constraints.txt from the newest releases
	@rm -rf build/lock
	@$(PYTHON) -m venv build/lock
	@PIP_CONSTRAINT= PIP_BUILD_CONSTRAINT= build/lock/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable '.[dev]'
	@build/lock/bin/python -m pip freeze --all --exclude pip --exclude-editable > constraints.txt
	@rm -rf build/lock

clean: ## remove everything that was made here, the environment included
	rm -rf $(VENV) build dist demo-specs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
