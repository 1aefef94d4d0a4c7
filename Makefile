# The commands that people run; `make` alone lists them.

PYTHON ?= python
CODE ?= de
TORCH ?= torch==2.13.0
PRESETS := llama1 llama2 llama3 llama4
UV ?= uv
# On all cores; what shares a start of LibreOffice stays in one worker.
PYTEST := pytest -n auto --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help install demo test quick coverage package test-wheel test-oldest test-newest test-hf lint format types generated docs gallery benchmark same-bytes fuzz differ kills mutations words random

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' Makefile

install: ## Install sheetgen, editable, with all that its tests need.
	$(PYTHON) -m pip install --quiet --editable ".[test]"

demo: ## Install sheetgen, build a workbook and check it.
	$(PYTHON) -m pip install --quiet --editable .
	sheetgen build llama4 --heads 4 --experts 3
	sheetgen check generated/llama4.xlsx

test: install ## Install, then run all tests on all cores (about twenty minutes on two).
	$(PYTHON) -m $(PYTEST)

quick: ## Run the quick tests only.
	$(PYTHON) -m $(PYTEST) -m "not slow"

coverage: ## Run all tests and tell which lines none of them reaches (longer than the tests alone).
	$(PYTHON) -m $(PYTEST) --cov --cov-report=term

package: ## Build the wheel and the source distribution into dist/, install sheetgen in every way, and work with it.
	$(PYTHON) tests/packages.py --keep dist

test-wheel: ## Install the wheel from dist/ with what its tests need, and run the quick tests on it.
	$(PYTHON) -m pip install --quiet "$$(ls dist/*.whl)[test]"
	$(PYTEST) -m "not slow"  # not python -m: that puts this folder, and so the checkout, on the path

test-oldest: ## Install the oldest libraries that pyproject.toml allows (needs uv), and run the quick tests with them.
	$(UV) venv --quiet --clear .venv-oldest
	$(UV) pip install --quiet --compile-bytecode --python .venv-oldest --resolution lowest-direct --editable ".[test]"
	.venv-oldest/bin/python -m $(PYTEST) -m "not slow"

test-newest: ## Install the newest libraries, whatever upper bound pyproject.toml has (needs uv), and run all tests.
	$(UV) venv --quiet --clear .venv-newest
	printf '%s\n' XlsxWriter formulas schedula >.venv-newest/overrides.txt
	$(UV) pip install --quiet --compile-bytecode --python .venv-newest --upgrade --overrides .venv-newest/overrides.txt --editable ".[test]"
	.venv-newest/bin/python -m $(PYTEST)

test-hf: install ## Install torch and transformers, too, and compare random tiny models of theirs with ours.
	$(PYTHON) -m pip install --quiet "$(TORCH)" "transformers>=5"
	$(PYTHON) -m pytest -n auto -m hf tests/test_hf.py

lint: ## Look for mistakes, for code that is not formatted, and for imports that point the wrong way.
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	lint-imports

format: ## Format the code and mend what can be mended.
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

types: ## Check the types.
	$(PYTHON) -m mypy

generated: ## Rebuild the committed workbooks in generated/, byte for byte.
	for preset in $(PRESETS); do sheetgen build $$preset -o generated/$$preset.xlsx --force || exit 1; done

docs: ## Write docs/cli.md anew from what --help says.
	$(PYTHON) docs/cli.py

gallery: ## Draw every preset's Map and Model into docs/gallery (needs LibreOffice).
	$(PYTHON) docs/gallery/rebuild.py

benchmark: ## Time build and check, small to large, beside other programs; writes docs/benchmarks.md (half an hour).
	$(PYTHON) benchmarks/benchmark.py --write docs/benchmarks.md

same-bytes: ## Compare all that is written with a commit before: make same-bytes BEFORE=before.json (see the script).
	$(PYTHON) tests/same_bytes.py compare $(BEFORE)

fuzz: ## Break 10,000 files and options at random, and see that each is refused in a line (half an hour).
	$(PYTHON) tests/fuzz.py

differ: ## Change 2,000 workbooks at random; what check calls equal must be equal in LibreOffice and Formulon.
	$(PYTHON) tests/differ.py

kills: ## Kill a hundred builds over an existing file, at random moments.
	$(PYTHON) -m pytest -q -m slow tests/test_writing.py

words: ## List the texts that a language lacks: make words CODE=de
	$(PYTHON) tests/language.py $(CODE)

mutations: ## Break every block of every preset in every way, and see that check finds it (half an hour).
	$(PYTHON) tests/mutations.py --write docs/mutations.md

random: ## Build and check 300 random models of all presets; the seed is printed.
	SHEETGEN_SECONDS=3000 $(PYTHON) -m pytest -s tests/test_random.py
