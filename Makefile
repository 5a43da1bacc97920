# Dateline: `make run` serves the demo, `make test` checks the code; both set themselves up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATELINE_DATA ?= data
export DATELINE_DATA
# Tests start hundreds of processes; each would compile the same files where this is set.
export PYTHONDONTWRITEBYTECODE :=
READY := $(VENV)/.installed
READY_DEV := $(VENV)/.installed-dev
READY_TORCH := .venv-torch/.installed
READY_TENSORFLOW := .venv-tensorflow/.installed
# By name, as each process would load the plugins of every other package that is installed.
PLUGINS := --disable-plugin-autoload -p xdist -p timeout -p hypothesispytest
# `-P`: the code that is installed, and not what lies in the folder.
PYTEST := $(BIN)/python -P -m pytest $(PLUGINS)
PYTEST_TORCH := .venv-torch/bin/python -P -m pytest $(PLUGINS)
PYTEST_TENSORFLOW := .venv-tensorflow/bin/python -P -m pytest $(PLUGINS)
# Files of tests side by side, each whole in one process, as what they share is made once for a file.
SIDE_BY_SIDE := -n 2 --dist loadfile
# Three of them on two cores, as tests wait for half of their time; in the order of
# tests/long_files.tsv, so that no long file begins last.
ALL_SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder
NEITHER := not torch and not tensorflow and not faults and not cluster
UNIT := $(NEITHER) and not service
SUITE = @bash scripts/suite $@
# The files of a suite: importing all the others takes 20 s.
FILES_OF = $(shell grep -rlE --include='test_*.py' '$(1)' tests)
FAULTS = $(call FILES_OF,mark\.faults)
SERVICE = $(call FILES_OF,mark\.service)
CLUSTER = $(call FILES_OF,mark\.cluster|opensearch|every_engine)
TORCH = $(call FILES_OF,mark\.torch)
TENSORFLOW = $(call FILES_OF,mark\.tensorflow)
# How long the long forms are; a test that finds no such variable takes its short form.
LONG := EXAMPLES=1000 GUARD_SEQUENCES=2000 STORAGE_SEQUENCES=300 POSTGRES_HISTORIES=80 \
  FEED_HISTORIES=300 CONCURRENT_TURNS=500 KILL_ROUNDS=200 POWER_STATES=500 FAILING_ROUNDS=400 OPENAPI_CASES=10000 \
  DATELINE_HOSTILE_DOCUMENTS=300 MIRROR_CHANGES=10000 FEED_TRANSITIONS=1000000 FEED_KILLS=100 \
  OVERLOAD_S=60 SOAK_S=7200 BATCH_FILES=2000 AA_LISTS=200000
# What needs hnswlib, which does not come as a wheel, is skipped in `make test`.
WITH_HNSWLIB := -m hnswlib tests/storage/graphs/test_graphs.py tests/storage/embedded/vectors/test_segment_kinds.py tests/benchmarks/test_hnsw.py

.PHONY: setup media speech run demo-media test lint types unit test-service faults test-cluster test-torch test-tensorflow audit image deep other-pythons mutants cover bench-gpu dev-cluster gate race lock wheels bench clean

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

# What writes down speech, beside that; `dateline models pull whisper-base` fetches the model.
speech: requirements-speech.lock $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-speech.lock

# What is put into the demo without a product is seen by its keys.
run: export DATELINE_DEFAULT_PRODUCTS ?= demo
run: $(READY)
	@exec $(BIN)/dateline serve --demo

# The demo's photographs and clips, into the archive that `make run` serves.
demo-media: media
	$(BIN)/dateline ingest datasets/demo/media --products demo

# mypy runs beside the tests, which wait a lot; what it says comes after what they say.
test: $(READY_DEV)
	@bash scripts/test-packages
	@$(MAKE) lint
	@said=$$(mktemp); $(MAKE) types >"$$said" 2>&1 & types=$$!; status=0; \
	$(MAKE) unit || status=1; wait $$types || status=1; cat "$$said"; rm "$$said"; exit $$status

