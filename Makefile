# Every command works on a fresh clone: it makes .venv and installs what is pinned. `make` lists them.

PYTHON_VERSION := $(shell cat .python-version)
BIN := .venv/bin
# pip installs only files whose hash is listed, and builds none: a build would fetch tools that no file lists.
PIP_INSTALL := -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --only-binary=:all:

.DEFAULT_GOAL := help
.PHONY: help install demo serve check test lint format docs bicep scan soak bench witness package audit clean
.PHONY: browser-test pictures

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

install: .venv/installed ## make .venv and install everything pinned; the other commands do this first

.venv/installed: requirements.txt requirements-dev.txt .python-version
	@for python in python$(PYTHON_VERSION) python3 python; do \
		if $$python -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(PYTHON_VERSION)")' 2>/dev/null; then \
			$$python -m venv --clear .venv && exit 0 || exit 1; \
		fi; \
	done; \
	echo "Python $(PYTHON_VERSION) is needed and was not found as python$(PYTHON_VERSION), python3 or python."; \
	echo "Install it (with pyenv: pyenv install $(PYTHON_VERSION)), then run make again."; exit 1
	@$(BIN)/python $(PIP_INSTALL) -r requirements-dev.txt
	@$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@

demo: install ## start the local cloud, cancel sample orders, show what happened
	@$(BIN)/python -m infra.local demo

serve: install ## keep the local cloud running, with a page for the browser (PORT=7071; the page has the next one)
	@$(BIN)/python -m infra.local --callers --describe .local-cloud.json --remove-description --port $(or $(PORT),7071)

check: lint ## before each commit: lint, then the fast tests (half a minute)
	@$(BIN)/python -m pytest -q -n 3 --dist loadfile tests/unit

# In their order: the many short files of tests/unit come last and fill up the end. Python keeps what it compiles, even
# where the environment says otherwise: else each process compiles all of it again.
test: install ## all tests but the long ones; some of them: make test ARGS="-k throttle"
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q $(if $(ARGS),$(ARGS),-n 4 --dist loadfile --no-loadscope-reorder)

browser-test: .venv/browser ## drive the page of the local cloud in a browser (BROWSER=PROGRAM, else chromium on the PATH)
	@$(BIN)/python -m pytest -q --browser "$(or $(BROWSER),chromium)" $(or $(ARGS),tests/browser)

pictures: .venv/browser ## take the pictures of the page for README.md (BROWSER=PROGRAM, else chromium on the PATH)
	@$(BIN)/python -m tests.browser.pictures "$(or $(BROWSER),chromium)"

.venv/browser: requirements-browser.txt | install
	@$(BIN)/python $(PIP_INSTALL) -r requirements-browser.txt
	@$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@

lint: install ## check format, style and types (ruff, mypy --strict)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: install ## let ruff rewrite format and style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: install ## write the tables in docs/ and infra/openapi.json from the code
	@$(BIN)/python -m infra.documents
	@$(BIN)/python -m tests.support.fault_matrix
	@$(BIN)/python -m infra.openapi

bicep: install ## compile the Bicep files and check what they would deploy (BICEP=PROGRAM, else bicep on the PATH)
	@command -v "$(or $(BICEP),bicep)" >/dev/null || { \
		echo "Microsoft's Bicep compiler is needed and was not found as $(or $(BICEP),bicep on the PATH)."; \
		echo "Install it (https://aka.ms/bicep-install), or name it: make bicep BICEP=PROGRAM."; exit 1; }
	@$(BIN)/python -m pytest -q --soak tests/contract/bicep

scan: .venv-scan/installed ## check the Bicep files for safety (checkov, in .venv-scan)
	@.venv-scan/bin/python infra/scan.py

.venv-scan/installed: requirements-scan.txt | install
	@$(BIN)/python -m venv --clear .venv-scan
	@.venv-scan/bin/python $(PIP_INSTALL) -r requirements-scan.txt
	@.venv-scan/bin/python -m pip check --disable-pip-version-check
	@touch $@

soak: install ## the long tests: all faults, fuzzing, cases from infra/openapi.json, storms of 5,000 and 2,000, and 20,000 requests
	@$(BIN)/python -m pytest -q --soak tests/e2e tests/contract/tickets tests/contract/finding tests/contract/bicep \
		tests/contract/test_credential_faults.py

bench: install ## measure speed beside what it replaces, 6 minutes (ARGS="--only warm --json FILE --plot FILE")
	@$(BIN)/python -m tests.benchmarks $(ARGS)

witness: .venv-witness/installed ## compare the stand-ins with what others wrote (Azurite; ARGS=--record writes it down)
	@$(BIN)/python -m tests.support.witness $(ARGS)

# Node.js comes from PyPI, Azurite from npm, both by their hashes. No package's own script runs.
.venv-witness/installed: requirements-witness.txt tests/support/witness/package-lock.json | install
	@$(BIN)/python -m venv --clear .venv-witness
	@.venv-witness/bin/python $(PIP_INSTALL) -r requirements-witness.txt
	@.venv-witness/bin/python -m pip check --disable-pip-version-check
	@cp tests/support/witness/package.json tests/support/witness/package-lock.json .venv-witness/
	@.venv-witness/bin/npm ci --prefix .venv-witness --ignore-scripts --no-audit --no-fund --silent
	@touch $@

package: install ## build dist/, the folder that azd uploads, and dist.cdx.json, which lists the packages in it
	@$(BIN)/python -m infra.package

audit: .venv-audit/installed ## look for known vulnerabilities in what is shipped and what runs the tests
	@.venv-audit/bin/python infra/audit.py

.venv-audit/installed: requirements-audit.txt | install
	@$(BIN)/python -m venv --clear .venv-audit
	@.venv-audit/bin/python $(PIP_INSTALL) -r requirements-audit.txt
	@touch $@

clean: ## remove .venv, dist and every cache
	@rm -rf .venv .venv-audit .venv-scan .venv-witness dist dist.cdx.json .local-cloud.json .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +
