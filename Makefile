# Everything a newcomer needs: `make pretrain` and `make test` build the
# environment first. PYTHON=... picks another interpreter; each has its own.
PYTHON ?= python3
EXTRAS ?= dev,hf,parquet,tfds,tpu
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/$(VERSION)
BIN := $(VENV)/bin
RUN := runs/demo
# Two processes: on two cores more of them only wait for each other's compiles.
WORKERS ?= 2
# The tests are CPU work, also where a TPU runtime is installed.
TEST_ENV := JAX_PLATFORMS=cpu TPU_SKIP_MDS_QUERY=1

.PHONY: print-venv install beam pretrain test test-full lint format clean

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

PYTEST = $(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) --dist=loadfile --max-worker-restart=0

test: install
	$(PYTEST) -m 'not full' $(ARGS)

# REAL_DATA=DIR adds the tests on whole books and labeled tasks; see
# tests/data/README.md. The numeric laws run again as users compile them.
NUMERIC := $(addprefix tests/bertjax/,model interop objectives optim train/step_test.py train/gradients_test.py)

test-full: install
	$(PYTEST) $(if $(REAL_DATA),--real-data=$(REAL_DATA)) $(ARGS)
	XLA_LEVEL=default $(PYTEST) $(NUMERIC) $(ARGS)

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell bertjax configs data_pipelines docs launch tests benchmarks *.md
	$(BIN)/basedpyright --pythonpath $(BIN)/python

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build *.egg-info
