# make setup   a .venv in this folder with what requirements.lock pins (uv is used where it is there)
# make demo    ECGs from four reports, in ./demo
# make test    every test
# make lint    style
# make clean   removes what the above left, but for .venv

SHELL := /bin/sh
PYTHON ?= python3.11 python3.12 python3.13 python3
BIN := .venv/bin
STAMP := .venv/ttecg-is-set-up
# pytest workers: one more than processors, since tests wait for processes that they start; at most 4, since XLA is itself
# multithreaded and more only compete
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); n=$$((n + 1)); [ $$n -gt 4 ] && n=4; echo $$n)

.PHONY: setup demo test lint clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; \
	if [ -x $(BIN)/python ] && $(BIN)/python -c "$$fits"; then \
		echo "using the Python of .venv"; \
	else \
		python=; \
		for name in $(PYTHON); do \
			if $$name -c "$$fits" >/dev/null 2>&1; then python=$$name; break; fi; \
		done; \
		if [ -z "$$python" ]; then \
			echo "no Python 3.11, 3.12 or 3.13 found among: $(PYTHON). Install one, or name it: make setup PYTHON=/path/to/python3" >&2; \
			exit 1; \
		fi; \
		rm -rf .venv; \
		if command -v uv >/dev/null 2>&1; then \
			uv venv --quiet --python "$$(command -v $$python)" .venv; \
		else \
			$$python -m venv .venv; \
		fi || { rm -rf .venv; exit 1; }; \
	fi
	@if command -v uv >/dev/null 2>&1; then \
		uv pip install --python $(BIN)/python -r requirements.lock && \
		uv pip install --python $(BIN)/python --no-deps -e .; \
	else \
		$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.lock && \
		$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -e .; \
	fi
	@touch $@

demo: setup
	@if [ -e demo ] && [ ! -f demo/manifest.jsonl ]; then \
		echo "./demo is there and was not made by make demo; move it away" >&2; exit 1; \
	fi
	rm -rf demo
	$(BIN)/ttecg generate --reports examples/reports.csv --out demo

test: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	@if [ -f demo/manifest.jsonl ]; then rm -rf demo; fi
	rm -rf build dist .pytest_cache .ruff_cache *.egg-info
	find ttecg tests configs -name __pycache__ -type d -prune -exec rm -rf {} +
