# Two commands for a newcomer: `make demo` draws a map, `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check bench page browser clean

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

# What the page of `pm25map view` is made with, at the versions of its lock file; git ignores it, a wheel holds it.
# Without npm, and without the right to install it, maps are made as before and `pm25map view` says what it lacks.
PAGE := pm25map/view/page
$(PAGE)/vendor/maplibre-gl.js: $(PAGE)/package-lock.json
	@command -v npm >/dev/null || (apt-get update -qq && apt-get install -y -qq npm) >/dev/null 2>&1 || true
	@if command -v npm >/dev/null; then \
	  npm ci --prefix $(PAGE) --ignore-scripts --no-audit --no-fund --loglevel=error && mkdir -p $(PAGE)/vendor && \
	  cp $(addprefix $(PAGE)/node_modules/maplibre-gl/dist/,maplibre-gl.js maplibre-gl.css LICENSE.txt) $(PAGE)/vendor/ && \
	  touch $@ && rm -rf $(PAGE)/node_modules; \
	else echo "no npm: pm25map view cannot make its page until you install npm and run make page"; fi

page: $(PAGE)/vendor/maplibre-gl.js  ## Fetch the map library that pm25map view puts into its page

browser:  ## Install Chromium, which tests the page, where apt-get can
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium) >/dev/null 2>&1 \
	  || echo "no Chromium: the tests of the page will be skipped"

demo: $(VENV)/.cpu  ## Draw the smoke of 12 September 2020 into cog.tif and cog.png
	$(BIN)/pm25map predict --date 2020-09-12 --out cog.tif --preview cog.png --overwrite

check: $(VENV)/.dev  ## Style (ruff), types (mypy --strict) and the rules of the house (import-linter)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/.dev page browser  ## Install everything the tests need, and run them
	$(BIN)/python -m pytest tests

bench: $(VENV)/.dev  ## Measure engines and writing on this machine, and write docs/performance.md
	$(BIN)/python tests/bench/run.py

clean:  ## Remove the environment and what the demo wrote
	rm -rf $(VENV) cog.tif cog.json cog.png
