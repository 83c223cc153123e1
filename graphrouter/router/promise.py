"""What is promised of a policy, on what it rests, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from graphrouter.exceptions import ConfigError
from graphrouter.files import to_plain
from graphrouter.notebook import render_table
from graphrouter.number_checks import is_number
from graphrouter.policy import Policy
from graphrouter.wording import count_of, show_value

BEST_SINGLE = "best_single"
"""Stands for the model with the best mean effect on what the router has learned from."""
METHOD = (
    "fixed-sequence Learn-then-Test (arXiv 2110.01052) with betting p-values (arXiv 2010.09686)"
)
_USUAL_SHARE = 0.99


@dataclass(frozen=True)
class Wish:
    """What is to be promised, checked."""

    keep: float | None
    """Share of the reference's effect to keep; None where that is not promised."""
    of: str
    """A model, or `best_single`."""
    confidence: float
    """Of all promises together."""
    max_mean_cost_usd: float | None = None
    beats: str | None = None

    @classmethod
    def read(
        cls,
        keep: float | None,
        of: str | None,
        confidence: float,
        *,
        max_mean_cost_usd: float | None = None,
        beats: str | None = None,
    ) -> Wish:
        """The wish of a caller, who keeps 99 % where he asks for nothing else.

        Raises:
            ConfigError: A value is out of range.
        """
        if keep is None and (of is not None or (max_mean_cost_usd is None and beats is None)):
            keep = _USUAL_SHARE
        if keep is not None and not (is_number(keep) and 0 < keep <= 1):
            raise ConfigError(
                f"keep is {show_value(keep)}; expected the share of the reference's effect to "
                "keep, above 0 and at most 1, such as 0.99."
            )
        if not (is_number(confidence) and 0 < confidence < 1):
            raise ConfigError(
                f"confidence is {show_value(confidence)}; expected a number between 0 and 1, such "
                "as 0.95."
            )
        if max_mean_cost_usd is not None and not (
            is_number(max_mean_cost_usd) and 0 < max_mean_cost_usd < float("inf")
        ):
            raise ConfigError(
                f"max_mean_cost_usd is {show_value(max_mean_cost_usd)}; expected US dollars a "
                "call, above 0."
            )
        of = BEST_SINGLE if of is None else of
        return cls(keep, of, confidence, max_mean_cost_usd, beats)

    @property
    def error(self) -> float:
        """Chance that may be spent on each side: what effects promise, and what costs do."""
        asks_effect = self.keep is not None or self.beats is not None
        both = asks_effect and self.max_mean_cost_usd is not None
        return (1 - self.confidence) / (2 if both else 1)


