"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# At a desk every run draws new examples; in CI a change is judged by the same ones each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Folder of a real data set by name; skips the test where the shared folder is absent."""

    def folder(name: str) -> Path:
        path = SHARED_DATA / name
        if not SHARED_DATA.is_dir():
            pytest.skip(f"no shared data at {SHARED_DATA}")
        return path

    return folder
