"""What may be imported is listed: each package's names exist, sorted and documented, and docs and
examples use no others."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

import graphrouter

ROOT = Path(__file__).parents[2]
PACKAGES = [
    "graphrouter",
    *sorted(
        module.name
        for module in pkgutil.walk_packages(graphrouter.__path__, "graphrouter.")
        if module.ispkg
    ),
]
LAZY = [name for name in PACKAGES if hasattr(import_module(name), "_MODULE_OF")]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*.py")),
]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_its_names_sorted(package: str) -> None:
    names = getattr(import_module(package), "__all__", None)
    assert names is not None, f"{package}/__init__.py has no __all__: list its public names"
    assert names == sorted(set(names), key=_as_ruff_sorts), f"sort __all__ of {package}"


def test_the_root_has_about_a_dozen_names() -> None:
    assert len(graphrouter.__all__) <= 17


@pytest.mark.parametrize(
    ("package", "name"),
    [(package, name) for package in PACKAGES for name in import_module(package).__all__],
)
def test_every_public_name_loads_and_is_documented(package: str, name: str) -> None:
    value = getattr(import_module(package), name)
    if inspect.isclass(value) or inspect.isroutine(value):
        assert value.__name__ == name
        assert value.__module__.startswith("graphrouter.")
        assert value.__doc__
    elif isinstance(value, ModuleType):
        assert value.__doc__
    else:
        assert name in documented_constants(package), f"say below {name} what it is"


@pytest.mark.parametrize("package", LAZY)
def test_names_for_type_checkers_are_the_names_at_run_time(package: str) -> None:
    module = import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == module._MODULE_OF
    assert set(imported) <= set(module.__all__)


@pytest.mark.parametrize("package", LAZY)
def test_dir_shows_public_names(package: str) -> None:
    module = import_module(package)
    assert set(module.__all__) <= set(dir(module))


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        AttributeError, match=r"no attribute 'GraphRuoter'; it has Decision, Grade, GraphRouter,"
    ):
        _ = graphrouter.GraphRuoter


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_docs_and_examples_import_public_names_alone(page: Path) -> None:
    private = [
        f"from {module} import {name}"
        for code in python_of(page)
        for module, name in imported_names(code)
        if name not in public_names(module)
    ]
    assert private == [], f"{page.name}: take these from a package whose __all__ lists them"


def test_version_is_the_installed_one() -> None:
    assert version("graphrouter") == graphrouter.__version__


def python_of(page: Path) -> list[str]:
    """The Python of an example, or of the blocks of a page."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        return [text]
    return re.findall(r"^```python[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def imported_names(code: str) -> list[tuple[str, str]]:
    """Module and name of each import from graphrouter; an attribute of `gr` counts as one."""
    tree = ast.parse(code)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "graphrouter":
            found += [(str(node.module), alias.name) for alias in node.names]
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "gr"
        ):
            found.append(("graphrouter", node.attr))
    return found


def public_names(module: str) -> set[str]:
    """What a package lists, or a module of the root that is public as a whole."""
    loaded = import_module(module)
    names: list[str] = getattr(loaded, "__all__", [])
    return {*names, "__version__"} if module == "graphrouter" else set(names)


def documented_constants(package: str) -> set[str]:
    """Names that are assigned in the package's files with a docstring below."""
    folder = Path(str(import_module(package).__file__)).parent
    found = set()
    for file in folder.rglob("*.py"):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        for node, after in pairwise(body):
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found |= {
                    name.id
                    for target in targets
                    for name in ast.walk(target)
                    if isinstance(name, ast.Name)
                }
    return found


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as ruff's RUF022 orders `__all__`."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name