lint: $(READY_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(READY_DEV)
	$(BIN)/mypy core inference storage rerank search indexing customers capacity eval api training dateline benchmarks scripts client/dateline_client

unit: $(READY_DEV)
	$(SUITE) $(PYTEST) $(ALL_SIDE_BY_SIDE) -m "$(UNIT) and not deep"

# Services and commands as processes, a browser, and the guard's histories over all surfaces.
test-service: $(READY_DEV)
	@bash scripts/test-packages
	$(SUITE) $(PYTEST) $(ALL_SIDE_BY_SIDE) -m "service and $(NEITHER) and not deep" $(SERVICE)

# Processes killed, disks filled, servers cut off, damaged files.
faults: $(READY_DEV)
	$(SUITE) $(PYTEST) $(ALL_SIDE_BY_SIDE) -m "faults and not cluster and not deep" $(FAULTS)

# A real node of OpenSearch, which Maven fetches the first time. Where none can be had these tests
# skip; they fail where CI is set.
test-cluster: $(READY_DEV)
	@bash scripts/test-packages
	$(SUITE) $(PYTEST) $(SIDE_BY_SIDE) -m "cluster and not deep" $(CLUSTER)

# PyTorch, OpenVINO and hnswlib: training, export, and their answers against those of what ships.
test-torch: $(READY_TORCH)
	$(SUITE) $(PYTEST_TORCH) $(SIDE_BY_SIDE) -m "torch and not deep" $(TORCH)
	$(SUITE) $(PYTEST_TORCH) $(SIDE_BY_SIDE) $(WITH_HNSWLIB)

$(READY_TORCH): requirements-build.lock requirements-torch.lock
	PYTHON=$(PYTHON) bash scripts/environment .venv-torch requirements-build.lock requirements-torch.lock
	@touch $@

# SavedModel and TFLite: export, and their answers against those of ONNX Runtime.
test-tensorflow: $(READY_TENSORFLOW)
	$(SUITE) $(PYTEST_TENSORFLOW) -m "tensorflow and not deep" $(TENSORFLOW)

$(READY_TENSORFLOW): requirements-tensorflow.lock
	PYTHON=$(PYTHON) bash scripts/environment .venv-tensorflow requirements-tensorflow.lock
	@touch $@

# Licences, calls that run what data say, and the locks against VULNERABILITIES=DATABASE, a file.
audit: $(READY_DEV)
	$(BIN)/python -P scripts/audit.py

# The image that runs everywhere (docs/deploy.md), built by docker or buildah, and its tests.
IMAGE ?= localhost/dateline
image: $(READY_DEV)
	bash scripts/image $(IMAGE)
	TEST_IMAGE=$(IMAGE) $(PYTEST) tests/deploy/test_image.py tests/deploy/test_played.py

# Everything above with its long forms, for hours: before a piece of work is called done.
deep: $(READY_DEV) $(READY_TORCH) $(READY_TENSORFLOW) .venv-clients/.installed .venv-optimum/.installed .venv-deploy/.installed .venv-airflow/.installed
	@bash scripts/test-packages deep
	bash scripts/image $(IMAGE)
	$(MAKE) lint types audit
	$(LONG) $(PYTEST) $(SIDE_BY_SIDE) --timeout 7200 -m "$(NEITHER)"
	$(LONG) $(PYTEST) --timeout 7200 -m "faults and not cluster"
	$(LONG) $(PYTEST) --timeout 7200 -m cluster
	$(PYTEST_TORCH) -m torch
	$(PYTEST_TENSORFLOW) -m tensorflow
	$(PYTEST_TORCH) $(WITH_HNSWLIB)
	$(MAKE) mutants
	$(MAKE) other-pythons

# Whether tests find defects in the code that holds invariants: 400 small changes, one at a time. It
# goes on where it was stopped. What no test noticed: the same command with --survivors.
mutants: $(READY_DEV)
	$(BIN)/python -P scripts/mutants.py --count 400 --seed 1 --jobs 2 --log build/mutants.jsonl

# The tests of `make test` on Python 3.12 and 3.13, where they are here.
other-pythons:
	bash scripts/other-pythons $(PLUGINS) $(SIDE_BY_SIDE) -m "$(UNIT) and not deep"

# The wheels of a release, each below the 100 MB that an index takes, in dist/.
wheels: $(READY)
	$(BIN)/python -P scripts/wheels.py

cover: $(READY_DEV)
	$(PYTEST) -p pytest_cov $(SIDE_BY_SIDE) --cov --cov-report=term --cov-report=xml -m "$(NEITHER) and not deep"

# Its own environment: faiss-gpu and faiss-cpu are the same module. Nothing is fetched without a card.
bench-gpu:
	@command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null || { echo "no NVIDIA card or driver was found here (nvidia-smi); make bench-gpu needs one" >&2; exit 1; }
	$(MAKE) .venv-gpu/.installed
	.venv-gpu/bin/python -m benchmarks.models.runtimes --models all-MiniLM-L6-v2 transnetv2 --output build/gpu \
	  --runtimes onnxruntime:cpu,onnxruntime:cuda,onnxruntime:tensorrt
	.venv-gpu/bin/python -m benchmarks.models.gpu

.venv-gpu/.installed: requirements-gpu.lock
	$(PYTHON) -m venv .venv-gpu
	.venv-gpu/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-gpu.lock
	.venv-gpu/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# A real OpenSearch on this machine, by hand: `make dev-cluster`, then DO=status, DO=down, or as in
# DO="up --nodes 2 --port 9480".
DO ?= up
dev-cluster: $(READY)
	$(BIN)/python -m scripts.dev_cluster $(DO)

# Published sets by the default profile, against the committed baseline; the first run indexes them.
# Both encoders are named, so that a slow machine measures the same.
SETS ?= ../shared/datasets
GATED := scifact:test checkthat2020:dev cacm vaswani fnc1
gate: $(READY_DEV)
	$(BIN)/dateline eval run $(GATED:%=$(SETS)/%) --profile best --set second_encoder=bge-small-en-v1.5 --name best --output build/gate
	$(BIN)/dateline eval gate build/gate --baseline baselines/best.json --config baselines/gate.toml --html build/gate.html

# Other systems beside ours, on judged sets: docs/race.md. RACE=--short is one set and one round. What
# can't be installed here does not stop the others; the command says what it skips.
RACERS := bm25s haystack txtai
RACE ?=
race: $(READY_DEV)
	-@$(MAKE) --keep-going $(RACERS:%=.venv-race-%/.installed) build/race/weaviate-server
	$(BIN)/python -m benchmarks.race $(RACE)

# What checks the chart and compose.yaml; where it can't be had the target is not made.
.venv-deploy/.installed: deploy/checks.lock scripts/deploy-tools
	@PYTHON=$(PYTHON) bash scripts/deploy-tools

# The published clients of the dialects, whose wishes for packages are not ours.
.venv-clients/.installed: tests/api/clients/clients.lock
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# optimum and the sentence-transformers that goes with it, for converted models: they want an older
# transformers than the other environment with PyTorch has.
.venv-optimum/.installed: tests/training/optimum/optimum.lock
	PYTHON=$(PYTHON) bash scripts/environment .venv-optimum $<
	@touch $@

# Airflow for the DAGs of deploy/airflow (docs/airflow.md); of ours it has the client only.
.venv-airflow/.installed: deploy/airflow/pip.lock deploy/airflow/requirements.lock
	OURS=client PYTHON=$(PYTHON) bash scripts/environment .venv-airflow $^
	@touch $@

.venv-race-%/.installed: benchmarks/race/locks/%.lock
	$(PYTHON) -m venv .venv-race-$*
	.venv-race-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# A server in Go, which is a module like others; it takes some ten minutes.
build/race/weaviate-server: benchmarks/race/weaviate/go.sum
	cd benchmarks/race/weaviate && go build -o $(CURDIR)/$@ github.com/weaviate/weaviate/cmd/weaviate-server

lock: $(READY_DEV)
	bash scripts/lock

clean:
	rm -rf build dist *.egg-info .coverage coverage.xml htmlcov
