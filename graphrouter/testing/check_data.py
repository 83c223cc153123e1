"""The data that routers are held against: simulated, with half of the outcomes missing, and odd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial

import numpy as np
import pandas as pd

from graphrouter.bench.simulate import simulate
from graphrouter.config import TrainConfig, load_config
from graphrouter.data import RoutingDataset
from graphrouter.data.columns import OUTCOME_NUMBERS
from graphrouter.pool import ModelCard
from graphrouter.router.training_view import TrainingView

PROMPTS = ("Translate 'tree' into German.", "Add 3 and 4.", "", "Summarise this: " + "text " * 200)
"""What the routers are asked; the empty one and the long one are queries like any other."""
CARDS = (
    ModelCard(
        model="fresh",
        description="Small and quick.",
        input_usd_per_mtok=0.2,
        output_usd_per_mtok=0.8,
    ),
    ModelCard(model="fresher"),
)
"""Models that join a fitted router; nothing is known of the second."""
NUM_QUERIES, NUM_MODELS = 200, 6
SHORT = ("training.max_epochs=1", "training.steps_per_epoch=2")
"""Settings of the checks: what they ask for holds after a few steps of a training."""


class CheckData:
    """The datasets of the checks, made once for all routers that are held against them.

    Example:
        >>> data = CheckData()
        >>> len(data.view.data.pool), sorted(data.odd)[:2]
        (6, ['all fail', 'all succeed'])
    """

    def __init__(self, config: TrainConfig | None = None) -> None:
        """Data under the given settings; without them, those of a very short training."""
        self.config = config or load_config(overrides=SHORT)
        self.odd: Mapping[str, Callable[[], TrainingView]] = {
            name: _once(partial(self._view, make)) for name, make in _ODD.items()
        }
        """Small datasets that lack something, by what is odd about them."""

    @cached_property
    def view(self) -> TrainingView:
        """200 queries and 6 models, half of the outcomes missing, with short texts of answers."""
        simulated = simulate(
            num_queries=NUM_QUERIES, num_models=NUM_MODELS, seed=5, missing=0.5
        ).data
        return TrainingView.of(_with_answers(simulated), self.config)

    @cached_property
    def view_with_other_test_rows(self) -> TrainingView:
        """The same, with the outcomes of the test queries turned upside down."""
        data, split = self.view.data, self.view.split
        outcomes = data.outcomes.copy()
        rows = outcomes["query_id"].isin(set(split.test)).to_numpy()
        shuffled = np.random.default_rng(0).permutation(outcomes.loc[rows, "cost_usd"].to_numpy())
        outcomes.loc[rows, "effect"] = 1 - outcomes.loc[rows, "effect"]
        outcomes.loc[rows, "cost_usd"] = shuffled * 7
        others = [name for name in OUTCOME_NUMBERS if name not in ("effect", "cost_usd")]
        outcomes.loc[rows, others] = np.nan
        outcomes.loc[rows, "answer"] = "something else"
        return TrainingView.of(_with_outcomes(data, outcomes), self.config)

    @cached_property
    def view_without_answers(self) -> TrainingView:
        """The same, without the texts of answers."""
        data = self.view.data
        plain = _with_outcomes(data, data.outcomes.drop(columns="answer"))
        return TrainingView.of(plain, self.config)

    @cached_property
    def probes(self) -> pd.DataFrame:
        """30 outcomes of the new models, on prompts that were trained on and on new ones."""
        queries = self.view.data.queries.head(15)
        prompts = [
            prompt if i % 2 else f"Quite new. {prompt}"
            for i, prompt in enumerate(queries["prompt"])
        ]
        rows = [
            (card.model, prompt, task, float((i + j) % 3 > 0), 0.001 * (i + 1) * (j + 1))
            for i, (prompt, task) in enumerate(zip(prompts, queries["task"], strict=True))
            for j, card in enumerate(CARDS)
        ]
        return pd.DataFrame(rows, columns=["model", "prompt", "task", "effect", "cost_usd"])

    def _view(self, make: Callable[[], RoutingDataset]) -> TrainingView:
        return TrainingView.of(make(), self.config)


def make_tiny(
    effect: float | None = None, *, costs: bool = True, task: str | None = "t", num_queries: int = 8
) -> RoutingDataset:
    """Three models that were run, one that was not, and as few queries as can be divided.

    Args:
        effect: Of every outcome, in [0, 1]; drawn from 0 and 1 without it.
        costs: Whether outcomes have a cost.
        task: Of every query, None = unknown.
        num_queries: How many.
    """
    rng = np.random.default_rng(0)
    ids = [f"q{i}" for i in range(num_queries)]
    rows = [
        (query, model, float(rng.random() < 0.5) if effect is None else effect, 0.01 + rng.random())
        for query in ids
        for model in "abc"
    ]
    outcomes = pd.DataFrame(rows, columns=["query_id", "model", "effect", "cost_usd"])
    outcomes["answer"] = [
        f"{query} {model if i % 3 else ''}" for i, (query, model, *_) in enumerate(rows)
    ]
    prompts = [f"prompt number {i}" for i in range(num_queries)]
    return RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ids, "task": task, "prompt": prompts}),
        models=pd.DataFrame({"model": ["a", "b", "c", "never run"]}),
        outcomes=outcomes if costs else outcomes.drop(columns="cost_usd"),
    )


_ODD: dict[str, Callable[[], RoutingDataset]] = {
    "no costs": partial(make_tiny, costs=False),
    "no tasks": partial(make_tiny, task=None),
    "all fail": partial(make_tiny, 0.0),
    "all succeed": partial(make_tiny, 1.0),
    "half right": partial(make_tiny, 0.5, num_queries=5),
}


def _with_answers(data: RoutingDataset) -> RoutingDataset:
    """The dataset with short made-up answers: right ones agree, wrong ones do not."""
    outcomes = data.outcomes.copy()
    pairs = zip(outcomes["query_id"], outcomes["model"], outcomes["effect"], strict=True)
    outcomes["answer"] = [
        f"answer {query}" if effect > 0.5 else f"{model} guesses {query}"
        for query, model, effect in pairs
    ]
    return _with_outcomes(data, outcomes)


def _with_outcomes(data: RoutingDataset, outcomes: pd.DataFrame) -> RoutingDataset:
    return RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=outcomes, tasks=data.tasks
    )


def _once(make: Callable[[], TrainingView]) -> Callable[[], TrainingView]:
    """The same function, whose result is kept."""
    kept: list[TrainingView] = []

    def made() -> TrainingView:
        if not kept:
            kept.append(make())
        return kept[0]

    return made
