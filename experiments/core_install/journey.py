"""Does all that the core promises, and shows what is said where the rest is missing.

Usage: python experiments/core_install/journey.py FOLDER [--block]

`run.sh` runs it in an environment without extras. With --block the libraries that only the extras
bring are hidden from this process, so that any environment will do.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

COMES_ANYWAY = {
    "httpx2": "genai-prices needs it",
    "huggingface_hub": "tokenizers needs it",
    "jinja2": "torch needs it",
    "matplotlib": "torchmetrics imports it where it is installed, hidden or not",
    "torchmetrics": "lightning needs it",
}
"""Libraries of an extra that the core brings all the same, because another package needs them, or
that cannot be hidden."""
PROMPTS = ["Add 3 and 4.", "Translate 'tree' into German."]
SETTINGS = ["training.max_epochs=1", "training.steps_per_epoch=2", "encoder.name=hashing"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--block", action="store_true")
    arguments = parser.parse_args()

    from graphrouter.extras import EXTRAS

    optional = [module for modules in EXTRAS.values() for module in modules]
    hidden = [module for module in optional if module not in COMES_ANYWAY]
    if arguments.block:
        sys.modules.update(dict.fromkeys(hidden))  # None: importing it raises
    else:
        present = sorted({*optional} & {*packages_distributions()})
        print("of the extras there all the same:", *present)
        if not set(present) <= set(COMES_ANYWAY):
            raise SystemExit(f"not an installation of the core alone: {', '.join(present)}")
    use_python(arguments.folder / "python")
    use_commands(arguments.folder / "commands")
    loaded = sorted(module for module in hidden if sys.modules.get(module) is not None)
    if loaded:
        raise SystemExit(f"imported: {', '.join(loaded)}")
    print("the core does its work without:", *hidden)


def use_python(folder: Path) -> None:
    """Fit, route, take in a model, save and load, from Python."""
    import graphrouter as gr

    simulation = gr.simulate(num_queries=60, num_models=4, seed=0)
    config = gr.load_config(overrides=SETTINGS)
    router = gr.GraphRouter.fit(simulation.data, config)
    card = gr.ModelCard(model="new-model", input_usd_per_mtok=0.5, output_usd_per_mtok=1.5)
    grown = router.add_model(card)
    grown.save(folder / "router")
    loaded = gr.load_router(folder / "router")
    effect = loaded.predict(PROMPTS).effect
    if not (effect == grown.predict(PROMPTS).effect).all() or effect.shape != (2, 5):
        raise SystemExit("the loaded router predicts something else")
    print("python: chose", loaded.route(PROMPTS[0], policy=gr.Policy.preset("balanced")).model)


def use_commands(folder: Path) -> None:
    """The commands of the core, and the line that those of the bench say."""
    data, router = str(folder / "data"), str(folder / "router")
    card = folder / "card.yaml"
    folder.mkdir(parents=True)
    card.write_text("model: gpt-4o-mini\n", encoding="utf-8")
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    run("data", "simulate", "--out", data, "--queries", "60", "--models", "4")
    run("data", "validate", data)
    run("data", "describe", data)
    run("train", data, "--out", router, *settings)
    run("route", router, PROMPTS[0])
    run("predict", router, f"{data}/queries.parquet", "--out", str(folder / "predictions.csv"))
    run("pool", "list", router)
    run("pool", "add", router, str(card), "--fill-prices", "--out", str(folder / "grown"))
    run("evaluate", router, data, "--draws", "20")
    run("train", data, "--router", "rasch", "--out", str(folder / "rasch"))
    run("route", str(folder / "rasch"), PROMPTS[0])

    page = str(folder / "page.html")
    needs_bench = "pip install 'graphrouter[bench]'"
    refuse(needs_bench, "benchmark", data, "--out", str(folder / "benchmark"))
    refuse(needs_bench, "benchmark-newcomers", data, "--out", str(folder / "newcomers"))
    refuse(needs_bench, "evaluate", router, data, "--html", page)
    refuse(needs_bench, "evaluate", router, data, "--baselines", "all")
    refuse(needs_bench, "train", data, "--router", "gbt", "--out", str(folder / "gbt"))
    refuse("pip install 'graphrouter[tune]'", "tune", data, "--out", str(folder / "tuning"))


def run(*words: str) -> None:
    """Run a command, which has to end well."""
    status, _, errors = invoke(*words)
    if status != 0:
        raise SystemExit(f"graphrouter {' '.join(words)}: {status}\n{errors}")
    print("ran: graphrouter", " ".join(words[:2]))


def refuse(line: str, *words: str) -> None:
    """Run a command, which has to end with status 2 and a message that holds `line`."""
    status, _, errors = invoke(*words)
    if status != 2 or line not in " ".join(errors.split()):
        raise SystemExit(f"graphrouter {' '.join(words)}: {status}, expected {line}\n{errors}")
    print("said:", " ".join(errors.split()))


def invoke(*words: str) -> tuple[int, str, str]:
    """Status, standard output and standard error of a command in this process."""
    from graphrouter.cli.app import run as run_command

    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        status = run_command(words)
    return status, output.getvalue(), errors.getvalue()


if __name__ == "__main__":
    main()
