# Dateline: `make run` serves the demo, `make test` checks everything; both set themselves up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATELINE_DATA ?= data
export DATELINE_DATA
READY := $(VENV)/.installed
READY_DEV := $(VENV)/.installed-dev
DEMO := datasets/demo/stories.jsonl
# Files of tests side by side, each whole in one process, as what they share is made once for a file.
SIDE_BY_SIDE := -n 2 --dist loadfile
# They skip what needs hnswlib in `make test`, whose packages all come as wheels.
WITH_HNSWLIB := tests/storage/test_graphs.py tests/storage/test_segment_kinds.py tests/benchmarks/test_hnsw.py

.PHONY: setup media run test lint types unit guard faults test-node test-cluster test-torch bench-gpu gate lock bench clean

setup: $(READY)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(READY): requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(READY_DEV): requirements-dev.lock $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# Photos and videos, Postgres and S3, in the same environment.
media: requirements-media.lock $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-media.lock

run: $(READY)
	@test -e $(DATELINE_DATA)/.demo || { $(BIN)/dateline ingest $(DEMO) && touch $(DATELINE_DATA)/.demo; }
	@exec $(BIN)/dateline serve --demo

test: $(READY_DEV)
	@bash scripts/test-packages
	$(MAKE) lint types unit

lint: $(READY_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(READY_DEV)
	$(BIN)/mypy core inference storage rerank search indexing eval api training dateline benchmarks

unit: $(READY_DEV)
	$(BIN)/python -P -m pytest $(SIDE_BY_SIDE) --cov --cov-report=term --cov-report=xml -m "not torch and not faults and not cluster"

# 2,000 random histories over every surface, shared by the processors, and 300 of the storage engine;
# `make unit` runs 40 and 30 of them.
guard: $(READY_DEV)
	STORAGE_SEQUENCES=300 $(BIN)/python -P -m pytest -q --timeout 1800 tests/storage/test_state_machine.py
	seq 0 7 | GUARD_SEQUENCES=2000 OMP_NUM_THREADS=1 xargs -P "$$(getconf _NPROCESSORS_ONLN)" -I{} \
	  $(BIN)/python -P -m pytest -q "tests/search/test_guard.py::test_no_surface_shows_what_the_dict_hides[{}]"

# Processes killed, disks filled, servers cut off, 1,000 damaged files.
faults: $(READY_DEV)
	KILL_ROUNDS=56 $(BIN)/python -P -m pytest -m "faults and not cluster"

# Real nodes of OpenSearch, which Maven fetches the first time: one of them, and then also what
# happens to three that are killed, hung, filled and cut off. Where none can be had they skip; they
# fail where CI is set.
test-node: $(READY_DEV)
	@bash scripts/test-packages
	$(BIN)/python -P -m pytest -m cluster --ignore tests/faults

test-cluster: $(READY_DEV)
	@bash scripts/test-packages
	$(BIN)/python -P -m pytest -m cluster

test-torch: $(READY_DEV)
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r requirements-torch.lock
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	.venv-torch/bin/python -P -m pytest -m torch
	.venv-torch/bin/python -P -m pytest $(WITH_HNSWLIB)

# Its own environment: faiss-gpu and faiss-cpu are the same module. Nothing is fetched without a card.
bench-gpu:
	@command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null || { echo "no NVIDIA card or driver was found here (nvidia-smi); make bench-gpu needs one" >&2; exit 1; }
	$(MAKE) .venv-gpu/.installed
	.venv-gpu/bin/python -m benchmarks.gpu

.venv-gpu/.installed: requirements-gpu.lock
	$(PYTHON) -m venv .venv-gpu
	.venv-gpu/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-gpu.lock
	.venv-gpu/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Published sets against the committed baseline; the first run indexes them.
SETS ?= ../shared/datasets
GATED := scifact:test checkthat2020:dev cacm vaswani fnc1 bbc_news reuters21578 flickr8k_captions
gate: $(READY_DEV)
	$(BIN)/dateline eval run $(GATED:%=$(SETS)/%) --name hybrid --output build/gate
	$(BIN)/dateline eval gate build/gate --baseline baselines/hybrid.json --config baselines/gate.toml --html build/gate.html

lock: $(READY_DEV)
	bash scripts/lock

clean:
	rm -rf build dist *.egg-info .coverage coverage.xml htmlcov
