"""What baselines share: they learn from `LearningData`, are saved and loaded like any router."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from graphrouter.artifact import Lineage, artifact_folder
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.serialization import arrange_in_rows, read_fields, write_fields
from graphrouter.bench.baselines.tools.amounts import Amounts
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.encoders.text_encoder import TextEncoder
from graphrouter.exceptions import NotApplicableError
from graphrouter.policy import CostScale
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.router.protocol import Router
from graphrouter.router.training_view import TrainingView
from graphrouter.types import QUANTITIES, FloatArray, Predictions, Queries

if TYPE_CHECKING:
    import pandas as pd

    from graphrouter.config import TrainConfig
    from graphrouter.data import RoutingDataset, Split

EFFECT_MARGIN = 1e-4
"""Expected effects stay this far off 0 and 1: no training set supports more certainty."""


@dataclass(frozen=True, eq=False)
class Baseline(Router):
    """A simpler or a published router to compare with.

    The fields of a baseline are all that it has learned, as plain values and arrays: `save` writes
    them without pickle.
    """

    can_predict_cost: ClassVar[bool] = True
    can_save: ClassVar[bool] = True
    source: ClassVar[str]
    """Where the method was published."""

    pool: ModelPool
    cost_scale: CostScale

    def __post_init__(self) -> None:
        """Store what was learned as loading will, so that both predict the same to the bit."""
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, arrange_in_rows(value))

    @classmethod
    def fit(
        cls,
        data: RoutingDataset | TrainingView,
        config: TrainConfig | None = None,
        *,
        split: Split | None = None,
        encoder: TextEncoder | None = None,
        progress: bool = False,
    ) -> Self:
        """A baseline of this class, learned from the training queries of `data`.

        Of the settings `split`, `encoder` and `seed` count. Baselines that are fitted on one
        `TrainingView` share what most of them need: see `LearningData`.

        Args:
            data: Outcomes to learn from; a `TrainingView` where several routers are fitted on the
                same data.
            config: All settings; without it those of the view, or the defaults.
            split: Which queries train, validate and test; drawn by `config.split` without it.
            encoder: Text encoder to use in place of the one that `config.encoder` names.
            progress: Show progress bars.

        Raises:
            DataError: `data` is no dataset, or there are too few queries to split.
            NotApplicableError: The method needs something that the data does not have.
            TrainingError: The loss is no longer finite.
        """
        view = TrainingView.of(data, config, split=split, encoder=encoder, progress=progress)
        return cls.learn(view.derive(LearningData.of_view))

    @classmethod
    @abstractmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make, its settings chosen on the validation rows.

        This is what each method says for itself; users call `fit`.

        Raises:
            NotApplicableError: The method needs something that the data does not have.
        """

    def add_models(
        self, cards: Sequence[ModelCard], *, outcomes: pd.DataFrame | None = None
    ) -> Self:
        """A new baseline with the given models at the end of its pool, by its own formula.

        All else stays as fitted.

        Baselines keep no prompts, so the outcomes carry the column `prompt`. Predictions for the
        other models stay as they are.

        Args:
            cards: What is known of the models, in the order of their columns.
            outcomes: See `Router.add_models`.

        Raises:
            NotApplicableError: The method is fitted on all models together, so that none can be
                added to it.
            DataError: A model of that name is in the pool, or the outcomes break the contract.
            UnknownModelError: An outcome is of a model that is not among the cards.

        Example:
            >>> import graphrouter as gr
            >>> from graphrouter.encoders.hashing import HashingEncoder
            >>> from graphrouter.bench.baselines import BASELINES
            >>> data = gr.simulate(num_queries=60, num_models=3).data
            >>> router = BASELINES["rasch"].fit(data, encoder=HashingEncoder(64))
            >>> router.add_models([gr.ModelCard(model="new")]).models[-1]
            'new'
        """
        if not self.can_extend:
            raise NotApplicableError(
                f"{self.name} cannot take in a model without being fitted again: fit it again "
                "with the model's outcomes."
            )
        extended = self._extend(NewModels.of(self.pool, cards, outcomes))
        extended.lineage.follow(self.lineage)
        return extended

    def _extend(self, new: NewModels) -> Self:
        """This baseline with the new models; methods that can add a column say how."""
        raise NotApplicableError(
            f"{self.name} declares can_extend but has no rule for new models; define _extend."
        )

    def _save(self, folder: Path, *, overwrite: bool, evidence: bool | None) -> None:
        if evidence:
            raise NotApplicableError(
                f"evidence=True was received, but {self.name} cites no solved prompts and keeps "
                "none. Save it without."
            )
        write_fields(self, folder, self.lineage, overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path, *, encoder: TextEncoder | None = None) -> Self:
        """The baseline of this class that was saved in `folder`.

        Args:
            folder: An artifact.
            encoder: Text encoder to use in place of the one that the artifact names; it must be the
                same.

        Raises:
            ArtifactError: There is no artifact, it is damaged, or it holds another router.
            EncoderError: The text encoder is not the one that the router was fitted with.
        """
        lineage = Lineage()
        with artifact_folder(folder) as found:
            router = cls(**read_fields(cls, found, lineage, encoder=encoder))
        router.lineage.follow(lineage)
        return router


@dataclass(frozen=True, eq=False)
class TextBaseline(Baseline):
    """A baseline that reads the prompt through its text embedding.

    Its costs are those of `Amounts`.
    """

    encoder: TextEncoder
    amounts: Amounts

    @abstractmethod
    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in [0, 1].

        NaN for a model that the method never chooses.
        """

    def _predict(self, queries: Queries) -> Predictions:
        """Expected effect by the method; the amounts by a log-linear regression a model."""
        if len(queries) == 0:
            return predict_nothing(self.pool)
        questions = Questions.of(queries, self.encoder)
        effect = np.clip(self.predict_effect(questions), EFFECT_MARGIN, 1 - EFFECT_MARGIN)
        return Predictions(self.pool.names, effect, *self.predict_amounts(questions))

    def predict_amounts(self, questions: Questions) -> list[FloatArray]:
        """Expected cost, input and output tokens and latency, (num_queries, num_models) each."""
        return self.amounts.predict(questions.vectors, questions.prompts, prices=self.pool.prices)

    def _join_pool(self, new: NewModels, questions: Questions) -> Self:
        """This router with the wider pool and its amounts.

        What the method itself knows of the new models is still to come.

        Args:
            new: The new models.
            questions: What they were asked.
        """
        return replace(
            self,
            pool=new.pool,
            amounts=self.amounts.extended(questions.vectors, questions.prompts, new),
        )

    def pool_effect(self, questions: Questions) -> FloatArray:
        """Mean expected effect of the pool's models, (num_queries,) inside (0, 1).

        It tells how hard the method finds each query.
        """
        if len(questions) == 0:
            return np.empty(0)
        return np.asarray(
            np.clip(self.predict_effect(questions), EFFECT_MARGIN, 1 - EFFECT_MARGIN).mean(axis=1)
        )


def predict_nothing(pool: ModelPool) -> Predictions:
    """Predictions for no query."""
    return Predictions(pool.names, *(np.empty((0, len(pool))) for _ in QUANTITIES))
