"""Every example in a docstring runs and shows what it says; every public name has one."""

from __future__ import annotations

import doctest
import io
import pkgutil
from importlib import import_module

import pytest

import graphrouter

RUN_WHEN_IMPORTED = ("graphrouter.__main__", "graphrouter.gateway.store.migrations.env")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(graphrouter.__path__, "graphrouter.")
    if module.name not in RUN_WHEN_IMPORTED
)


def examples_of(module_name: str) -> list[doctest.DocTest]:
    """The docstrings of a module that hold at least one example."""
    return [
        test for test in doctest.DocTestFinder().find(import_module(module_name)) if test.examples
    ]


EXAMPLES = {test.name: test for name in MODULES for test in examples_of(name)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs(name: str) -> None:
    report = io.StringIO()
    failed, _ = doctest.DocTestRunner(verbose=False).run(EXAMPLES[name], out=report.write)
    assert failed == 0, report.getvalue()


@pytest.mark.parametrize("name", graphrouter.__all__)
def test_public_name_has_a_short_example(name: str) -> None:
    full_name = f"{graphrouter._MODULE_OF[name]}.{name}"
    assert full_name in EXAMPLES, f"{full_name} has no example in its docstring"
    lines = [
        line
        for example in EXAMPLES[full_name].examples
        for line in (example.source + example.want).splitlines()
    ]
    assert 2 <= len(lines) <= 8
