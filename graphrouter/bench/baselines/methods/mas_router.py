"""MasRouter's last stage: a model for a role, drawn by how near its description lies to both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions, find_positions
from graphrouter.bench.baselines.methods.factorization import (
    draw_gaussian,
    pace_descent,
    subtract_query_mean,
    to_numbers,
)
from graphrouter.bench.baselines.methods.paper_graph import describe_models
from graphrouter.bench.baselines.tools.gradient import Descent, minimise
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.bench.baselines.tools.vectors import scale_to_unit
from graphrouter.encoders import encode_texts
from graphrouter.types import FloatArray

DIMENSION = 32
"""Of the space that queries with roles and models meet in, as in the published code."""
TEMPERATURES = (1.0, 0.1)
"""What cosines are divided by, to choose from; the first one is that of the published code."""
SETTINGS = Descent(learning_rate=1e-2, weight_decay=1e-4, max_epochs=30, patience=3)


@dataclass(frozen=True, eq=False)
class MasRouter(TextBaseline):
    """A model for each role: softmax over cosines of query and role to descriptions of models.

    The query's embedding beside that of its role and the description of each model go through one
    linear map each to unit vectors of 32 coordinates; the chance of a model is the softmax of their
    cosines. Trained is the expected effect of a model that is drawn so. The original estimates its
    gradient from what was drawn (REINFORCE); recorded outcomes give it exactly, over the models
    that were run on a query. Roles are tasks here, told by their descriptions; an unknown one is a
    vector of zeros. Only a ranking comes out, so effects go through one rising curve.

    Left out: the stages before, which choose how agents collaborate, how many there are and which
    roles they have; the penalty for cost (policies weigh it); the reasoning mode beside the role;
    models that join by their descriptions.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = MasRouter.fit(data, encoder=HashingEncoder(64))
        >>> router.predict(["Add 2 and 2."], tasks=["word_problems"]).effect.shape
        (1, 3)
    """

    name: ClassVar[str] = "mas_router"
    source: ClassVar[str] = "MasRouter (arXiv 2502.11133, ACL 2025), its routing of models"
    reads_tasks: ClassVar[bool] = True

    roles: tuple[str, ...]
    """Tasks seen in training."""
    role_vectors: FloatArray
    """(num_roles + 1, dimension), embeddings of the roles; the last row, zeros, is no role."""
    projection: FloatArray
    """(2 * dimension + 1, 32), of query and role side by side and a constant."""
    model_vectors: FloatArray
    """(num_models, 32), of unit length."""
    temperature: float
    curve: EffectCurve

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its temperature is that of the lowest validation log loss.
        """
        roles, _ = data.tasks
        texts = [data.task_texts.get(role, role) for role in roles]
        width = data.questions.vectors.shape[1]
        known = scale_to_unit(encode_texts(data.encoder, texts)) if texts else np.empty((0, width))
        vectors = np.vstack([known, np.zeros((1, width))])
        trained = {each: cls._train(data, roles, vectors, each) for each in TEMPERATURES}
        return trained[
            data.choose(TEMPERATURES, lambda temperature: trained[temperature].predict_effect)
        ]

    @classmethod
    def _train(
        cls,
        data: LearningData,
        roles: tuple[str, ...],
        role_vectors: FloatArray,
        temperature: float,
    ) -> Self:
        generator = torch.Generator().manual_seed(data.seed)
        described = torch.from_numpy(describe_models(data.encoder, data.pool)).float()
        inputs = 2 * data.questions.vectors.shape[1] + 1
        projection = draw_gaussian((inputs, DIMENSION), inputs**-0.5, generator)
        of_models = draw_gaussian((described.shape[1], DIMENSION), 1.0, generator)
        shared = (data.pool, data.cost_scale, data.encoder, data.amounts, roles, role_vectors)
        blank = cls(
            *shared,
            to_numbers(projection),
            np.zeros((len(data.pool), DIMENSION)),
            temperature,
            EffectCurve(0.0, 0.0),
        )
        asked = torch.from_numpy(blank._read(data.questions)).float()
        effect = torch.from_numpy(data.outcomes.effect).float()

        def score(rows: Tensor) -> Tensor:
            return _unit(rows @ projection) @ _unit(described @ of_models).T / temperature

        held_loss = None
        if data.validation is not None and data.held_questions is not None:
            held_asked = torch.from_numpy(blank._read(data.held_questions)).float()
            held_effect = torch.from_numpy(data.validation.outcomes.effect).float()

            def held_loss() -> Tensor:
                return measure_missed_effect(score(held_asked), held_effect)

        minimise(
            [projection, of_models],
            lambda rows: measure_missed_effect(score(asked[rows]), effect[rows]),
            num_rows=len(asked),
            seed=data.seed,
            held_loss=held_loss,
            settings=pace_descent(SETTINGS, len(asked)),
        )
        router = replace(
            blank,
            projection=to_numbers(projection),
            model_vectors=to_numbers(_unit(described @ of_models)),
        )
        return replace(router, curve=EffectCurve.fit(*data.score_held_rows(router.score)))

    @property
    def known_tasks(self) -> tuple[str, ...]:
        """The roles that it tells apart."""
        return self.roles

    def score(self, questions: Questions) -> FloatArray:
        """Log chance of each model beyond the query's mean, (num_queries, num_models)."""
        place = self._read(questions) @ self.projection
        place = place / np.maximum(np.linalg.norm(place, axis=1, keepdims=True), 1e-12)
        return subtract_query_mean(place @ self.model_vectors.T / self.temperature)

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        return self.curve.apply(self.score(questions))

    def _read(self, questions: Questions) -> FloatArray:
        """Embeddings of queries and roles side by side, and a constant."""
        roles = self.role_vectors[find_positions(self.roles, questions.tasks)]  # -1 is the last row
        return np.hstack([questions.vectors, roles, np.ones((len(questions), 1))])


def measure_missed_effect(score: Tensor, effect: Tensor) -> Tensor:
    """One minus the expected effect of a model drawn by its softmax, mean over queries.

    Drawn among the models that were run on the query; a query without any counts nothing.

    Args:
        score: (num_queries, num_models).
        effect: (num_queries, num_models), NaN = not observed.

    Example:
        >>> effect = torch.tensor([[1.0, 0.0, float("nan")]])
        >>> round(float(measure_missed_effect(torch.zeros((1, 3)), effect)), 3)
        0.5
    """
    known = torch.isfinite(effect)
    rows = known.any(dim=1)
    if not bool(rows.any()):
        return score.sum() * 0.0
    known, effect = known[rows], torch.nan_to_num(effect[rows])
    chance = torch.softmax(score[rows].masked_fill(~known, -torch.inf), dim=1)
    return 1 - (chance * effect).sum(dim=1).mean()


def _unit(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=1)
