# Each target sets up .venv by itself; python3.11 with venv, make and git are enough.

PYTHON ?= python3.11
BIN = .venv/bin

.PHONY: demo test prove check docs bench torture mutants mutation coverage clean

demo: .venv/installed
	$(BIN)/python -m demo

# All behaviour, and each proof a little: under three minutes on two cores.
test: .venv/developing
	$(BIN)/python -m pytest -n auto

# The long proofs and their controls, in full: what CI holds each change to. Then the tests of commands,
# of workers and of the dashboard again, with their queues on a PostgreSQL server.
prove: .venv/developing
	$(BIN)/python -m pytest -n auto --prove
	$(BIN)/python -m pytest -n auto --on-server

check: .venv/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# docs/commands.md and docs/events.md, from the code.
docs: .venv/developing
	$(BIN)/python -m docs.generate

bench: .venv/measuring
	$(BIN)/python -m compileall -q eventstore projections queuectl
	$(BIN)/python -m benchmarks

# Branches of the two lower floors and of the rules that no test takes. Measured programs need more
# memory than the limits leave them.
coverage: .venv/developing
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n auto --ignore tests/browser --ignore tests/faults/test_syscalls.py \
		-k "not under_a_limit"
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

# Ten faults, planted one after the other in a copy: which test catches each.
mutants: .venv/developing
	$(BIN)/python -m tests.mutants

# Each small change to folds and rules, one after the other: how many the unit tests notice.
mutation: .venv/developing
	rm -rf mutants
	$(BIN)/python -m tests.mutants.score

# What docs/guarantees.md promises, tried for some hours: ONLY="power kills" AMOUNT=1000 SEED=7
torture: .venv/developing
	$(BIN)/python -m tests.torture $(if $(ONLY),--only $(ONLY)) $(if $(AMOUNT),--amount $(AMOUNT)) \
		$(if $(SEED),--seed $(SEED))

.venv/bin/python:
	$(PYTHON) -m venv .venv

# Compiled here, since an environment may forbid Python to do so at the first start.
.venv/installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m compileall -q eventstore projections queuectl
	touch $@

# All at once: to install the program first and then again with the rest takes a third longer.
.venv/developing: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test,dev]'
	$(BIN)/python -m compileall -q eventstore projections queuectl
	touch .venv/installed $@

.venv/measuring: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@

clean:
	rm -rf .venv build dist mutants ./*.egg-info .*_cache .hypothesis
