# `make demo` and `make test` do all set-up themselves. PYTHON names the interpreter of .venv.
BIN := .venv/bin
READY := .venv/.ready
PYTHON ?=
ARCHITECTURE ?=

.PHONY: setup demo test browserless-test fresh-test newest-test check bench hostile soak image-test docs reference dist pins clean

setup:
	@bash .ci/setup $(PYTHON)
	@touch $(READY)

$(READY): pyproject.toml constraints.txt .ci/setup
	@bash .ci/setup $(PYTHON)
	@touch $@

demo: $(READY)
	@$(BIN)/python -m examples.demo

test: $(READY)
	@$(BIN)/python -m tests.run

# the tests without browsers, for a Python or a machine that has none
browserless-test:
	@bash .ci/setup --without-browsers $(PYTHON)
	@$(BIN)/python -m tests.run --without-browsers

# check, demo and tests in a bare Debian with the oldest Python; tests without browsers in one with the newest
fresh-test:
	@bash tests/bare/run.sh bookworm "python3 make git" "make check && make demo && bash tests/bare/install.sh && make test"

newest-test:
	@bash tests/bare/run.sh forky "python3.14 python3.14-venv make git" "make browserless-test PYTHON=python3.14" \
	  "bash .ci/setup --without-browsers python3.14"

check: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY)
	@$(BIN)/python -m benchmarks.run

hostile: $(READY)
	@$(BIN)/python -m benchmarks.hostile

soak: $(READY)
	@$(BIN)/python -m benchmarks.soak

# ARCHITECTURE=arm64 builds and tries it for another processor
image-test:
	@bash tests/image/run.sh $(ARCHITECTURE)

# the documentation as a site, in build/docs
docs: $(READY)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "docs: build/docs/index.html"

# the pages of docs/reference, after a session with a real sidecar
reference: $(READY)
	@$(BIN)/python -m docsite.capture
	@$(BIN)/python -m docsite.reference

dist: $(READY)
	@$(BIN)/python -m build --no-isolation

pins: $(READY)
	@{ sed -n 1p constraints.txt; $(BIN)/pip freeze --exclude-editable | LC_ALL=C sort -f; } > constraints.new
	@mv constraints.new constraints.txt

clean:
	rm -rf .venv build dist demo-output .coverage .*_cache .hypothesis
