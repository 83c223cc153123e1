"""Counts what a dataset holds, for people and for `graphrouter data describe`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphrouter.data.assignment import Assignment, measure_assignment
from graphrouter.data.columns import SPLITS
from graphrouter.data.learnable import Learnable, measure_learnable
from graphrouter.data.repeats import count_runs
from graphrouter.data.schema import RoutingDataset, check_is_dataset
from graphrouter.data.view_columns import count_embeddings
from graphrouter.lazy import pandas as pd
from graphrouter.pool import KINDS


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """What is known of one task; the one named None gathers the queries of unknown task."""

    task: str | None
    description: str | None
    num_queries: int
    num_outcomes: int
    """Calls, graded or not."""
    density: float | None
    """Share of its (query, model) pairs that were run; None for a task without queries."""
    mean_effect: float | None
    best_model: str | None
    """The model with the highest mean effect here, among those with at least half as many graded
    answers as the most tested one."""
    num_graded: int
    """Calls whose answer was graded."""


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What is known of one model; means are over its outcomes and None without any."""

    model: str
    family: str | None
    num_outcomes: int
    coverage: float
    """Share of the queries that it was run on."""
    mean_effect: float | None
    mean_cost_usd: float | None
    mean_output_tokens: float | None
    mean_latency_s: float | None
    num_graded: int
    """Calls whose answer was graded."""
    kind: str = KINDS[0]
    """What the candidate is."""


@dataclass(frozen=True, slots=True)
class PromptLengths:
    """Prompt lengths in characters."""

    min: int
    median: float
    p95: float
    max: int


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """The counts of a dataset; shares are in [0, 1]."""

    name: str
    fingerprint: str
    num_queries: int
    num_models: int
    num_tasks: int
    num_outcomes: int
    num_runs: int
    """Runs that the outcomes are the means of; more than the outcomes where runs were repeated."""
    density: float
    """Share of all (query, model) pairs that were run."""
    mean_effect: float | None
    """Of the graded answers; None without any."""
    num_graded: int
    """Outcomes with an effect; the others say what a call took, and no more."""
    share_with_cost: float
    share_with_output_tokens: float
    share_with_latency: float
    num_priced_models: int
    num_described_models: int
    num_models_without_outcomes: int
    num_missing_outcomes: int
    """Graded answers that are missing until each model has `learnable.ENOUGH_OUTCOMES`."""
    num_queries_without_outcomes: int
    num_queries_without_task: int
    num_duplicate_prompts: int
    """Queries whose prompt stands in an earlier row as well."""
    prompt_chars: PromptLengths
    num_queries_with_context: int
    """Queries with documents that go with them."""
    num_embeddings: dict[str, int]
    """Queries with an embedding, by the name of its encoder."""
    num_users: int
    """Distinct users that queries say were asked by; 0 where nobody is named."""
    num_teams: int
    """Their teams."""
    num_queries_without_user: int
    """Queries that do not say who asked them."""
    split: dict[str, int] | None
    """Queries on each side of the `split` column; None when there is no such column."""
    assignment: Assignment
    """How far a prompt decides which models answered it."""
    learnable: Learnable
    """What can be learned, and what is missing."""
    tasks: tuple[TaskSummary, ...]
    models: tuple[ModelSummary, ...]


