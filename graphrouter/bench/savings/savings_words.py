"""What savings say in plain words: a headline, a sentence for each policy, what is sure or not."""

from __future__ import annotations

import math
from collections.abc import Callable

from graphrouter.bench.pictures.picture_style import show_dollars
from graphrouter.bench.savings.policy_amounts import Amount
from graphrouter.bench.savings.savings_result import MOSTLY, PolicySavings, Savings

_ALIKE = 0.02
"""A difference in quality within which two ways count as alike."""


def show_points(effect: float) -> str:
    """An effect as points of 100.

    Example:
        >>> show_points(0.8126)
        '81.3'
    """
    return "?" if math.isnan(effect) else f"{100 * effect:.1f}"


def give_headline(savings: Savings) -> str:
    """The best that can be said, in one sentence: most saved without much worse answers.

    A policy is named whose range of costs lies below the baseline's, and whose answers are at worst
    two points of 100 lower.
    """
    base = savings.baseline.name.removeprefix("Always ")
    cheaper = [each for each in savings.policies if each.saved_usd and each.saved_usd.low > 0]
    keeps = [each for each in cheaper if each.effect_change and each.effect_change.low > -_ALIKE]
    if not cheaper:
        return f"No way tried here is sure to cost less than {base} for every call."
    if not keeps:
        return (
            f"Every way that costs less than {base} for every call may answer worse by more than "
            f"{100 * _ALIKE:.0f} points of 100."
        )
    best = max(keeps, key=lambda each: each.saved_usd.value if each.saved_usd else 0.0)
    saved, change = best.saved_usd, best.effect_change
    share = "" if best.saved_share is None else f" {best.saved_share:.0%}"
    quality = ""
    if change is not None:
        quality = (
            "its answers are better"
            if change.low > 0
            else f"its answers are at worst {-100 * change.low:.1f} points of 100 lower"
        )
    is_told = all(each is not None and _is_told(each) for each in (saved, change))
    start = "" if is_told else "By what is predicted, "
    return f"{start}“{best.name}” costs{share} less than {base} for every call, and {quality}."


def describe_policy(policy: PolicySavings) -> str:
    """What a policy saves and what that does to quality, with the range of each."""
    saved, change = policy.saved_usd, policy.effect_change
    if saved is None or change is None:
        return ""
    share = "" if policy.saved_share is None else f" ({abs(policy.saved_share):.0%})"
    word = "less" if saved.value >= 0 else "more"
    cost = (
        f"It would have cost {show_dollars(abs(saved.value))}{share} {word}; "
        f"{_tell_range(saved, show_dollars, 'less', 'more')}."
    )
    points = f"{100 * abs(change.value):.1f} points of 100"
    word = "better" if change.value >= 0 else "worse"
    quality = (
        f"Its answers would have been {points} {word}; "
        f"{_tell_range(change, lambda value: f'{100 * value:.1f}', 'better', 'worse')}."
    )
    return f"{cost} {quality}"


def list_sure(savings: Savings) -> list[str]:
    """What the log itself says, beyond chance."""
    found = []
    logged = savings.logged
    if logged is not None:
        priced = "" if logged.share_priced >= 1 else f", of {logged.share_priced:.0%} of the calls"
        found.append(
            f"What was paid is known{priced}: {show_dollars(logged.paid_usd)} for "
            f"{savings.num_calls:,} calls."
        )
    base = savings.baseline.name.removeprefix("Always ")
    for policy in savings.policies:
        saved, change = policy.saved_usd, policy.effect_change
        if saved is not None and saved.excludes_zero and _is_told(saved):
            word = "less" if saved.value > 0 else "more"
            found.append(f"“{policy.name}” costs {word} than {base}.")
        if change is not None and change.excludes_zero and _is_told(change):
            word = "better" if change.value > 0 else "worse"
            found.append(f"“{policy.name}” answers {word} than {base}.")
    return found or ["Nothing about other ways to choose is sure from this log alone."]


def list_unsure(savings: Savings) -> list[str]:
    """What is predicted, what chance may have brought, and what nobody can see in a log."""
    predicted = [
        f"the {what} of “{policy.name}” ({1 - amount.share_from_log:.0%} of the calls)"
        for policy in (savings.baseline, *savings.policies)
        for what, amount in (("cost", policy.cost_usd), ("quality", policy.effect))
        if amount.share_from_log < 1
    ]
    found = []
    if predicted:
        found.append(
            "Predicted, since the log does not hold such answers or too few of them: "
            f"{', '.join(predicted)}."
        )
    for policy in savings.policies:
        saved, change = policy.saved_usd, policy.effect_change
        for amount, what in ((saved, "cheaper or dearer"), (change, "better or worse")):
            if amount is not None and not amount.excludes_zero:
                found.append(f"Whether “{policy.name}” is {what} cannot be told.")
    if savings.why_unknown:
        found.append(
            "Somebody chose the models by the look of the prompts, so the answers of one model "
            "cannot stand for those of another: where that matters, predictions stand there."
        )
    if savings.num_judged < savings.num_calls:
        found.append(
            f"All this was measured on {savings.num_judged:,} calls that the router has not "
            f"learned from; the other {savings.num_calls - savings.num_judged:,} are taken to be "
            "like them."
        )
    low, high = savings.cost_error
    if not math.isnan(low) and (low < 1 or high > 1):
        found.append(
            f"Predicted costs were off: models cost {low:.2f} to {high:.2f} times what was "
            "predicted. The ranges allow for that."
        )
    found.append(
        "Grades are taken as given. If only angry people grade, or next month's questions are "
        "others, nothing here can see it."
    )
    return found


def _tell_range(amount: Amount, show: Callable[[float], str], up: str, down: str) -> str:
    """Between which ends it lies, and whether the log tells that both lie on one side."""
    if math.isnan(amount.low) or math.isnan(amount.high):
        return "how far that may be off is not known"
    if not amount.excludes_zero:
        return f"between {show(abs(amount.low))} {down} and {show(abs(amount.high))} {up}"
    word = up if amount.low > 0 else down
    near, far = sorted((abs(amount.low), abs(amount.high)))
    sure = f"surely {word}" if _is_told(amount) else f"{word}, if predictions are right"
    return f"{sure}, between {show(near)} and {show(far)}"


def _is_told(amount: Amount) -> bool:
    """Whether the log tells it, by and large."""
    return amount.share_from_log >= MOSTLY
