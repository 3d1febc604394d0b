# Thin over callcenter/core/bootstrap.py, which does the work and says what it does.
PYTHON ?= python3
BOOTSTRAP = $(PYTHON) callcenter/core/bootstrap.py
export SERVE ?= 1
export PORT ?= 8000
export DATA ?= ../shared/data
export DETACH ?= 0

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench up down screenshots messages lock clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z%-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Virtual environment, packages, front end, models (again: about a second)
	@$(BOOTSTRAP) setup

demo: ## The site with demo calls, processed before your eyes (SERVE=0: exit when done; PORT=8000)
	@$(BOOTSTRAP) demo

test: ## Every test and every linter
	@$(BOOTSTRAP) test

lint: ## ruff, mypy, djlint, import contracts
	@$(BOOTSTRAP) lint

bench: ## Benchmark of speech (make bench-NAME: another; DATA=../shared/data)
	@$(BOOTSTRAP) bench speech

bench-%:
	@$(BOOTSTRAP) bench $*

up: ## Site and workers until Ctrl-C (DETACH=1: in the background)
	@$(BOOTSTRAP) up

down: ## Stop what `make up DETACH=1` started
	@$(BOOTSTRAP) down

screenshots: ## Pictures of every page at two widths, into screenshots/
	@$(BOOTSTRAP) screenshots

messages: ## Collect the words of pages into the catalogues under locale/
	@$(BOOTSTRAP) messages

lock: ## Renew constraints/*.txt from pyproject.toml
	@$(BOOTSTRAP) lock

clean: ## Remove caches (data, models and the virtual environment stay)
	@$(BOOTSTRAP) clean