@dataclass(frozen=True, repr=False)
class Promise:
    """A policy and what is promised of it on queries like those it was calibrated on.

    Example:
        >>> promise = Promise(
        ...     Policy(usd_per_effect=0.02), "best_single", "grand", 0.95, 0.982, 0.953, 0.001,
        ...     0.004, None, None, None, None, 0.95, 840,
        ... )
        >>> promise.saving
        0.75
        >>> print(promise.describe().splitlines()[0])
        Keeps at least 95 % of the mean effect of grand (best_single), at a confidence of 95 %.
    """

    policy: Policy
    """The cheapest trade-off that keeps what is promised; to be used as any other policy."""
    of: str
    """The reference as it was asked for: a model, or `best_single`."""
    reference: str
    """The model that it is."""
    keep: float | None
    """Share of the reference's mean effect that is promised; None where none is."""
    share: float
    """Share that the policy reached on the graded queries; NaN for a reference that solves none."""
    share_low: float | None
    """Lower bound of that share for this policy alone, at least `keep`; None without `keep`."""
    mean_cost_usd: float
    """US dollars a call on the graded queries."""
    reference_cost_usd: float
    """US dollars a call of the reference on the same queries."""
    max_mean_cost_usd: float | None
    """Promised bound on the mean cost of a call; None where none is."""
    beats: str | None
    """Model that the policy is promised to beat at least as often as not; None where none is."""
    num_wins: int | None
    """Graded queries on which the policy had more effect than that model."""
    num_losses: int | None
    """Graded queries on which it had less."""
    confidence: float
    """Chance, over the draw of the graded queries, that all that is promised holds."""
    num_queries: int
    """Graded queries that it rests on."""
    num_seen: int = 0
    """Queries left out since the router has learned from their prompts."""
    num_ungraded: int = 0
    """Queries left out since a model that a trade-off may choose, or the reference, has no graded
    outcome with a cost there."""
    num_repeated: int = 0
    """Queries that repeat the prompt of another one, averaged into it."""
    method: str = METHOD

    @property
    def saving(self) -> float:
        """Share of the reference's cost that is saved; negative where the policy costs more."""
        if self.reference_cost_usd == 0:
            return 0.0 if self.mean_cost_usd == 0 else -float("inf")
        return 1 - self.mean_cost_usd / self.reference_cost_usd

    def to_json(self) -> dict[str, Any]:
        """All fields and the saving as plain values; `policy` as `Policy` and files take it."""
        plain = {each.name: to_plain(getattr(self, each.name)) for each in fields(self)}
        return {**plain, "policy": list_given(self.policy), "saving": to_plain(self.saving)}

    def describe(self) -> str:
        """The promise in words, a line each: what holds, what it costs, on what it rests."""
        sure = f"at a confidence of {say_share(self.confidence)}"
        whom = say_reference(self.reference, self.of)
        promised = []
        if self.keep is not None:
            promised.append(f"Keeps at least {say_share(self.keep)} of the mean effect of {whom}")
        if self.beats is not None:
            promised.append(f"Beats {self.beats} at least as often as not")
        if self.max_mean_cost_usd is not None:
            promised.append(f"Spends at most {self.max_mean_cost_usd:g} USD a call on average")
        first, *more = promised
        words = ", and ".join([first, *(each[0].lower() + each[1:] for each in more)])
        reached = f"reached {say_share(self.share)}"
        if self.share_low is not None:
            reached += f" (surely {say_share(self.share_low)})"
        if self.beats is not None:
            reached += f", won {self.num_wins:,} and lost {self.num_losses:,}"
        left_out = [
            f"{number:,} {why}"
            for number, why in (
                (self.num_seen, "that the router has learned from"),
                (self.num_ungraded, "without all the outcomes that are needed"),
                (self.num_repeated, "that repeat a prompt"),
            )
            if number
        ]
        lines = [
            f"{words}, {sure}.",
            f"Policy: {self.policy.describe()}.",
            f"On {count_of(self.num_queries, 'graded query')}: {reached}; "
            f"{self.mean_cost_usd:.3g} USD a "
            f"call, {self.reference} {self.reference_cost_usd:.3g}: "
            f"{say_share(abs(self.saving))} {'less' if self.saving >= 0 else 'more'}.",
            *(
                [f"Always asking {self.reference} keeps all of its effect for less."]
                if self.saving < 0
                else []
            ),
            *([f"Left out: {', '.join(left_out)}."] if left_out else []),
            "It holds for queries of the kinds that were graded, in the same proportions.",
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        promised = {
            "keep": self.keep,
            "max_mean_cost_usd": self.max_mean_cost_usd,
            "beats": self.beats,
        }
        given = ", ".join(f"{k}={v!r}" for k, v in promised.items() if v is not None)
        return (
            f"Promise({given}, of {self.reference!r}, confidence={self.confidence:g}, "
            f"saving={self.saving:.3f}, {count_of(self.num_queries, 'query')})"
        )

    def _repr_html_(self) -> str:
        lines = (line.partition(": ") for line in self.describe().splitlines())
        rows = [(head if colon else "", rest if colon else head) for head, colon, rest in lines]
        return render_table(repr(self), ("", "what"), rows)


def list_given(policy: Policy) -> dict[str, Any]:
    """The settings that a policy was made with, as plain values that make the same one again.

    Example:
        >>> list_given(Policy(usd_per_effect=0.02, excluded=("nano",)))
        {'usd_per_effect': 0.02, 'excluded': ['nano']}
    """
    return policy.model_dump(mode="json", include=set(policy.model_fields_set))


def say_reference(reference: str, of: str) -> str:
    """The model, and what it was asked for as."""
    return reference if of == reference else f"{reference} ({of})"


def say_share(share: float) -> str:
    """A share in per cent.

    Example:
        >>> say_share(0.99), say_share(0.98765)
        ('99 %', '98.77 %')
    """
    return f"{100 * share:.4g} %"
