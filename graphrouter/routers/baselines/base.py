"""The protocol of baselines: a router that is fitted on `LearningData` and can be saved and loaded like any other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from graphrouter.encoders.base import TextEncoder
from graphrouter.policy import CostScale, PresetName
from graphrouter.pool import ModelPool
from graphrouter.routers.base import Router, check_prompts
from graphrouter.routers.baselines.amounts import Amounts
from graphrouter.routers.baselines.learning import LearningData, Questions
from graphrouter.routers.observations import QUANTITIES
from graphrouter.types import FloatArray, Predictions

EFFECT_MARGIN = 1e-4
"""Expected effects stay this far off 0 and 1: no training set supports more certainty."""


@dataclass(frozen=True, eq=False)
class Baseline(Router):
    """A simpler or a published router to compare with.

    The fields of a baseline are all that it has learned, as plain values and arrays: `save` writes them without pickle.
    """

    name: ClassVar[str]
    """Unique, as tables, commands and artifacts call it."""
    source: ClassVar[str]
    """Where the method was published."""

    pool: ModelPool
    cost_scale: CostScale

    @classmethod
    @abstractmethod
    def fit(cls, data: LearningData) -> Self:
        """The router that the training rows make, its settings chosen on the validation rows.

        Raises:
            NotApplicableError: The method needs something that the data does not have.
        """

    def preset_utilities(
        self, prompts: Sequence[str], *, tasks: Sequence[str | None] | None = None
    ) -> Mapping[PresetName, FloatArray] | None:
        """What the router maximises in each preset, (num_queries, num_models); None where any policy can use its predictions.

        Only for methods that are trained for one trade-off at a time.
        """
        return None

    def save(self, folder: str | Path) -> None:
        """Nothing; the router lies in `folder` afterwards, written atomically and without pickle.

        Raises:
            ArtifactError: `folder` is something else than a new or empty folder or an older artifact.
        """
        from graphrouter.routers.baselines.storage import save_baseline  # reads the catalogue, which names this class

        save_baseline(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, *, encoder: TextEncoder | None = None) -> Self:
        """The baseline of this class that was saved in `folder`.

        Args:
            folder: An artifact.
            encoder: Text encoder to use in place of the one that the artifact names; it must be the same.

        Raises:
            ArtifactError: There is no artifact, it is damaged, or it holds another router.
            EncoderError: The text encoder is not the one that the router was fitted with.
        """
        from graphrouter.routers.baselines.storage import load_baseline_of

        return load_baseline_of(cls, Path(folder), encoder=encoder)


@dataclass(frozen=True, eq=False)
class TextBaseline(Baseline):
    """A baseline that reads the prompt through its text embedding; its costs are those of `Amounts`."""

    encoder: TextEncoder
    amounts: Amounts

    @abstractmethod
    def effect(self, questions: Questions) -> FloatArray:
        """Expected effect, (num_queries, num_models) in [0, 1]; NaN for a model that the method never chooses."""

    def predict(self, prompts: Sequence[str], *, tasks: Sequence[str | None] | None = None) -> Predictions:
        """Expected effect by the method, expected cost, tokens and latency by a log-linear regression a model."""
        known = check_prompts(prompts, tasks)
        if len(prompts) == 0:
            return nothing(self.pool)
        questions = Questions.of(prompts, known, self.encoder)
        effect = np.clip(self.effect(questions), EFFECT_MARGIN, 1 - EFFECT_MARGIN)
        return Predictions(self.pool.names, effect, *self.predict_amounts(questions))

    def predict_amounts(self, questions: Questions) -> list[FloatArray]:
        """Expected cost, input tokens, output tokens and latency, (num_queries, num_models) each."""
        return self.amounts.predict(questions.vectors, questions.prompts)


def nothing(pool: ModelPool) -> Predictions:
    """Predictions for no query."""
    return Predictions(pool.names, *(np.empty((0, len(pool))) for _ in QUANTITIES))
