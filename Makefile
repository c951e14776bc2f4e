# Everything is done from here; it needs make and Python 3.11 or newer, no more.
# The first target that needs it makes .venv; delete .venv (or `make clean`) to renew it.

PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11
ARGS   ?=
SOAKS  := properties simulation fuzz kills batch saving transport webhooks sandbox
EXTRAS := cli,crypto,httpx,m2m,otel,postgres,redis,starlette
BIN    := .venv/bin
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq

# Without byte code each worker and each program of a test compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow coverage flakes check lint types contracts docs bench pictures contract measure pythons lowest lock clean soak soak-short
help:  ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 /p' Makefile | awk '{printf "  make %-10s", $$2; $$1=$$2=""; print}'
demo: .venv/.demo  ## the main job on a local sandbox (ARGS="--json" and the like)
	@$(BIN)/persona-share demo $(ARGS)
test: .venv/.dev  ## the tests, in parallel (ARGS="-k scope", ARGS="-n 0" and the like)
	@$(PYTEST) $(ARGS)
test-slow: .venv/.dev  ## the tests that take long: processes, servers, kills
	@$(PYTEST) --slow $(ARGS)
coverage: .venv/.dev  ## how much of the library the tests reach, by branch
	@$(PYTEST) -q --cov --cov-report=term $(ARGS)
flakes: .venv/.dev  ## the tests three times, each time in another order
	@for _ in 1 2 3; do $(PYTEST) -q -p pytest_randomly $(ARGS) || exit 1; done

check: lint types contracts docs  ## everything a machine can say without running a test

lint: .venv/.dev
	$(BIN)/ruff check && $(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/zizmor --offline --quiet .github
	$(PYTEST) -q tests/packaging/test_language.py tests/packaging/test_language_of_tests.py

types: .venv/.dev
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes persona_share --ignoreexternal
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright tests/typing/mistakes.py

contracts: .venv/.dev  ## the import contracts, and that each can break
	$(BIN)/lint-imports --no-logo --no-cache  # a cache misses new packages
	$(BIN)/python -m pytest -q tests/packaging/test_contracts.py

docs: .venv/.dev  ## the documentation, in docs/_build
	$(BIN)/sphinx-build -nW --keep-going -q docs docs/_build

measure: .venv/.dev  ## files and lines by package, and what one call crosses
	@$(BIN)/python -m benchmarks.size

bench: .venv/.dev  ## the figures, one line each
	@$(BIN)/python -m benchmarks $(ARGS)

soak: $(SOAKS:%=soak-%)  ## the long tests; SOAK= minutes of each part (20)
soak-short: SOAK = 1
soak-short: soak  ## the same, within minutes
soak-%: .venv/.dev
	@SOAK_MINUTES=$(or $(SOAK),20) $(BIN)/python -m tests.soak $*

pictures: .venv/.dev  ## the pictures of the inspector, in docs/images (needs chromium)
	$(BIN)/python -m tests.browser.pictures docs/images

contract: .venv/.dev  ## all that the official description says (prism needs npx; clients need Java)
	$(BIN)/python -m pytest -q tests/contract
	$(BIN)/python -m tests.contract && $(BIN)/python -m tests.contract.fuzzing && $(BIN)/python -m tests.contract.prism && $(BIN)/python -m tests.contract.clients

pythons: .venv/.dev  ## what differs between Pythons, on each other one of this machine
	@$(BIN)/python noxfile.py
	@$(BIN)/nox -t others

lowest: .venv/.dev  ## the tests with the lowest dependencies that pyproject.toml allows
	@$(BIN)/nox -s lowest-$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')

lock: .venv/.dev  ## write constraints.txt anew, with the newest versions
	@sed -n 1p constraints.txt >.constraints
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 pyproject.toml --all-extras \
	  --group dev --no-annotate --no-header --upgrade >>.constraints && mv .constraints constraints.txt

clean:  ## remove what was made here, .venv too
	rm -rf .venv .nox build dist docs/_build .coverage htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find persona_share tests benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

.venv/.demo: pyproject.toml | .venv/.made
	@echo "installing persona_share into .venv …"
	@$(PIP) install --editable '.[cli]'
	@touch $@

.venv/.dev: pyproject.toml constraints.txt | .venv/.made
	@echo "installing persona_share and the tools of its developers into .venv …"
	@$(PIP) install 'pip>=25.1'  # the first that knows dependency groups
	@$(PIP) install -c constraints.txt --editable '.[$(EXTRAS)]' --group dev
	@$(BIN)/python -m pytest -q --co -n 0 >/dev/null 2>&1 || true  # compiles once, not in each worker
	@touch $@ .venv/.demo

.venv/.made:
	@for each in $(PYTHON); do \
	  $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  enough=$$each; \
	  $$each -c 'import ensurepip, venv' 2>/dev/null || continue; \
	  $$each -m venv .venv && touch $@ && exit 0; \
	  echo "$$each could not make .venv; the reason stands above." >&2; exit 1; \
	done; \
	[ -z "$$enough" ] || echo "$$enough cannot make a virtual environment (Debian, Ubuntu: apt-get install python3-venv)." >&2; \
	[ -n "$$enough" ] || echo "persona_share needs Python 3.11 or newer, not: $(PYTHON). Name one: make PYTHON=/path/to/python3" >&2; \
	exit 1
