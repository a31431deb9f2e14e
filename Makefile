# Everything a new machine needs: Python >= 3.11, a C compiler, a package index. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find ext -name '*.pyx' -o -name '*.pxd')
PYTEST_ARGS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test build lint annotate debug sanitize fuzz bench docs clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## run the main job: upgrade 2,000 simulated devices in firmware or software, and say who ended how
	$(BIN)/headgate demo --exit

test: $(VENV)/.test ## run the tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

build: $(VENV)/.built ## compile the Cython sources in place, optimised

# -- environments: one folder, filled up by what each target needs --

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "headgate needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q 'setuptools>=77' 'cython>=3.1'

# Names and dependencies; the modules are compiled once, by .built.
INSTALL := HEADGATE_BUILD=none $(BIN)/python -m pip install -q --no-build-isolation -e

$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(INSTALL) '.[server]'
	@touch $@

$(VENV)/.built: $(VENV)/.installed setup.py $(SOURCES)
	@echo compiling
	@$(BIN)/python setup.py -q build_ext --inplace
	@touch $@

$(VENV)/.test: $(VENV)/.built
	$(INSTALL) '.[test]'
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	$(INSTALL) '.[lint]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	$(INSTALL) '.[bench]'
	@touch $@

# -- for whoever changes something --

lint: $(VENV)/.lint ## ruff, cython-lint, mypy --strict, stubtest
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pre-commit run --all-files

annotate: $(VENV)/.test ## Cython's HTML annotation of every compiled file, in build/annotate
	rm -rf build/annotate && mkdir -p build && cp -r ext build/annotate
	cd build/annotate && find headgate -name '*.pyx' | xargs ../../$(BIN)/cython -3 -a -X boundscheck=False \
		-X wraparound=False -X cdivision=True -X initializedcheck=False

debug: $(VENV)/.test ## build with C assertions and run the tests on it
	PYTHON=$(BIN)/python tests/build_and_test.sh debug $(PYTEST_ARGS)

sanitize: $(VENV)/.test ## build with address and undefined-behaviour sanitizers and run the tests on it
	PYTHON=$(BIN)/python tests/build_and_test.sh sanitize $(PYTEST_ARGS)

fuzz: $(VENV)/.test ## fuzz the compiled parser and responder for FUZZ_SECONDS (60); needs clang
	PYTHON=$(BIN)/python tests/fuzz/run.sh

bench: $(VENV)/.bench ## measure; prints one table with ratios and writes bench/results/*.json
	$(BIN)/python -m bench $(BENCH_ARGS)

clean: ## remove what was built, and the environment
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src -name '*.so' -delete
