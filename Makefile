# make demo and make test do everything; they build .venv first if it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: env demo test test-slow test-open-clip test-gpu torture fuzz calibrate benchmark benchmark-gpu benchmark-studies benchmark-profiles benchmark-peers docs lint \
	format clean

env: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "modalens needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[demo,siglip,text-to-image,hf,explore,language,ray,servers,docs,dev]"
	touch $(READY)

demo: env
	$(BIN)/modalens demo

# one thread a process: the tests' arrays are small, and two processes keep two cores busy; who is done first takes
# tests from the other
test: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# what takes long: the demo's models and runs, the papers' recipe, full disks, Ray, README.md's commands on stand-ins
test-slow: env
	$(BIN)/python -m pytest -m "slow or demo"

# open_clip needs torchvision, which has no build for the CPU's torch and would break other imports: kept apart
test-open-clip: .venv-open-clip/.ready
	.venv-open-clip/bin/python -m pytest tests/towers/test_openclip.py tests/towers/test_declip.py tests/towers/test_hidden_qwen.py

.venv-open-clip/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-open-clip
	.venv-open-clip/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[open-clip]" \
		open_clip_torch==3.3.0 torchvision==0.28.0 hypothesis psutil pytest
	touch $@

# what needs a GPU; all of it is skipped where there is none
test-gpu: env
	$(BIN)/python -m pytest -m gpu

# kill every command at random moments, rerun it, and compare what it made; some minutes
torture: env
	$(BIN)/python -m tests.torture --kills 150 --seed 0

# files that are nearly right, given to every reader; about an hour
fuzz: env
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --inputs 100000

# how often intervals hold the truth and tests err, in simulation
calibrate: env
	for part in scores interpret studies; do $(BIN)/python -m benchmarks.calibrate_$$part || exit; done

# speed and memory beside the plain way of writing things down, and curves of cost: what docs/measured/benchmarks.md shows
benchmark: env
	$(BIN)/modalens benchmark --curves --out benchmarks/results

# the same, of what can use a GPU
benchmark-gpu: env
	$(BIN)/modalens benchmark --full --curves --device cuda --out benchmarks/results

# processors' time of every study at 2,000 pairs x 512 features
benchmark-studies: env
	$(BIN)/python -m benchmarks.studies

# what each step of a normal use spends its time on
benchmark-profiles: env
	$(BIN)/python -m benchmarks.profiles --out benchmarks/results

# training and encoding beside other libraries, in an environment of their own
benchmark-peers: .venv-peers/.ready
	.venv-peers/bin/python -m benchmarks.peers --out benchmarks/results

.venv-peers/.ready: pyproject.toml constraints.txt benchmarks/peers-requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --constraint constraints.txt --editable . \
		--requirement benchmarks/peers-requirements.txt
	touch $@

# the site in site/, its tutorials executed: on runs/demo if make demo made it, else on a smaller one
docs: env
	PATH="$(CURDIR)/$(BIN):$$PATH" NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: env
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: env
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:
	rm -rf .venv .venv-open-clip .venv-peers runs build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
