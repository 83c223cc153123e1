"""From what people and judges said of an answer to its effect, by a map that is stated."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from graphrouter.exceptions import DataError
from graphrouter.logs.logged_calls import LoggedCall, read_number
from graphrouter.wording import count_of, show_value, suggest

__all__ = ["GradeScale", "choose_scale", "find_scores"]

_THUMBS = {
    **dict.fromkeys(("up", "thumbs_up", "thumbsup", "👍", "like", "positive", "good"), 1.0),
    **dict.fromkeys(("true", "yes", "pass", "passed", "correct"), 1.0),
    **dict.fromkeys(("down", "thumbs_down", "thumbsdown", "👎", "dislike", "negative", "bad"), 0.0),
    **dict.fromkeys(("false", "no", "fail", "failed", "incorrect"), 0.0),
}
"""Words that are one of two, in lower case."""
_MOST_LISTED = 8
_HOW = "Say --grade NAME=LOW..HIGH, such as --grade rating=1..5, or --grade NAME=good:1,poor:0."


class GradeScale(NamedTuple):
    """Which score is the grade of an answer, and what its values mean.

    Example:
        >>> scale = GradeScale.parse("rating=1..5")
        >>> scale.read(4), GradeScale.parse("verdict=good:1,fair:0.5").read("fair")
        (0.75, 0.5)
        >>> GradeScale("feedback").read("👎")
        0.0
    """

    name: str
    low: float = 0.0
    """Number that means an effect of 0."""
    high: float = 1.0
    """Number that means an effect of 1; below `low` where less is better."""
    words: Mapping[str, float] = {}
    """Effects of words, in lower case, in the place of a range."""

    @classmethod
    def parse(cls, text: str) -> GradeScale:
        """The scale that a text states: NAME, NAME=LOW..HIGH or NAME=word:effect,word:effect.

        Raises:
            DataError: It states none.
        """
        name, has_map, stated = text.partition("=")
        try:
            if not name.strip() or (has_map and not stated):
                raise ValueError
            if not has_map:
                return cls(name.strip())
            if ":" in stated:
                pairs = (part.rsplit(":", 1) for part in stated.split(","))
                words = {word.strip().lower(): float(effect) for word, effect in pairs}
                if not all(0 <= effect <= 1 for effect in words.values()):
                    raise ValueError
                return cls(name.strip(), words=words)
            low, high = map(float, stated.split("..", 1))
            if low == high or not math.isfinite(low + high):
                raise ValueError
            return cls(name.strip(), low, high)
        except ValueError:
            raise DataError(f"--grade is {text!r}, which is no scale. {_HOW}") from None

    def read(self, value: object) -> float:
        """The effect of a value, NaN where there is none.

        Raises:
            ValueError: The scale does not say what the value means.
        """
        if value is None or value == "":
            return math.nan
        if self.words:
            return self.words[str(value).strip().lower()]
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, str) and value.strip().lower() in _THUMBS:
            return _THUMBS[value.strip().lower()]
        number = float(value)  # type: ignore[arg-type]
        if math.isnan(number):
            return math.nan
        effect = (number - self.low) / (self.high - self.low)
        if not 0 <= effect <= 1:
            raise ValueError
        return effect

    def grade(self, calls: Sequence[LoggedCall]) -> list[float]:
        """The effect of each call, NaN where it has no such score.

        Raises:
            DataError: Values are not on the scale; says which there are.
        """
        effects, wrong = [], Counter[str]()
        for call in calls:
            value = find_scores(call).get(self.name)
            try:
                effects.append(self.read(value))
            except (KeyError, ValueError, TypeError):
                wrong[show_value(value)] += 1
        if wrong:
            named = ", ".join(value for value, _ in wrong.most_common(_MOST_LISTED))
            known = ", ".join(self.words) or f"{self.low:g} to {self.high:g}"
            raise DataError(
                f"{count_of(sum(wrong.values()), 'score', 'of', 'of')} {self.name!r} "
                f"{'is' if sum(wrong.values()) == 1 else 'are'} not on the scale ({known}): "
                f"{named}. {self._propose(calls)}"
            )
        return effects

    def _propose(self, calls: Sequence[LoggedCall]) -> str:
        """How to state the scale, by the numbers that the log holds."""
        numbers = [read_number(find_scores(call).get(self.name)) for call in calls]
        known = [number for number in numbers if not math.isnan(number)]
        if not known or min(known) == max(known):
            return _HOW
        seen = f"{self.name}={min(known):g}..{max(known):g}"
        return f"They go from {min(known):g} to {max(known):g}: --grade {seen}? {_HOW}"


def find_scores(call: LoggedCall) -> Mapping[str, Any]:
    """What may be the grade of a call: its scores, or else what the user has noted of it."""
    return {**call.metadata, **call.scores}


def choose_scale(calls: Iterable[LoggedCall], stated: str | None) -> GradeScale | None:
    """The scale of a log: that which was stated, or the only score there is; None without any.

    Args:
        calls: Of the log.
        stated: As `GradeScale.parse` reads it.

    Raises:
        DataError: There are several scores and none was stated, or no call has the one stated.
    """
    names: Counter[str] = Counter()
    noted: set[str] = set()
    for call in calls:
        names.update(name for name, value in call.scores.items() if value is not None)
        noted.update(call.metadata)
    if stated is not None:
        scale = GradeScale.parse(stated)
        if scale.name not in names and scale.name not in noted:
            hint = suggest(scale.name, dict.fromkeys([*names, *sorted(noted)]), "There are: ")
            raise DataError(f"No call of the log has a score {scale.name!r}. {hint}".rstrip())
        return scale
    if len(names) > 1 and "effect" not in names:
        listed = ", ".join(
            f"{name} ({number:,})" for name, number in names.most_common(_MOST_LISTED)
        )
        raise DataError(
            f"The log has several scores: {listed}. Say which is the grade: --grade NAME."
        )
    if "effect" in names:
        return GradeScale("effect")
    return GradeScale(next(iter(names))) if names else None
