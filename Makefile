# Two commands for a newcomer: `make demo` draws a map, `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test quick check bench browser site clean

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

browser:  ## Install Chromium, which tests the page, where apt-get can
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium) >/dev/null 2>&1 \
	  || echo "no Chromium: the tests of the page will be skipped"

demo: $(VENV)/.cpu  ## Draw the smoke of 12 September 2020 into cog.tif and cog.png
	$(BIN)/pm25map predict --date 2020-09-12 --out cog.tif --preview cog.png --overwrite
	@echo "Next, in this shell: . $(BIN)/activate, then pm25map view cog.tif --out page.html, or pm25map predict --help"

check: $(VENV)/.dev  ## Style (ruff), types (mypy --strict) and the rules of the house (import-linter)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two processes; each keeps to its own files and to one thread of linear algebra, which else fight for the cores.
test: $(VENV)/.dev browser  ## Install everything the tests need, and run them
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest tests -n 2 --dist loadfile

quick: $(VENV)/.dev  ## Run the tests of reading, storing and writing: two minutes
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not torch and not geoclip" \
	  tests/test_monitors.py tests/test_gaps.py tests/test_on_demand.py tests/test_store.py tests/test_ingest.py \
	  tests/test_windows.py tests/test_neighbours.py tests/test_folds.py tests/test_cog.py tests/test_stac.py \
	  tests/test_info.py tests/test_fetch_monitors.py tests/test_grid.py tests/test_regrid.py

bench: $(VENV)/.dev  ## Measure engines and writing on this machine, and write docs/performance.md
	$(BIN)/python tests/bench/run.py

site: $(VENV)/.dev  ## Build the documentation as a web site in build/site, and check its links
	$(BIN)/python docs/site/build.py --out build/site

clean:  ## Remove the environment and what the demo wrote
	rm -rf $(VENV) cog.tif cog.json cog.png
