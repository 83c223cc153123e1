"""Logs with one answer a prompt, of a model that was chosen by the difficulty of the prompt."""

from __future__ import annotations

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import BASELINES
from graphrouter.types import Queries
from tests.unit.bench.simulate.chosen_logs import Tasks, make_chosen_logs


def find_better(
    router: gr.GraphRouter, tasks: Tasks, *, many_forms: bool = False
) -> tuple[float, float]:
    """Share of new easy and of new hard prompts on which `strong` is expected above `weak`."""
    data, hard = make_chosen_logs(99, tasks=tasks, num_queries=300, many_forms=many_forms)
    effect = router.predict(Queries.of_frame(data.queries)).effect
    better = effect[:, router.models.index("strong")] > effect[:, router.models.index("weak")]
    return float(better[~hard].mean()), float(better[hard].mean())


@pytest.mark.parametrize(
    ("tasks", "share_both"),
    [
        ("one", 0.0),
        ("none", 0.3),
        pytest.param("one", 0.3, marks=pytest.mark.slow),
        pytest.param("kind", 0.0, marks=pytest.mark.slow),
        pytest.param("kind", 0.3, marks=pytest.mark.slow),
        pytest.param("none", 0.0, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_the_stronger_model_is_found_although_it_was_sent_the_hard_prompts(
    tasks: Tasks, share_both: float, seed: int
) -> None:
    data, _ = make_chosen_logs(seed, tasks=tasks, share_both=share_both)
    few = gr.load_config(overrides=["training.max_epochs=2"])
    easy, hard = find_better(gr.GraphRouter.fit(data, few), tasks)
    assert easy > 0.9
    assert hard > 0.9


def test_it_is_found_where_hardly_a_trace_is_left_and_nothing_is_trained() -> None:
    data, _ = make_chosen_logs(2)
    assert find_better(gr.GraphRouter.fit(data, instant=True), "one")[0] > 0.9


def find_in_many_forms(seed: int, tasks: Tasks, *, instant: bool = False) -> tuple[float, float]:
    data, _ = make_chosen_logs(seed, tasks=tasks, many_forms=True)
    few = gr.load_config(overrides=["training.max_epochs=2", f"seed={seed}"])
    return find_better(gr.GraphRouter.fit(data, few, instant=instant), tasks, many_forms=True)


@pytest.mark.parametrize("instant", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_it_is_found_too_where_prompts_of_a_kind_have_no_words_in_common(instant: bool) -> None:
    easy, hard = find_in_many_forms(0, "kind", instant=instant)
    assert easy > 0.9
    assert hard > 0.9


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("tasks", ["none", "kind", "one"])
def test_on_average_it_is_found_where_prompts_have_no_words_in_common(tasks: Tasks) -> None:
    # Where chance has left no difference in the logs nobody can find it: hence the mean.
    easy, hard = np.mean([find_in_many_forms(seed, tasks) for seed in range(6)], axis=0)
    assert easy > 0.75
    assert hard > 0.9


@pytest.mark.parametrize("epochs", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_without_the_prior_of_texts_it_is_not_found(epochs: int) -> None:
    data, _ = make_chosen_logs(0)
    few = gr.load_config(
        overrides=[f"training.max_epochs={epochs}", 'network.leave_out=["text_prior"]']
    )
    assert find_better(gr.GraphRouter.fit(data, few), "one")[0] < 0.5


@pytest.mark.parametrize("epochs", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_newcomer_that_was_sent_the_hard_prompts_is_placed_by_its_worth(epochs: int) -> None:
    data, _ = make_chosen_logs(3, tasks="none")
    few = gr.load_config(overrides=[f"training.max_epochs={epochs}"])
    router = gr.GraphRouter.fit(data, few)
    twin = data.outcomes[data.outcomes["model"] == "strong"].merge(data.queries, on="query_id")
    wider = router.add_model(
        gr.ModelCard(model="twin"), outcomes=twin[["prompt", "effect"]].reset_index(drop=True)
    )
    prompts = make_chosen_logs(99, num_queries=200)[0].queries["prompt"].tolist()
    effect = wider.predict(prompts).effect
    strong, weak, new = (wider.models.index(m) for m in ("strong", "weak", "twin"))
    assert effect[:, new].mean() > effect[:, weak].mean()
    assert np.abs(effect[:, new] - effect[:, strong]).mean() < 0.1


def test_carrot_is_not_misled_either() -> None:
    data, hard = make_chosen_logs(0)
    effect = BASELINES["carrot_linear"].fit(data).predict(data.queries["prompt"].tolist()).effect
    assert (effect[:, 0] > effect[:, 1])[hard].mean() > 0.9
