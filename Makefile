# Every job of a developer, by one word. `make` alone lists them.
.PHONY: help install lint types test parity bench docs

help:                ## list these jobs
	@sed -n 's/^\([a-z]*\): *## /\1\t/p' Makefile

install:             ## install the package, editable, with everything a developer needs
	pip install -e '.[dev]'

lint:                ## style
	ruff check .

types:               ## strict type check of the package
	mypy

test:                ## the whole suite
	pytest

parity:              ## compare with the references and write the ledger
	rm -f .ledger.jsonl
	ANYVLM_LEDGER=$(CURDIR)/.ledger.jsonl pytest tests/parts tests/zoo
	python -m anyvlm.ledger .ledger.jsonl
	rm -f .ledger.jsonl

bench:               ## measure against transformers, in alternating runs; writes docs/benchmarks.md
	python benchmarks/run_all.py

docs:                ## write docs/systems.md and the site docs/site/ from the code
	python docs/systems.py
	python -m docs.site
