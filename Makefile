# The commands of the project; README.md names them. `make setup` needs Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
# a process for each core, each with one thread: files of tests side by side
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

.PHONY: setup dev demo test test-all lint type bench docs serve clean

# The environment is made anew when what it holds changes.
setup: .venv/.installed
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "imagetree needs Python 3.11 or later")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

dev: .venv/.dev
.venv/.dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/imagetree demo

test: dev
	$(PYTEST) -m "not slow"

test-all: dev
	$(PYTEST)

lint: dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

type: dev
	$(BIN)/mypy

bench: dev
	$(BIN)/python bench/run.py

docs: dev
	$(BIN)/python scripts/write_cli_docs.py

# The demo's report in a browser, at http://127.0.0.1:8000/run/report.html
serve: demo
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory demo 8000

clean:
	rm -rf .venv demo build
