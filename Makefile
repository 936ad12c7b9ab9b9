# Each target sets up what it needs; a second call finds it done.
PYTHON ?= python3.11
BIN := $(CURDIR)/.venv/bin
UV_VERSION := 0.9.30
CORES ?= all
export PATH := $(BIN):$(PATH)

.PHONY: demo test lint bench ablations lock setup clean

demo: setup
	snakemake --cores $(CORES)
	@echo && cat results/shapes/summary.md && echo && echo "report: $(CURDIR)/results/shapes/report.html"

setup: .venv/installed

.venv/installed: envs/requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r envs/requirements.txt
	touch $@

test: setup
	$(BIN)/python -m pytest -n 2 tests

lint: setup
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint

bench: setup
	$(BIN)/python -m benchmarks.run

lock:
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
	    --python-version 3.11 envs/requirements.in -o envs/requirements.txt
