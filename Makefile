# "make demo" and "make test" do all their own set-up, in virtual environments inside this folder.
# They need Python >= 3.11 with venv, and a package index; no compiler and no other step.
#
# PYTHON=python3.12   interpreter that the environments are made with
# PIP_FLAGS=...       extra options of "pip install", such as another index for torch
# PYTEST_FLAGS=...    extra options of pytest, such as "-k calibration"

PYTHON ?= python3
PIP_FLAGS ?=
PYTEST_FLAGS ?=
WORKERS ?= 2

VENV := .venv
REFERENCE := .venv-reference
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=Agg

.PHONY: demo test readme schema screenshot lint test-native test-reference install install-reference clean
.DEFAULT_GOAL := test

install: $(VENV)/.installed
install-reference: $(REFERENCE)/.installed

demo: $(VENV)/.installed
	MPLBACKEND=Agg $(VENV)/bin/equirgz bench run benchmarks/demo.yaml --out demo --jobs $(WORKERS)

# The tables, figures and index in README.md and results/README.md, from the committed results.
readme: $(VENV)/.installed
	$(VENV)/bin/equirgz bench readme README.md results/README.md

# What editors complete keys and mark mistakes with in benchmarks/*.yaml.
schema: $(VENV)/.installed
	$(VENV)/bin/equirgz bench schema > benchmarks/schema.json

# The picture of the page of results/mirabest_quick that README.md shows; needs Debian's package chromium.
screenshot: $(VENV)/.installed
	$(VENV)/bin/equirgz bench screenshot results/mirabest_quick -o results/screenshot.png

test: lint test-reference test-native

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .

test-native: $(VENV)/.installed
	$(ONE_THREAD) $(VENV)/bin/python -m pytest -q -n $(WORKERS) $(PYTEST_FLAGS)

# Parity with escnn and e2cnn, which need numpy < 2 and so an environment of their own.
test-reference: $(REFERENCE)/.installed
	$(ONE_THREAD) $(REFERENCE)/bin/python -m pytest -q -n $(WORKERS) tests/reference

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "equirgz needs Python >= 3.11, got %d.%d; call make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[test,onnx]'
	touch $@

$(REFERENCE)/.installed: setup.cfg pyproject.toml constraints-reference.txt
	$(PYTHON) -m venv $(REFERENCE)
	$(REFERENCE)/bin/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) \
	    -c constraints-reference.txt -e '.[test,reference]'
	$(REFERENCE)/bin/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) --no-deps escnn==1.0.11
	touch $@

clean:
	rm -rf $(VENV) $(REFERENCE) demo build *.egg-info
