# The names of the chores; what they need is set up by them.
.DEFAULT_GOAL := help
PYTEST := .venv/bin/python -m pytest
# Most tests wait for servers, so more of them run at once than there are processors.
AT_ONCE := -n 3 --no-loadscope-reorder
STAGE ?= phase2

.PHONY: help setup setup-dev up down check test test-quick test-long bench conformance lock reference

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@scripts/setup toolkit

setup-dev:
	@scripts/setup dev

up: setup ## Bring up phase2 on this machine, everything it needs included
	@.venv/bin/watoto up --stage $(STAGE) --yes

down: setup ## Destroy what `make up` made, data included
	@.venv/bin/watoto destroy --yes --delete-data

check: setup-dev ## Lint, types, import rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy watoto_infra src/lms_app cli.py tests benchmarks
	PYTHONPATH=.:src .venv/bin/lint-imports

test: setup-dev ## Run the tests (about 13 minutes)
	$(PYTEST) $(AT_ONCE) --durations=20

test-quick: setup-dev ## Run the tests that start no server (under 2 minutes)
	$(PYTEST) $(AT_ONCE) -m "not local and not long and not conformance" -x

test-long: setup-dev ## Run the full forms of soak, kill and load tests too
	WATOTO_EXAMPLES=300 $(PYTEST) -m "not conformance"

conformance: setup-dev ## Compare with the official Pulumi CLI found on PATH
	$(PYTEST) -m conformance

bench: setup-dev ## Measure; figures are kept in docs/benchmarks.md
	.venv/bin/python -m benchmarks

reference: setup-dev ## Write docs/reference/ anew from the code
	.venv/bin/python -m watoto_infra.cli.reference

lock: setup-dev ## Resolve requirements/*.in into the hashed lock files
	scripts/lock