def describe_dataset(data: RoutingDataset) -> DatasetSummary:
    """The counts of `data`.

    Sizes, coverage by task and model, what is observed, prompt lengths, duplicates.

    Example:
        >>> from graphrouter.bench.simulate import simulate
        >>> summary = describe_dataset(simulate(num_queries=60).data)
        >>> summary.num_models, round(summary.density, 2)
        (12, 0.85)
    """
    check_is_dataset(data, "describe_dataset")
    outcomes, queries, models = data.outcomes, data.queries, data.models
    rows, columns = data.pair_positions
    chars = queries["prompt"].str.len().to_numpy(dtype=np.int64)
    observed = {
        name: float(outcomes[name].notna().mean())
        for name in ("cost_usd", "output_tokens", "latency_s")
    }
    prices = models[["input_usd_per_mtok", "output_usd_per_mtok"]]
    learnable = measure_learnable(data)
    return DatasetSummary(
        name=data.name,
        fingerprint=data.fingerprint,
        num_queries=len(queries),
        num_models=len(models),
        num_tasks=len(data.tasks),
        num_outcomes=len(outcomes),
        num_runs=round(float(count_runs(outcomes).sum())),
        density=len(outcomes) / (len(queries) * len(models)),
        mean_effect=_keep_known(float(outcomes["effect"].mean())),
        num_graded=learnable.num_graded,
        share_with_cost=observed["cost_usd"],
        share_with_output_tokens=observed["output_tokens"],
        share_with_latency=observed["latency_s"],
        num_priced_models=int(prices.notna().all(axis=1).sum()),
        num_described_models=int(models["description"].notna().sum()),
        num_models_without_outcomes=len(models) - len(np.unique(columns)),
        num_missing_outcomes=sum(learnable.num_missing.values()),
        num_queries_without_outcomes=len(queries) - len(np.unique(rows)),
        num_queries_without_task=int(queries["task"].isna().sum()),
        num_duplicate_prompts=int(queries["prompt"].str.strip().duplicated().sum()),
        prompt_chars=PromptLengths(
            int(chars.min()),
            float(np.median(chars)),
            float(np.quantile(chars, 0.95)),
            int(chars.max()),
        ),
        num_queries_with_context=int(queries["context"].notna().sum())
        if "context" in queries
        else 0,
        num_embeddings=count_embeddings(queries),
        num_users=int(queries["user"].nunique()) if "user" in queries else 0,
        num_teams=int(queries["team"].nunique()) if "team" in queries else 0,
        num_queries_without_user=int(queries["user"].isna().sum())
        if "user" in queries
        else len(queries),
        split=_count_sides(queries),
        assignment=measure_assignment(data),
        learnable=learnable,
        tasks=_summarise_tasks(data),
        models=_summarise_models(data),
    )


def _count_sides(queries: pd.DataFrame) -> dict[str, int] | None:
    if "split" not in queries.columns:
        return None
    return {name: int((queries["split"] == name).sum()) for name in SPLITS}


def _summarise_tasks(data: RoutingDataset) -> tuple[TaskSummary, ...]:
    task_of_query = data.queries["task"].fillna("").to_numpy(dtype=object)
    frame = pd.DataFrame(
        {
            "task": task_of_query[data.pair_positions[0]],
            "model": data.outcomes["model"],
            "effect": data.outcomes["effect"],
        }
    )
    num_queries = pd.Series(task_of_query).value_counts()
    effects = frame.groupby("task")["effect"].agg(["size", "count", "mean"])
    graded = frame.dropna(subset="effect")
    by_model = graded.groupby(["task", "model"])["effect"].agg(["size", "mean"])
    descriptions = dict(zip(data.tasks["task"], data.tasks["description"], strict=True))
    names = [*data.tasks["task"], *([""] if "" in num_queries.index else [])]
    summaries = []
    for name in names:
        queries = int(num_queries.get(name, 0))
        outcomes, graded_here = (int(effects[each].get(name, 0)) for each in ("size", "count"))
        summaries.append(
            TaskSummary(
                task=name or None,
                description=_keep_text(descriptions.get(name)),
                num_queries=queries,
                num_outcomes=outcomes,
                density=outcomes / (queries * len(data.models)) if queries else None,
                mean_effect=float(effects["mean"][name]) if graded_here else None,
                best_model=_find_best_model(by_model.loc[name]) if graded_here else None,
                num_graded=graded_here,
            )
        )
    return tuple(summaries)


def _find_best_model(by_model: pd.DataFrame) -> str:
    tested = by_model[by_model["size"] >= by_model["size"].max() / 2]
    return str(tested["mean"].idxmax())


def _summarise_models(data: RoutingDataset) -> tuple[ModelSummary, ...]:
    columns = ["effect", "cost_usd", "output_tokens", "latency_s"]
    grouped = data.outcomes.groupby("model")
    means = grouped[columns].mean().reindex(data.models["model"])
    counts = grouped.size().reindex(data.models["model"], fill_value=0)
    graded = grouped["effect"].count().reindex(data.models["model"], fill_value=0)
    return tuple(
        ModelSummary(
            model=model,
            family=_keep_text(family),
            num_outcomes=int(count),
            coverage=int(count) / len(data.queries),
            mean_effect=_keep_known(row[0]),
            mean_cost_usd=_keep_known(row[1]),
            mean_output_tokens=_keep_known(row[2]),
            mean_latency_s=_keep_known(row[3]),
            num_graded=int(num_graded),
            kind=str(card.state_of("kind")),
        )
        for model, family, card, count, num_graded, row in zip(
            data.models["model"],
            data.models["family"],
            data.pool,
            counts,
            graded,
            means.to_numpy(dtype=np.float64),
            strict=True,
        )
    )


def _keep_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _keep_known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
