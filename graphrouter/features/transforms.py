"""Node features, and the transforms that are fitted on training rows alone and saved with the
artifact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from graphrouter.features.coordinates import Float32Array, KernelCoordinates
from graphrouter.types import FloatArray

SURFACE_NAMES = (
    "log_chars", "log_words", "log_lines", "digit_share", "upper_share", "punctuation_share",
    "non_ascii_share", "code_marks", "math_marks", "question_marks", "mean_word_length",
)  # fmt: skip

_SCAN_CHARS = 20_000
_CODE = re.compile(r"[{};]|=>|==|\bdef\b|\breturn\b|\bimport\b|\bclass\b|\bfunction\b|```")
_MATH = re.compile(r"[=+*/^<>\\]|\$")
_PUNCTUATION = re.compile(r"[^\w\s]")


def surface_features(prompts: Sequence[str]) -> Float32Array:
    """What can be read off a prompt without understanding it: (num_prompts, len(SURFACE_NAMES)), all >= 0, no NaN.

    Lengths are those of the whole text; shares and marks come from its first 20,000 characters.
    """
    return np.array([_surface(prompt) for prompt in prompts], dtype=np.float32).reshape(
        len(prompts), len(SURFACE_NAMES)
    )


def _surface(prompt: str) -> list[float]:
    text = prompt[:_SCAN_CHARS]
    chars = max(len(text), 1)
    words = text.split()
    return [
        float(np.log1p(len(prompt))),
        float(np.log1p(len(words) * len(prompt) / chars)),
        float(np.log1p(text.count("\n") * len(prompt) / chars)),
        sum(c.isdigit() for c in text) / chars,
        sum(c.isupper() for c in text) / chars,
        len(_PUNCTUATION.findall(text)) / chars,
        0.0 if text.isascii() else sum(ord(c) > 127 for c in text) / chars,
        float(np.log1p(len(_CODE.findall(text)))),
        float(np.log1p(len(_MATH.findall(text)))),
        float(np.log1p(text.count("?"))),
        float(np.log1p(sum(map(len, words)) / max(len(words), 1))),
    ]


def prompt_chars(surface: Float32Array) -> FloatArray:
    """Length of each prompt in characters, from raw surface features: (num_prompts,)."""
    chars: FloatArray = np.expm1(surface[:, SURFACE_NAMES.index("log_chars")].astype(np.float64))
    return chars


@dataclass(frozen=True)
class FeatureTransform:
    """Centres and scales node features with statistics of the training rows.

    Never refitted at prediction.
    """

    prompt_mean: Float32Array
    """(dimension,) mean prompt embedding."""
    coordinates: KernelCoordinates
    """Principal coordinates of prompts."""
    description_mean: Float32Array
    """(dimension,) mean embedding of the model descriptions."""
    task_mean: Float32Array
    """(dimension,) mean embedding of the task descriptions."""
    surface_mean: Float32Array
    """(num_surface,)"""
    surface_scale: Float32Array
    """(num_surface,) > 0."""
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
        card_mean, card_scale = _mean_and_scale(cards)
        surface_mean, surface_scale = _mean_and_scale(surface.astype(np.float64))
        prompt_mean = _mean_of_present(prompts)
        return cls(
            prompt_mean=prompt_mean,
            coordinates=KernelCoordinates.fit(
                _unit(prompts - prompt_mean), _scaled(surface, surface_mean, surface_scale)
            ),
            description_mean=_mean_of_present(descriptions),
            task_mean=_mean_of_present(tasks),
            surface_mean=surface_mean,
            surface_scale=surface_scale,
            card_mean=card_mean,
            card_scale=card_scale,
        )

    def to_arrays(self) -> dict[str, Float32Array]:
        """All numbers by name, for `from_arrays`."""
        own = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != "coordinates"
        }
        return own | self.coordinates._asdict()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Float32Array]) -> FeatureTransform:
        """The transform of `to_arrays`.

        Raises:
            KeyError: An array is missing.
            TypeError: There is one too many.
        """
        of_coordinates = {name: arrays[name] for name in KernelCoordinates._fields}
        own = {name: array for name, array in arrays.items() if name not in of_coordinates}
        return cls(coordinates=KernelCoordinates(**of_coordinates), **own)

    def prompts(self, embeddings: Float32Array) -> Float32Array:
        """Centred unit embeddings of prompts: (num_queries, dimension)."""
        return _unit(embeddings - self.prompt_mean)

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

    def surface(self, raw: Float32Array) -> Float32Array:
        """Scaled surface features, clipped to [-5, 5]: (num_queries, num_surface)."""
        return _scaled(raw, self.surface_mean, self.surface_scale)

    def principal(self, embeddings: Float32Array, raw_surface: Float32Array) -> Float32Array:
        """Prompts in decorrelated coordinates, by falling variance: (num_queries, NUM_PRINCIPAL).

        In these coordinates a ridge regression is one shrunk sum a coordinate, which the network
        does inside the graph.
        """
        return self.coordinates.of(self.prompts(embeddings), self.surface(raw_surface))

    def cards(self, raw: FloatArray) -> Float32Array:
        """Scaled card numbers (0 where not stated, clipped to [-5, 5]), then missing marks:
        (num_models, 2 * num_card).
        """
        missing = np.isnan(raw)
        scaled = np.clip(
            (np.where(missing, self.card_mean, raw) - self.card_mean) / self.card_scale, -5, 5
        )
        return np.concatenate([scaled, missing], axis=1).astype(np.float32)


def _scaled(raw: Float32Array, mean: Float32Array, scale: Float32Array) -> Float32Array:
    scaled: Float32Array = np.clip((raw - mean) / scale, -5, 5).astype(np.float32)
    return scaled


def _mean_and_scale(values: FloatArray) -> tuple[Float32Array, Float32Array]:
    """Column means and standard deviations that skip NaN.

    0 and 1 for a column without values or without spread.
    """
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    variance = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / count
    scale = np.where(variance > 1e-12, np.sqrt(np.maximum(variance, 1e-12)), 1.0)
    return mean.astype(np.float32), scale.astype(np.float32)


def _mean_of_present(embeddings: Float32Array) -> Float32Array:
    present = np.abs(embeddings).sum(axis=1) > 0
    if not present.any():
        return np.zeros(embeddings.shape[1], dtype=np.float32)
    mean: Float32Array = embeddings[present].mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _centred_where_present(embeddings: Float32Array, mean: Float32Array) -> Float32Array:
    present = np.abs(embeddings).sum(axis=1, keepdims=True) > 0
    return np.where(present, _unit(embeddings - mean), np.float32(0.0)).astype(np.float32)


def _unit(vectors: Float32Array) -> Float32Array:
    """Rows scaled to length 1, each by itself, so that a row does not depend on the others."""
    norms = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    unit: Float32Array = (vectors / np.maximum(norms, 1e-9)).astype(np.float32)
    return unit
