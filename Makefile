# Everything a fresh machine needs is git, make and Python 3.11; the rest lives in .venv.
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := tf,torch,onnx,openvino,dev
# Their tests have processes of their own: two frameworks in one may crash.
IMPLEMENTATIONS := tf_impl torch_impl onnx_impl openvino_impl
# What `make test` leaves out, by mark; .ci/run leaves out the hours alone.
SKIP := slow or hours
# Whole files on two workers, in the order of tests/conftest.py: the files of minutes first.
TWO := -n 2 --dist loadfile --no-loadscope-reorder

# The suite starts hundreds of children: each would compile our modules anew where no bytecode is kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help env demo test core core-env frameworks implementations $(IMPLEMENTATIONS) lint types slow benchmarks clean

help:
	@echo 'make env         set up .venv with every framework'
	@echo 'make demo        train, convert, measure and report on the built-in dataset'
	@echo 'make test        all tests but the slow ones: core, frameworks, implementations'
	@echo 'make lint types  the static checks; the documentation as a site, into build/docs'
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

# No test runs twice: each part has the tests that the others leave out. The core's environment is made meanwhile.
test: env
	$(MAKE) --no-print-directory -j 2 frameworks core-env
	$(MAKE) --no-print-directory core
	$(MAKE) --no-print-directory implementations

core-env: env
	$(BIN)/python -m tox run -q -e core --notest

# pose, bench and reports, where no framework is installed: a test that needs one unsaid fails there.
core: env
	$(BIN)/python -m tox run -e core -- -m "not frameworks and not ($(SKIP))"

# The tests marked `frameworks` start them in children; those of a file share what is long to make.
frameworks: env
	$(BIN)/python -m pytest -m "frameworks and not ($(SKIP))" $(TWO)

# Two at a time, each in a process of its own: its framework is imported once. Keras's take as long as all others.
implementations: env
	$(MAKE) --no-print-directory -j 2 $(IMPLEMENTATIONS)

tf_impl: WORKERS := $(TWO)
$(IMPLEMENTATIONS): env
	$(BIN)/python -m pytest tests/$@ -m "not ($(SKIP))" $(WORKERS)

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict

types: env
	$(BIN)/mypy

slow: env
	$(BIN)/python -m pytest -m slow

benchmarks: env
	$(BIN)/python -m pytest tests/benchmarks --benchmark-json=benchmarks.json

clean:
	rm -rf $(VENV) .tox build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
