# Everything a person types. Each target sets up what it needs.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
STAMP := $(VENV)/.installed
export IMGOPT_HOME ?= $(CURDIR)/data

.PHONY: audit test check ui bench scenarios docs clean

audit: $(STAMP)
	@$(RUN)/imgopt audit --else-demo

test: $(STAMP)
	@scripts/test

check: $(STAMP)
	@scripts/check

ui: $(STAMP)
	@$(RUN)/imgopt ui

bench: $(STAMP)
	@scripts/bench

scenarios: $(STAMP)
	@scripts/scenarios

docs: $(STAMP)
	@$(RUN)/python scripts/make_docs.py

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache

$(STAMP): pyproject.toml constraints.txt
	@scripts/make-venv $(PYTHON) $(VENV)
	@touch $@
