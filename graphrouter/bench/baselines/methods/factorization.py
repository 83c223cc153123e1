"""Factor models: a vector a model, a linear map of the text embedding, and their product.

EmbedLLM and RouteLLM's MF.

What the routers trained by gradient descent on all models at once share stands here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.tools.gradient import Descent, cross_entropy, minimise
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve, sigmoid
from graphrouter.types import BoolArray, FloatArray

EMBED_DIMENSION, EMBED_NOISE_SD = 232, 0.05
"""Size of EmbedLLM's model vectors, and the deviation of the noise on each coordinate of the
embedding in training."""
EMBED_DECAYS = (0.1, 1.0)
"""Weight decays that EmbedLLM chooses from."""
EMBED_SETTINGS = Descent(learning_rate=1e-3, max_epochs=30, patience=3)
MF_DIMENSION, MF_PAIRS_PER_QUERY = 128, 16
"""Size of RouteLLM's model vectors, and the comparisons drawn of each query and epoch."""
MF_NOISE_SDS = (0.1, 0.0)
"""Deviations of the training noise that RouteLLM's MF chooses from; its published code has 0.1."""
MF_SETTINGS = Descent(learning_rate=3e-3, weight_decay=0.01, max_epochs=30, patience=3)
STEPS_PER_EPOCH = 16


