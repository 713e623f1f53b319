# The targets of this project. `make help` lists them; ARGS="..." is passed to the command of a target.

PYTHON_IN_VENV := .venv/bin/python
PERDURE := .venv/bin/perdure
ARGS ?=
# The tests wait more than they compute: one after another they used 610 processor seconds in 1,332 s. So three workers
# share two cores.
# A file stays in one worker, because its tests share servers. A worker that crashes ends the session, with a failure.
TEST_WORKERS ?= 3
PYTEST := $(PYTHON_IN_VENV) -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0

.DEFAULT_GOAL := help
.PHONY: help setup run test test-unit test-all chaos mutants mutation-tool demo up down samples lint fix types contracts check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Create .venv from requirements-dev.lock; quick when it exists already
	@tools/setup.sh

run: setup ## Process samples/ with the embedded servers, as the run my-run
	@$(PERDURE) run samples --workflow-id my-run $(ARGS)

demo: setup ## Kill a worker while it reads a document, and prove that no result is lost
	@$(PERDURE) demo $(ARGS)

up: setup ## Run the embedded servers in the foreground
	@$(PERDURE) up $(ARGS)

down: setup ## Stop the embedded servers and the workers
	@$(PERDURE) down $(ARGS)

test: setup ## Run the tests in minutes; PERDURE_CORPUS=folder adds those on real documents
	@$(PYTEST) -m "not slow" $(ARGS)

test-unit: setup ## Run the unit tests, which need no server, in a minute
	@$(PYTEST) -m "not slow" tests/unit $(ARGS)

test-all: setup ## Run every test: those of `make test`, the chaos tests and the other slow ones
	@$(PYTEST) $(ARGS)

chaos: setup ## Strike a run with kills, stops, cuts and full disks; ARGS="--faults 300 --seed 1"
	@$(PYTHON_IN_VENV) -m tests.chaos.harness $(ARGS)

mutants: setup ## Break the guards one by one, and list those that no test misses; ARGS="files --jobs 2"
	@$(PYTHON_IN_VENV) -m tests.mutants.run $(ARGS)

mutation-tool: setup ## Mutate the pure modules mechanically, in hours; ARGS="workflows/breaker.py --sample 40"
	@$(PYTHON_IN_VENV) tools/mutation_tool.py $(ARGS)

lint: setup ## Check style and formatting
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m ruff format --check .

fix: setup ## Format the code, and apply the linter's safe fixes
	@$(PYTHON_IN_VENV) -m ruff check --fix .
	@$(PYTHON_IN_VENV) -m ruff format .

types: setup ## Check types
	@$(PYTHON_IN_VENV) -m mypy .

contracts: setup ## Check which package may import which
	@$(PYTHON_IN_VENV) -c 'from importlinter.cli import lint_imports_command; lint_imports_command(["--no-logo"])'

check: lint types contracts ## Everything that needs no server

samples: setup ## Write samples/ anew
	@$(PYTHON_IN_VENV) -m tools.samples $(ARGS)

clean: ## Remove .venv and caches; data/ stays
	@rm -rf .venv .mutation .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
