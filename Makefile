# All set-up happens in .venv; `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help demo test quick test-clients test-machines test-nojit test-mutants soak lint compare perf perf-selftest perf-history page-scripts wheel test-wheel docs

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-demo  ## train a digit classifier, with scikit-learn's beside it
	$(RUN) -m fastbp demo

test: lint page-scripts  ## run the linters, and the tests by a process for each core
	$(RUN) -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

quick: $(VENV)/.installed-test  ## run the tests but for the slow ones: about a minute
	$(RUN) -m pytest -m "not slow"

test-nojit: $(VENV)/.installed-test  ## run the tests uncompiled, with coverage of the kernels
	NUMBA_DISABLE_JIT=1 $(RUN) -m pytest --cov --cov-report=term

test-mutants: $(VENV)/.installed-test  ## break fastbp in many places and see the tests fail
	$(RUN) tests/mutants.py

test-clients: $(VENV)/.installed-test $(VENV)/.installed-clients  ## run the tests with other people's libraries
	$(RUN) -m pytest tests/sklearn_estimators/test_clients.py tests/sklearn_estimators/test_onnx.py \
		tests/sklearn_estimators/test_annotations.py tests/files/test_torch.py tests/files/test_keras.py

test-machines: $(VENV)/.installed-test $(VENV)/.installed-machines  ## run the tests on ranks of MPI and on a Dask cluster
	$(RUN) -m pytest tests/distributed_training tests/examples/test_sweep_with_joblib.py \
		tests/examples/test_search_with_optuna.py tests/examples/test_mpi.py tests/examples/test_dask.py

soak: $(VENV)/.installed-test  ## run the tests at their full counts; prints a table of the promises
	FASTBP_SOAK=1 $(RUN) -m pytest

lint: $(VENV)/.installed-test  ## run ruff and mypy
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

compare: $(VENV)/.installed-compare  ## time fastbp beside its peers: build/compare.md, .json and .png
	@mkdir -p build
	$(RUN) asv_benchmarks/compare --markdown build/compare.md --picture build/compare.png \
		--json build/compare.json $(ARGS)

perf-history: $(VENV)/.installed-perf  ## measure about a dozen commits of main; a page of the history
	$(RUN) asv_benchmarks/history.py $(ARGS)

# The tests open that page without a network. Where npm is missing they say so and skip.
page-scripts: $(VENV)/.installed-test
	@$(RUN) asv_benchmarks/page.py

# BASE and BENCH come through the environment: a regular expression may hold quotes.
perf: $(VENV)/.installed-perf  ## see if HEAD is slower than BASE=<commit>; BENCH=<regex> chooses benchmarks
	@$(RUN) asv_benchmarks/gate.py --base "$$BASE" $${BENCH:+--bench "$$BENCH"}

perf-selftest: $(VENV)/.installed-perf  ## plant a slowdown and see the gate find it
	$(RUN) asv_benchmarks/selftest.py

docs: $(VENV)/.installed-docs  ## build the documentation, without warnings: build/docs/html
	$(RUN) docs/_build_tools/build_site.py

wheel: $(VENV)/.installed-wheel  ## build the wheel of this system, with compiled code: dist/
	@rm -rf dist build/objects
	FASTBP_OBJECTS=1 $(RUN) -m build
	@ls -l dist

# The wheel's own environment finds Numba, NumPy and pytest in .venv, but not the checkout: -P.
test-wheel: wheel $(VENV)/.installed-test  ## install that wheel elsewhere; run the quick tests and those of objects
	$(PYTHON) -m venv --clear build/wheel
	build/wheel/bin/python -m pip install --quiet --no-index --no-deps dist/*.whl
	@$(RUN) -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> "$$(build/wheel/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/others.pth"
	build/wheel/bin/python -P -m pytest -m "not slow"
	build/wheel/bin/python -P -m pytest -m slow tests/machine/test_objects.py

# One stamp for each extra: a repeated run installs nothing, a new pyproject.toml installs again.
$(VENV)/.installed-%: pyproject.toml | $(RUN)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch $@

$(RUN):
	$(PYTHON) -m venv --clear $(VENV)
