"""The root names are the ones that exist, sorted and few."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import pytest

import graphrouter


def test_all_is_sorted_and_holds_no_name_twice() -> None:
    assert graphrouter.__all__ == sorted(set(graphrouter.__all__))


@pytest.mark.parametrize("name", graphrouter.__all__)
def test_every_public_name_loads_and_is_documented(name: str) -> None:
    value = getattr(graphrouter, name)
    assert value.__name__ == name
    assert value.__module__.startswith("graphrouter.")
    assert value.__doc__


def test_names_for_type_checkers_are_the_names_at_run_time() -> None:
    tree = ast.parse(Path(graphrouter.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == graphrouter._MODULE_OF
    assert sorted(imported) == graphrouter.__all__


def test_dir_shows_public_names() -> None:
    assert set(graphrouter.__all__) <= set(dir(graphrouter))


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        AttributeError, match=r"no attribute 'GraphRuoter'; it has Decision, GraphRouter,"
    ):
        _ = graphrouter.GraphRuoter


def test_version_is_the_installed_one() -> None:
    assert version("graphrouter") == graphrouter.__version__
