"""`graphrouter evaluate`: an artifact against references, on queries that it has not learned from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.files import check_target, replace_file
from graphrouter.cli.heldout import EvaluatedSide, check_models, held_out_queries, reference_data
from graphrouter.cli.progress import working
from graphrouter.cli.render import say_line

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset
    from graphrouter.evaluation import Evaluation
    from graphrouter.routers.graph import GraphRouter

ALL = "all"


def evaluate(
    artifact: options.Artifact,
    data: options.Data,
    split: Annotated[
        EvaluatedSide,
        typer.Option("--split", help="Which queries of the artifact's split; early stopping has seen those of validation."),
    ] = EvaluatedSide.test,
    baselines: Annotated[
        str, typer.Option("--baselines", help="all, or names such as rasch,knn; best_single and task_mean always stand there.")
    ] = ALL,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Also write all figures to FILE as JSON; - writes only JSON.")
    ] = None,
    intervals: Annotated[bool, typer.Option("--intervals", help="Show every figure with its 95 % interval.")] = False,
    draws: Annotated[int, typer.Option("--draws", min=10, help="Bootstrap draws.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the bootstrap.")] = 0,
) -> None:
    """Compare an artifact with references and the oracle on the test queries of its split.

    Once with the tasks of the queries known, once hidden. On other data than the artifact was trained on, all queries count that
    are new to it.

    Example: graphrouter evaluate artifacts/demo/router artifacts/demo/data --baselines rasch --json figures.json
    """
    only_json = json_file == "-"
    target = None if json_file is None or only_json else Path(json_file)
    if target is not None:
        check_target(target)
    names = None if baselines == ALL else [name.strip() for name in baselines.split(",") if name.strip()]

    from graphrouter.data import load_dataset
    from graphrouter.routers.graph import load_router

    with working("Reading the data and the router"):
        dataset, router = load_dataset(data), load_router(artifact)
    found = evaluate_artifact(router, dataset, side=split, names=names, draws=draws, seed=seed)
    if only_json:
        print_json(found.to_json())
        return
    from graphrouter.cli.figures import show_evaluation

    for setting in found.settings:
        show_evaluation(found, setting, intervals=intervals)
    if target is not None:
        replace_file(target, lambda partial: _write_json(found, partial))
        say_line(f"Wrote all figures to {target}")


def evaluate_artifact(
    router: GraphRouter, dataset: RoutingDataset, *, side: EvaluatedSide, names: list[str] | None, draws: int, seed: int
) -> Evaluation:
    """The router against its references on the queries of one side.

    Raises:
        ConfigError: There is no reference of such a name.
        DataError: Nothing is left to evaluate on.
    """
    from graphrouter.evaluation import evaluate as judge
    from graphrouter.evaluation import fit_references

    check_models(router, dataset)
    query_ids = held_out_queries(router, dataset, side)
    with working("Fitting the references"):
        seen, division = reference_data(router, dataset)
        references = fit_references(seen, division, router.encoder, names=names)
    tasks = dataset.queries.set_index("query_id").loc[list(query_ids), "task"]
    with working(f"Evaluating on {len(query_ids):,} queries"):
        return judge(
            router,
            dataset,
            query_ids,
            references=references,
            cost_scale=router.cost_scale,
            task_known=bool(tasks.notna().any()),
            num_draws=draws,
            seed=seed,
        )


def _write_json(found: Evaluation, file: Path) -> None:
    file.write_text(json.dumps(found.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
