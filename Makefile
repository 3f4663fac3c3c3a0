SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
ROOT := $(CURDIR)
RUST := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)
DATA := examples/diabetes/data/diabetes.parquet

# The first interpreter that is new enough; `make PYTHON=...` names another.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

# The wheels of torch are large: a slow connection needs longer than uv waits on its own.
export UV_HTTP_TIMEOUT ?= 300
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# $(call step,Title,command): a line before, and the seconds after.
step = @printf '==> %s\n' '$(1)'; SECONDS=0; { $(2); } || exit 1; printf '    %s: done in %s s\n' '$(1)' "$$SECONDS"

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1 \2/p' $(MAKEFILE_LIST) | while read -r make target text; do \
		printf '  make %-12s %s\n' "$$target" "$$text"; done

.PHONY: demo
demo: setup $(DATA) ## Set up, run the diabetes example on real data, and query what it recorded
	$(call step,Compile examples/diabetes/spec.yaml,$(BIN)/mlx compile examples/diabetes/spec.yaml --explain)
	$(call step,Run examples/diabetes/spec.yaml,$(BIN)/mlx run examples/diabetes/spec.yaml --root runs)
	$(call step,Read the results with DuckDB,$(BIN)/python examples/query.py)

.PHONY: test
test: setup ## Set up and run all tests
	$(call step,Test the store,cargo test --release --workspace --locked)
	$(call step,Test the package,$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile)

.PHONY: check
check: setup ## Check format, lints and types
	$(call step,Check the format,$(BIN)/ruff format --check && cargo fmt --all --check)
	$(call step,Lint Python,$(BIN)/ruff check)
	$(call step,Check types,$(BIN)/mypy)
	$(call step,Check the stub of the extension,$(BIN)/stubtest specplan._native --mypy-config-file pyproject.toml --allowlist tests/stubtest-allowlist.txt)
	$(call step,Lint Rust,$(CLIPPY) --workspace --all-targets --locked -- -D warnings)

.PHONY: wheel
wheel: setup ## Build the sdist, a wheel from it in a clean folder, and try that wheel
	$(call step,Build and try the wheel,tools/try_wheel.sh $(BIN))

.PHONY: all
all: check test wheel ## Everything that continuous integration runs

.PHONY: format
format: setup ## Format the code and mend what the linters can mend
	$(BIN)/ruff check --fix --quiet || true
	$(BIN)/ruff format
	cargo fmt --all

.PHONY: generate
generate: setup ## Write the generated files anew: schemas, the pages of components, errors and fields, the table of estimators
	$(BIN)/python tools/generate_schemas.py
	$(BIN)/python tools/generate_components_page.py
	$(BIN)/python tools/generate_errors_page.py
	$(BIN)/python tools/generate_fields_page.py
	$(BIN)/python tools/generate_estimators.py

# `make bench BENCHES=--quick` prints instead of writing; `make bench BENCHES=read` measures one section anew.
.PHONY: bench
bench: setup $(DATA) ## Run the benches and write benches/RESULTS.md
	$(call step,Run the benches,$$([ -x $(PEERS)/bin/python ] && echo $(PEERS) || echo $(VENV))/bin/python benches $(BENCHES))

# The peers get an environment of their own. What the project has itself is read from its environment
# through a .pth file and left out of the resolution, so that all contenders run on the same packages.
PEERS := .venv-bench
.PHONY: bench-peers
bench-peers: setup ## Install what the benches compare with into .venv-bench
	$(call step,Install benches/requirements.txt,$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PEERS) \
		&& $(BIN)/uv pip install --python $(PEERS)/bin/python -r benches/requirements.txt --excludes \
			<(sed -n '/win32/d; s/^\([a-z0-9_.-]*\)==.*/\1/p' constraints.txt) \
		&& $(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(" + repr(sysconfig.get_path("purelib")) + ")")' \
			> $$($(PEERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/project.pth)

.PHONY: editors
editors: setup ## Drive the JSON and the YAML language server with the schema (needs node and npm)
	$(call step,Install the language servers,npm install --prefix tools/editors --no-package-lock --no-audit --no-fund)
	$(call step,Drive the language servers,$(BIN)/python -m pytest -m editor tests/editor)

.PHONY: torture
torture: setup ## Run the long tier of the fault harness, and write its figures into docs/reliability.md
	$(BIN)/python -m tests.torture

.PHONY: lock
lock: setup ## Write constraints.txt anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-package specplan --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--quiet --output-file constraints.txt

.PHONY: clean
clean: ## Remove everything that make made; runs stay
	rm -rf $(VENV) $(PEERS) target dist examples/*/data .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f python/specplan/_native*.so
	find python tests examples tools benches -name __pycache__ -prune -exec rm -rf {} +

# ---- set-up: each step leaves a stamp and runs again only when what it depends on is newer -------

.PHONY: setup
setup: $(VENV)/.built
	@$(BIN)/python -m compileall -q python

$(VENV)/.created:
	@[ -n '$(PYTHON)' ] || { echo 'specplan needs Python 3.11 or newer. If it is not on the PATH, name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	@command -v cargo >/dev/null || { echo 'specplan needs cargo (Rust 1.88 or newer) to build its extension' >&2; exit 1; }
	$(call step,Make $(VENV) with $(PYTHON),$(PYTHON) -m venv $(VENV) && { $(BIN)/pip install --quiet uv || echo 'There is no uv to be had: pip does its work'; })
	@touch $@

# Compiled once here, and not by every process where PYTHONDONTWRITEBYTECODE is set: it doubles what `mlx` takes.
INSTALL = { [ -x $(BIN)/uv ] && $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --require-hashes -r constraints.txt; } \
	|| $(BIN)/pip install --require-hashes -r constraints.txt
$(VENV)/.installed: constraints.txt $(VENV)/.created
	$(call step,Install constraints.txt,$(INSTALL))
	@touch $@

# maturin looks at the dependencies once more, finds them, and stays offline. Nothing else builds the
# extension: after a plain `cargo build` pyo3 is configured otherwise and has to be built again.
# The crates of the tests are fetched with the others, so that they need no network later.
MATURIN = cargo fetch --locked && env -u CONDA_PREFIX VIRTUAL_ENV=$(ROOT)/$(VENV) $(BIN)/maturin develop --release $$([ ! -x $(BIN)/uv ] || echo --uv)
$(VENV)/.built: $(RUST) pyproject.toml $(VENV)/.installed
	$(call step,Build the extension,$(MATURIN))
	@touch $@

# For the same reason clippy has its own folder.
CLIPPY = CARGO_TARGET_DIR=target/clippy cargo clippy

$(DATA): examples/make_data.py $(VENV)/.installed
	$(call step,Write the data of the examples,$(BIN)/python examples/make_data.py)
	@touch $@
