"""RAGRouter: what a model can do shifts with the documents that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.factorization import (
    draw_gaussian,
    fill_unseen,
    find_seen_models,
    pace_descent,
    to_numbers,
)
from graphrouter.bench.baselines.tools.gradient import Descent, cross_entropy, minimise
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.encoders import TextEncoder, encode_texts
from graphrouter.types import FloatArray

DIMENSION = 64
DECAYS = (1e-3, 1e-2, 1e-1)
"""Weight decays to choose from."""
SETTINGS = Descent(learning_rate=3e-3, max_epochs=60, patience=5)


@dataclass(frozen=True, eq=False)
class RAGRouter(TextBaseline):
    """The product of a query and a model whose knowledge the documents have shifted.

    In the original a model is the vector of its knowledge; retrieved documents move it by what they
    hold and by how well the model uses documents, and a contrastive loss between answers with and
    without retrieval trains encoders of queries and documents. On fixed embeddings that is

        logit = (W q) . (k_m + t(d, m)) + (V d) . r_m + b_m,   t(d, m) = (U d) * r_m,

    with q and d the embeddings of the question and of the mean document, k_m what a model knows and
    r_m how it uses documents; without documents the shift is 0. It is trained by cross entropy.

    Left out: fine-tuning of the encoders, the cross encoder that reads a question together with its
    documents, and the contrastive loss, which needs answers to the same question with documents and
    without. A model without outcomes scores the mean.

    Example:
        >>> from graphrouter.bench.simulate.simulated_views import simulate_views
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = simulate_views("context", num_queries=80, num_models=3).data
        >>> router = RAGRouter.fit(data, encoder=HashingEncoder(64))
        >>> router.predict(["Who was it?"], contexts=["It was she."]).effect.shape
        (1, 3)
    """

    name: ClassVar[str] = "rag_router"
    source: ClassVar[str] = "RAGRouter (arXiv 2505.23052)"

    from_query: FloatArray
    """(dimension, 64) W."""
    from_documents: FloatArray
    """(dimension, 64) U, of the shift."""
    direct: FloatArray
    """(dimension, 64) V, of what documents say by themselves."""
    knowledge: FloatArray
    """(num_models, 65) k_m, then b_m."""
    usage: FloatArray
    """(num_models, 64) r_m."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its weight decay is that of the lowest validation log loss.
        """
        train = cache(lambda decay: cls._train(data, decay))
        return train(data.choose(DECAYS, lambda decay: train(decay).predict_effect))

    @classmethod
    def _train(cls, data: LearningData, decay: float) -> Self:
        generator = torch.Generator().manual_seed(data.seed)
        inputs, num_models = data.questions.vectors.shape[1], len(data.pool)
        maps = [draw_gaussian((inputs, DIMENSION), inputs**-0.5, generator) for _ in range(3)]
        knowledge = draw_gaussian((num_models, DIMENSION + 1), 0.1, generator)
        usage = draw_gaussian((num_models, DIMENSION), 0.1, generator)
        query, documents = (part.float() for part in _to_pair(data.questions, data.encoder))
        effect = torch.from_numpy(data.train.outcomes.effect).float()

        def find_logits(query: Tensor, documents: Tensor) -> Tensor:
            return _score(query, documents, maps, knowledge, usage)

        held_loss = None
        if data.validation is not None:
            asked = Questions.of(data.validation.queries, data.encoder)
            held = [part.float() for part in _to_pair(asked, data.encoder)]
            held_effect = torch.from_numpy(data.validation.outcomes.effect).float()
            if bool(torch.isfinite(held_effect).any()):
                held_loss = lambda: cross_entropy(find_logits(*held), held_effect)  # noqa: E731
        settings = Descent(
            SETTINGS.learning_rate,
            decay,
            SETTINGS.batch_size,
            SETTINGS.max_epochs,
            SETTINGS.patience,
        )
        minimise(
            [*maps, knowledge, usage],
            lambda rows: cross_entropy(find_logits(query[rows], documents[rows]), effect[rows]),
            num_rows=len(query),
            seed=data.seed,
            held_loss=held_loss,
            settings=pace_descent(settings, len(query)),
        )
        seen = find_seen_models(data)
        return cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            to_numbers(maps[0]),
            to_numbers(maps[1]),
            to_numbers(maps[2]),
            fill_unseen(to_numbers(knowledge), seen),
            fill_unseen(to_numbers(usage), seen),
        )

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in (0, 1)."""
        maps = (self.from_query, self.from_documents, self.direct)
        known = map(torch.from_numpy, (self.knowledge, self.usage))
        # In double precision a score does not depend on the batch.
        asked = _to_pair(questions, self.encoder)
        return sigmoid(_score(*asked, [torch.from_numpy(part) for part in maps], *known).numpy())


def _score(
    query: Tensor,
    documents: Tensor,
    maps: Sequence[Tensor],
    knowledge: Tensor,
    usage: Tensor,
) -> Tensor:
    """Logits (B, M) of queries (B, dimension) with their documents (B, dimension).

    Args:
        query: Embeddings.
        documents: Embeddings, zeros where there are none.
        maps: W, U and V, (dimension, 64) each.
        knowledge: (M, 65).
        usage: (M, 64).
    """
    from_query, from_documents, direct = maps
    asked, shift = query @ from_query, documents @ from_documents
    known = asked @ knowledge[:, :-1].T + (asked * shift) @ usage.T
    logits: Tensor = known + (documents @ direct) @ usage.T + knowledge[:, -1]
    return logits


def _to_pair(questions: Questions, encoder: TextEncoder) -> tuple[Tensor, Tensor]:
    """Embeddings of the questions and of their mean documents, zeros where there are none."""
    documents = np.zeros((len(questions), encoder.dimension))
    for row, context in enumerate(questions.queries.contexts):
        if context is not None:
            mean = encode_texts(encoder, list(context)).astype(np.float64).mean(axis=0)
            documents[row] = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return torch.from_numpy(questions.vectors), torch.from_numpy(documents)
