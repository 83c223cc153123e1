"""Importing the package, its settings, its encoders or its help loads none of the heavy third
parties."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
    "scipy",
    "sklearn",
    "networkx",
    "sympy",
    "lightgbm",
    "plotly",
    "jinja2",
    "mlflow",
    "optuna",
    "fastapi",
    "uvicorn",
    "aiohttp",
    "uvloop",
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
    "scoring",
    "tracking",
    "training",
    "cli.app",
)
"""Modules and packages that importing alone costs little."""

SERVED = (
    "route('1 + 1?')",
    "route('1 + 1?', policy=gr.Policy(cost_weight=0.3), task='facts')",
    "predict(['1 + 1?', 'Hi.'])",
    "route_batch(['1 + 1?', 'Hi.'], budget_usd=1.0)",
    "set_price(first, input_usd_per_mtok=1.0, output_usd_per_mtok=2.0).route('Hi.')",
    "predict(['', '1 + 1? ' * 9999], tasks=['unheard of', None], known=[{first: 1.0}, None])",
    "plan('1 + 1?', policy=gr.Policy(usd_per_effect=0.01))",
)
"""What a router that serves is asked, for which it needs neither torch nor pandas."""
OF_CHANGES = ("torch", "pandas")
CHANGED = (
    "add_model(gr.ModelCard(model='late')).route('Hi.')",
    "remove_model(first).route('Hi.')",
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


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph router of three models, in an artifact."""
    folder = tmp_path_factory.mktemp("light") / "router"
    data = gr.simulate(num_queries=120, num_models=3).data
    config = gr.load_config(overrides=["encoder.name=hashing"])
    gr.GraphRouter.fit(data, config, instant=True).save(folder)
    return folder


def test_serving_loads_nothing_of_training_or_of_the_bench(saved: Path) -> None:
    code = (
        "import sys\nimport graphrouter as gr\n"
        f"router = gr.load_router({str(saved)!r})\nfirst = router.models[0]\n"
        f"for asked in {SERVED + CHANGED}:\n"
        "    list(router.route('Hi.').candidates), list(router.route('Hi.').evidence)\n"
        "    eval('router.' + asked)\n"
        f"    heavy = {{*{OF_TRAINING_OR_BENCH}}} & set(sys.modules)\n"
        f"    heavy |= {{*{OF_CHANGES}}} & set(sys.modules) if asked in {SERVED} else set()\n"
        "    assert not heavy, f'{asked} loads {heavy}'\n"
        f"assert {{*{OF_CHANGES}}} <= set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["route", "predict"])
def test_a_command_that_asks_loads_nothing_of_training_or_of_the_bench(
    saved: Path, tmp_path: Path, command: str
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("1 + 1?\n")
    asked = {
        "route": ["route", str(saved), "1 + 1?", "--json"],
        "predict": ["predict", str(saved), str(prompts), "--out", str(tmp_path / "out.csv")],
    }
    loaded = loaded_by(
        "from graphrouter.cli.app import run; import contextlib, io\n"
        f"with contextlib.redirect_stdout(io.StringIO()): assert run({asked[command]!r}) == 0"
    )
    assert ("pandas" in loaded) == (command == "predict")  # which writes a table
    assert loaded.isdisjoint({*OF_TRAINING_OR_BENCH, "torch", "wordllama"})
