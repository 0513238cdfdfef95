# `make help` lists the targets. Everything runs from the environment that `make install` creates in .venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help install run test check format verify bench frontend clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv with the `coldstart` command, from the lock file

$(STAMP): requirements.lock pyproject.toml
	@PYTHON=$(PYTHON) tools/system-packages python
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@tools/system-packages runtimes
	@touch $(STAMP)

run: install ## Serve the portal with one worker on http://127.0.0.1:8000 (PORT=9000 for another port)
	@$(BIN)/coldstart serve --with-worker --with-notebooks --port $(PORT)

test: install ## Run the tests
	@tools/system-packages browser
	@$(BIN)/pytest -q -m "not slow"

check: install ## Everything a change has to pass: format, lint, types, imports, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(MAKE) --no-print-directory test

format: install ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

verify: install ## The exhaustive suites: every lab's solutions and mutants, ten runs each, and in three skins
	@$(BIN)/pytest -q -m slow
	@for lab in labs/*/lab.toml; do $(BIN)/coldstart lab verify "$$(basename "$$(dirname "$$lab")")" --runs 10 || exit 1; done
	@for lab in labs/*/skins.toml; do for key in 3 4 5; do tools/verify-skin "$$(basename "$$(dirname "$$lab")")" $$key || exit 1; done; done

bench: install ## Measure what we promise to be fast at
	@$(BIN)/python -m benchmarks

frontend: ## Build portal/static/dist again (needs Node.js)
	@cd frontend && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent build

clean: ## Remove the environment and all local data
	@rm -rf .venv var
