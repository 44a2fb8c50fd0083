# Two commands for a newcomer: `make demo` draws a map, `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check bench clean

help:  ## Show these lines
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# A stamp per extra: an environment is made once, and again when pyproject.toml changes.
$(VENV)/.cpu: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[cpu]'
	touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.cpu

demo: $(VENV)/.cpu  ## Draw the smoke of 12 September 2020 into cog.tif and cog.png
	$(BIN)/pm25map predict --date 2020-09-12 --out cog.tif --preview cog.png --overwrite

check: $(VENV)/.dev  ## Style (ruff), types (mypy --strict) and the rules of the house (import-linter)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/.dev  ## Install everything the tests need, and run them
	$(BIN)/python -m pytest tests

bench: $(VENV)/.dev  ## Measure engines and writing on this machine, and write docs/performance.md
	$(BIN)/python tests/bench/run.py

clean:  ## Remove the environment and what the demo wrote
	rm -rf $(VENV) cog.tif cog.json cog.png
