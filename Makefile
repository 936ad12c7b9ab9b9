# Each target installs what it needs; a second call skips that.
PYTHON ?= python3.11
BIN := $(CURDIR)/.venv/bin
UV_VERSION := 0.9.30
CORES ?= all
export PATH := $(BIN):$(PATH)

.PHONY: demo test faults test-tools test-package test-cluster slurm lint bench rehearsal gpu-check docs ablations voc2012 coco2017 lock setup

# Networks this small gain little from a second thread, so jobs run side by side.
demo: setup
	snakemake --cores $(CORES) --max-threads 1
	@echo && cat results/shapes/summary.md && echo && echo "report: $(CURDIR)/results/shapes/report.html"

setup: .venv/installed

.venv/installed: envs/requirements.txt pyproject.toml setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	# Without bytecode, which Python does not write in many containers, each job would spend seconds compiling torch.
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r envs/requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .  # the command wsis
	touch $@

test: setup
	$(BIN)/python -m pytest -n 2 tests

# Kills, full disks and pairs of writers for every step and command, then damaged files: most of an hour on two cores.
# Writes the table in docs/reliability.md.
faults: setup
	PYTHONPATH=.:tests/helpers $(BIN)/python -m tests.faults --out docs/reliability.md
	WSIS_FAULTS=1000 $(BIN)/python -m pytest tests/faults

# Other tools reading our files: tests that skip elsewhere, in their own environment.
test-tools: .venv-tools/installed
	.venv-tools/bin/python -m pytest --ignore tests/unit/formats/test_fuzz.py tests/unit/formats

# A minimal install from the package index in an empty environment, then one with all extras; and snakedeploy.
test-package: setup
	test -x .venv-package/bin/snakedeploy || { $(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-package && \
	    $(BIN)/uv pip install --quiet --python .venv-package/bin/python snakedeploy; }
	PATH="$$PATH:$(CURDIR)/.venv-package/bin" WSIS_PACKAGE=1 $(BIN)/python -m pytest -v tests/package \
	    tests/workflow/test_modules.py tests/workflow/test_installed.py

.venv-tools/installed: .venv/installed tests/requirements.txt
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-tools
	$(BIN)/uv pip install --quiet --python .venv-tools/bin/python -r pyproject.toml --extra all --extra dev \
	    --constraints envs/requirements.txt -r tests/requirements.txt
	touch $@

# The extra packages for `--profile profiles/slurm`; they delay Snakemake's start by a second.
slurm: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r envs/slurm.txt

# The workflow on a real two-node SLURM, which this installs and starts; if it cannot, it says why. The tests mostly wait
# for jobs, so they run side by side.
CLUSTER_RUNS := /tmp/wsis-cluster-runs
test-cluster:
	@if why=$$(tests/cluster/slurm.sh possible); then \
	    $(MAKE) --no-print-directory slurm && tests/cluster/slurm.sh around \
	    $(BIN)/python -m pytest -vv -n 3 --durations 0 --basetemp $(CLUSTER_RUNS) tests/cluster && \
	    rm -rf $(CLUSTER_RUNS); \
	else echo "make test-cluster: not here: $$why"; fi

lint: setup
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint

bench: setup
	$(BIN)/python -m bench.run

# The preset voc2012 at full size on four images, then its ablations and the heaviest trainings of COCO; needs up to 14 GB
# of memory and some 15 GB of temporary files. Writes the tables of docs/cost.md.
rehearsal: setup
	$(BIN)/python -m bench.rehearsal

# With the machine's own Python and torch, if there is no .venv: see docs/cost.md.
gpu-check:
	$(or $(wildcard $(BIN)/python),python3) -m bench.gpu_check

# The effect of each part of the systems on the generated data set, in paired runs. Many small jobs use the cores best side
# by side. Snakemake checks the inputs of all ready jobs once per timespan, by default every second, which took an eighth
# of a core here.
ablations: setup
	snakemake --configfile config.yaml workflow/presets/shapes_ablations.yaml --cores $(CORES) --max-threads 1 \
	    --max-jobs-per-timespan 3000/30s
	@echo && cat results/shapes_ablations/summary.md && echo && \
	    echo "report: $(CURDIR)/results/shapes_ablations/report.html"

# Downloads the official archives to data/ and verifies them; WSIS_MIRROR=<address> downloads the same files from elsewhere.
voc2012 coco2017: setup
	snakemake --configfile workflow/presets/$@.yaml --cores 1 data_download_archives

docs: setup
	$(BIN)/python -m wsis_steps.plan.settings_reference > docs/settings.md
	cp config.yaml config/config.yaml

# The packages of pyproject.toml with exact versions; envs/environment.yaml has those of a run, for Linux.
COMPILE := $(BIN)/uv pip compile --no-emit-index-url --no-header --no-annotate --quiet --python-version 3.11
lock:
	$(COMPILE) --universal --generate-hashes --extra all --extra dev pyproject.toml -o envs/requirements.txt
	$(COMPILE) --universal --generate-hashes --no-deps envs/slurm.in -o envs/slurm.txt
	sed -i '/^  - pip:/q' envs/environment.yaml
	$(COMPILE) --python-platform x86_64-manylinux_2_28 --extra all --constraints envs/requirements.txt \
	    pyproject.toml | sed 's/^/      - /' >> envs/environment.yaml
