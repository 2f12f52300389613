# Each target sets itself up: Python 3.11+, git and make are all that has to be there.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check bench docs clean

demo: $(READY)          ## one short campaign on this machine's CPU, then what it learned
	$(BIN)/nightlab demo

test: check             ## everything CI runs
	$(BIN)/python -m pytest --hypothesis-profile=ci  # the same examples each time

check: $(READY)         ## the fast half: format, lint, types, layers, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/check.py

bench: $(READY)         ## figures, each printed with what it is compared to
	$(BIN)/python -m bench

docs: $(READY)          ## rewrite the generated parts of README and docs
	$(BIN)/python docs/check.py --write

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("nightlab needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m flows.yasgui    # the endpoint's page; the plain one where npm is not
	@touch $@

clean:                  ## what is derived; experiments live in git and stay
	rm -rf .venv .nightlab .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
