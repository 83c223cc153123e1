"""`graphrouter pool`: which models a router chooses among, and how they change without a training."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.files import check_target
from graphrouter.cli.predict import SUFFIXES
from graphrouter.cli.progress import working
from graphrouter.cli.render import new_table, number, one_line, say, say_line, show_table
from graphrouter.exceptions import DataError
from graphrouter.files import replace_file

if TYPE_CHECKING:
    import pandas as pd

    from graphrouter.pool import ModelCard
    from graphrouter.routers.graph import GraphRouter

app = typer.Typer(no_args_is_help=True, help="Show and change the models of a trained router; nothing is trained again.")

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model of the pool.", show_default=False)]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="ARTIFACT", help="Write the changed router here; in place by default.", show_default=False),
]


@app.command("list")
def list_models(artifact: options.Artifact, as_json: options.Json = False) -> None:
    """Show the models of a router: price, outcomes that are known of them, their mean effect.

    Example: graphrouter pool list artifacts/demo/router
    """
    router = _load(artifact)
    known = router.support.outcomes.groupby("model")["effect"].agg(["size", "mean"]).reindex(list(router.models))
    if as_json:
        rows = zip(router.pool, known["size"].fillna(0), known["mean"], strict=True)
        print_json(
            [
                {**_plain(card), "num_outcomes": int(size), "mean_effect": None if mean != mean else float(mean)}
                for card, size, mean in rows
            ]
        )
        return
    table = new_table(f"Pool of {artifact}", "model", "USD/M tokens in", "out", "outcomes", "mean effect")
    for card, size, mean in zip(router.pool, known["size"].fillna(0), known["mean"], strict=True):
        prices = (number(price, ".2f") for price in (card.input_usd_per_mtok, card.output_usd_per_mtok))
        table.add_row(card.model, *prices, f"{int(size):,}", number(mean, ".3f"))
    show_table(table)


@app.command()
def show(artifact: options.Artifact, model: Model) -> None:
    """Show the card of a model, and what was changed of it after training.

    Example: graphrouter pool show artifacts/demo/router tarn-grand
    """
    router = _load(artifact)
    for name, value in _plain(router.pool[model]).items():
        say_line(f"{name}: {value}")
    for change in router.provenance.changes:
        if change.model in ("", model):
            say_line(f"{change.at}  {change.what}" + (f", {change.num_outcomes:,} outcomes" if change.num_outcomes else ""))


@app.command()
def add(
    artifact: options.Artifact,
    card: Annotated[
        Path,
        typer.Argument(
            metavar="CARD", help="The model's card as .yaml or .json: model, description, prices.", show_default=False
        ),
    ],
    outcomes: Annotated[
        Path | None,
        typer.Option(
            "--outcomes",
            metavar="FILE",
            help="Table with effect and query_id, or prompt (and task); perhaps cost_usd, tokens, latency_s.",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
) -> None:
    """Add a model, or outcomes to one that is there; it is a candidate from the next prompt on.

    A card alone places a model by its description and price; twenty graded outcomes say far more. When the pool has the model
    already, its card is replaced and the outcomes are added.

    Example: graphrouter pool add artifacts/mine fresh.yaml --outcomes graded.csv
    """
    wanted, graded = _read_card(card), None if outcomes is None else _read_outcomes(outcomes)
    router = _load(artifact)
    with working("Placing the model"):
        if wanted.model not in router.pool.index:
            changed = router.add_model(wanted, outcomes=graded)
        else:
            changed = router if router.pool[wanted.model] == wanted else router.update_card(wanted)
            if graded is not None:
                changed = changed.add_outcomes(graded.assign(model=wanted.model))
    count = 0 if graded is None else len(graded)
    _save(changed, out or artifact, f"{wanted.model} is in the pool of {len(changed.pool)} models, with {count:,} new outcomes")


@app.command()
def remove(artifact: options.Artifact, model: Model, out: Out = None) -> None:
    """Remove a model and its outcomes.

    Example: graphrouter pool remove artifacts/mine old-model
    """
    changed = _load(artifact).remove_model(model)
    _save(changed, out or artifact, f"{model} is out of the pool; {len(changed.pool)} models are left")


@app.command("set-price")
def set_price(
    artifact: options.Artifact,
    model: Model,
    input_usd_per_mtok: Annotated[
        float, typer.Option("--input", help="US dollars per million prompt tokens.", show_default=False)
    ],
    output_usd_per_mtok: Annotated[
        float, typer.Option("--output", help="US dollars per million completion tokens.", show_default=False)
    ],
    out: Out = None,
) -> None:
    """Set the prices of a model; the next decision counts with them.

    Example: graphrouter pool set-price artifacts/mine tarn-grand --input 1.5 --output 6
    """
    prices = {"input_usd_per_mtok": input_usd_per_mtok, "output_usd_per_mtok": output_usd_per_mtok}
    changed = _load(artifact).set_price(model, **prices)
    _save(changed, out or artifact, f"{model} costs {input_usd_per_mtok:g} and {output_usd_per_mtok:g} USD per million tokens")


@app.command("suggest-probes")
def suggest_probes(
    artifact: options.Artifact,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="A model of the pool to be known better; a newcomer that is not in it yet by default.",
            show_default=False,
        ),
    ] = None,
    num: Annotated[int, typer.Option("-n", "--num", metavar="N", help="How many prompts.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write them here, as .csv, .jsonl or .parquet.", show_default=False),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show which prompts to run on a model so that few outcomes tell most, the most useful first.

    Grade the answers from 0 to 1 in a column effect, and give the table to pool add. What the model has answered is left out, so
    it can be asked again after each batch.

    Example: graphrouter pool suggest-probes artifacts/mine -n 20 --out probes.csv
    """
    if out is not None:
        check_target(out, suffixes=SUFFIXES)
    router = _load(artifact)
    probes = router.suggest_probes(num, model=model)
    if out is not None:
        from graphrouter.data.readers import write_table

        replace_file(out, partial(write_table, probes))
    if as_json:
        print_json([{**row, "task": row["task"] if isinstance(row["task"], str) else None} for row in probes.to_dict("records")])
    elif out is not None:
        say_line(f"Wrote {len(probes):,} prompts to {out}. Add a column effect with your grades, from 0 to 1.")
    else:
        _show_probes(probes)


