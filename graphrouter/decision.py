"""Where a query was sent, and why: the choice, every candidate, and the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from graphrouter.files import to_plain
from graphrouter.notebook import cut_text, render_table
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.utility import UtilityArrays

__all__ = [
    "Candidate",
    "Decision",
    "Evidence",
    "UtilityParts",
]

SOLVED = 0.5
"""Effect from which a query counts as solved in what is shown of evidence."""


@dataclass(frozen=True, slots=True)
class UtilityParts:
    """What a utility is made of: what effect brings, less what all else takes off.

    Example:
        >>> parts = UtilityParts(0.6, 0.05, 0.02, {"energy_wh": 0.01})
        >>> round(parts.total, 6), str(parts)
        (0.52, 'effect 0.6 - dollars 0.05 - seconds 0.02 - energy_wh 0.01')
    """

    effect: float
    """What the effect brings, weighed."""
    dollars: float = 0.0
    """What the expected cost takes off."""
    seconds: float = 0.0
    """What waiting takes off, by `Policy.usd_per_second`."""
    penalties: Mapping[str, float] = field(default_factory=dict)
    """What each field of `Policy.penalties` takes off."""

    @property
    def total(self) -> float:
        """The utility."""
        return self.effect - self.dollars - self.seconds - sum(self.penalties.values())

    def __str__(self) -> str:
        taken = {"dollars": self.dollars, "seconds": self.seconds, **self.penalties}
        return f"effect {self.effect:.3g}" + "".join(
            f" - {name} {value:.3g}" for name, value in taken.items()
        )


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
    effect_low: float | None = None
    """Lower end of the 80 % interval of the expected effect; None for a router that gives none."""
    effect_high: float | None = None
    """Upper end of the same interval."""
    ttft_s: float | None = None
    """Expected seconds to the first token; None where none were logged."""
    output_tokens_per_s: float | None = None
    """Expected output tokens a second after the first; None where none were logged."""
    has_logged_latency: bool | None = None
    """Whether a latency of the model itself was logged; where none was, `latency_s` is a guess by
    the card and the other models. None for a router that does not tell."""
    _split: tuple[UtilityArrays, int] | None = field(default=None, repr=False, compare=False)
    """The parts of all utilities, and the column of this model: what `parts` reads."""

    @property
    def parts(self) -> UtilityParts | None:
        """What the utility is made of; None for a rejected model."""
        if self._split is None:
            return None
        arrays, column = self._split
        return UtilityParts(
            float(arrays.effect[column]),
            float(arrays.dollars[column]),
            float(arrays.seconds[column]),
            {name: float(values[column]) for name, values in arrays.penalties.items()},
        )

    @property
    def doubt(self) -> float | None:
        """Width of the interval of the expected effect: how little is known of the model here.

        None without an interval.

        Example:
            >>> ends = {"effect_low": 0.25, "effect_high": 0.75}
            >>> Candidate("new", 0.6, None, None, None, 0.6, **ends).doubt
            0.5
        """
        if self.effect_low is None or self.effect_high is None:
            return None
        return self.effect_high - self.effect_low


@dataclass(frozen=True, slots=True, repr=False)
class Evidence:
    """A solved query that resembles the one being routed."""

    query_id: str
    prompt: str
    task: str | None
    similarity: float
    """Cosine similarity of the prompt embeddings, their training mean taken off, in [-1, 1]."""
    effects: Mapping[str, float]
    """Observed effect by model; a model that was never run on it is absent."""

    @property
    def solved_by(self) -> tuple[str, ...]:
        """Models with an effect of at least `SOLVED`."""
        return tuple(model for model, effect in self.effects.items() if effect >= SOLVED)

    def __repr__(self) -> str:
        return (
            f"Evidence({self.query_id!r}, {cut_text(self.prompt, 60)!r}, "
            f"similarity={self.similarity:.3f}, solved by {len(self.solved_by)} of "
            f"{count_of(len(self.effects), 'model')})"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Decision:
    """Where to send one query, and why.

    Example:
        >>> late = "latency 12.00 s above 10"
        >>> slow = Candidate("grand", 0.9, 0.004, 300.0, 12.0, None, rejected=late)
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
    candidates: Sequence[Candidate]
    """Every model of the pool: those in the running first, best first, then the rejected ones. Made
    when it is looked at, as is `evidence`."""
    evidence: Sequence[Evidence] = ()
    """The most similar solved queries, most similar first."""
    used_fallback: bool = False
    """True when nobody satisfied the policy and its named fallback was taken."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    """The policy's settings, without the defaults."""
    effect_low: float | None = None
    """Lower end of the 80 % interval of the expected effect of the chosen model; None for a router
    that gives none."""
    effect_high: float | None = None
    """Upper end of the same interval."""
    used_safe_model: bool = False
    """True when too little was known of the best candidate, or the prompt was too unfamiliar, and
    the policy's safe model was taken in its place."""
    familiarity: float | None = None
    """`Predictions.familiarity` of the query; None for a router that does not tell."""
    deviation_share: float = 1.0
    """Share that counted of what text and similar queries say of each model beyond its level in the
    task: 0.5 for a mean with the choice by levels, 0 for that choice alone. Below 1 only where held
    queries showed when the router was fitted that less is surely better."""
    route: str | None = None
    """The named route whose policy or models decided; None where the prompt is of none of them, or
    no routes were given."""
    route_confidence: float | None = None
    """Probability, in [0, 1], that the prompt is of that route, or of none where `route` is None;
    None where no routes were given."""

    def to_dict(self) -> dict[str, Any]:
        """All fields and `parts` as plain values, as `graphrouter route --json` prints them.

        NaN becomes None.

        Example:
            >>> Decision("nano", 0.6, None, candidates=()).to_dict()["model"]
            'nano'
        """
        plain = {each.name: to_plain(getattr(self, each.name)) for each in fields(self)}
        for candidate, row in zip(self.candidates, plain["candidates"], strict=True):
            row["parts"] = to_plain(candidate.parts)
        return {**plain, "parts": to_plain(self.parts)}

    @property
    def parts(self) -> UtilityParts | None:
        """What the utility of the chosen model is made of: effect, dollars, seconds and penalties.

        None where the policy ruled the model out, as it may the fallback.
        """
        return next((c.parts for c in self.candidates if c.model == self.model), None)

    @property
    def rejected(self) -> dict[str, str]:
        """Why each model that the policy ruled out was ruled out, by model."""
        return {c.model: c.rejected for c in self.candidates if c.rejected is not None}

    @property
    def latency_s(self) -> float | None:
        """Expected seconds to the end of the answer of the chosen model; None when unknown.

        With what the moment adds, `extra_latency_s`.
        """
        return next(c.latency_s for c in self.candidates if c.model == self.model)

    @property
    def ttft_s(self) -> float | None:
        """Expected seconds to the first token of the chosen model, as `latency_s`."""
        return next(c.ttft_s for c in self.candidates if c.model == self.model)

    def __repr__(self) -> str:
        ends = (
            ""
            if self.effect_low is None or self.effect_high is None
            else f" [{self.effect_low:.3f}, {self.effect_high:.3f}]"
        )
        cost = "None" if self.cost_usd is None else f"{self.cost_usd:.3g}"
        near = "" if self.familiarity is None else f", familiarity={self.familiarity:.2f}"
        counts_more = {"usd_per_second", "penalties"} & set(self.policy)
        split = self.parts if counts_more else None
        parts = f", utility={split.total:.3g} ({split})" if split else ""
        return (
            f"Decision({self.model!r}, effect={self.effect:.3f}{ends}, cost_usd={cost}"
            f"{near}{parts}, {len(self.candidates)} candidates, {len(self.rejected)} rejected)"
        )

    def _repr_html_(self) -> str:
        shown = ("model", "effect", "effect_low", "effect_high", "cost_usd", "latency_s", "utility")
        candidates = render_table(
            repr(self),
            (*shown, "why not"),
            (
                (*(getattr(candidate, name) for name in shown), candidate.rejected or "")
                for candidate in self.candidates
            ),
        )
        if not self.evidence:
            return candidates
        solved = render_table(
            "Similar queries",
            ("query_id", "task", "prompt", "similarity", "solved by"),
            (
                (each.query_id, each.task, each.prompt, each.similarity, ", ".join(each.solved_by))
                for each in self.evidence
            ),
        )
        return f"{candidates}\n{solved}"
