"""Choices that a decision of the router is turned into: another of its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphrouter.decision import Candidate, Decision

__all__ = ["choose_by_threshold", "list_order", "list_running", "take"]


def list_running(decision: Decision) -> list[Candidate]:
    """The candidates that the policy leaves, best first."""
    return [each for each in decision.candidates if each.rejected is None]


def list_order(decision: Decision) -> tuple[str, ...]:
    """Models to ask, the chosen one first; it alone where it is the fallback of the policy."""
    others = () if decision.used_fallback else (each.model for each in list_running(decision))
    return tuple(dict.fromkeys((decision.model, *others)))


def take(decision: Decision, model: str) -> Decision:
    """The decision for another of its candidates, which stands first among them.

    Args:
        decision: Of the router.
        model: One of its candidates that is not rejected.
    """
    if model == decision.model:
        return decision
    taken = next(each for each in decision.candidates if each.model == model)
    others = tuple(each for each in decision.candidates if each is not taken)
    return replace(
        decision,
        model=model,
        effect=taken.effect,
        cost_usd=taken.cost_usd,
        effect_low=taken.effect_low,
        effect_high=taken.effect_high,
        candidates=(taken, *others),
        used_safe_model=False,
    )


def choose_by_threshold(
    decision: Decision, threshold: float, pair: Sequence[str] | None
) -> Decision:
    """The stronger of two models where it is sure enough to answer better, else the weaker.

    As in RouteLLM (Ong et al. 2024, section 3): the strong model is asked where the chance that it
    wins reaches the threshold. With effects as chances to solve the prompt, independent of each
    other, and a tie counted half, that chance is (1 + strong - weak) / 2.

    Args:
        decision: By effect alone.
        threshold: In [0, 1]; up to 0.5 the stronger one is always asked, 0.6 asks it where its
            effect is higher by 0.2.
        pair: Strong and weak model by name; None for the one of the highest effect on this prompt
            and the one of the lowest cost.

    Example:
        >>> grand = Candidate("grand", 0.9, 0.01, None, None, 0.9)
        >>> nano = Candidate("nano", 0.75, 0.001, None, None, 0.75)
        >>> decision = Decision("grand", 0.9, 0.01, (grand, nano))
        >>> [choose_by_threshold(decision, each, None).model for each in (0.5, 0.57, 0.6)]
        ['grand', 'grand', 'nano']
    """
    running = list_running(decision)
    if pair is None:
        strong = max(running, key=lambda each: each.effect)
        weak = min(
            running, key=lambda each: float("inf") if each.cost_usd is None else each.cost_usd
        )
    else:
        named = [each for name in pair for each in running if each.model == name]
        strong, weak = named[0], named[-1]
    wins = (1 + strong.effect - weak.effect) / 2
    return take(decision, (strong if wins >= threshold else weak).model)
