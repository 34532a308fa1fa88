# Everything a fresh machine needs is git, make and Python 3.11; the rest lives in .venv.
.DELETE_ON_ERROR:
.PHONY: help env demo test lint types slow benchmarks clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := tf,torch,onnx,openvino,dev
# Their tests have a process each: two frameworks in one may crash.
IMPLEMENTATIONS := tf_impl torch_impl onnx_impl openvino_impl

help:
	@echo 'make env         set up .venv with every framework'
	@echo 'make demo        train, convert, measure and report on the built-in dataset'
	@echo 'make test        all tests but the slow ones, then the core tests without any framework'
	@echo 'make lint types  the static checks'
	@echo 'make slow        the tests that take minutes'
	@echo 'make benchmarks  the suite'"'"'s own speed, into benchmarks.json'
	@echo 'make clean       remove .venv, .tox and caches; runs/ and data/ stay'

env: $(STAMP)

# The stamp lies inside .venv, so that removing .venv is enough to start afresh.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || for python in python3.11 python3; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then $$python -m venv $(VENV); exit; fi; \
	done
	@test -x $(BIN)/python || { echo 'Python 3.11 or newer is needed, as python3.11 or python3' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: env
	$(BIN)/twinpose run --recipe demo --out runs/demo

# Most tests wait for a child to import its framework: two at a time take little more than one.
test: env
	$(BIN)/python -m pytest -n 2 --dist loadfile
	for name in $(IMPLEMENTATIONS); do $(BIN)/python -m pytest tests/$$name || exit; done
	$(BIN)/python -m tox run -e core

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: env
	$(BIN)/mypy

slow: env
	$(BIN)/python -m pytest -m slow

benchmarks: env
	$(BIN)/python -m pytest tests/benchmarks --benchmark-json=benchmarks.json

clean:
	rm -rf $(VENV) .tox build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
