# Two targets do everything on a fresh machine with Python 3.11+, git and make:
#   make demo   the main job on an example repository, no API key needed
#   make test   all tests
#   make docs   the documentation as a site, in site/index.html
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Some folders have much slower tests than others: an idle worker takes over from a busy one.
PYTEST_ARGS ?= -n auto --dist worksteal
# Tests and benchmarks start agentflow hundreds of times: it is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test packages check bench docs lock clean
.DEFAULT_GOAL := demo

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "agentflow needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 5; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/pip check --disable-pip-version-check >/dev/null || \
	  { echo "requirements.lock does not fit pyproject.toml: make lock"; exit 1; }
	@touch $@

demo: $(VENV)/.ready
	@scripts/sandbox-tools bwrap
	@$(BIN)/agentflow demo

test: $(VENV)/.ready
	@scripts/sandbox-tools bwrap rg
	$(BIN)/pytest $(PYTEST_ARGS)

# What the tests on example repositories install; without it they are skipped.
packages: $(VENV)/.ready
	@scripts/test-packages

check: $(VENV)/.ready
	scripts/check
	$(BIN)/pytest $(PYTEST_ARGS)

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/spine.py --check
	$(BIN)/python benchmarks/cache.py
	$(BIN)/python benchmarks/durability.py
	$(BIN)/python benchmarks/sandbox.py
	$(BIN)/python benchmarks/landing.py
	$(BIN)/python benchmarks/many.py

docs: $(VENV)/.ready
	scripts/reference
	$(BIN)/zensical build --strict --clean

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url pyproject.toml
lock:
	$(LOCK) --group dev -o requirements.lock
	$(LOCK) --group build --constraints requirements.lock -o deploy/action/requirements.lock
	$(LOCK) --group build --extra cluster --extra otel --constraints requirements.lock -o deploy/requirements.lock

clean:
	rm -rf $(VENV) build dist site .cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
