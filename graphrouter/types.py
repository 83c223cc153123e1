"""Hand-offs between the parts: what a router predicts, what it decides and why. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_QUANTITIES = ("effect", "cost_usd", "input_tokens", "output_tokens", "latency_s")


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a router expects of every (query, model) pair.

    Rows are queries in the order asked, columns are `models`. NaN means "cannot be predicted", never "free":
    a pool whose outcomes carried neither cost nor tokens has NaN in `cost_usd`.

    Example:
        >>> predictions = Predictions.from_arrays(("nano", "grand"), np.array([[0.4, 0.9]]))
        >>> len(predictions), predictions.models[int(predictions.effect[0].argmax())]
        (1, 'grand')
        >>> bool(np.isnan(predictions.cost_usd).all())
        True
    """

    models: tuple[str, ...]
    effect: FloatArray
    """(num_queries, num_models), expected effect in [0, 1]."""
    cost_usd: FloatArray
    """(num_queries, num_models), expected US dollars a call, >= 0 or NaN."""
    input_tokens: FloatArray
    """(num_queries, num_models), expected prompt tokens, >= 0 or NaN."""
    output_tokens: FloatArray
    """(num_queries, num_models), expected completion tokens, >= 0 or NaN."""
    latency_s: FloatArray
    """(num_queries, num_models), expected seconds to the end of the answer, >= 0 or NaN."""

    def __post_init__(self) -> None:
        expected = (self.effect.shape[0], len(self.models))
        for name in _QUANTITIES:
            received = getattr(self, name).shape
            if received != expected:
                raise ValueError(f"Predictions.{name} has shape {received}; expected (num_queries, num_models) = {expected}.")

    def __len__(self) -> int:
        """Number of queries."""
        return int(self.effect.shape[0])

    @classmethod
    def concatenate(cls, parts: Sequence[Predictions]) -> Predictions:
        """The rows of all parts, which share their models and of which there is at least one."""
        fields = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _QUANTITIES}
        return cls(models=parts[0].models, **fields)

    @classmethod
    def from_arrays(
        cls,
        models: tuple[str, ...],
        effect: FloatArray,
        *,
        cost_usd: FloatArray | None = None,
        input_tokens: FloatArray | None = None,
        output_tokens: FloatArray | None = None,
        latency_s: FloatArray | None = None,
    ) -> Predictions:
        """Predictions from `effect` and whatever else is known; every other field is NaN."""
        others = (cost_usd, input_tokens, output_tokens, latency_s)
        return cls(models, effect, *(np.full(effect.shape, np.nan) if known is None else known for known in others))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model as the policy saw it for one query."""

    model: str
    effect: float
    cost_usd: float | None
    output_tokens: float | None
    latency_s: float | None
    utility: float | None
    """What the policy maximises; None for a rejected model."""
    rejected: str | None = None
    """Why the policy ruled the model out; None when it was in the running."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A solved query that resembles the one being routed."""

    query_id: str
    prompt: str
    task: str | None
    similarity: float
    """Cosine similarity of the prompt embeddings, their training mean taken off, in [-1, 1]."""
    effects: Mapping[str, float]
    """Observed effect by model; a model that was never run on it is absent."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where to send one query, and why.

    Example:
        >>> slow = Candidate("grand", 0.9, 0.004, 300.0, 12.0, None, rejected="latency 12.00 s above 10")
        >>> quick = Candidate("nano", 0.6, 0.0001, 200.0, 2.0, 0.55)
        >>> decision = Decision(model="nano", effect=0.6, cost_usd=0.0001, candidates=(quick, slow))
        >>> decision.latency_s, decision.rejected
        (2.0, {'grand': 'latency 12.00 s above 10'})
    """

    model: str
    effect: float
    """Expected effect of the chosen model, in [0, 1]."""
    cost_usd: float | None
    """Expected US dollars of the call; None when it cannot be predicted."""
    candidates: tuple[Candidate, ...]
    """Every model of the pool: those in the running first, best first, then the rejected ones."""
    evidence: tuple[Evidence, ...] = ()
    """The most similar solved queries, most similar first."""
    used_fallback: bool = False
    """True when nobody satisfied the policy and its named fallback was taken."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    """The policy's settings, without the defaults."""

    @property
    def rejected(self) -> dict[str, str]:
        """Why each model that the policy ruled out was ruled out, by model."""
        return {c.model: c.rejected for c in self.candidates if c.rejected is not None}

    @property
    def latency_s(self) -> float | None:
        """Expected seconds to the end of the answer of the chosen model; None when unknown."""
        return next(c.latency_s for c in self.candidates if c.model == self.model)
