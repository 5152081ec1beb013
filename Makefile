# "make demo" and "make test" do all their own set-up, in virtual environments inside this folder.
# They need Python >= 3.11 with venv, and a package index; no compiler and no other step.
#
# PYTHON=python3.12   interpreter that the environments are made with
# PIP_FLAGS=...       extra options of "pip install", such as another index for torch
# PYTEST_FLAGS=...    extra options of pytest, such as "-k calibration"
# PYTHONS="3.11 3.13" what "make test-portable" tests with; SETTINGS="default avx2": some of its settings

PYTHON ?= python3
PIP_FLAGS ?=
PYTEST_FLAGS ?=
WORKERS ?= 2

VENV := .venv
REFERENCE := .venv-reference
PYTHONS ?= 3.11 3.13

ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=Agg

.PHONY: demo test docs readme schema screenshot lint test-native test-reference test-rounding test-portable install
.PHONY: install-reference clean
.DEFAULT_GOAL := test

install: $(VENV)/.installed
install-reference: $(REFERENCE)/.installed

demo: $(VENV)/.installed
	MPLBACKEND=Agg $(VENV)/bin/python -m equirgz bench run benchmarks/demo.yaml --out demo --jobs $(WORKERS)

# The figure, numbers and index in README.md, results/README.md and docs/, from the committed results.
readme: $(VENV)/.installed
	$(VENV)/bin/python -m equirgz bench readme

# What editors complete keys and mark mistakes with in benchmarks/*.yaml.
schema: $(VENV)/.installed
	$(VENV)/bin/python -m equirgz bench schema > benchmarks/schema.json

# The picture of the page of results/mirabest_quick that the documentation shows; needs Debian's package chromium.
screenshot: $(VENV)/.installed
	$(VENV)/bin/python -m equirgz bench screenshot results/mirabest_quick -o results/screenshot.png

# The documentation, in docs/_build/html/index.html: no network, and a warning is an error (a link that leads nowhere, a
# public name that cannot be read).
docs: $(VENV)/.installed
	$(ONE_THREAD) $(VENV)/bin/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

test: lint test-reference test-native test-rounding

lint: $(VENV)/.installed
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check equirgz tests benchmarks docs

test-native: $(VENV)/.installed
	$(ONE_THREAD) $(VENV)/bin/python -m pytest -q -n $(WORKERS) $(PYTEST_FLAGS)

# The tests that another processor's rounding could break (marked so), on torch's kernels without vector
# instructions, and with their files in a folder whose path has a space.
test-rounding: $(VENV)/.installed
	@mkdir -p build
	$(ONE_THREAD) ATEN_CPU_CAPABILITY=default $(VENV)/bin/python -m pytest -q -n $(WORKERS) -m rounding \
	    --basetemp="build/my tmp"

# Everything, as on other machines: in a folder with a space in its path, with each of $(PYTHONS) that is
# installed, on other instruction sets, with one thread and two (see .ci/portable; hours).
test-portable: export PYTHONS := $(PYTHONS)
test-portable: export WORKERS := $(WORKERS)
test-portable: export PYTEST_FLAGS := $(PYTEST_FLAGS)
test-portable:
	bash .ci/portable

# Parity with escnn and e2cnn, which need numpy < 2 and so an environment of their own; and networks of timm.
test-reference: $(REFERENCE)/.installed
	$(ONE_THREAD) $(REFERENCE)/bin/python -m pytest -q -n $(WORKERS) tests/reference

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "equirgz needs Python >= 3.11, got %d.%d; call make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[test,onnx,docs]'
	touch $@

$(REFERENCE)/.installed: setup.cfg pyproject.toml constraints-reference.txt
	$(PYTHON) -m venv $(REFERENCE)
	$(REFERENCE)/bin/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) \
	    -c constraints-reference.txt -e '.[test,reference]'
	$(REFERENCE)/bin/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) --no-deps escnn==1.0.11 timm==1.0.31
	touch $@

clean:
	rm -rf $(VENV) $(REFERENCE) demo build docs/_build docs/generated *.egg-info
