# Everyday commands. All need only Python >= 3.10 and make; the first one sets up .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
KERNELS := $(wildcard src/unbraid/engines/native/build.py src/unbraid/engines/native/kernels/*)
COMPILER := $(shell command -v "$$CXX" || command -v g++ || command -v c++ || command -v clang++)
# A compiler that came after the installation: install once more, with kernels.
KERNELS_LATER := $(if $(COMPILER),$(if $(wildcard src/unbraid/engines/native/kernels-*),,later))
# Each worker takes half of the folders, whose fixtures and imports it needs once, and then what the other has left.
TESTS  := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal
DEMO   := demo/Karissa Hobbs - Lets Go Fishin.ogg

export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONDONTWRITEBYTECODE # tests start hundreds of interpreters, which share compiled modules

.PHONY: later help demo test check format bench docs picture clean

help:
	@echo "make demo    separate the demo song with the bundled model"
	@echo "make test    the test suite"
	@echo "make check   format, lint, types, import floors, tests"
	@echo "make docs    the documentation site, in build/docs"
	@echo "make bench   speed and memory, written to benchmarks/README.md"

$(VENV)/.installed: pyproject.toml constraints.txt hatch_build.py $(KERNELS) $(KERNELS_LATER)
	@echo "1/3 making an environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
ifdef COMPILER
	@echo "2/3 compiling the kernels: some minutes on two cores"
	@$(PYTHON) src/unbraid/engines/native/build.py
else
	@echo "2/3 no C++ compiler, so no compiled kernels: separating takes up to twice the time"
endif
	@echo "3/3 installing unbraid and what it needs"
	@$(BIN)/python -m pip install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/unbraid separate "$(DEMO)" --out separated --report

test: $(VENV)/.installed-dev
	$(TESTS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TESTS)

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.write

picture: demo
	$(BIN)/python scripts/picture.py separated

docs: $(VENV)/.installed
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[docs,torch]'
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs
	@echo "the documentation is in build/docs/index.html"

clean:
	rm -rf $(VENV) separated build dist
