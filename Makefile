# make demo, make test: from a bare clone with only Python, pip and make; the second time what is there is used again.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test test-all lint types imports wheel check clean
help:
	@echo "make demo      install, then compare two families on nine classes of series: about 3 minutes"
	@echo "make test      install, then run all tests but the slow ones"
	@echo "make test-all  run every test"
	@echo "make check     lint, types, import rules, and what the wheel holds"
	@echo "make clean     remove the virtual environment and the demo's run"

demo: $(VENV)/installed-demo
	$(BIN)/orchestrate demo --out demo-run

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2

test-all: $(VENV)/installed-test
	$(BIN)/python -m pytest

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-test
	$(BIN)/mypy

imports: $(VENV)/installed-test
	$(BIN)/lint-imports

wheel: $(VENV)/installed-test
	$(BIN)/python tests/check_wheel.py

check: lint types imports wheel

clean:
	rm -rf $(VENV) demo-run build dist *.egg-info

$(BIN)/python:
	@# A Python without ensurepip (Debian's, say) can't fill a venv; virtualenv, from a folder of its own, can.
	$(PYTHON) -m venv $(VENV) 2>/dev/null || ( rm -rf $(VENV) && \
		$(PYTHON) -m pip install --quiet --target $(VENV)-bootstrap virtualenv && \
		PYTHONPATH=$(VENV)-bootstrap $(PYTHON) -m virtualenv --quiet $(VENV) && rm -rf $(VENV)-bootstrap )

$(VENV)/installed-demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing (torch is a few GB; once, some minutes) ..."
	$(PIP) --editable ".[demo]"
	@touch $@

$(VENV)/installed-test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing (torch is a few GB; once, some minutes) ..."
	$(PIP) --editable ".[demo,test]"
	@touch $@ $(VENV)/installed-demo