@dataclass(frozen=True, eq=False)
class EmbedLLM(TextBaseline):
    """Success from the product of a model vector and the projected query: `linear(p_m * W q)`.

    All of it is trained at once on who solved what, by cross entropy, with noise on the query
    embedding in training only. Two class logits and their difference are the same thing, so there
    is one logit here.

    Left out: the original's own sentence encoder (the shared fixed embedding takes its place), and
    the training noise in its evaluation loss, which is a defect. A model without outcomes gets the
    mean of the other model vectors.
    """

    name: ClassVar[str] = "embed_llm"
    source: ClassVar[str] = "EmbedLLM (arXiv 2410.02223, ICLR 2025)"

    projection: FloatArray
    """(dimension + 1, 232) map of the embedding; the last row belongs to a constant."""
    model_vectors: FloatArray
    """(num_models, 232) model vectors times the weights of the last layer."""
    bias: float

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its weight decay is that of the lowest validation log loss.
        """
        train = cache(lambda decay: cls._train(data, decay))
        return train(data.choose(EMBED_DECAYS, lambda decay: train(decay).predict_effect))

    @classmethod
    def _train(cls, data: LearningData, decay: float) -> Self:
        generator = torch.Generator().manual_seed(data.seed)
        inputs = data.questions.vectors.shape[1] + 1
        models = draw_gaussian((len(data.pool), EMBED_DIMENSION), 1.0, generator)
        projection = draw_gaussian((inputs, EMBED_DIMENSION), (3 * inputs) ** -0.5, generator)
        head, bias = (
            draw_gaussian((EMBED_DIMENSION,), EMBED_DIMENSION**-0.5, generator),
            make_scalar(take_mean_logit(data)),
        )
        descend(
            data,
            [models, projection, head, bias],
            lambda q: (q @ projection) @ (models * head).T + bias,
            settings=replace(EMBED_SETTINGS, weight_decay=decay),
            noise_sd=EMBED_NOISE_SD,
        )
        vectors = fill_unseen(to_numbers(models * head), find_seen_models(data))
        return cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            to_numbers(projection),
            vectors,
            bias.item(),
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return sigmoid(
            add_constant(questions.vectors) @ self.projection @ self.model_vectors.T + self.bias
        )


@dataclass(frozen=True, eq=False)
class MatrixFactorization(TextBaseline):
    """Who beats whom from a bilinear score `w (v_m * W q)`, trained on comparisons.

    Model vectors have unit length.

    A comparison is two models that answered the same query with different effects; the winner's
    score should be higher (logistic loss). A few of a query's comparisons are drawn at random in
    every epoch. Only differences within a query are trained, so a score is taken off the query's
    mean and turned into an effect by one curve for all models.

    Left out: human votes and judged battles as data (recorded effects say who won), the original's
    text embedding (the shared fixed one), and its restriction to two models at decision time. The
    embedding carries a constant, so that a prompt without any known token still ranks the models by
    their mean. A model without outcomes scores the mean.
    """

    name: ClassVar[str] = "routellm_mf"
    source: ClassVar[str] = "RouteLLM, matrix factorisation (arXiv 2406.18665, ICLR 2025)"

    projection: FloatArray
    """(dimension + 1, 128) map of the embedding; the last row belongs to a constant."""
    model_vectors: FloatArray
    """(num_models, 128) normalised model vectors times the weights of the last layer."""
    curve: EffectCurve

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its training noise is that of the lowest validation log loss.
        """
        train = cache(lambda noise_sd: cls._train(data, noise_sd))
        return train(data.choose(MF_NOISE_SDS, lambda noise_sd: train(noise_sd).predict_effect))

    @classmethod
    def _train(cls, data: LearningData, noise_sd: float) -> Self:
        generator = torch.Generator().manual_seed(data.seed)
        inputs = data.questions.vectors.shape[1] + 1
        models = draw_gaussian((len(data.pool), MF_DIMENSION), 1.0, generator)
        projection = draw_gaussian((inputs, MF_DIMENSION), (3 * inputs) ** -0.5, generator)
        head = draw_gaussian((MF_DIMENSION,), MF_DIMENSION**-0.5, generator)
        normalize = torch.nn.functional.normalize

        def loss(q: Tensor, pairs: Tensor) -> Tensor:
            scores = (q @ projection) @ (normalize(models) * head).T
            rows, winner, loser = pairs.unbind(1)
            return torch.nn.functional.softplus(
                scores[rows, loser] - scores[rows, winner]
            ).sum() / max(1, len(pairs))

        vectors, effect = to_tensors(data.questions, data.outcomes.effect)
        held_vectors, held_effect = to_held_tensors(data)
        held_pairs = draw_pairs(held_effect, MF_PAIRS_PER_QUERY, generator)
        minimise(
            [models, projection, head],
            lambda rows: loss(
                add_noise(vectors[rows], noise_sd), draw_pairs(effect[rows], MF_PAIRS_PER_QUERY)
            ),
            num_rows=len(vectors),
            seed=data.seed,
            held_loss=(lambda: loss(held_vectors, held_pairs)) if len(held_pairs) else None,
            settings=pace_descent(MF_SETTINGS, len(vectors)),
        )
        factors = fill_unseen(to_numbers(normalize(models) * head), find_seen_models(data))
        shared = (data.pool, data.cost_scale, data.encoder, data.amounts)
        router = cls(*shared, to_numbers(projection), factors, EffectCurve(0.0, 0.0))
        return replace(router, curve=EffectCurve.fit(*data.score_held_rows(router.score)))

    def score(self, questions: Questions) -> FloatArray:
        """Log odds of winning against an average model of the pool, (num_queries, num_models)."""
        return subtract_query_mean(
            add_constant(questions.vectors) @ self.projection @ self.model_vectors.T
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return self.curve.apply(self.score(questions))


def draw_pairs(
    effect: Tensor, pairs_per_query: int, generator: torch.Generator | None = None
) -> Tensor:
    """Comparisons (num_pairs, 3) as row, winner, loser, drawn with replacement.

    None of a row whose effects are all equal.

    Args:
        effect: (num_queries, num_models), NaN = not observed.
        pairs_per_query: How many comparisons of each query.
        generator: Source of chance; torch's own one without.
    """
    beats = (effect[:, :, None] > effect[:, None, :]).flatten(
        1
    )  # NaN beats nobody and is beaten by nobody
    rows = torch.nonzero(beats.any(dim=1)).flatten()
    if len(rows) == 0:
        return torch.empty((0, 3), dtype=torch.int64)
    drawn = torch.multinomial(
        beats[rows].float(), pairs_per_query, replacement=True, generator=generator
    )
    num_models = effect.shape[1]
    return torch.stack(
        [rows[:, None].expand_as(drawn), drawn // num_models, drawn % num_models], dim=-1
    ).flatten(0, 1)


def descend(
    data: LearningData,
    parameters: Sequence[Tensor],
    logits: Callable[[Tensor], Tensor],
    *,
    settings: Descent,
    noise_sd: float = 0.0,
) -> None:
    """Fit the parameters to the training outcomes by cross entropy.

    The descent is stopped early on the validation outcomes.

    Args:
        data: Training and validation rows.
        parameters: Leaf tensors, changed in place.
        logits: From embeddings with a constant, (num_queries, dimension + 1), to log odds of
            success (num_queries, num_models).
        settings: How to descend.
        noise_sd: Deviation of the noise on each coordinate of the embedding, in training only.
    """
    vectors, effect = to_tensors(data.questions, data.outcomes.effect)
    held = to_held_tensors(data)

    def held_loss() -> Tensor:
        return cross_entropy(logits(held[0]), held[1])

    minimise(
        parameters,
        lambda rows: cross_entropy(logits(add_noise(vectors[rows], noise_sd)), effect[rows]),
        num_rows=len(vectors),
        seed=data.seed,
        held_loss=held_loss if bool(torch.isfinite(held[1]).any()) else None,
        settings=pace_descent(settings, len(vectors)),
    )


def pace_descent(settings: Descent, num_rows: int) -> Descent:
    """The settings with batches small enough for about 16 steps an epoch.

    Few rows need as many steps as many do.

    Example:
        >>> pace_descent(Descent(), 100).batch_size, pace_descent(Descent(), 10_000).batch_size
        (8, 256)
    """
    return replace(
        settings, batch_size=min(max(8, num_rows // STEPS_PER_EPOCH), settings.batch_size)
    )


def add_noise(vectors: Tensor, noise_sd: float) -> Tensor:
    """The embeddings with noise on every coordinate but the constant, the last one."""
    if noise_sd == 0:
        return vectors
    noise = torch.randn_like(vectors) * noise_sd
    noise[:, -1] = 0
    return vectors + noise


def to_tensors(questions: Questions, effect: FloatArray) -> tuple[Tensor, Tensor]:
    """Embeddings with a constant (num_queries, dimension + 1), and effects, float32.

    Effects are (num_queries, num_models), NaN = not observed.
    """
    return torch.from_numpy(add_constant(questions.vectors)).float(), torch.from_numpy(
        effect
    ).float()


def to_held_tensors(data: LearningData) -> tuple[Tensor, Tensor]:
    """Embeddings with a constant and effects of the validation rows, float32.

    No rows where there is nothing to validate on.
    """
    if data.validation is None or data.held_questions is None:
        return torch.empty(0, data.questions.vectors.shape[1] + 1), torch.empty(0, len(data.pool))
    return to_tensors(data.held_questions, data.validation.outcomes.effect)


def add_constant(vectors: FloatArray) -> FloatArray:
    """The vectors with a last coordinate of 1, (num_queries, dimension + 1)."""
    return np.column_stack([vectors, np.ones(len(vectors))])


def draw_gaussian(shape: tuple[int, ...], sd: float, generator: torch.Generator) -> Tensor:
    """A leaf tensor of normal numbers of mean 0."""
    return (torch.randn(shape, generator=generator) * sd).requires_grad_()


def make_scalar(value: float) -> Tensor:
    """A scalar leaf tensor."""
    return torch.tensor(value, dtype=torch.float32, requires_grad=True)


def to_numbers(values: Tensor) -> FloatArray:
    """The values in double precision."""
    return np.asarray(values.detach().double().numpy())


def take_mean_logit(data: LearningData) -> float:
    """Log odds of success of the average model on the average query."""
    mean = float(np.mean(data.means.effect))
    return float(np.log(mean / (1 - mean)))


def find_seen_models(data: LearningData) -> BoolArray:
    """(num_models,) whether the model has an outcome in training."""
    return np.asarray(np.isfinite(data.outcomes.effect).any(axis=0))


def fill_unseen(values: FloatArray, seen: BoolArray) -> FloatArray:
    """The rows (num_models, any), those of unseen models replaced by the mean of the others.

    0 if no model was seen.
    """
    mean = values[seen].mean(axis=0) if seen.any() else np.zeros(values.shape[1:])
    return np.where(seen.reshape(-1, *[1] * (values.ndim - 1)), values, mean)


def subtract_query_mean(score: FloatArray) -> FloatArray:
    """Scores (num_queries, num_models) minus the mean of their query."""
    return np.asarray(score - score.mean(axis=1, keepdims=True))
