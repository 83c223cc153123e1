"""One regression a model on the text embedding: ridge, linear support vectors, perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np

from graphrouter.bench.baselines.baseline import EFFECT_MARGIN, TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.perceptron import (
    Examples,
    Perceptron,
    fit_perceptron,
    take_log_odds,
)
from graphrouter.bench.baselines.tools.gradient import Descent
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve, sigmoid
from graphrouter.extras import require_extra
from graphrouter.router.shrunk_means import PRIOR_OUTCOMES
from graphrouter.types import BoolArray, FloatArray, IntArray

PENALTIES = (30.0, 3.0, 10.0, 100.0, 300.0, 1000.0)
"""Ridge penalties to choose from, in outcomes of a unit vector; the first one without validation
rows."""
_SvmLoss = Literal["epsilon_insensitive", "squared_epsilon_insensitive"]
SVM_SETTINGS: tuple[tuple[float, _SvmLoss], ...] = (
    (0.1, "squared_epsilon_insensitive"),
    (0.01, "squared_epsilon_insensitive"),
    (0.1, "epsilon_insensitive"),
)
"""(C, loss) to choose from; the first one without validation rows."""
SVM_EPSILON = 0.1
HIDDEN = (100, 100, 100)
"""Units of the hidden layers, as in RouterBench."""
DESCENT = Descent(max_epochs=30, patience=2)


class LinearMap(NamedTuple):
    """`(vector - centre) @ weights + intercept`, for all models at once."""

    centre: FloatArray
    """(dimension,)."""
    weights: FloatArray
    """(dimension, num_models)."""
    intercept: FloatArray
    """(num_models,)."""

    def apply(self, vectors: FloatArray) -> FloatArray:
        """What is expected for each text, (num_texts, num_models)."""
        return np.asarray((vectors - self.centre) @ self.weights + self.intercept, dtype=np.float64)

    def beside(self, others: LinearMap) -> LinearMap:
        """The map with the columns of another one, of the same centre, on its right."""
        weights, intercept = (
            np.hstack([self.weights, others.weights]),
            np.concatenate([self.intercept, others.intercept]),
        )
        return LinearMap(self.centre, weights, intercept)


@dataclass(frozen=True, eq=False)
class Linear(TextBaseline):
    """Ridge regression of each model's effect on the text embedding, in closed form.

    The model's mean effect counts as a few outcomes more, so a model without outcomes has the
    pool's mean. As published in RouterEval, but for the penalty: it is the same for all models and
    chosen on validation rows.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> Linear.fit(data, encoder=HashingEncoder(64)).predict(["Add 2 and 2."]).effect.shape
        (1, 3)
    """

    name: ClassVar[str] = "linear"
    source: ClassVar[str] = "RouterEval (arXiv 2503.10657), LinearR"
    can_extend: ClassVar[bool] = True

    effects: LinearMap
    penalty: float

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its penalty is that of the lowest log loss on the validation rows.
        """
        return cls(
            data.pool, data.cost_scale, data.encoder, data.amounts, *fit_best_effect_map(data)
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return keep_inside(self.effects.apply(questions.vectors))

    def _extend(self, new: NewModels) -> Self:
        """A column more, from the pool's mean regression on; see `widen_map`."""
        questions = Questions.of(new.queries, self.encoder)
        effects = widen_map(self.effects, questions.vectors, new.effect, penalty=self.penalty)
        return replace(self._join_pool(new, questions), effects=effects)


@dataclass(frozen=True, eq=False)
class LinearSVM(TextBaseline):
    """Linear support vector regression of each model's effect on the text embedding.

    The absolute loss aims at a median, which for effects of 0 and 1 says little; the squared one
    beyond the margin ranks better. Validation rows choose between them, and one rising curve for
    all models makes expected effects of what only ranks.
    """

    name: ClassVar[str] = "svm"
    source: ClassVar[str] = "RouterBench (arXiv 2403.12031), SVM router"

    scores: LinearMap
    curve: EffectCurve
    fallback: FloatArray
    """(num_models,) the pool's mean for a model without outcomes, NaN for all others."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its setting is that of the lowest log loss on the validation rows.
        """
        settings = SVM_SETTINGS if data.validation is not None else SVM_SETTINGS[:1]
        common = (data.pool, data.cost_scale, data.encoder, data.amounts)
        fits = [cls(*common, *_support_vectors(data, c, loss)) for c, loss in settings]
        return fits[data.choose(range(len(fits)), lambda i: fits[i].predict_effect)]

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        expected = self.curve.apply(self.scores.apply(questions.vectors))
        return np.where(np.isnan(self.fallback), expected, self.fallback)


@dataclass(frozen=True, eq=False)
class MLP(TextBaseline):
    """A perceptron a model, three hidden layers of 100 units, from the embedding to the effect.

    All networks descend side by side, and stop together, on validation rows. The outcome is a
    chance of success, so they are fitted by cross entropy instead of squared error, and an
    untrained network says its model's mean.
    """

    name: ClassVar[str] = "mlp"
    source: ClassVar[str] = "RouterBench (arXiv 2403.12031), MLP router"

    nets: Perceptron
    """A network for each model, from the embedding to the log odds of its effect."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        It is that of the epoch with the lowest log loss on the validation rows.
        """
        nets, _ = fit_perceptron(
            Examples(data.questions.vectors, data.outcomes.effect),
            take_log_odds(data.means.effect[0]),
            hidden=HIDDEN,
            held=take_held_examples(data),
            seed=data.seed,
            separate=True,
            settings=DESCENT,
        )
        return cls(data.pool, data.cost_scale, data.encoder, data.amounts, nets)

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return sigmoid(self.nets.apply(questions.vectors))


def fit_ridge_maps(
    vectors: FloatArray,
    targets: FloatArray,
    prior: FloatArray,
    *,
    penalties: Sequence[float] = PENALTIES,
    centre: FloatArray | None = None,
) -> list[LinearMap]:
    """The ridge regression of each model's targets on the vectors, for one penalty after the other.

    Args:
        vectors: (num_rows, dimension).
        targets: (num_rows, num_models), NaN = not observed.
        prior: (num_models,) what to expect without targets; counts as `PRIOR_OUTCOMES` more.
        penalties: What the squared weights cost, in units of squared error.
        centre: (dimension,) text that the intercept belongs to; the mean of the vectors without it.
    """
    centre = vectors.mean(axis=0) if centre is None else centre
    features = np.column_stack([np.ones(len(vectors)), vectors - centre])
    known = np.isfinite(targets)
    residual = np.where(known, targets - prior, 0.0)
    solved = np.empty((len(penalties), features.shape[1], targets.shape[1]))
    for rows, models in _columns_alike(known):
        x = features[rows]
        gram, moment = x.T @ x, x.T @ residual[rows][:, models]
        for i, penalty in enumerate(penalties):
            ridge = np.diag(np.concatenate([[PRIOR_OUTCOMES], np.full(vectors.shape[1], penalty)]))
            solved[i][:, models] = np.linalg.solve(gram + ridge, moment)
    return [LinearMap(centre, weights[1:], weights[0] + prior) for weights in solved]


def fit_ridge_map(
    vectors: FloatArray, targets: FloatArray, *, penalty: float, centre: FloatArray
) -> LinearMap:
    """The ridge regression of each model's targets, around an expectation of 0.

    Targets are (num_rows, num_models), NaN = not observed.
    """
    return fit_ridge_maps(
        vectors, targets, np.zeros(targets.shape[1]), penalties=[penalty], centre=centre
    )[0]


def widen_map(
    effects: LinearMap, vectors: FloatArray, effect: FloatArray, *, penalty: float
) -> LinearMap:
    """The regression with new models on its right.

    The mean of the columns, plus a ridge regression of what is beyond that.

    Args:
        effects: The regression of the models that were there.
        vectors: (num_queries, dimension) unit vectors of what the new models were asked.
        effect: (num_queries, num_new), NaN = not observed.
        penalty: The ridge penalty of the fit.
    """
    start = LinearMap(
        effects.centre,
        effects.weights.mean(axis=1, keepdims=True),
        effects.intercept.mean(keepdims=True),
    )
    left = fit_ridge_map(
        vectors, effect - start.apply(vectors), penalty=penalty, centre=effects.centre
    )
    return effects.beside(
        LinearMap(start.centre, start.weights + left.weights, start.intercept + left.intercept)
    )


def fit_best_effect_map(data: LearningData) -> tuple[LinearMap, float]:
    """The ridge regression of effects, and its penalty.

    The penalty is that of the lowest log loss on the validation rows.
    """
    maps = fit_ridge_maps(data.questions.vectors, data.outcomes.effect, data.means.effect[0])
    chosen = data.choose(
        range(len(PENALTIES)),
        lambda i: lambda questions: keep_inside(maps[i].apply(questions.vectors)),
    )
    return maps[chosen], PENALTIES[chosen]


def take_held_examples(data: LearningData) -> Examples | None:
    """Embeddings and effects of the validation rows, None without any outcome among them."""
    if (
        data.validation is None
        or data.held_questions is None
        or not np.isfinite(data.validation.outcomes.effect).any()
    ):
        return None
    return Examples(data.held_questions.vectors, data.validation.outcomes.effect)


def keep_inside(effect: FloatArray) -> FloatArray:
    """The effects, any shape, kept inside (0, 1)."""
    return np.clip(effect, EFFECT_MARGIN, 1 - EFFECT_MARGIN)


def _columns_alike(known: BoolArray) -> list[tuple[BoolArray, IntArray]]:
    """(rows, models) of each group of models that were observed on the same rows.

    They share a solution.
    """
    groups: dict[bytes, list[int]] = {}
    for model, column in enumerate(known.T):
        groups.setdefault(column.tobytes(), []).append(model)
    return [(known[:, models[0]], np.array(models)) for models in groups.values()]


def _support_vectors(
    data: LearningData, c: float, loss: _SvmLoss
) -> tuple[LinearMap, EffectCurve, FloatArray]:
    """Scores by the regression of every model, and the curve from scores to effects.

    With effects where there is no regression.
    """
    require_extra("bench", "sklearn", purpose="A support vector machine")
    from sklearn.svm import LinearSVR

    vectors, effect = data.questions.vectors, data.outcomes.effect
    weights, intercept = np.zeros((vectors.shape[1], effect.shape[1])), np.zeros(effect.shape[1])
    seen = np.isfinite(effect).any(axis=0)
    centre = vectors.mean(axis=0)
    for model in np.flatnonzero(seen):
        known = np.isfinite(effect[:, model])
        # The tolerance is far below what moves a choice; the many rounds are for outliers, most
        # fits take ten.
        regressor = LinearSVR(
            C=c,
            loss=loss,
            epsilon=SVM_EPSILON,
            dual="auto",
            tol=1e-3,
            max_iter=20_000,
            random_state=data.seed,
        )
        regressor.fit(vectors[known] - centre, effect[known, model])
        weights[:, model], intercept[model] = regressor.coef_, regressor.intercept_.item()
    scores = LinearMap(centre, weights, intercept)
    curve = EffectCurve.fit(
        *data.score_held_rows(lambda questions: scores.apply(questions.vectors))
    )
    return scores, curve, np.where(seen, np.nan, data.means.effect[0])
