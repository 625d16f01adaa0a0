# Build commands. Needs make and Python 3.11 or 3.12; everything else goes into .venv from a lock file with hashes.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup run test lint lock kafka bench soak chaos wheel clean

PYTHON ?= python3.12 python3.11 python3 python
ARGS ?=

BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

DEMO_DATA := labelpulse-data/demo
DEMO_SOURCE := simulate:events=300000,annotators=120,projects=3,teams=3,gold_rate=0.3,seed=7,rate=4000

# Tests that need more than Python, or more time than a unit test may take.
PARTS := kafka or slow or browser or label_studio or alertmanager

# One thread in the linear algebra: figures do not depend on the machine's core count.
export OPENBLAS_NUM_THREADS := 1

help:  ## List the commands
	@echo "labelpulse: make COMMAND [ARGS='…'] [PYTHON=/path/to/python3.12]"; echo
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do \
	  printf '%-14s %s\n' "$$name" "$$text"; done

setup: $(STAMP)  ## Make .venv with everything in it (the other commands do this by themselves)

# A shim of a version manager may exist and yet not run, so each candidate is tried.
$(STAMP): requirements-dev.lock pyproject.toml
	@set -e; found=; lacking=; \
	for candidate in $(PYTHON); do \
	  "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1 || continue; \
	  if "$$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then found="$$candidate"; break; fi; \
	  lacking="$$candidate"; \
	done; \
	if [ -z "$$found" ] && [ -n "$$lacking" ]; then \
	  echo "error: $$lacking cannot make environments: its modules venv and ensurepip are missing" >&2; \
	  echo "  try: install them (Debian, Ubuntu: apt-get install python3-venv), or make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	elif [ -z "$$found" ]; then \
	  echo "error: no Python 3.11 or 3.12 that runs (looked for: $(PYTHON))" >&2; \
	  echo "  try: install one (Debian 12: apt-get install python3 python3-venv), or make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	echo "Setting up .venv with $$("$$found" --version): about a minute, once …" >&2; \
	"$$found" -m venv --clear .venv; \
	$(PIP) install --quiet --no-deps --require-hashes --only-binary :all: --requirement requirements-dev.lock; \
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .; \
	touch $(STAMP)

# In the foreground of a terminal, job control (-m) gives the terminal to the command alone: Ctrl-C reaches it and not make,
# which would end with a failure of its own however cleanly the command ended.
IN_FOREGROUND = read -r _ _ _ _ group _ _ owner _ </proc/self/stat 2>/dev/null && [ "$$group" = "$$owner" ] && mode=-m; \
  sh $${mode:-+m} -c '"$$@"; exit $$?' sh

# The demonstration starts over each time, in a folder of its own; with a --source in ARGS nothing is removed.
run: $(STAMP)  ## Run the demonstration (about 75 s), or what ARGS says: make run ARGS='--source file:events.jsonl'
ifneq (,$(findstring --source,$(ARGS)))
	@$(IN_FOREGROUND) $(BIN)/labelpulse run $(ARGS)
else
	@rm -rf $(DEMO_DATA)
	@$(IN_FOREGROUND) $(BIN)/labelpulse run --source $(DEMO_SOURCE) --clickhouse "chdb://$(CURDIR)/$(DEMO_DATA)" \
	  --until-eof --monitor $(ARGS)
endif

test: $(STAMP)  ## Run the unit tests
	@$(BIN)/python -m pytest -m 'not ($(PARTS))' --numprocesses auto --dist loadfile --max-worker-restart 0 $(ARGS)

lint: $(STAMP)  ## Check style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

COMPILE = UV_CUSTOM_COMPILE_COMMAND='make lock' build/lock/bin/uv pip compile --quiet --upgrade --universal \
  --fork-strategy fewest --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links

lock: $(STAMP)  ## Resolve the dependencies anew and write the lock files
	@$(BIN)/python -m venv build/lock && build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(COMPILE) pyproject.toml --output-file requirements.lock
	@$(COMPILE) pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(COMPILE) --group build --constraint requirements-dev.lock --output-file requirements-build.lock

kafka: $(STAMP)  ## Start a one-node Apache Kafka on loopback (needs Java 17 and Maven)
	@$(BIN)/python -m tests.support.broker $(ARGS)

bench: $(STAMP)  ## Measure the throughput: make bench ARGS=--quick
	@$(BIN)/python -m benchmarks.throughput $(ARGS)

soak: $(STAMP)  ## Simulate histories full of faults, and check the invariants: make soak ARGS='--minutes 240'
	@$(BIN)/python -m tests.soak $(ARGS)

chaos: $(STAMP)  ## Kill the flow on a real Kafka again and again, then audit: make chaos ARGS='--kills 100'
	@$(BIN)/python -m tests.chaos $(ARGS)

wheel: $(STAMP)  ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel --no-isolation

clean:  ## Remove .venv, caches and builds; data stays
	@rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
