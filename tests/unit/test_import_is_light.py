"""Importing the package, its settings, its encoders or its help loads none of the heavy third
parties."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "torch_geometric",
    "lightning",
    "pandas",
    "pyarrow",
    "sklearn",
    "scipy",
    "networkx",
    "wordllama",
)


def loaded_by(statement: str) -> set[str]:
    """Top-level modules in memory after `statement` ran in a fresh interpreter."""
    code = (
        f"import sys\n{statement}\nprint('\\n'.join({{name.partition('.')[0] for name in "
        "sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_root_loads_nothing_heavy() -> None:
    loaded = loaded_by("import graphrouter")
    assert "graphrouter" in loaded
    assert loaded.isdisjoint({*HEAVY, "numpy", "pydantic", "typer", "rich"})


@pytest.mark.parametrize(
    "module",
    ["config", "exceptions", "policy", "pool", "types", "encoders", "cli.app"],
)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    loaded = loaded_by(f"import graphrouter.{module}")
    assert loaded.isdisjoint({*HEAVY, "sentence_transformers", "transformers"})


def test_a_public_name_loads_only_what_it_needs() -> None:
    assert loaded_by("import graphrouter; graphrouter.Policy").isdisjoint(HEAVY)