def _show_probes(probes: pd.DataFrame) -> None:
    table = new_table(f"Prompts to run ({len(probes)}), the most useful first", "query_id", "task", "prompt", text_columns=3)
    for query, task, prompt in probes.itertuples(index=False):
        table.add_row(query, one_line(task, 24) if isinstance(task, str) else "-", one_line(prompt, 80))
    show_table(table)


@app.command()
def check(
    artifact: options.Artifact,
    outcomes: Annotated[
        Path,
        typer.Argument(
            metavar="OUTCOMES", help="Table with model, effect, and prompt (and task) or query_id.", show_default=False
        ),
    ],
    as_json: options.Json = False,
    level: Annotated[float, typer.Option("--level", help="Chance of naming any model when none has changed.")] = 0.05,
) -> None:
    """Compare new outcomes with what the router expects, and name the models that have changed.

    A provider may change a model behind the same name. Twenty outcomes of a model are the fewest that get a verdict, about two
    hundred find a change of 0.15 in effect. Prompts that were harder than they look for all models alike count for none.

    Example: graphrouter pool check artifacts/mine graded.csv
    """
    graded = _read_outcomes(outcomes)
    router = _load(artifact)

    from graphrouter.cli.drift import show_drift
    from graphrouter.evaluation.drift import check_drift

    with working("Comparing"):
        report = check_drift(router, graded, level=level)
    if as_json:
        print_json(report.to_json())
    else:
        show_drift(report)


def _load(artifact: Path) -> GraphRouter:
    from graphrouter.routers.graph import GraphRouter

    with working("Loading the router"):
        return GraphRouter.load(artifact)


def _save(router: GraphRouter, out: Path, what: str) -> None:
    router.save(out)
    say(f"{what}.")
    say_line(f"Artifact    {out}")


def _plain(card: ModelCard) -> dict[str, Any]:
    return card.model_dump(by_alias=True, exclude_none=True)


def _read_card(file: Path) -> ModelCard:
    """The card in a file.

    Raises:
        DataError: There is no such file, it is no mapping, or a field is not accepted.
    """
    import yaml

    from graphrouter.pool import parse_card

    if not file.is_file():
        raise DataError(f"There is no file {file}; expected a card as .yaml or .json, with model, description and prices.")
    try:
        text = file.read_text(encoding="utf-8")
        values = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file} cannot be read ({reason}). Write it as YAML or JSON.") from None
    if not isinstance(values, dict):
        raise DataError(f"{file} holds a {type(values).__name__}; expected fields: model, description, prices, ...")
    return parse_card(values, source=file.name)


def _read_outcomes(file: Path) -> pd.DataFrame:
    """The outcomes in a file, numbers read from text."""
    import pandas as pd

    from graphrouter.data.readers import read_table

    table = read_table(file)
    if "effect" not in table.columns:
        there = ", ".join(str(name) for name in table.columns) or "none"
        raise DataError(f"{file} has no column effect (columns: {there}). Add your grade of each answer, from 0 to 1.")
    return pd.DataFrame(table)
