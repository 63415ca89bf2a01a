# Two commands matter: `make demo` and `make test`. Each does its own set-up in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# one thread a process: the tests run two processes side by side, and two pools of threads would fight
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
WORKERS ?= 2

# the oldest releases have an environment of their own; where torch's floor is not to be had as a build for this
# machine, TORCH names the release to take in its place
FLOORS := build/floors
# releases of different years warn of each other; what they compute is tested all the same
OLD := -W ignore::DeprecationWarning -W ignore::FutureWarning
TORCH ?= $(shell sed -n 's/^torch==//p' constraints.txt)

.PHONY: help install demo test quick coverage experiments faults floors lint types check browser format clean

help:
	@echo "make demo     train on real data, map the run, write report.html"
	@echo "make test     lint, types, tests"
	@echo "make quick    the tests that are not marked slow (a minute and a half)"
	@echo "make coverage all tests, and the share of lines that they run; fails under the share that pyproject.toml names"
	@echo "make faults   thousands of kills, full disks, flipped bits and damaged headers (five minutes)"
	@echo "make floors   the quick tests with the oldest releases that pyproject.toml admits, in $(FLOORS)"
	@echo "make experiments  every experiment in full, against the numbers it publishes (hours)"
	@echo "make install  the environment in $(VENV), done by the others when needed"

install: $(VENV)/.installed

# torch first and alone: the constraints name the release, so no other build is ever considered
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: install
	$(BIN)/trajmap demo $(DEMO)

test: install lint types browser check

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

check: install
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

quick: install
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow"

coverage: install
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --cov --cov-report=term:skip-covered

experiments: install
	TRAJMAP_EXPERIMENTS=long $(ONE_THREAD) $(BIN)/python -m pytest tests/test_experiments.py

# torch first here too, for the same reason
floors:
	$(PYTHON) -m venv --clear $(FLOORS)
	$(PYTHON) tools/floors.py --replace torch==$(TORCH) > $(FLOORS)/floors.txt
	$(FLOORS)/bin/python -m pip install --quiet --disable-pip-version-check -c $(FLOORS)/floors.txt torch
	$(FLOORS)/bin/python -m pip install --quiet --disable-pip-version-check -c $(FLOORS)/floors.txt -e '.[dev]'
	$(ONE_THREAD) $(FLOORS)/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow" $(OLD)

# every attack of the fault suite in full numbers; `make test` makes a few of each
faults: install
	TRAJMAP_FAULTS=long $(ONE_THREAD) $(BIN)/python -m pytest tests/faults

# the report is tested in a real browser; without one, and without the right to install one, those tests say so
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
	echo "no Chromium found: the browser tests of the report will be skipped"

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
