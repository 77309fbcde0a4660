# make run: set up and train the quick start.  make test: set up, then everything that CI checks.
PYTHON ?= python3
VENV ?= .venv
bin := $(VENV)/bin
inputs := pyproject.toml constraints.txt

export OMP_WAIT_POLICY ?= PASSIVE
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run test

run: $(VENV)/installed
	$(bin)/sgdsl run models/digits.sgm

test: $(VENV)/installed-dev
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	OMP_NUM_THREADS=1 $(bin)/pytest -n auto --dist loadfile

$(bin)/python:
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(inputs) | $(bin)/python
	@echo 'installing sgdsl into $(VENV), a minute or two'
	@$(bin)/pip install -qq -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(inputs) | $(bin)/python
	@echo 'installing sgdsl and its tests into $(VENV), a minute or two'
	@$(bin)/pip install -qq -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/installed
