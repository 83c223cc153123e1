"""The plan of the house: files of one job and a readable size, no crumbs, no ring of imports."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import grimp

from graphrouter.extras import EXTRAS

ROOT = Path(__file__).parents[2]
MOST_LINES = 400
FEWEST_LINES = 40
ENTRIES = ("__init__.py", "__main__.py")


@cache
def imports() -> grimp.ImportGraph:
    """Every import of the package but those for type checkers alone."""
    return grimp.build_graph("graphrouter", exclude_type_checking_imports=True, cache_dir=None)


def file_of(module: str) -> str:
    """The path of a module, from the top of the repository."""
    path = Path(module.replace(".", "/"))
    return str(path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py"))


def num_lines(file: str) -> int:
    return len((ROOT / file).read_text(encoding="utf-8").splitlines())


def files() -> list[str]:
    return [file_of(module) for module in sorted(imports().modules)]


def test_no_file_is_too_long() -> None:
    too_long = {file for file in files() if num_lines(file) > MOST_LINES}
    assert too_long == set(), (
        f"longer than {MOST_LINES} lines, so two jobs are in it: split {sorted(too_long)}"
    )


def test_there_are_no_crumbs() -> None:
    """A small file that one other file uses is a part of that file."""
    crumbs = {}
    for module in imports().modules:
        file = file_of(module)
        users = imports().find_modules_that_directly_import(module)
        users = {user for user in users if file_of(user) != str(Path(file).parent / ENTRIES[0])}
        if not file.endswith(ENTRIES) and num_lines(file) < FEWEST_LINES and len(users) == 1:
            crumbs[file] = file_of(users.pop())
    assert crumbs == {}, f"small, and used by one file: merge it into that one {crumbs}"


def test_a_file_name_tells_its_job_without_its_folder() -> None:
    """A command of `cli/` bears the name of what it fronts; no other name stands twice."""
    places = defaultdict(list)
    for file in files():
        if not file.endswith(ENTRIES):
            places[Path(file).name].append(file)
    twice = {
        name: there
        for name, there in places.items()
        if len([file for file in there if not file.startswith("graphrouter/cli/")]) > 1
    }
    assert twice == {}, f"rename all but one of each: {twice}"


def test_no_ring_of_imports() -> None:
    """Packages are held by import-linter (`No ring`); this adds a package and its own modules."""
    graph = imports()
    root = "graphrouter"  # its names load lazily
    rings = [
        f"{file_of(module)} and {file_of(package)}"
        for package in graph.modules - {root}
        for module in graph.find_modules_directly_imported_by(package)
        if package in graph.find_modules_directly_imported_by(module)
    ]
    assert rings == [], "one of the two takes the name from the module that defines it instead"
    ring = contract("No ring among the modules of any package")
    assert (ring["ancestors"], ring.get("skip_descendants")) == (["graphrouter"], None)


def test_the_wings_are_the_top_level() -> None:
    """A new file or folder at the top has its place in the layers, and in one wing."""
    layers = contract("Imports go downward only")["layers"]
    top = {module.split(".")[1] for module in imports().modules if "." in module} - {"__main__"}
    assert top == set(layers)
    product = contract(
        "The product imports nothing of the bench, of operations or of the command line"
    )
    listed = product["source_modules"] + product["forbidden_modules"]
    assert sorted(listed) == sorted(f"graphrouter.{layer}" for layer in layers)


def test_the_libraries_of_every_extra_are_held_apart() -> None:
    extra = contract("The core imports no library of an extra")
    libraries = {module for modules in EXTRAS.values() for module in modules}
    assert set(extra["forbidden_modules"]) == libraries


def contract(name: str) -> dict[str, Any]:
    """One of the contracts that `make check` holds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    return next(found for found in contracts if found["name"] == name)
