"""Runs to report on: hand-made ones, and real ones of routers that are fitted in a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import LearningData, fit_baselines
from graphrouter.bench.evaluation.evaluate import SeedRun, collect_outputs, score_runs
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.results import Evaluation
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.data import split_dataset
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.policy import CostScale
from graphrouter.router.training_view import TrainingView
from graphrouter.types import Predictions, Queries

HOSTILE = "<script>alert(1)</script>"
Matrix = Sequence[Sequence[float]]


class Scored(NamedTuple):
    """What a report is made of."""

    runs: list[SeedRun]
    evaluation: Evaluation


def predictions(effect: Matrix, cost_usd: Matrix | None = None) -> Predictions:
    """Predictions for the models a, b, ..."""
    array = np.array(effect, dtype=np.float64)
    cost = (
        np.full(array.shape, np.nan) if cost_usd is None else np.array(cost_usd, dtype=np.float64)
    )
    return Predictions.from_arrays(tuple("abcdefgh"[: array.shape[1]]), array, cost_usd=cost)


def tiny_run(
    observed: Predictions,
    outputs: Mapping[str, Predictions],
    *,
    tasks: Sequence[str | None] | None = None,
    prompts: Sequence[str] | None = None,
    query_ids: Sequence[str] | None = None,
    cost_scale: CostScale | None = None,
    seed: int = 0,
) -> SeedRun:
    """One run in which the tasks are hidden; best_single, if given, is the evaluation set's too."""
    ids = tuple(query_ids or (f"q{i}" for i in range(len(observed))))
    evaluation_set = EvaluationSet(
        models=observed.models,
        query_ids=ids,
        queries=Queries.of(prompts or [f"prompt of {query_id}" for query_id in ids], tasks or None),
        observed=ObservedOutcomes.from_arrays(
            observed.models, observed.effect, cost_usd=observed.cost_usd
        ),
        cost_scale=cost_scale or CostScale(0.0, 1.0),
        best_single=outputs.get("best_single"),
    )
    return SeedRun(
        seed,
        evaluation_set,
        {"task_hidden": {name: RouterOutput(each) for name, each in outputs.items()}},
    )


def simulated(
    *,
    num_queries: int,
    seeds: Sequence[int],
    edit: Callable[[gr.RoutingDataset], Any] | None = None,
) -> Scored:
    """Runs on simulated data in which nearest neighbours play the part of graphrouter."""
    data = gr.simulate(num_queries=num_queries, num_models=6).data
    if edit is not None:
        data = edit(data)
    runs = []
    for seed in seeds:
        split = split_dataset(data, gr.TrainConfig().split.model_copy(update={"seed": seed}))
        view = TrainingView.of(data, split=split, encoder=HashingEncoder(64))
        scale = view.derive(LearningData.of_view).cost_scale
        baselines = dict(fit_baselines(view, ["frugal_gpt"] if scale.is_known else ["rasch"]))
        scored = fit_baselines(view, ["knn"])["knn"]
        runs.append(
            collect_outputs(
                scored,
                data,
                split.test,
                baselines=baselines,
                cost_scale=scale,
                seed=seed,
            )
        )
    return Scored(runs, score_runs(runs, dataset=data.name, num_draws=50))


@pytest.fixture(scope="session")
def scored() -> Scored:
    """Two splits of simulated data, a cascade among the baselines."""
    return simulated(num_queries=150, seeds=(0, 1))


@pytest.fixture(scope="session")
def hostile() -> Scored:
    """Data whose prompts, tasks, models and name try to break out of the page."""

    def poison(data: gr.RoutingDataset) -> gr.RoutingDataset:
        evil = data.models.loc[0, "model"]
        rename = {evil: f"{HOSTILE}|{evil}"}
        queries = data.queries.assign(
            prompt=[
                f'{HOSTILE} "quoted" | {i} {prompt}'
                for i, prompt in enumerate(data.queries["prompt"])
            ],
            task=data.queries["task"] + HOSTILE,
        )
        return gr.RoutingDataset.from_frames(
            queries=queries,
            models=data.models.assign(model=data.models["model"].replace(rename)),
            outcomes=data.outcomes.assign(model=data.outcomes["model"].replace(rename)),
            name=f"evil{HOSTILE}</title>",
        )

    found = simulated(num_queries=120, seeds=(0,), edit=poison)
    return found._replace(evaluation=replace(found.evaluation, failed={"svm": f"it saw {HOSTILE}"}))


@pytest.fixture(scope="session")
def without_costs() -> Scored:
    """Data in which nothing has a cost."""

    def strip(data: gr.RoutingDataset) -> gr.RoutingDataset:
        return gr.RoutingDataset.from_frames(
            queries=data.queries,
            models=data.models[["model", "description"]],
            outcomes=data.outcomes[["query_id", "model", "effect"]],
            name="free",
        )

    return simulated(num_queries=120, seeds=(0,), edit=strip)
