# make              install everything into .venv
# make quickstart   generate a corpus, train, evaluate, transcribe   (DATA=folder: your own recordings)
# make test         run the tests                                    (SPEECH_DATA=folder: the real ones too)
# make test-all     those too that take minutes each: campaigns of kills and stops, several machines
# make check        format, lint and types
# make clean        remove what the commands above made, recordings and models excepted
#
# make PADDLE=paddlepaddle-gpu==3.3.1 PADDLE_INDEX=URL   another build of PaddlePaddle, see docs/install.md
# make test PADDLE=paddlepaddle==2.6.2                   the same on the older line, in .venv-paddle2

PYTHON ?= python3
DATA ?=
# Each line of Paddle, known by its major version, has a lock file and an environment of its own.
LINE = $(firstword $(subst ., ,$(lastword $(subst ==, ,$(PADDLE)))))
VENV := $(or $(VENV),$(if $(filter 2,$(LINE)),.venv-paddle2,.venv))
# There the build that was installed last stays until another one is asked for.
-include $(VENV)/build.mk
PADDLE ?= paddlepaddle==3.3.1
PADDLE_INDEX ?=
LOCK := requirements/paddle$(LINE).lock
NEWEST_PYTHON := $(if $(filter 2,$(LINE)),12,13)
STAMP := $(VENV)/.installed-$(subst ==,-,$(PADDLE))
RUN := $(VENV)/bin/python
# The CPU and the GPU build hold the same files: one has to go before the other comes.
OTHER_BUILD := $(if $(findstring paddlepaddle-gpu,$(PADDLE)),paddlepaddle,paddlepaddle-gpu)

.PHONY: install $(VENV) quickstart test test-all check clean lock

install $(VENV): $(STAMP)

requirements/paddle%.lock:
	@echo "no lock file for $(PADDLE); known: $(wildcard requirements/*.lock); write PADDLE=PACKAGE==VERSION"; exit 1

# The packages are known by their folders when they are installed: a new one asks for it again.
$(STAMP): $(LOCK) pyproject.toml $(wildcard */__init__.py)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v[:2] <= (3, $(NEWEST_PYTHON)) else f"Python 3.11 to 3.$(NEWEST_PYTHON) is needed, {sys.executable} is {v[0]}.{v[1]}; name another: make PYTHON=python3.11")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@rm -f $(VENV)/.installed-*
	$(RUN) -m pip install --quiet --disable-pip-version-check -r $(LOCK)
	@$(RUN) -m pip uninstall --quiet --yes $(OTHER_BUILD) 2>/dev/null || true
	$(RUN) -m pip install --quiet --disable-pip-version-check $(if $(PADDLE_INDEX),--extra-index-url $(PADDLE_INDEX)) $(PADDLE)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@printf 'PADDLE ?= %s\nPADDLE_INDEX ?= %s\n' '$(PADDLE)' '$(PADDLE_INDEX)' > $(VENV)/build.mk
	@touch $@
	@echo "installed $(PADDLE); activate it: source $(VENV)/bin/activate"

quickstart: $(STAMP)
	$(RUN) tools/quickstart.py $(if $(DATA),--data="$(DATA)") $(ARGS)

# In two processes, a file of tests in one: some share a training run that they look at.
PYTEST := $(RUN) -m pytest -n 2 --dist loadfile

test: $(STAMP)
	$(PYTEST) $(ARGS)

test-all: $(STAMP)
	$(PYTEST) -m 'slow or not slow' $(ARGS)

check: $(STAMP)
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

clean:
	rm -rf .venv .venv-paddle2 $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# For maintainers: resolve the versions anew. Paddle itself is left out, make installs the build asked for.
lock: $(STAMP)
	$(RUN) -m pip install --quiet pip-tools
	printf '%s\n' "$(PADDLE)" $(if $(filter 2,$(LINE)),'numpy<2') > $(VENV)/paddle.in
	$(RUN) -m piptools compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-trusted-host \
		--no-emit-find-links --no-header --no-annotate --allow-unsafe --extra dev --extra quickstart \
		--output-file $(VENV)/all.lock pyproject.toml $(VENV)/paddle.in
	sed '/^paddlepaddle/d; /^#/d; /^$$/d' $(VENV)/all.lock > $(LOCK)
