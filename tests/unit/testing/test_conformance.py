"""The suite lets a sound router through, and says of a broken one which promise it breaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.methods.constants import RandomRouter
from graphrouter.bench.baselines.methods.means import BestSingle, TaskMean
from graphrouter.bench.baselines.methods.neighbours import NearestNeighbours
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.exceptions import ConformanceError, NotApplicableError
from graphrouter.policy import CostScale
from graphrouter.router.protocol import Router
from graphrouter.router.training_view import TrainingView
from graphrouter.testing import CheckData, CheckedRouter, check_router, conformance_checks
from graphrouter.types import Predictions, Queries

DATA = CheckData()


class MeanEffect(Router):
    """Expects each model's mean effect; cannot be saved, takes in nobody, predicts no cost."""

    name: ClassVar[str] = "mean_effect"

    def __init__(self, view: TrainingView) -> None:
        self.pool = view.data.pool
        effect = view.data.outcome_matrix("effect", list(view.split.train))
        self.cost_scale = CostScale.fit(view.data.outcome_matrix("cost_usd", view.split.train))
        seen = np.isfinite(effect).sum(axis=0)
        self.mean = (np.nansum(effect, axis=0) + 1) / (seen + 2)

    @classmethod
    def fit(
        cls,
        data: gr.RoutingDataset | TrainingView,
        config: gr.TrainConfig | None = None,
        *,
        split: gr.Split | None = None,
        encoder: object = None,
        progress: bool = False,
    ) -> Self:
        return cls(TrainingView.of(data, config, split=split, encoder=HashingEncoder(32)))

    def _predict(self, queries: Queries) -> Predictions:
        return Predictions.from_arrays(self.models, np.tile(self.mean, (len(queries), 1)))


def test_a_small_router_of_ones_own_passes() -> None:
    ran = check_router(MeanEffect)
    assert {"no_saving", "refusal", "preset[performance_first]"} <= set(ran)
    assert not {"saving", "card_alone", "preset[balanced]"} & set(ran)


def first_broken(kind: type[Router]) -> str:
    """The message of the first promise that a class breaks."""
    subject = CheckedRouter(kind, DATA)
    for check in conformance_checks(kind):
        try:
            check.run(subject)
        except ConformanceError as error:
            return str(error)
    return ""


class Nameless(MeanEffect):
    name = ""


class Outside(MeanEffect):
    def _predict(self, queries: Queries) -> Predictions:
        found = super()._predict(queries)
        return replace(found, effect=found.effect + 0.5)


class Silent(MeanEffect):
    def _predict(self, queries: Queries) -> Predictions:
        found = super()._predict(queries)
        return replace(found, effect=np.where(np.arange(len(self.pool)) == 0, np.nan, found.effect))


class Sparse(MeanEffect):
    covers_pool = False


class Costless(MeanEffect):
    can_predict_cost = True


class Unsure(MeanEffect):
    has_intervals = True


class Stranger(MeanEffect):
    tells_familiarity = True


class Blinkered(MeanEffect):
    tells_familiarity = True

    def _predict(self, queries: Queries) -> Predictions:
        return replace(super()._predict(queries), familiarity=np.full(len(queries), 0.5))


class Restless(MeanEffect):
    draws = count()

    def _predict(self, queries: Queries) -> Predictions:
        found = super()._predict(queries)
        return replace(found, effect=found.effect * (1 - 1e-6 * next(self.draws)))


class Sociable(MeanEffect):
    def _predict(self, queries: Queries) -> Predictions:
        found = super()._predict(queries)
        return replace(found, effect=found.effect * (1 - 1e-3 * len(queries)))


class Talkative(MeanEffect):
    def _predict(self, queries: Queries) -> Predictions:
        if not len(queries):
            raise IndexError("no query")
        return super()._predict(queries)


class Pessimist(MeanEffect):
    def _predict(self, queries: Queries) -> Predictions:
        found = super()._predict(queries)
        return replace(found, effect=found.effect / 2)


class Tasked(TaskMean):
    reads_tasks = False


class Taskless(BestSingle):
    reads_tasks = True


class Ranked(BestSingle):
    ranks_pool = True


class Listener(BestSingle):
    reads_answers = True


class Peeper(MeanEffect):
    def __init__(self, view: TrainingView) -> None:
        super().__init__(view)
        self.mean = np.clip(np.nanmean(view.data.outcome_matrix("effect"), axis=0), 0.01, 0.99)


class Stubborn(MeanEffect):
    @classmethod
    def fit(cls, data: object, config: object = None, **given: object) -> Self:
        if "encoder" in given:
            raise TypeError("fit() got an unexpected keyword argument 'encoder'")
        return super().fit(data, config)  # type: ignore[arg-type]


