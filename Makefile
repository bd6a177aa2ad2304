# jal: everything sets itself up in .venv and does nothing when that is already done.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKDIR ?= runs/quickstart

.PHONY: help quickstart test test-fast lint types clean

help:  ## Show what can be made.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.installed

quickstart: $(VENV)/.installed  ## Random, margins and DropQuery on real digits, five seeds each.
	$(BIN)/jal sweep --config=quickstart --workdir=$(WORKDIR) --overwrite

test: $(VENV)/.installed-test  ## The whole test suite (offline, CPU).
	$(BIN)/python -m pytest -n auto --dist loadfile

test-fast: $(VENV)/.installed-test  ## The tests that take under three minutes together.
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

lint: $(VENV)/.installed-test  ## Lint and format check.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test  ## Type check.
	$(BIN)/mypy

clean:  ## Remove the environment and the caches.
	rm -rf $(VENV) .venv-lowest .pytest_cache .mypy_cache .ruff_cache build dist
