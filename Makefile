# Every target sets up what it needs: a virtual environment in .venv, and wheels that are built
# once and kept in $PCONV_WHEEL_CACHE (default ~/.cache/pconv_hpc/wheels).
SHELL := /bin/bash
BASE_PYTHON ?= python3
PROFILE ?= demo
SHARE ?= 1
VENV := $(CURDIR)/.venv
PYTHON := $(VENV)/bin/python
SMALL_MASK_RCNN := tests/support/assets/small_mask_rcnn
WITH_VENV := PATH="$(VENV)/bin:$$PATH"
SHELL_FILES := $(wildcard .ci/* jobs/*.sh jobs/*.sbatch)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-bare soak lint bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## set up .venv; PROFILE=demo (default), test, train, erase or full
	$(BASE_PYTHON) tools/install.py --profile $(PROFILE)

demo: ## photos to report.html on this machine: pack, train, interrupt, resume, erase
	$(BASE_PYTHON) tools/install.py --profile demo
	$(WITH_VENV) $(PYTHON) tools/demo.py --mask-rcnn $(SMALL_MASK_RCNN).py $(SMALL_MASK_RCNN).pth

test: ## run every test; PYTEST_ARGS="-k shards" runs some
	$(BASE_PYTHON) tools/install.py --profile test
	$(WITH_VENV) $(PYTHON) -m pytest -n auto --maxprocesses 4 --dist loadgroup $(PYTEST_ARGS)

test-bare: ## in a bare Debian 12: the image's recipe, then `make demo`; needs root and debootstrap, takes an hour
	$(BASE_PYTHON) -m tests.integration.bare.run $(BARE_ARGS)

soak: ## every fault many times over, for hours; interrupted, it continues; SHARE=0.1 does a tenth, SOAK_ARGS=--help tells more
	$(BASE_PYTHON) tools/install.py --profile test
	$(WITH_VENV) $(PYTHON) -m tests.integration.faults.soak --share $(SHARE) $(SOAK_ARGS)

lint: ## ruff, mypy and shellcheck
	$(BASE_PYTHON) tools/install.py --profile test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(if $(SHELL_FILES),shellcheck --external-sources $(SHELL_FILES))

bench: ## measure loading, training and erasing on this machine
	$(BASE_PYTHON) tools/install.py --profile demo
	$(WITH_VENV) $(PYTHON) tools/bench.py

clean: ## remove .venv and everything made here, but not the wheel cache
	rm -rf $(VENV) build demo *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
