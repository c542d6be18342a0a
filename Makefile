# SCNet Hub by command. `make` lists the targets. All of them set up first what is missing; the second time that takes
# a fraction of a second. Needs Python 3.11 or newer with its venv module; nothing else of the system.

SHELL := /bin/sh
CENTRES ?=
PORT ?=
TESTS ?=
SEED ?=
MINUTES ?=
# The environment's own Python if it runs, else the first on PATH that is new enough.
PYTHON ?= $(shell for p in .venv/bin/python python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: help setup tools demo test test-quick soak faults testbed-up testbed-down check lock
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv as requirements.lock says, and install the proxy
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: apt install python3-venv, or brew install python" >&2; exit 1; }
	@$(PYTHON) -m scnet_hub.setup

tools: setup ## install what checks and tests the JavaScript; `make test` and `make check` do it by themselves
	@$(PYTHON) -m scnet_hub.setup --tools

demo: setup ## start a whole federation on this machine (CENTRES=slurm: of real Slurm; PORT=8000)
	@exec .venv/bin/scnet demo $(if $(CENTRES),--centres $(CENTRES)) $(if $(PORT),--port $(PORT))

test: tools ## run the whole test suite (TESTS=tests/unit/domain/placement: a part of it)
	@.venv/bin/python -m pytest -n 2 --dist loadgroup $(TESTS)

test-quick: setup ## run what needs no root, no service and no browser (TESTS=tests/unit/domain/placement: a part of it)
	@.venv/bin/python -m pytest -n 2 --dist loadgroup -m quick $(TESTS)

soak: setup ## try the ledger's properties with 50,000 examples each, REST with 100 a call (TESTS=tests/unit/ledger/test_x.py: a part)
	@SCNET_EXAMPLES=50000 .venv/bin/python -m pytest -n 2 --dist loadgroup -m hypothesis $(or $(TESTS),tests/unit/ledger)
	$(if $(TESTS),,@SCNET_API_EXAMPLES=100 .venv/bin/python -m pytest -n 2 tests/federation/broker/test_schemathesis.py)

faults: setup ## break a federation over four real centres under load, as root (SEED=7 MINUTES=60), and report
	@.venv/bin/python -m tests.real.faults $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

testbed-up: setup ## bring up four real centres in namespaces, as root (CENTRES=ab: these only)
	@.venv/bin/python -m tests.real.testbed up $(CENTRES)

testbed-down: setup ## end them
	@.venv/bin/python -m tests.real.testbed down

check: tools ## format, lint, types (Python and JavaScript), layers, and the sizes of files and functions
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/python -m pytest -q tests/test_layers.py tests/test_house.py tests/test_javascript.py

lock: setup ## pin the dependencies of pyproject.toml anew (UPGRADE=1: to the newest that fit)
	@.venv/bin/uv pip compile -q --universal --generate-hashes --no-header --all-extras --python-version 3.11 \
		$(if $(UPGRADE),--upgrade) pyproject.toml -o requirements.lock
	@$(MAKE) --no-print-directory setup
