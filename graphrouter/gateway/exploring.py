"""Exploration: a stated share of decisions tries a candidate that is not the best by what is known.

Each decision has a propensity for every candidate, the probability with which it was to be asked;
what other policies would have earned can be estimated by them alone. Caps on what exploration may
cost are put on before anybody is drawn, so that propensities stay exact under them.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np

from graphrouter.decision import Candidate, Decision
from graphrouter.exceptions import ConfigError
from graphrouter.gateway.newcomers import share_among_newcomers
from graphrouter.gateway.token_prices import to_nanousd
from graphrouter.number_checks import is_amount, is_number
from graphrouter.types import FloatArray
from graphrouter.wording import show_value

__all__ = ["Exploration", "ExplorationFigures", "ExplorationKind", "Tried", "find_chances"]

ExplorationKind = Literal["thompson", "uniform"]
NUM_DRAWS = 200
NUM_SEEN = 500
"""Decisions that a newcomer's share is told of."""
_DAY_S = 86_400
_Z80 = 1.2815515655446004
"""Standard deviations from the middle to an end of an 80 % interval."""


class Tried(NamedTuple):
    """Whom a decision asks first, and with which probability it might have asked each."""

    model: str
    propensities: dict[str, float]
    """By model; they sum to 1, and a model that had no chance is absent."""


@dataclass
class ExplorationFigures:
    """What exploration has done in this process."""

    num_decisions: int = 0
    """That might have tried somebody else than the best."""
    tried: Counter[str] = field(default_factory=Counter)
    """Decisions by the model that was tried in the place of the best."""
    expected_loss: float = 0.0
    """Effect that the decisions were expected to lose by it, summed."""
    extra_nanousd: int = 0
    """Dollars that tried models were expected to cost more than the best, summed."""
    newcomers: dict[str, deque[float]] = field(default_factory=dict)
    """Propensities of each newcomer in the last decisions that might have asked it."""

    def find_share(self, model: str) -> float | None:
        """Mean share of the last decisions that a newcomer had; None before it had any."""
        seen = self.newcomers.get(model)
        return sum(seen) / len(seen) if seen else None


