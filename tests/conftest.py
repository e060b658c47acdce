"""One thread per worker, the same random numbers in every run, and no network but for tests that say they need it."""

from __future__ import annotations

import os

# Before torch is imported: two workers with one thread each beat one worker with two on the tiny models tested here.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["NO_COLOR"] = "1"  # plain text from the command line, whatever terminal runs the tests

import sys

import pytest
from hypothesis import settings

CI = "CI" in os.environ

settings.register_profile("anyvlm", deadline=None, max_examples=50, derandomize=CI)
settings.load_profile("anyvlm")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture: only a test marked `network` may open connections."""
    os.environ["HF_HUB_OFFLINE"] = "0" if item.get_closest_marker("network") else "1"


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from torch seed 0; a test that needs no torch does not import it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
