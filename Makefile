# make demo    trains LeNet on the digits inside the repository
# make test    runs all tests        make lint    ruff and mypy
# make bench   measures, bench-kernels layer by layer      make proto   regenerates the schema's code
# make docs    writes docs/layers.md and docs/onnx.md
# Each makes .venv first, with all it needs; nothing is done again that is up to date.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
KERNELS = $(wildcard protonet/kernels/*.c protonet/kernels/*.h) protonet/kernels/build.py
PACKAGING = pyproject.toml setup.py
DIGITS = models/lenet/data

.PHONY: demo test lint bench bench-kernels proto docs clean
.DELETE_ON_ERROR:

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# Editable: Python files are used where they are; the kernels are compiled when they change.
$(VENV)/installed: $(PACKAGING) $(KERNELS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(PACKAGING) $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group test
	touch $@

# mypy reads the types of what the tests install too.
$(VENV)/installed-lint: $(PACKAGING) $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --group lint
	touch $@

demo: $(VENV)/installed $(DIGITS)/train_lmdb/data.mdb $(DIGITS)/test_lmdb/data.mdb
	$(BIN)/protonet check models/lenet/solver.prototxt
	$(BIN)/protonet train models/lenet/solver.prototxt
	@echo
	@echo 'LeNet has learned the digits. What to try next:'
	@echo '  $(BIN)/protonet summary models/lenet/train_val.prototxt'
	@echo '  change models/lenet/train_val.prototxt (a kernel_size, say) and run make demo again'
	@echo '  $(BIN)/protonet --help'

$(DIGITS)/%_lmdb/data.mdb: $(DIGITS)/%-images-idx3-ubyte.gz $(DIGITS)/%-labels-idx1-ubyte.gz | $(VENV)/installed
	$(BIN)/protonet data convert idx --force $^ $(@D)

test: $(VENV)/installed-test
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed-test $(DIGITS)/train_lmdb/data.mdb
	$(BIN)/python tools/bench/nets.py
	$(BIN)/python tools/bench/lenet.py
	$(BIN)/python tools/bench/data.py
	$(BIN)/python tools/bench/update.py
	$(BIN)/python tools/bench/parse.py
	$(BIN)/python tools/bench/startup.py

bench-kernels: $(VENV)/installed
	$(BIN)/python tools/bench/layers.py
	$(BIN)/python tools/bench/kernels.py --back

proto: protonet/ir/protonet_pb2.py

protonet/ir/protonet_pb2.py: proto/protonet.proto tools/proto/generate.py | $(VENV)/installed-test
	$(BIN)/python tools/proto/generate.py
	touch $@

docs: $(VENV)/installed
	$(BIN)/python tools/docs/layer_pages.py
	$(BIN)/python tools/docs/onnx_page.py

clean:
	rm -rf $(VENV) build protonet.egg-info $(DIGITS)/*_lmdb
	rm -f protonet/kernels/_native*
