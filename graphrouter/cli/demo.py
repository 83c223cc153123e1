"""`graphrouter demo`: the whole way from outcomes to routed prompts, in a simulated world."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli.progress import show_working
from graphrouter.cli.render import (
    choose_usd_form,
    format_number,
    make_table,
    say,
    say_line,
    shorten,
    show_table,
)
from graphrouter.cli.train import check_places, show_data, show_run, train_router
from graphrouter.config import TrainConfig, parse_config
from graphrouter.policy import PRESETS, Policy

if TYPE_CHECKING:
    from graphrouter.bench.simulate.simulation import Simulation
    from graphrouter.data import RoutingDataset
    from graphrouter.decision import Decision
    from graphrouter.router.graph_router import GraphRouter
    from graphrouter.router.protocol import Router

NUM_QUERIES, NUM_MODELS = 1200, 12
ROUTED_TASKS = ("facts", "code_writing", "professional")
"""Tasks of the three prompts that are routed: one easy for most models, two where models differ."""
SHOWN_METRICS = (
    "log_loss",
    "brier",
    "ece",
    "reward_performance_first",
    "reward_balanced",
    "reward_cost_first",
    "area_log",
    "cost_save",
)
_NUM_DRAWS = 500


def make_demo_config(seed: int = 0) -> TrainConfig:
    """The settings of the demo.

    Those of configs/demo.yaml, which is not installed with the package.
    """
    return parse_config(
        {"seed": seed, "training": {"max_epochs": 10, "steps_per_epoch": 25, "patience": 4}}
    )


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the data and the artifact.")
    ] = Path("artifacts/demo"),
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of the simulated world and of training.")
    ] = 0,
) -> None:
    """Simulate outcomes, train a router, evaluate it and route three prompts.

    Under a minute on two CPU cores.

    Example: graphrouter demo --out artifacts/demo
    """
    from graphrouter.bench.simulate.simulation import simulate
    from graphrouter.data import split_dataset

    data_dir, artifact = out / "data", out / "router"
    config = make_demo_config(seed)
    work_dir = check_places(artifact, fresh=True)

    _show_headline(1, "A simulated world: tasks, models, outcomes with gaps")
    simulation = simulate(NUM_QUERIES, NUM_MODELS, seed=seed)
    simulation.data.save(data_dir)
    data = simulation.data
    split = split_dataset(data, config.split)
    show_data(data, split)
    say()
    _show_models(data)

    _show_headline(2, "Training on the outcomes of the training queries")
    run = train_router(data, split, config, out=artifact, work_dir=work_dir)
    show_run(run, artifact)
    say()

    _show_headline(3, "Evaluation on test queries that training has not seen")
    _show_evaluation(run.router, data, simulation, seed=seed)

    _show_headline(4, "Three test prompts under three policies, task not given")
    _show_routes(run.router, simulation)

    _show_next(data_dir, artifact)


def _show_headline(step: int, text: str) -> None:
    say(f"{step} of 4  {text}", style="bold cyan")
    say()


def _show_models(data: RoutingDataset) -> None:
    from graphrouter.data.describe import describe_dataset

    summary = describe_dataset(data)
    form = choose_usd_form(model.mean_cost_usd for model in summary.models)
    table = make_table(
        "Models: price, and means over the observed outcomes",
        "model",
        "USD/M tokens in",
        "out",
        "effect",
        "USD/call",
        "s",
    )
    for card, model in zip(data.pool, summary.models, strict=True):
        table.add_row(
            model.model,
            format_number(card.input_usd_per_mtok, ".2f"),
            format_number(card.output_usd_per_mtok, ".2f"),
            format_number(model.mean_effect, ".3f"),
            format_number(model.mean_cost_usd, form),
            format_number(model.mean_latency_s, ".1f"),
        )
    show_table(table)


def _show_evaluation(
    router: GraphRouter, data: RoutingDataset, simulation: Simulation, *, seed: int
) -> None:
    from graphrouter.bench.baselines import fit_baselines
    from graphrouter.bench.evaluation import evaluate
    from graphrouter.cli.evaluation_tables import show_evaluation, show_verdicts
    from graphrouter.config import TrainConfig

    split = router.provenance.split
    with show_working("Fitting the baselines and evaluating"):
        baselines = fit_baselines(
            data, config=TrainConfig(seed=seed), split=split, encoder=router.encoder
        )
        found = evaluate(
            router,
            data,
            split.test,
            baselines=baselines,
            cost_scale=router.cost_scale,
            num_draws=_NUM_DRAWS,
            seed=seed,
        )
    show_evaluation(found, "task_known", metrics=SHOWN_METRICS)
    show_verdicts(found, ["task_known"])
    _show_gain(router, baselines["best_single"], simulation)


def _show_gain(router: GraphRouter, best_single: Router, simulation: Simulation) -> None:
    """Compare the choices with the truth, which only a simulation knows."""
    from graphrouter.bench.evaluation.possible_gain import measure_gain

    table = make_table(
        "By the truth: mean reward a query, all models open to everyone",
        "preset",
        "best single",
        "graphrouter",
        "best possible",
        "share of the gain",
    )
    for preset in PRESETS:
        gain = measure_gain(
            simulation,
            router.provenance.split.test,
            router=router,
            best_single=best_single,
            policy=Policy.preset(preset),
            cost_scale=router.cost_scale,
        )
        figures = (gain.best_single, gain.router, gain.best_possible)
        table.add_row(
            preset, *(f"{figure:.4f}" for figure in figures), format_number(gain.share, ".0%")
        )
    show_table(table)


def _show_routes(router: GraphRouter, simulation: Simulation) -> None:
    for query_id, prompt in _pick_prompts(router, simulation.data):
        say(shorten(prompt, 78), style="italic")
        table = make_table(
            "", "policy", "model", "effect", "(true)", "USD/call", "(true)", text_columns=2
        )
        for preset in PRESETS:
            decision = router.route(prompt, policy=Policy.preset(preset))
            table.add_row(
                preset, decision.model, *_compare_with_truth(decision, query_id, simulation)
            )
        show_table(table)


def _pick_prompts(router: GraphRouter, data: RoutingDataset) -> list[tuple[str, str]]:
    """Id and prompt of the first test query of each of the routed tasks."""
    queries = data.queries[data.queries["query_id"].isin(router.provenance.split.test)]
    first = queries.drop_duplicates("task").set_index("task").loc[list(ROUTED_TASKS)]
    return list(zip(first["query_id"], first["prompt"], strict=True))


def _compare_with_truth(
    decision: Decision, query_id: str, simulation: Simulation
) -> tuple[str, str, str, str]:
    """Expected and true effect, expected and true cost of the chosen model."""
    truth = simulation.truth
    row, column = truth.query_ids.index(query_id), truth.models.index(decision.model)
    true_usd = float(truth.cost_usd[row, column])
    form = choose_usd_form([true_usd, decision.cost_usd])
    return (
        f"{decision.effect:.2f}",
        f"{truth.effect[row, column]:.2f}",
        format_number(decision.cost_usd, form),
        format(true_usd, form),
    )


def _show_next(data_dir: Path, artifact: Path) -> None:
    data, router = shlex.quote(str(data_dir)), shlex.quote(str(artifact))
    predictions = shlex.quote(str(artifact.parent / "predictions.csv"))
    say("Where it lies", style="bold cyan")
    say_line(f"  data      {data_dir}")
    say_line(f"  artifact  {artifact}")
    say("What to do next", style="bold cyan")
    for command in (
        f"graphrouter route {router} 'Say good morning in French.' \\\n      --preset cost_first",
        f"graphrouter evaluate {router} {data} --intervals",
        f"graphrouter predict {router} \\\n      {data}/queries.parquet --out {predictions}",
        "graphrouter data validate YOUR_DATA",
        "graphrouter train YOUR_DATA --out artifacts/mine",
    ):
        say_line(f"  {command}")
