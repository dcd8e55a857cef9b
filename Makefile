# The project's tasks. GNU make and a POSIX shell; everything lives in .venv and can be rebuilt.
#   make demo                           first look
#   make test PYTEST_ARGS='-k driver'   anything pytest understands
#   make PYTHON=/usr/bin/python3.12 …   which Python builds .venv (default: the first that is new enough)

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
SPESKEW := $(VENV)/bin/speskew
PYTHON ?=
PYTEST_ARGS ?=
SECONDS ?= 10
STOCK := scenarios/*.yaml scenarios/sweeps/*.yaml
SCHEMA := scenarios/scenario.schema.json

# $(call aloud,WHAT) in front of a command: says WHAT, and every four seconds that it still goes on.
define aloud
what='$(1)'; echo "$$what"; \
( t=0; while sleep 4 >/dev/null 2>&1 && kill -0 $$$$ 2>/dev/null; do \
	t=$$((t + 4)); echo "  $$what: $$t s"; done ) & \
ticker=$$!; trap 'kill $$ticker 2>/dev/null' EXIT; trap 'exit 130' INT TERM;
endef

# Without bytecode each of the hundreds of processes of a test run would compile all modules anew: twice the time.
export PYTHONDONTWRITEBYTECODE :=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL: # two pips in one environment would race
.PHONY: help demo test test-deep lint format bench bench-compare fuzz streams check baselines docs schema clean distclean FORCE

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.run ## run the quickstart scenario; prints a summary and the path of its HTML report
	$(SPESKEW) run quickstart -j 2 -o runs/quickstart --force

test: $(VENV)/.test ## the test suite, on two cores; PYTEST_ARGS are passed on
	$(PY) -m pytest -n 2 --dist worksteal -m 'not bench and not deep' $(PYTEST_ARGS)
	@echo 'not run here: seeded bugs, kills, whole pages of docs/, more random machines: make test-deep'

test-deep: $(VENV)/.test ## the rest of it: seeded bugs, commands killed at work, whole pages of docs/
	$(PY) -m pytest -n 2 --dist worksteal -m deep $(PYTEST_ARGS)

lint: $(VENV)/.lint ## style, types and layers; changes nothing
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/.lint ## let ruff rewrite what it can
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

bench: $(VENV)/.test ## timings, also to runs/bench/; GROUP=frequent, targeted or simulation for a part
	$(PY) -m pytest tests/benchmarks -m 'bench$(if $(GROUP), and $(GROUP))' -s $(PYTEST_ARGS)

fuzz: $(VENV)/.fuzz ## every parser for SECONDS=10 each; findings and new inputs in runs/fuzz/
	$(PY) -m tests.fuzz.campaign $(SECONDS)

bench-compare: $(VENV)/.test ## two files of make bench, A=… and B=…: fails if B is worse
	$(PY) -m tests.benchmarks.compare $(A) $(B)

streams: $(VENV)/.run ## record the shipped instruction streams again (needs qemu-user and an AArch64 compiler)
	$(MAKE) -C scenarios/streams

docs: $(VENV)/.run ## write the reference pages of docs/ from the code, and the figures of its validation
	$(PY) -m reports.docs docs/reference
	$(PY) -m reports.validation docs/figures docs/background/validation.md

check: $(VENV)/.run ## every stock scenario against its baseline: has a simulated number changed?
	@for file in $(STOCK); do \
		name=$${file#scenarios/}; name=$${name%.yaml}; \
		$(SPESKEW) check "$$name" --replications baseline -j 2 -q || exit; \
	done

baselines: $(VENV)/.run ## accept changed numbers: prints old → new, which belongs in the changelog
	@for file in $(STOCK); do \
		name=$${file#scenarios/}; \
		$(SPESKEW) baseline update "$${name%.yaml}" -j 2 -q || exit; \
	done

schema: $(VENV)/.run ## write the scenarios' JSON Schema for editors
	$(SPESKEW) schema > $(SCHEMA).new || { rm -f $(SCHEMA).new; exit 1; }
	mv $(SCHEMA).new $(SCHEMA)

clean: ## remove build products and caches; runs/ and .venv stay
	rm -rf build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find speskew sim analysis reports scenarios tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## clean, and .venv too
	rm -rf $(VENV)

# The environment, in steps, each with a stamp: nothing is installed twice.

$(VENV)/.run: $(VENV)/.made pyproject.toml
	@$(call aloud,installing speskew and what it needs into $(VENV)) $(PY) -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@$(call aloud,installing the test tools) $(PY) -m pip install --quiet --group test
	@touch $@

$(VENV)/.fuzz: $(VENV)/.test
	@$(call aloud,installing the fuzzer) $(PY) -m pip install --quiet --group fuzz
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	@$(call aloud,installing the lint tools) $(PY) -m pip install --quiet --group lint
	@touch $@

# .made holds the folder it was made in. An environment that was copied or moved along with its checkout would
# silently run the code of the old place, so it is made anew, as is one whose Python is gone. pip knows --group
# since 25.1.
ifneq ($(shell test -x $(PY) && cat $(VENV)/.made 2>/dev/null),$(CURDIR))
$(VENV)/.made: FORCE
endif

$(VENV)/.made:
	@new='import sys; sys.exit(sys.version_info < (3, 11))'; \
	if $(PY) -c "$$new; import pip" 2>/dev/null && grep -qF '$(CURDIR)/$(VENV)/bin/' $(VENV)/bin/pip 2>/dev/null; then \
		exit 0; \
	fi; \
	bare=; \
	for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
		"$$python" -c "$$new" 2>/dev/null || continue; \
		if "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
			$(call aloud,making $(VENV)) "$$python" --version; \
			"$$python" -m venv --clear $(VENV); \
			exit; \
		fi; \
		bare=$${bare:-$$python}; \
	done; \
	if [ -n "$$bare" ]; then \
		package=$$("$$bare" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		echo "$$bare has no venv module; on Debian and Ubuntu: apt-get install $$package" >&2; \
	else \
		echo "speskew needs Python 3.11 or newer; found: $(or $(PYTHON),$$(python3 --version 2>/dev/null || echo none))" >&2; \
		echo "  Debian 12 and newer: apt-get install python3 python3-venv" >&2; \
		echo "  or name one:         make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	fi; \
	exit 1
	@$(call aloud,bringing pip up to date) $(PY) -m pip install --quiet 'pip>=25.1'
	@printf '%s\n' '$(CURDIR)' > $@
