"""What baselines are fitted on: training and validation rows as arrays.

What most of them need is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from graphrouter.bench.baselines.tools.amounts import Amounts
from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.baselines.tools.shrinkage import average_by_model
from graphrouter.bench.baselines.tools.vectors import scale_to_unit
from graphrouter.bench.observations import Observations, ObservedOutcomes
from graphrouter.encoders import encode_texts
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.training.effect_scores import log_loss
from graphrouter.types import FloatArray, IntArray, Queries

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset
    from graphrouter.encoders import TextEncoder
    from graphrouter.router.training_view import TrainingView

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Questions:
    """Queries as baselines see them: with embeddings."""

    vectors: FloatArray
    """(num_queries, dimension) text embeddings of unit length; zeros for a text without any
    token."""
    queries: Queries

    @classmethod
    def of(cls, queries: Queries, encoder: TextEncoder) -> Questions:
        """The queries with their embeddings."""
        if len(queries) == 0:
            return cls(np.empty((0, encoder.dimension)), queries)
        return cls(scale_to_unit(encode_texts(encoder, list(queries.prompts))), queries)

    @property
    def prompts(self) -> tuple[str, ...]:
        """The text of each query."""
        return self.queries.prompts

    @property
    def tasks(self) -> tuple[str | None, ...]:
        """Task of each query, None where unknown."""
        return self.queries.tasks

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.queries)


@dataclass(frozen=True, eq=False)
class LearningData:
    """Training and validation rows of a dataset. Test rows never come here.

    Everything derived is computed on first use and then shared by all baselines that are fitted on
    it.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> ids = data.queries["query_id"].tolist()
        >>> encoder, held = HashingEncoder(64), ids[50:]
        >>> learning = LearningData.of(data, ids[:50], encoder=encoder, validation_ids=held)
        >>> learning.train.outcomes.effect.shape, learning.questions.vectors.shape
        ((50, 3), (50, 64))
    """

    train: Observations
    validation: Observations | None
    """None when there is nothing to validate on."""
    encoder: TextEncoder
    seed: int = 0
    """Seed of everything that is drawn during fitting."""
    task_texts: Mapping[str, str] = field(default_factory=dict)
    """Description of each task that has one."""
    answer_texts: tuple[tuple[str | None, ...], ...] | None = None
    """What each model answered to each training query, None = not recorded; None where the data has
    no answers."""
    _centres: dict[int, FloatArray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        data: RoutingDataset,
        train_ids: Sequence[str],
        *,
        encoder: TextEncoder,
        validation_ids: Sequence[str] = (),
        held_out_models: Collection[str] = (),
        seed: int = 0,
    ) -> Self:
        """The rows of the given queries; outcomes of held-out models count as not observed.

        Raises:
            DataError: There is no training query, or one that the dataset does not have.
        """
        train = Observations.of(data, train_ids, held_out_models=held_out_models)
        held = (
            Observations.of(data, validation_ids, held_out_models=held_out_models)
            if len(validation_ids)
            else None
        )
        return cls(
            train,
            held,
            encoder,
            seed,
            _read_task_texts(data),
            read_answer_texts(data, train_ids, held_out_models),
        )

    @classmethod
    def of_view(cls, view: TrainingView) -> Self:
        """The training and validation rows of the view; `view.derive` makes them once."""
        return cls.of(
            view.data,
            view.split.train,
            encoder=view.encoder,
            validation_ids=view.split.validation,
            held_out_models=view.split.held_out_models,
            seed=view.config.seed,
        )

    @property
    def pool(self) -> ModelPool:
        """The candidate models, in the column order of all arrays."""
        return self.train.pool

    @property
    def outcomes(self) -> ObservedOutcomes:
        """Training outcomes, (num_train, num_models) each."""
        return self.train.outcomes

    @cached_property
    def cost_scale(self) -> CostScale:
        """Bounds of the training costs."""
        return CostScale.fit(self.outcomes.cost_usd)

    @cached_property
    def questions(self) -> Questions:
        """The training queries."""
        return Questions.of(self.train.queries, self.encoder)

    @cached_property
    def held_questions(self) -> Questions | None:
        """The validation queries, None without any."""
        if self.validation is None:
            return None
        return Questions.of(self.validation.queries, self.encoder)

    @cached_property
    def means(self) -> MeanTable:
        """One row: mean of each model in training, its effect shrunk towards the pool's mean."""
        return average_by_model(self.outcomes)

    @cached_property
    def tasks(self) -> tuple[tuple[str, ...], IntArray]:
        """The training tasks, sorted, and each query's task among them, (num_train,).

        -1 = unknown.
        """
        return number_tasks(self.train.tasks)

    @cached_property
    def answers(self) -> FloatArray | None:
        """Embeddings of the answers to the training queries, NaN = not recorded.

        (num_train, num_models, dimension); None where the data has no answers.
        """
        if self.answer_texts is None:
            return None
        texts = sorted({text for row in self.answer_texts for text in row if text is not None})
        row_of: dict[str | None, int] = {text: i for i, text in enumerate(texts)}
        vectors = np.vstack(
            [
                encode_texts(self.encoder, texts).astype(np.float64),
                np.full((1, self.encoder.dimension), np.nan),
            ]
        )
        rows = np.array(
            [[row_of.get(text, len(texts)) for text in row] for row in self.answer_texts],
            dtype=np.int64,
        )
        return np.asarray(vectors[rows])

    @cached_property
    def amounts(self) -> Amounts:
        """The cost, token and latency predictor that baselines without one of their own share."""
        held = self.validation
        if held is None or self.held_questions is None:
            return Amounts.fit(self.questions.vectors, self.questions.prompts, self.outcomes)
        return Amounts.fit(
            self.questions.vectors,
            self.questions.prompts,
            self.outcomes,
            held=(self.held_questions.vectors, self.held_questions.prompts, held.outcomes),
        )

    def find_centres(self, num_clusters: int) -> FloatArray:
        """Centres of k-means clusters of the prompts, (at most num_clusters, dimension)."""
        from graphrouter.bench.baselines.tools.clusters import find_centres

        wanted = min(num_clusters, len(self.questions))
        if wanted not in self._centres:
            self._centres[wanted] = find_centres(self.questions.vectors, wanted, seed=self.seed)
        return self._centres[wanted]

    def choose(
        self, candidates: Sequence[T], fit: Callable[[T], Callable[[Questions], FloatArray]]
    ) -> T:
        """The candidate whose effects have the lowest log loss on the validation outcomes.

        Args:
            candidates: Settings to choose from, the default first: it is taken when there is
                nothing to validate on.
            fit: From a setting to a function that gives the expected effects, (num_queries,
                num_models) in (0, 1).
        """
        if self.validation is None or self.held_questions is None or len(candidates) == 1:
            return candidates[0]
        losses = [
            log_loss(fit(setting)(self.held_questions), self.validation.outcomes.effect)
            for setting in candidates
        ]
        return candidates[int(np.argmin(np.nan_to_num(losses, nan=np.inf)))]

    def score_held_rows(
        self, score: Callable[[Questions], FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """Scores and observed effects of the rows to calibrate on.

        Those are the validation rows, or the training rows where there are none.
        """
        if self.validation is None or self.held_questions is None:
            return score(self.questions), self.outcomes.effect
        return score(self.held_questions), self.validation.outcomes.effect


def _read_task_texts(data: RoutingDataset) -> dict[str, str]:
    described = data.tasks[data.tasks["description"].notna()]
    return dict(
        zip(described["task"].astype(str), described["description"].astype(str), strict=True)
    )


def read_answer_texts(
    data: RoutingDataset, query_ids: Sequence[str], held_out_models: Collection[str]
) -> tuple[tuple[str | None, ...], ...] | None:
    """The recorded answers, a row a query, in pool order; None when there are none."""
    if "answer" not in data.outcomes.columns:
        return None
    recorded = data.outcomes[
        data.outcomes["answer"].notna() & ~data.outcomes["model"].isin(list(held_out_models))
    ]
    keys = zip(recorded["query_id"], recorded["model"], strict=True)
    text_of = dict(zip(keys, recorded["answer"].astype(str), strict=True))
    return tuple(
        tuple(text_of.get((query, model)) for model in data.pool.names) for query in query_ids
    )


def number_tasks(tasks: Sequence[str | None]) -> tuple[tuple[str, ...], IntArray]:
    """The task names, sorted, and the number of each query's task, (num_queries,), -1 = unknown."""
    names = tuple(sorted({task for task in tasks if task is not None}))
    return names, find_positions(names, tasks)


def find_positions(names: Sequence[str], tasks: Sequence[str | None]) -> IntArray:
    """Position of each task in `names`, (num_queries,); -1 for an unknown one."""
    index: dict[str | None, int] = {name: i for i, name in enumerate(names)}
    return np.array([index.get(task, -1) for task in tasks], dtype=np.int64)
