"""Importing the package, its settings, its encoders or its help loads none of the heavy third
parties."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import graphrouter as gr

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

OF_TRAINING_OR_BENCH = (
    "torch_geometric",
    "lightning",
    "pytorch_lightning",
    "sklearn",
    "lightgbm",
    "plotly",
    "mlflow",
    "optuna",
)
LIGHT = (
    "config",
    "decision",
    "exceptions",
    "extras",
    "policy",
    "pool",
    "prices",
    "types",
    "bench",
    "encoders",
    "features",
    "graph",
    "judging",
    "monitoring",
    "nn",
    "router",
    "tracking",
    "training",
    "cli.app",
)
"""Modules and packages that importing alone costs little."""


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


def test_light_modules_load_nothing_heavy() -> None:
    heavy = {*HEAVY, "sentence_transformers", "transformers"}
    code = (
        "import sys\nfrom importlib import import_module\n"
        f"for name in {LIGHT}:\n"
        "    import_module(f'graphrouter.{name}')\n"
        f"    heavy = {heavy} & {{module.partition('.')[0] for module in sys.modules}}\n"
        "    assert not heavy, f'importing graphrouter.{name} loads {heavy}'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_public_name_loads_only_what_it_needs() -> None:
    assert loaded_by("import graphrouter; graphrouter.Policy").isdisjoint(HEAVY)


def test_serving_loads_nothing_of_training_or_of_the_bench(tmp_path: Path) -> None:
    settings = ["training.max_epochs=1", "training.steps_per_epoch=1", "encoder.name=hashing"]
    data = gr.simulate(num_queries=60, num_models=3).data
    gr.GraphRouter.fit(data, gr.load_config(overrides=settings)).save(tmp_path / "router")
    loaded = loaded_by(
        f"import graphrouter as gr; gr.load_router({str(tmp_path / 'router')!r}).route('1 + 1?')"
    )
    assert "torch" in loaded
    assert loaded.isdisjoint(OF_TRAINING_OR_BENCH)
