"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from selenium import webdriver

# How long an example takes says how busy the machine is, not whether the code is right, so no
# property test has a time limit; pytest's own, of minutes, ends one that hangs. At a desk every run
# draws new examples; in CI a change is judged by the same ones each time.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A real Chromium whose console is logged; skips the test where none is installed."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with its driver is installed")
    from selenium import webdriver  # the tests of the lowest versions run without it

    options = webdriver.ChromeOptions()
    profile = tmp_path_factory.mktemp("profile")
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"):
        options.add_argument(word)
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield found
    found.quit()


def pytest_collection_finish() -> None:
    """Take what imports have made, which lives to the end, out of the garbage collector's sight: it
    looked at all of it again and again, a twentieth of the time of all tests."""
    gc.collect()
    gc.freeze()
