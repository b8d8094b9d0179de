# Everything a developer or a first visitor does. `make` alone lists it.
# The environment is .venv, made from the locks on first need; a second run finds it ready.
#   make demo ARGS="--seconds 60"      make test ARGS="-k journal -x"      make test PYTHON=python3.13

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# What is measured: the wheel as users get it, unless another is named.
BENCH_COMMAND ?= $(VENV)/compiled/bin/tollkeeper
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# The wheel as users get it, its hot path compiled, beside everything that the tests need.
COMPILED := $(VENV)/compiled
MADE := $(COMPILED)/.made
# What compiled code could do otherwise than the same code in Python: all but words, layout and what is SQL alone.
# The heaviest come last: where all tests run beside these, their own of this kind are over by then.
ON_COMPILED := core wire proxy telemetry contracts net server providers \
	$(addprefix storage/test_,bulk.py clock.py frames.py journal*.py ledger.py rebuild.py reports.py \
		rollup_rows.py segment*.py stored_calls.py) jobs e2e
# Of these, what waits for databases that are slow or refuse: the jobs and the SQL that bear it are not compiled.
NOT_ON_COMPILED := jobs/test_ledger_slow.py e2e/test_bad_databases.py e2e/test_slow_database.py

# Most tests may wait for a core; those that give something a second or two need a machine that does nothing else.
PATIENT := -m "not backends and not timed"
TIMED := -m "not backends and timed"

RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
BYTECODE := $(VENV)/.bytecode-written

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-backends test-compiled compiled check format bench lock audit

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME) $(BYTECODE) ## a simulated provider, the gateway, 20 seconds of traffic and what it cost
	@$(BIN)/python -m gateway demo $(ARGS)

serve: $(RUNTIME) $(BYTECODE) ## the gateway on 127.0.0.1:4000
	@$(BIN)/python -m gateway serve $(ARGS)

test: $(DEVELOPMENT) ## every test that needs no large download
	@$(BIN)/pytest $(ARGS)

test-backends: $(DEVELOPMENT) ## against inference servers that take minutes to install
	@$(BIN)/pytest -m backends $(ARGS)

compiled: $(MADE) ## the gateway as a wheel, its hot path compiled, in .venv/compiled; needs a C compiler

test-compiled: $(MADE) ## the tests of the hot path, on compiled code
	@rm -rf $(COMPILED)/house && mkdir $(COMPILED)/house
	@cp -R tests benchmarks migrations docs pyproject.toml $(COMPILED)/house
	@cd $(COMPILED)/house && ../bin/python -m pytest $(addprefix tests/,$(ON_COMPILED)) \
		$(addprefix --ignore=tests/,$(NOT_ON_COMPILED)) $(ARGS)

check: $(DEVELOPMENT) ## what CI runs, in the same order
	@echo "== style, common mistakes, SQL from strings (ruff)"
	@$(BIN)/ruff check
	@echo "== one way to lay code out (ruff format; 'make format' mends it)"
	@$(BIN)/ruff format --check
	@echo "== types (mypy, strict)"
	@$(BIN)/mypy
	@echo "== who may import whom (import-linter; docs/architecture.md shows the floors)"
	@$(BIN)/lint-imports --no-logo
	@echo "== tests"
	@$(BIN)/pytest $(ARGS)
	@echo "== known vulnerabilities (pip-audit)"
	@$(BIN)/python .ci/audit.py $(BIN)/pip-audit

format: $(DEVELOPMENT) ## lay the code out, mend what can be mended
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(DEVELOPMENT) $(if $(findstring /compiled/,$(BENCH_COMMAND)),$(VENV)/compiled/.made) ## how fast it is on one core, with everything on; ARGS=--list tells what can be measured
	@$(BIN)/python -m benchmarks --command $(BENCH_COMMAND) $(ARGS)

audit: $(DEVELOPMENT) ## known vulnerabilities of what the lock names (asks the network)
	@$(BIN)/python .ci/audit.py $(BIN)/pip-audit

# pip leaves it out, and where PYTHONDONTWRITEBYTECODE is set Python would never write any: each start took a second more.
WRITE_BYTECODE := env -u PYTHONDONTWRITEBYTECODE PYTHONPATH=. $(BIN)/python .ci/bytecode.py

# Nothing younger than a week: a stolen release is mostly found within days. Pins that still fit stay as they are;
# `make lock ARGS=--upgrade` moves them.
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet \
	--exclude-newer "1 week" --custom-compile-command "make lock"

lock: $(DEVELOPMENT) ## make requirements.lock and requirements-dev.lock anew from pyproject.toml
	$(LOCK) $(ARGS) pyproject.toml --output-file requirements.lock
	$(LOCK) $(ARGS) pyproject.toml --extra test --constraint requirements.lock --output-file requirements-dev.lock

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Tollkeeper needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock | $(VENV)/bin/python
	@echo "installing what the gateway needs into $(VENV), once"
	@$(PIP) install --no-compile --require-hashes -r requirements.lock
	@touch $@

$(DEVELOPMENT): requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing what the tests need into $(VENV), once"
	@$(PIP) install --no-compile --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(WRITE_BYTECODE)
	@touch $@ $(RUNTIME) $(BYTECODE)

$(BYTECODE): $(shell find gateway -name '*.py') $(RUNTIME)
	@$(WRITE_BYTECODE)
	@touch $@

$(MADE): $(DEVELOPMENT) hatch_build.py pyproject.toml $(shell find gateway migrations -name '*.py')
	@echo "compiling the hot path, about two minutes"
	@rm -rf $(COMPILED) && $(BIN)/python -m venv $(COMPILED)
	@$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" >$(COMPILED)/beside.pth
	@mv $(COMPILED)/beside.pth $$($(COMPILED)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")
	@TOLLKEEPER_COMPILE=1 $(BIN)/python -m build --wheel --no-isolation --outdir $(COMPILED)/wheel . >$(COMPILED)/build.log 2>&1 \
		|| { tail -n 30 $(COMPILED)/build.log >&2; exit 1; }
	@$(COMPILED)/bin/python -m pip install --disable-pip-version-check -qq --no-deps --no-index $(COMPILED)/wheel/*.whl
	@touch $@