class Exploration:
    """Asks the best candidate but for a share of decisions, which is given by chance.

    `thompson` gives it in proportion to how often a candidate would be best if effects were what
    their intervals allow: normal ones with the interval as their middle 80 %, one draw for each
    candidate (Thompson, 1933). `uniform` gives each candidate that the policy allows the same.
    Newcomers have a share of their own, by `share_among_newcomers`.
    """

    def __init__(
        self,
        share: float = 0.0,
        kind: ExplorationKind = "thompson",
        *,
        by_task: Mapping[str, float] | None = None,
        newcomers: float = 0.0,
        most_loss: float | None = None,
        usd_per_day: float | None = None,
        seed: int | None = None,
    ) -> None:
        """An exploration.

        Args:
            share: Of decisions, in [0, 1].
            kind: By what the share is given.
            by_task: Shares of tasks that have another one.
            newcomers: Share of decisions that newcomers may have together, in [0, 1].
            most_loss: Effect that a decision may be expected to lose by exploration, on average
                over whom it may ask; above it the shares shrink. None for any.
            usd_per_day: Dollars that tried models may be expected to cost more than the best ones,
                in all on a day of UTC; None for any.
            seed: Of what it draws; drawn too without one.

        Raises:
            ConfigError: A share or cap is out of range.
        """
        shares = {"share": share, **(by_task or {}), "newcomers": newcomers}
        for name, each in shares.items():
            if not is_number(each) or not 0 <= each <= 1:
                told = "" if name == "share" else f" ({name})"
                raise ConfigError(
                    f"A share of {each} is explored{told}; expected a number in [0, 1]."
                )
        if kind not in get_args(ExplorationKind):
            raise ConfigError(f"kind is {show_value(kind)}; expected thompson or uniform.")
        for name, cap in (("most_loss", most_loss), ("usd_per_day", usd_per_day)):
            if cap is not None and not is_amount(cap):
                raise ConfigError(f"{name} is {show_value(cap)}; expected a number of at least 0.")
        self.share, self.kind, self.by_task = share, kind, dict(by_task or {})
        self.newcomers, self.most_loss = newcomers, most_loss
        self.nanousd_per_day = None if usd_per_day is None else to_nanousd(usd_per_day)
        self.figures = ExplorationFigures()
        self._day, self._spent = -1, 0
        self._rng = np.random.default_rng(seed)

    def try_one(
        self,
        decision: Decision,
        *,
        task: str | None = None,
        newcomers: Mapping[str, int] | None = None,
    ) -> Tried:
        """Whom to ask first; `count` says that it was done.

        A decision that fell back, or took the safe model, tries nobody else.

        Args:
            decision: What is known.
            task: Of the prompt.
            newcomers: Models that are new, with the outcomes known of each.

        Example:
            >>> pair = [Candidate(name, 0.5, None, None, None, 0.5) for name in ("a", "b")]
            >>> decision = Decision("a", 0.5, None, tuple(pair))
            >>> Exploration(0.5, "uniform", seed=0).try_one(decision).propensities
            {'a': 0.75, 'b': 0.25}
        """
        running = [each for each in decision.candidates if each.rejected is None]
        is_settled = decision.used_fallback or decision.used_safe_model
        share = self.by_task.get(task or "", self.share)
        new = newcomers if newcomers and self.newcomers else {}
        if not (share or new) or is_settled or len(running) < 2:
            return Tried(decision.model, {decision.model: 1.0})
        names = [each.model for each in running]
        best = names.index(decision.model)
        shares = self._share_out(running, best, share, new)
        shares[best] = 0.0
        shares = self._hold_to_caps(running, best, shares)
        shares[best] = max(0.0, 1 - shares.sum())
        shares /= shares.sum()
        drawn = names[int(self._rng.choice(len(names), p=shares))]
        pairs = zip(names, shares.tolist(), strict=True)
        return Tried(drawn, {name: each for name, each in pairs if each > 0})

    def count(
        self, decision: Decision, tried: Tried, newcomers: Mapping[str, int] | None = None
    ) -> int:
        """Count what was tried; nanodollars that it is expected to cost more than the best.

        Args:
            decision: What was known.
            tried: By `try_one`.
            newcomers: As for that.
        """
        running = [each for each in decision.candidates if each.rejected is None]
        best = next((i for i, each in enumerate(running) if each.model == decision.model), None)
        if best is None:
            return 0
        figures, chances = self.figures, tried.propensities
        figures.num_decisions += 1
        losses = zip(running, _find_losses(running, best).tolist(), strict=True)
        figures.expected_loss += sum(chances.get(each.model, 0.0) * loss for each, loss in losses)
        for each in running:
            if each.model in (newcomers or {}):
                seen = figures.newcomers.setdefault(each.model, deque(maxlen=NUM_SEEN))
                seen.append(chances.get(each.model, 0.0))
        if tried.model == decision.model:
            return 0
        figures.tried[tried.model] += 1
        extra = _find_extra(running, best)[[each.model for each in running].index(tried.model)]
        extra = 0 if math.isinf(extra) else int(extra)
        figures.extra_nanousd += extra
        now = time.time()
        self.note_spent(now, self._find_spent(now) + extra)
        return extra

    def note_spent(self, at: float, nanousd: int) -> None:
        """Take in what was spent on exploring on a day, by all gateways of a store.

        Args:
            at: A time of that day.
            nanousd: At least so much.
        """
        self._spent = max(nanousd, self._find_spent(at))
        self._day = int(at // _DAY_S)

    def _find_spent(self, at: float) -> int:
        return self._spent if self._day == int(at // _DAY_S) else 0

    def _share_out(
        self, running: Sequence[Candidate], best: int, share: float, newcomers: Mapping[str, int]
    ) -> FloatArray:
        """(num_running,) what each has of a decision before any cap."""
        if self.kind == "uniform":
            found: FloatArray = np.full(len(running), share / len(running))
        else:
            found = share * find_chances(running, self._rng) if share else np.zeros(len(running))
        if newcomers:
            found = found + share_among_newcomers(
                [each.model for each in running],
                newcomers,
                min(self.newcomers, 1 - share),
                chance=_find_better(running, best),
                doubt=np.array([each.doubt or 0.0 for each in running]),
            )
        return found

    def _hold_to_caps(
        self, running: Sequence[Candidate], best: int, shares: FloatArray
    ) -> FloatArray:
        if self.nanousd_per_day is not None:
            room = self.nanousd_per_day - self._find_spent(time.time())
            extra = _find_extra(running, best)
            shares = np.where((extra <= room) & ((extra == 0) | (room > 0)), shares, 0.0)
        loss = float(shares @ _find_losses(running, best))
        if self.most_loss is not None and loss > self.most_loss:
            shares = shares * (self.most_loss / loss)
        return shares


def find_chances(running: Sequence[Candidate], rng: np.random.Generator) -> FloatArray:
    """How often each of some candidates is the best by its interval, (num_running,); sums to 1.

    Args:
        running: That a policy leaves.
        rng: Draws the effects, one for each candidate at a time.
    """
    # The choice is drawn from the very frequencies that are written down, so that propensities
    # are exact however few the draws.
    utility, spread = _find_normals(running)
    drawn = utility + spread * rng.standard_normal((NUM_DRAWS, len(running)))
    return np.bincount(drawn.argmax(axis=1), minlength=len(running)) / NUM_DRAWS


def _find_better(running: Sequence[Candidate], best: int) -> FloatArray:
    """(num_running,) chance that each is better than the best by their intervals."""
    utility, spread = _find_normals(running)
    apart = np.sqrt(spread**2 + spread[best] ** 2)
    score = (utility - utility[best]) / np.maximum(apart, 1e-12) / math.sqrt(2)
    return np.array([0.5 * (1 + math.erf(each)) for each in score.tolist()])


def _find_normals(running: Sequence[Candidate]) -> tuple[FloatArray, FloatArray]:
    """(num_running,) each: mean and standard deviation of utilities by their intervals."""
    utility = np.array([each.utility or 0.0 for each in running])
    spread = np.array([_slope(each) * (each.doubt or 0.0) / (2 * _Z80) for each in running])
    return utility, spread


def _find_losses(running: Sequence[Candidate], best: int) -> FloatArray:
    """(num_running,) effect that asking each is expected to lose, by its utility, at least 0."""
    utility = np.array([each.utility or 0.0 for each in running])
    losses: FloatArray = np.maximum(0.0, utility[best] - utility) / (_slope(running[best]) or 1.0)
    return losses


def _find_extra(running: Sequence[Candidate], best: int) -> FloatArray:
    """(num_running,) nanodollars more than the best, at least 0; infinite where it is unknown."""
    costs = np.array([math.nan if each.cost_usd is None else each.cost_usd for each in running])
    extra = np.maximum(0.0, np.ceil((costs - costs[best]) * 1e9))
    return np.where(np.isnan(extra), math.inf, extra)


def _slope(candidate: Candidate) -> float:
    """What a policy gives for a unit of effect."""
    parts = candidate.parts
    if parts is None or not candidate.effect:
        return 1.0
    return parts.effect / candidate.effect
