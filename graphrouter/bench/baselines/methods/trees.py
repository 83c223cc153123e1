"""Gradient-boosted trees, an ensemble for each model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.perceptron import take_log_odds
from graphrouter.bench.baselines.tools.amounts import Amounts
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.placement import shrink_to_pool
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.exceptions import NotApplicableError
from graphrouter.extras import require_extra
from graphrouter.types import FloatArray

if TYPE_CHECKING:
    from lightgbm import Booster

MAX_ROUNDS = 150
DEFAULT_ROUNDS = 30
"""Trees without validation rows."""
PATIENCE = 10
"""Trees without a lower validation loss before a model's boosting ends."""
MIN_OUTCOMES = 40
"""With fewer outcomes a model keeps its mean: two leaves of the smallest size need as many."""
OUTCOMES_A_TREE = 4
"""Outcomes that each tree of a new model takes: without validation rows nothing else stops its
boosting."""
SETTINGS: dict[str, Any] = {
    "objective": "cross_entropy",
    "boost_from_average": False,
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": MIN_OUTCOMES // 2,
    "lambda_l2": 1.0,
    "max_bin": 63,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
_Held = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class BoostedTrees(TextBaseline):
    """Boosted trees a model, on prompt length and principal directions of the embedding.

    The trees correct the log odds of the model's mean effect, by cross entropy, until its
    validation loss no longer falls. Studies that list boosted trees among their baselines feed them
    the whole embedding; a tree looks at one number at a time, so the few directions that carry most
    serve it better, and much faster.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = BoostedTrees.fit(data, encoder=HashingEncoder(64))
        >>> router.predict(["Add 2 and 2."]).effect.shape
        (1, 3)
    """

    name: ClassVar[str] = "gbt"
    source: ClassVar[str] = (
        "Ke et al., LightGBM: A Highly Efficient Gradient Boosting Decision Tree (NeurIPS 2017)"
    )
    can_extend: ClassVar[bool] = True

    start: FloatArray
    """(num_models,) log odds of each model's mean effect."""
    trees: tuple[str, ...]
    """Each model's trees in LightGBM's own text form; empty for a model with too few outcomes."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Each model's number of trees is chosen on its validation rows.
        """
        start = take_log_odds(data.means.effect[0])
        features = make_features(data.questions, data.amounts)
        held = None
        if data.validation is not None and data.held_questions is not None:
            held = (
                make_features(data.held_questions, data.amounts),
                data.validation.outcomes.effect,
            )
        trees = []
        for model, effect in enumerate(data.outcomes.effect.T):
            model_held = None if held is None else (held[0], held[1][:, model])
            trees.append(
                _grow(
                    features,
                    effect,
                    start[model],
                    held=model_held,
                    seed=data.seed,
                    rounds=DEFAULT_ROUNDS,
                )
            )
        return cls(data.pool, data.cost_scale, data.encoder, data.amounts, start, tuple(trees))

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        features = make_features(questions, self.amounts)
        logit = np.tile(self.start, (len(questions), 1))
        for model, booster in self._boosters.items():
            logit[:, model] += np.asarray(booster.predict(features, raw_score=True, num_threads=1))
        return sigmoid(logit)

    def _extend(self, new: NewModels) -> Self:
        """Trees of the newcomers' own on their shrunk means.

        As in fitting, too few outcomes leave the mean alone.

        There are as many as the pool's models have at the median, but no more than the outcomes
        bear.
        """
        questions = Questions.of(new.queries, self.encoder)
        start = take_log_odds(shrink_to_pool(new.effect, float(sigmoid(self.start).mean())))
        features = make_features(questions, self.amounts)
        sizes = [booster.num_trees() for booster in self._boosters.values()] or [DEFAULT_ROUNDS]
        rounds = (
            np.clip(new.counts // OUTCOMES_A_TREE, 1, max(1, np.median(sizes))).astype(int).tolist()
        )
        columns = zip(new.effect.T, start, rounds, strict=True)
        trees = [
            _grow(features, effect, level, held=None, seed=0, rounds=most)
            for effect, level, most in columns
        ]
        joined = self._join_pool(new, questions)
        return replace(
            joined, start=np.concatenate([self.start, start]), trees=(*self.trees, *trees)
        )

    @cached_property
    def _boosters(self) -> dict[int, Booster]:
        """The trees of each model that has some, by its column."""
        make = load_lightgbm().Booster
        return {model: make(model_str=text) for model, text in enumerate(self.trees) if text}


def make_features(questions: Questions, amounts: Amounts) -> FloatArray:
    """(num_queries, 1 + num_directions): log length, then principal coordinates.

    The coordinates are those of the cost predictor.

    Rounded far above the error of a matrix product, so that no tree sends a prompt to another leaf
    among other batch mates.
    """
    length = np.log1p([len(prompt) for prompt in questions.prompts])
    return np.round(
        np.column_stack([length, (questions.vectors - amounts.centre) @ amounts.directions]), 8
    )


def _grow(
    features: FloatArray,
    effect: FloatArray,
    start: float,
    *,
    held: _Held | None,
    seed: int,
    rounds: int,
) -> str:
    """One model's trees as text, "" with too few outcomes.

    Args:
        features: (num_rows, num_features).
        effect: (num_rows,) in [0, 1], NaN = not observed.
        start: Log odds that the trees correct.
        held: Features and effects of validation rows.
        seed: Seed of LightGBM.
        rounds: Number of trees without validation rows.
    """
    lightgbm = load_lightgbm()
    known = np.isfinite(effect)
    if known.sum() < MIN_OUTCOMES:
        return ""
    train = lightgbm.Dataset(features[known], effect[known], init_score=np.full(known.sum(), start))
    settings = SETTINGS | {"seed": seed}
    if held is None or not np.isfinite(held[1]).any():
        return str(lightgbm.train(settings, train, num_boost_round=rounds).model_to_string())
    seen = np.isfinite(held[1])
    valid = train.create_valid(held[0][seen], held[1][seen], init_score=np.full(seen.sum(), start))
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    booster = lightgbm.train(
        settings, train, num_boost_round=MAX_ROUNDS, valid_sets=[valid], callbacks=[stop]
    )
    return str(booster.model_to_string(num_iteration=booster.best_iteration))


def load_lightgbm() -> Any:
    """The module; it takes a while to import, so only those who need it do.

    Raises:
        MissingExtraError: LightGBM is not installed.
        NotApplicableError: A library of the system that it is linked to is missing.
    """
    require_extra("bench", "lightgbm", purpose="gbt")
    try:
        return import_module("lightgbm")
    except OSError as error:
        raise NotApplicableError(
            f"gbt needs LightGBM, which cannot be loaded ({error}). Install its system library: "
            "apt-get install libgomp1"
        ) from None
