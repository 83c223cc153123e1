"""The transforms of node features, fitted on training rows and saved with the artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from graphrouter.features.prompts import (
    Float32Array,
    KernelCoordinates,
    PromptTransform,
    column_moments,
    mean_of_present,
    unit_vectors,
)
from graphrouter.types import FloatArray


@dataclass(frozen=True, eq=False)
class FeatureTransform:
    """Centres and scales node features with statistics of the training rows.

    Never refitted at prediction.
    """

    prompts: PromptTransform
    description_mean: Float32Array
    """(dimension,) mean embedding of the model descriptions."""
    task_mean: Float32Array
    """(dimension,) mean embedding of the task descriptions."""
    card_mean: Float32Array
    """(num_card,)"""
    card_scale: Float32Array
    """(num_card,) > 0."""

    @classmethod
    def fit(
        cls,
        *,
        prompts: Float32Array,
        surface: Float32Array,
        descriptions: Float32Array,
        cards: FloatArray,
        tasks: Float32Array,
    ) -> FeatureTransform:
        """The transform of training rows.

        Args:
            prompts: (num_queries, dimension) unit embeddings of training prompts.
            surface: (num_queries, num_surface) from `surface_features`.
            descriptions: (num_models, dimension) embeddings; all-zero rows (no description) are
                skipped.
            cards: (num_models, num_card) from `card_features`, NaN = not stated.
            tasks: (num_tasks, dimension) embeddings; all-zero rows are skipped.
        """
        card_mean, card_scale = column_moments(cards)
        return cls(
            prompts=PromptTransform.fit(prompts, surface),
            description_mean=mean_of_present(descriptions),
            task_mean=mean_of_present(tasks),
            card_mean=card_mean,
            card_scale=card_scale,
        )

    def to_arrays(self) -> dict[str, Float32Array]:
        """All numbers by name, for `from_arrays`."""
        return {
            "prompt_mean": self.prompts.mean,
            "surface_mean": self.prompts.surface_mean,
            "surface_scale": self.prompts.surface_scale,
            "description_mean": self.description_mean,
            "task_mean": self.task_mean,
            "card_mean": self.card_mean,
            "card_scale": self.card_scale,
            **self.prompts.coordinates._asdict(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Float32Array]) -> FeatureTransform:
        """The transform of `to_arrays`.

        Raises:
            KeyError: An array is missing.
            TypeError: There is one too many.
        """
        rest = dict(arrays)
        coordinates = {name: rest.pop(name) for name in KernelCoordinates._fields}
        prompts = PromptTransform(
            mean=rest.pop("prompt_mean"),
            surface_mean=rest.pop("surface_mean"),
            surface_scale=rest.pop("surface_scale"),
            coordinates=KernelCoordinates(**coordinates),
        )
        return cls(prompts=prompts, **rest)

    def descriptions(self, embeddings: Float32Array) -> Float32Array:
        """Centred unit embeddings of model descriptions.

        A zero row where there is none: (num_models, dimension).
        """
        return _centred_where_present(embeddings, self.description_mean)

    def tasks(self, embeddings: Float32Array) -> Float32Array:
        """Centred unit embeddings of task descriptions.

        A zero row where there is none: (num_tasks, dimension).
        """
        return _centred_where_present(embeddings, self.task_mean)

    def cards(self, raw: FloatArray) -> Float32Array:
        """Scaled card numbers, then missing marks: (num_models, 2 * num_card).

        A number is 0 where it is not stated, and clipped to [-5, 5].
        """
        missing = np.isnan(raw)
        scaled = np.clip(
            (np.where(missing, self.card_mean, raw) - self.card_mean) / self.card_scale, -5, 5
        )
        return np.concatenate([scaled, missing], axis=1).astype(np.float32)


def _centred_where_present(embeddings: Float32Array, mean: Float32Array) -> Float32Array:
    present = np.abs(embeddings).sum(axis=1, keepdims=True) > 0
    return np.where(present, unit_vectors(embeddings - mean), np.float32(0.0)).astype(np.float32)
