"""What is optional is said in one place, agrees with pyproject.toml, and a missing part names its
pip line."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from graphrouter.bench.baselines.methods.trees import load_lightgbm
from graphrouter.bench.baselines.tools.clusters import find_centres
from graphrouter.bench.evaluation.report.html_page import render_page
from graphrouter.bench.hub import fetch_dataset
from graphrouter.exceptions import MissingExtraError
from graphrouter.extras import EXTRAS, is_installed, require_extra

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names_of(requirements: list[str]) -> set[str]:
    """Packages without their versions and their own extras, but for those of this project."""
    bare = {requirement.partition(">=")[0] for requirement in requirements}
    return {name if name.startswith("graphrouter") else name.partition("[")[0] for name in bare}


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_is_that_of_the_project(extra: str) -> None:
    wanted = names_of(PROJECT["optional-dependencies"][extra])
    own = {name for name in wanted if not name.startswith("graphrouter[")}
    assert set(EXTRAS[extra].values()) == own


@pytest.mark.parametrize("extra", EXTRAS)
def test_no_extra_is_among_the_core(extra: str) -> None:
    assert names_of(PROJECT["dependencies"]).isdisjoint(EXTRAS[extra].values())


def test_development_has_every_extra() -> None:
    first = PROJECT["optional-dependencies"]["dev"][0]
    assert set(first.partition("[")[2].rstrip("]").split(",")) == set(EXTRAS)


def test_modules_belong_to_the_packages_that_are_named() -> None:
    owners = packages_distributions()
    for packages in EXTRAS.values():
        for module, package in packages.items():
            assert canonicalize_name(package) in set(map(canonicalize_name, owners[module]))


@pytest.mark.parametrize("part", ["dependencies", *EXTRAS])
def test_the_lowest_versions_that_are_tried_are_those_that_are_allowed(part: str) -> None:
    text = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8")
    pins = [line.split("==") for line in text.splitlines() if not line.startswith("#")]
    pinned = {canonicalize_name(name): Version(version) for name, version in pins}
    wanted = PROJECT.get(part) or PROJECT["optional-dependencies"][part]
    for line in wanted:
        if line.startswith("graphrouter["):
            continue
        needed, _, lowest = line.partition(">=")
        name = needed.partition("[")[0]
        assert pinned[canonicalize_name(name)].release == Version(lowest).release + (0,) * (
            len(pinned[canonicalize_name(name)].release) - len(Version(lowest).release)
        ), line


def test_what_is_there_passes() -> None:
    require_extra("bench", purpose="A test")
    assert is_installed("numpy")


def test_a_double_without_a_spec_counts_as_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", type(sys)("optuna"))
    assert is_installed("optuna")


CALLS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "clusters": ("sklearn", lambda _: find_centres(np.eye(3), 2, seed=0)),
    "trees": ("lightgbm", lambda _: load_lightgbm()),
    "report": ("plotly", lambda _: render_page("report.html.jinja", {})),
    "template": ("jinja2", lambda _: render_page("report.html.jinja", {})),
    "fetch": ("httpx2", lambda folder: fetch_dataset("embedllm", folder)),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_needs_a_missing_library_says_the_pip_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, call = CALLS[name]
    monkeypatch.setitem(sys.modules, module, None)
    package = EXTRAS["bench"][module]
    with pytest.raises(
        MissingExtraError, match=rf"needs the package '{package}', .*'graphrouter\[bench\]'"
    ):
        call(tmp_path)
