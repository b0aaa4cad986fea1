# `make bench` and `make test` work on a fresh machine with nothing but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Where CPU builds of torch are published; used only when there is no NVIDIA driver and the usual index has none.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH := 2.13.0
# Workers share few cores: spinning OpenMP threads cost a factor of ten on a busy machine.
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help bench reports paper validate test test-full bench-self bench-gpu check format wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "thbench needs Python 3.11 or newer; this is %d.%d" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	if command -v nvidia-smi >/dev/null 2>&1; then \
	  $(BIN)/pip install --quiet 'torch==$(TORCH)'; \
	else \
	  $(BIN)/pip install --quiet 'torch==$(TORCH)+cpu' 2>/dev/null || \
	  $(BIN)/pip install --quiet 'torch==$(TORCH)' --index-url $(TORCH_CPU_INDEX); \
	fi
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	# MediaPipe brings the desktop build of OpenCV, which needs libGL; the headless build is the same without it.
	$(BIN)/pip install --quiet --force-reinstall --no-deps "opencv-contrib-python-headless==$$(sed -n 's/^opencv-contrib-python==//p' constraints.txt)"
	touch $(STAMP)

bench: $(STAMP) ## run the main job on the embedded dataset, report under reports/ (DATA=DIR: your clips)
	$(BIN)/python run_bench.py $(if $(DATA),--data "$(DATA)")

reports: $(STAMP) ## refresh the committed reports and the README (RUN=DIR: that of this run's suite, from it; else from their data)
	$(BIN)/python reports/refresh.py $(if $(RUN),"$(RUN)")

paper: $(STAMP) ## write the published tables beside what was computed anew, under reports/paper/
	$(BIN)/python reports/paper.py

validate: $(STAMP) ## try every metric on graded degradations; refresh reports/validate-metrics.* and the marks
	$(BIN)/python reports/validate.py

test: $(STAMP) ## all tests in their short form
	$(BIN)/python -m pytest -q -n auto --dist loadfile --ignore tests/benchmarks tests
	$(BIN)/python -m pytest -q --benchmark-disable tests/benchmarks

test-full: $(STAMP) ## the same, with kill tests, fuzzing and long videos at full length
	$(BIN)/python -m pytest -q --full --ignore tests/benchmarks tests

bench-self: $(STAMP) ## time the suite's own hot paths; run it on a quiet machine
	$(BIN)/python -m pytest -q -s --benchmark-only --benchmark-columns=min,median,iqr,rounds tests/benchmarks

bench-gpu: $(STAMP) ## time the full-size networks on a CUDA device, report under reports/gpu/
	$(BIN)/python -m thbench_methods.lightningcp.bench_gpu --device cuda --out reports/gpu

check: $(STAMP) ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy thbench

format: $(STAMP) ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(STAMP) ## build the wheel
	$(BIN)/python -m build --wheel

clean: ## remove what make made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
