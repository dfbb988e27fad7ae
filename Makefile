# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
SHARED ?= ../shared
BIN := .venv/bin
READY := .venv/.ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check acceptance bench up lock clean

demo: $(READY)  ## run the embedded plan: 8 cells on real handwritten digits, about a minute
	$(BIN)/foodvision run plans/demo.yaml

test: $(READY)  ## the tests that need nothing but this checkout
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not acceptance"

check: $(READY)  ## lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

acceptance: $(READY)  ## the main job on real photos and weights, where they are
	@if [ -d "$(SHARED)/data" ]; then \
		FOODVISION_SHARED="$(abspath $(SHARED))" $(BIN)/python -m pytest -q -m acceptance tests/acceptance; \
	else \
		echo "acceptance: skipped, $(SHARED)/data is not here (real photos and weights)"; \
	fi

bench: $(READY)  ## what costs how much, as ratios side by side
	$(BIN)/python benchmarks/expand_10000.py
	$(BIN)/python benchmarks/head_training.py
	$(BIN)/python benchmarks/warehouse_load.py

up: $(READY)  ## Prefect server, deployments and schedules, until Ctrl-C
	$(BIN)/foodvision up

lock: $(READY)  ## resolve the dependencies anew
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url \
		--generate-hashes --extra dev --upgrade pyproject.toml -o requirements.lock

clean:  ## everything that was made here, except results (.foodvision)
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "FoodVision needs Python 3.11 or newer, found " + sys.version.split()[0] + ". Say which one to use: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q "uv>=0.9"
	$(BIN)/uv pip sync -q --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