class Forgetful(BestSingle):
    @classmethod
    def load(cls, folder: str | Path, *, encoder: object = None) -> Self:
        found = super().load(folder)
        table = replace(found.table, effect=found.table.effect * 0.9)
        return replace(found, table=table)


class Writer(MeanEffect):
    def save(self, folder: str | Path) -> None:
        Path(folder).mkdir()


class Needy(MeanEffect):
    needs_costs = True


class Reader(MeanEffect):
    needs_answers = True


class Closed(BestSingle):
    def _extend(self, new: object) -> Self:
        raise NotApplicableError("closed")


class Mover(BestSingle):
    def _extend(self, new: object) -> Self:
        wider = super()._extend(new)  # type: ignore[arg-type]
        return replace(wider, table=replace(wider.table, effect=wider.table.effect * 0.99))


class Gossip(BestSingle):
    shares_outcomes = True


class Shuffler(BestSingle):
    def add_models(
        self, cards: Sequence[gr.ModelCard], *, outcomes: pd.DataFrame | None = None
    ) -> Self:
        return super().add_models(sorted(cards, key=lambda card: card.model), outcomes=outcomes)


class Careless(BestSingle):
    def add_models(
        self, cards: Sequence[gr.ModelCard], *, outcomes: pd.DataFrame | None = None
    ) -> Self:
        fresh = [card for card in cards if card.model not in self.pool.index] or [
            gr.ModelCard(model="other")
        ]
        return super().add_models(fresh, outcomes=outcomes)


class Open(MeanEffect):
    def add_models(
        self, cards: Sequence[gr.ModelCard], *, outcomes: pd.DataFrame | None = None
    ) -> Self:
        return self


@pytest.mark.parametrize(
    ("kind", "check", "says"),
    [
        (Nameless, "declarations", "name is ''"),
        (Outside, "shapes_and_ranges", r"outside \(0, 1\)"),
        (Silent, "shapes_and_ranges", "covers_pool is True, and 4 effects are NaN"),
        (Sparse, "shapes_and_ranges", "covers_pool is False, and 0 effects are NaN"),
        (Costless, "shapes_and_ranges", "can_predict_cost, and a cost is negative or NaN"),
        (Unsure, "intervals", "has_intervals is True, and effect_low is None"),
        (Stranger, "familiarity", "tells_familiarity is True, and familiarity is None"),
        (Blinkered, "familiarity", "for a solved prompt and one in a script that was never seen"),
        (Restless, "same_answer", "effect differs by"),
        (Sociable, "batch_mates", "effect alone differs by"),
        (Talkative, "no_query", "IndexError: no query"),
        (Pessimist, "missing_outcomes", "the mean of expected effects"),
        (Tasked, "tasks", "reads_tasks is False, and predictions move"),
        (Taskless, "tasks", "reads_tasks is True, and predictions stay"),
        (Ranked, "ranks", "ranks_pool is True, and effects spread over 0"),
        (Listener, "replay", "reads_answers is True, and it has no method replay"),
        (Peeper, "test_rows", "effect differs by"),
        (Stubborn, "own_encoder", "unexpected keyword argument 'encoder'"),
        (Forgetful, "saving", "effect differs by"),
        (Writer, "no_saving", "save went through; expected NotApplicableError"),
        (Needy, "odd_data[no costs]", "fitting without costs went through"),
        (Reader, "answers", "fitting without answers went through"),
        (Closed, "card_alone", "NotApplicableError: closed"),
        (Mover, "card_alone", "effect of the others differs by"),
        (Gossip, "outcomes_place", "shares_outcomes, and no other model has moved"),
        (Shuffler, "order_of_cards", "models end in"),
        (Careless, "broken_newcomers", "add_models went through; expected DataError or"),
        (Open, "refusal", "add_model went through; expected NotApplicableError"),
    ],
)
def test_a_broken_promise_is_named(kind: type[Router], check: str, says: str) -> None:
    told = first_broken(kind)
    assert told.startswith(f"{kind.__name__} breaks {check!r} (")
    assert re.search(says, told)
    assert "\n" not in told


def test_all_failures_are_kept() -> None:
    class Worst(Sparse, Unsure):
        pass

    with pytest.raises(
        ConformanceError, match=r"breaks 'shapes_and_ranges'.*\(\d more: see"
    ) as error:
        check_router(Worst)
    assert [told.split("'")[1] for told in error.value.failures][:2] == [
        "shapes_and_ranges",
        "intervals",
    ]


def test_a_method_that_looks_at_the_prompt_passes_too() -> None:
    assert isinstance(CheckedRouter(NearestNeighbours, DATA).router, NearestNeighbours)
    assert first_broken(NearestNeighbours) == first_broken(RandomRouter) == ""


@pytest.mark.parametrize("given", ["knn", int, object()])
def test_what_is_no_class_of_routers_is_refused(given: Any) -> None:
    with pytest.raises(ConformanceError, match="expected a class that inherits"):
        check_router(given)
