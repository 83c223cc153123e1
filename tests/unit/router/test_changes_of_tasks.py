"""Tasks that come after training: known by a description, by outcomes on their queries, or by
both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError, NotApplicableError

NEW = "haiku"
ABOUT = "Short poems in three lines about nature and seasons."
CONFIG = (
    "training.max_epochs=1",
    "training.steps_per_epoch=3",
    "encoder.name=hashing",
    "encoder.dimension=64",
)


@pytest.fixture(scope="module")
def whole() -> gr.RoutingDataset:
    return gr.simulate(num_queries=240, num_models=4, seed=5).data


@pytest.fixture(scope="module")
def left_out(whole: gr.RoutingDataset) -> str:
    """The task that the router is not trained with: the most frequent one."""
    return str(whole.queries["task"].value_counts().index[0])


@pytest.fixture(scope="module")
def trained(whole: gr.RoutingDataset, left_out: str) -> gr.GraphRouter:
    others = whole.queries.loc[whole.queries["task"] != left_out, "query_id"].tolist()
    return gr.GraphRouter.fit(whole.select_queries(others), gr.load_config(overrides=CONFIG))


@pytest.fixture(scope="module")
def examples(whole: gr.RoutingDataset, left_out: str) -> pd.DataFrame:
    """What all models did on the queries of that task, under a name of its own."""
    joined = whole.outcomes.merge(whole.queries[["query_id", "task", "prompt"]], on="query_id")
    return (
        joined[joined["task"] == left_out].drop(columns=["query_id", "task"]).reset_index(drop=True)
    )


@pytest.fixture(scope="module")
def others(trained: gr.GraphRouter) -> tuple[list[str], list[str]]:
    """Prompts of the tasks that the router knows, and those tasks."""
    queries = trained.support.queries.head(60)
    return [f"Please. {prompt}" for prompt in queries["prompt"]], queries["task"].tolist()


def test_a_task_without_examples_moves_no_query_of_another_task(
    trained: gr.GraphRouter, others: tuple[list[str], list[str]]
) -> None:
    prompts, tasks = others
    wider = trained.add_task(NEW, description=ABOUT)
    assert wider.known_tasks == (*trained.known_tasks, NEW)
    assert NEW not in trained.known_tasks, "the old router stays as it was"
    before, after = trained.predict(prompts, tasks=tasks), wider.predict(prompts, tasks=tasks)
    for name in ("effect", "cost_usd", "output_tokens", "latency_s"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-9)
    assert np.abs(wider.predict(prompts).effect - trained.predict(prompts).effect).max() < 0.02
    named = wider.predict(prompts, tasks=[NEW] * len(prompts))
    assert np.isfinite(named.effect).all()
    assert (named.effect != trained.predict(prompts).effect).any(), "the name of the task counts"


def test_the_description_counts(
    trained: gr.GraphRouter, others: tuple[list[str], list[str]]
) -> None:
    prompts, tasks = others[0][:5], [NEW] * 5
    described = trained.add_task(NEW, description=ABOUT)
    plain, blank = trained.add_task(NEW), trained.add_task(NEW, description="  ")
    assert (
        described.predict(prompts, tasks=tasks).effect != plain.predict(prompts, tasks=tasks).effect
    ).any()
    np.testing.assert_array_equal(
        blank.predict(prompts, tasks=tasks).effect, plain.predict(prompts, tasks=tasks).effect
    )
    assert described.support.tasks["description"].iloc[-1] == ABOUT
    assert plain.support.tasks["description"].isna().iloc[-1]


def test_examples_teach_how_hard_a_task_is(trained: gr.GraphRouter, examples: pd.DataFrame) -> None:
    prompts = [f"Please. {prompt}" for prompt in examples["prompt"].unique()[:20]]
    means = []
    for effect in (0.0, 1.0):
        wider = trained.add_task(NEW, examples=examples.head(40).assign(effect=effect))
        means.append(wider.predict(prompts, tasks=[NEW] * len(prompts)).effect.mean())
    assert (
        means[0]
        < trained.add_task(NEW).predict(prompts, tasks=[NEW] * len(prompts)).effect.mean()
        < means[1]
    )


def test_a_task_is_saved_with_what_is_known_of_it(
    trained: gr.GraphRouter,
    examples: pd.DataFrame,
    others: tuple[list[str], list[str]],
    tmp_path: Path,
) -> None:
    wider = trained.add_task(NEW, description=ABOUT, examples=examples)
    wider.save(tmp_path / "wider")
    loaded = gr.GraphRouter.load(tmp_path / "wider")
    assert loaded.known_tasks == wider.known_tasks
    for tasks in ([NEW] * 60, others[1], None):
        np.testing.assert_array_equal(
            loaded.predict(others[0], tasks=tasks).effect,
            wider.predict(others[0], tasks=tasks).effect,
        )
    change = loaded.provenance.changes[-1]
    assert (change.what, change.task, change.model, change.num_outcomes) == (
        "add_task",
        NEW,
        "",
        len(examples),
    )
    assert len(loaded.suggest_probes(5)) == 5
    assert loaded.route(examples["prompt"][0], task=NEW).evidence[0].task == NEW


def test_outcomes_of_a_task_that_nobody_knows_count_as_unknown_until_it_is_added(
    trained: gr.GraphRouter, examples: pd.DataFrame, others: tuple[list[str], list[str]]
) -> None:
    early = trained.add_outcomes(examples.assign(task=NEW))
    assert NEW not in early.known_tasks
    nameless = trained.add_outcomes(examples)
    np.testing.assert_array_equal(
        early.predict(others[0]).effect, nameless.predict(others[0]).effect
    )
    late, at_once = (
        early.add_task(NEW, description=ABOUT),
        trained.add_task(NEW, description=ABOUT, examples=examples),
    )
    for tasks in ([NEW] * 60, others[1]):
        np.testing.assert_array_equal(
            late.predict(others[0], tasks=tasks).effect,
            at_once.predict(others[0], tasks=tasks).effect,
        )


def test_a_known_query_without_a_task_joins_and_one_with_a_task_is_refused(
    trained: gr.GraphRouter, examples: pd.DataFrame
) -> None:
    wider = trained.add_outcomes(examples).add_task(
        NEW, examples=examples.assign(task="")
    )  # an empty cell of a table
    assert (wider.support.queries["task"] == NEW).sum() == examples["prompt"].nunique()
    assert len(wider.support.outcomes) == len(trained.support.outcomes) + len(examples)
    known = trained.support.queries.iloc[0]
    with pytest.raises(
        DataError, match=f"knows as query '{known['query_id']}' of the task '{known['task']}'"
    ):
        trained.add_task(NEW, examples=examples.head(1).assign(prompt=known["prompt"]))


def test_bad_input_is_named(trained: gr.GraphRouter, examples: pd.DataFrame) -> None:
    for task, outcomes, said in (
        (trained.known_tasks[0], None, f"knows a task '{trained.known_tasks[0]}' already"),
        ("  ", None, "named '  '; expected a name that is not blank"),
        (NEW, examples.head(0), "examples has no rows"),
        (NEW, examples.assign(task="sums"), "names the task 'sums' too"),
        (NEW, examples.drop(columns="model"), "expected model, effect"),
        (NEW, examples.drop(columns="prompt"), "examples, row 1: neither query_id nor prompt"),
        (NEW, examples.assign(effect=1.3), r"effect is 1\.3"),
        (NEW, examples.assign(model="nobody"), "'nobody'"),
    ):
        with pytest.raises(DataError, match=said):
            trained.add_task(task, examples=outcomes)


def test_a_router_that_was_trained_without_tasks_says_so(whole: gr.RoutingDataset) -> None:
    queries = whole.queries.assign(task=None)
    data = gr.RoutingDataset.from_frames(
        queries=queries, models=whole.models, outcomes=whole.outcomes
    )
    router = gr.GraphRouter.fit(data, gr.load_config(overrides=CONFIG))
    with pytest.raises(NotApplicableError, match="trained on queries without tasks"):
        router.add_task(NEW)


def test_a_description_is_not_read_by_a_network_that_never_saw_one(
    whole: gr.RoutingDataset, others: tuple[list[str], list[str]]
) -> None:
    data = gr.RoutingDataset.from_frames(
        queries=whole.queries, models=whole.models, outcomes=whole.outcomes
    )
    router = gr.GraphRouter.fit(data, gr.load_config(overrides=CONFIG))
    tasks = [NEW] * 60
    described, plain = router.add_task(NEW, description=ABOUT), router.add_task(NEW)
    np.testing.assert_array_equal(
        described.predict(others[0], tasks=tasks).effect,
        plain.predict(others[0], tasks=tasks).effect,
    )
    assert described.support.tasks["description"].iloc[-1] == ABOUT, (
        "kept, so that people can read it"
    )
