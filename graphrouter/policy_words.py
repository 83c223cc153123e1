"""Settings of a policy from what people write: one weight of two, and words such as NAME=VALUE."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphrouter.own_fields import OwnValue, check_value
from graphrouter.wording import show_value

__all__ = [
    "PRESET",
    "RIVALS",
    "WEIGHTS",
    "OptionName",
    "check_charges",
    "check_is_no_preset",
    "check_one_goal",
    "complete_weights",
    "freeze",
    "read_given",
    "read_pairs",
    "read_penalties",
    "read_requirements",
]


PRESET = "preset"
"""Name of a preset among plain values, in the place of the two weights."""
WEIGHTS = ("effect_weight", "cost_weight")
RIVALS = ("min_effect", "usd_per_effect")
"""What is maximised in the place of the weights, the first that is set."""


@dataclass(frozen=True)
class OptionName:
    """How a setting is named in a command line, where its field alone does not say it."""

    name: str | None = None
    """The option without its dashes; the name of the field by default."""
    metavar: str | None = None
    """What stands for the value in the help."""


def check_is_no_preset(values: Mapping[str, Any]) -> None:
    """Refuse a preset among the fields of a policy, of which it is none.

    Raises:
        ValueError: There is one.
    """
    if PRESET in values:
        raise ValueError(
            f"preset = {show_value(values[PRESET])} is no field; expected "
            f"Policy.preset({show_value(values[PRESET])}, ...) with the other settings, or "
            "parse_policy"
        )


def check_charges(settings: Mapping[str, Any], *, is_weighed: bool) -> None:
    """Refuse seconds where no dollar counts, and penalties where no effect does.

    Args:
        settings: All fields of a policy.
        is_weighed: Whether the weights say what is maximised.

    Raises:
        ValueError: The policy counts such.
    """
    if settings["usd_per_second"] is not None and is_weighed and settings["cost_weight"] == 0:
        raise ValueError(
            "usd_per_second adds seconds to the dollars, and cost_weight = 0 lets no dollar "
            "count; set a cost_weight above 0, or usd_per_effect"
        )
    if settings["penalties"] and settings["min_effect"] is not None:
        raise ValueError(
            "penalties take off effect, and min_effect takes the cheapest model; set one of the two"
        )
    if settings["penalties"] and is_weighed and settings["effect_weight"] == 0:
        raise ValueError(
            "penalties take off effect, and effect_weight = 0 lets none count; set an "
            "effect_weight above 0, or usd_per_effect"
        )


def check_one_goal(given: Collection[str]) -> None:
    """Refuse two settings that both say what is maximised: one of them would not count.

    Args:
        given: Those of `WEIGHTS` and `RIVALS` that are set.

    Raises:
        ValueError: Both rivals are, or one beside a weight.

    Example:
        >>> check_one_goal(["effect_weight", "cost_weight"])
    """
    rivals = [name for name in RIVALS if name in given]
    if len(rivals) == len(RIVALS):
        raise ValueError(
            "min_effect takes the cheapest model, usd_per_effect the best value; set one of the two"
        )
    if rivals and len(given) > len(rivals):
        raise ValueError(
            f"{rivals[0]} and the weights (effect_weight, cost_weight, or a preset) both say what "
            "is maximised; set one of the two"
        )


def freeze(value: Any) -> Hashable:
    """A setting that has a hash, the same for equal ones: mappings in any order, 1 as 1.0.

    Example:
        >>> freeze({"a": 1, "b": [2]}) == freeze({"b": [2.0], "a": True})
        True
    """
    if isinstance(value, Mapping):
        return frozenset((name, freeze(each)) for name, each in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    return frozenset(value) if isinstance(value, set) else value


def read_given(
    values: Mapping[str, Any], presets: Mapping[Any, tuple[float, float]]
) -> dict[str, Any]:
    """The settings that are given, with weights in the place of a preset.

    Args:
        values: By name; None and an empty list count as not given.
        presets: Weights of effect and cost of each.

    Raises:
        ValueError: There is no such preset, or another setting says what is maximised too.

    Example:
        >>> read_given({"preset": "balanced", "allowed": None}, {"balanced": (0.5, 0.5)})
        {'effect_weight': 0.5, 'cost_weight': 0.5}
    """
    rest = {name: value for name, value in values.items() if not _is_absent(value)}
    preset = rest.pop(PRESET, None)
    if preset is None:
        return rest
    if not isinstance(preset, str) or preset not in presets:
        raise ValueError(f"unknown preset {show_value(preset)}. Presets: {', '.join(presets)}")
    rival = next((name for name in (*WEIGHTS, *RIVALS) if name in rest), None)
    if rival is not None:
        raise ValueError(
            f"the preset {preset!r} and {rival} both say what is maximised; give one of the two"
        )
    return {**rest, **dict(zip(WEIGHTS, presets[preset], strict=True))}


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple) and not value)


def complete_weights(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, with the other weight beside one that is given alone: the rest of 1.

    Raises:
        ValueError: The one is above 1, and leaves nothing.

    Example:
        >>> complete_weights({"cost_weight": 0.3})
        {'cost_weight': 0.3, 'effect_weight': 0.7}
    """
    given = {name: values[name] for name in WEIGHTS if values.get(name) is not None}
    if len(given) != 1:
        return dict(values)
    [(name, text)] = given.items()
    try:
        weight = float(text)  # "0.3" too: what the field accepts must complete the other
    except (TypeError, ValueError):
        return dict(values)  # the field says what is wrong
    other = "cost_weight" if name == "effect_weight" else "effect_weight"
    if weight > 1:
        raise ValueError(
            f"{name} = {weight:g} leaves no weight for {other}; give both, or one between 0 and 1"
        )
    return {**values, other: round(1 - weight, 12)} if weight >= 0 else dict(values)


def read_pairs(words: Iterable[Any], *, expected: str, of_last: bool = False) -> dict[str, str]:
    """Texts by name, from words such as `energy_wh=0.02`.

    Args:
        words: As an option of a command line has them.
        expected: What a right word is, for messages.
        of_last: The last equals sign of a word divides it, in place of the first: for names that
            may hold one.

    Raises:
        ValueError: A word has another form, or a name occurs twice.

    Example:
        >>> read_pairs(["energy_wh=0.02"], expected="a field and a number")
        {'energy_wh': '0.02'}
    """
    found: dict[str, str] = {}
    for word in words:
        text = word if isinstance(word, str) else ""
        name, sign, value = text.rpartition("=") if of_last else text.partition("=")
        name, value = name.strip(), value.strip()
        if not (name and sign and value):
            raise ValueError(f"received {word!r}; expected {expected}")
        if name in found:
            raise ValueError(f"names {name!r} twice; expected each once")
        found[name] = value
    return found


def read_requirements(
    asked: Any, capabilities: Sequence[str]
) -> tuple[str, ...] | dict[str, OwnValue]:
    """What cards must state: capabilities alone as they are, else values by field.

    Args:
        asked: Words, a mapping, or what this gives back.
        capabilities: Fields that a name alone may ask for.

    Raises:
        ValueError: It is something else.

    Example:
        >>> read_requirements(["tools", "region=eu"], ["tools"])
        {'tools': True, 'region': 'eu'}
    """
    if isinstance(asked, Mapping):
        return {_check_name("requires", name): _check(name, asked[name]) for name in asked}
    _check_words("requires", asked, "{'region': 'eu'}")
    names = [word for word in asked if "=" not in word]
    for place, word in enumerate(asked):
        if word in names and word not in capabilities:
            raise ValueError(
                f"requires.{place} = {word!r} is not accepted: expected "
                f"{', '.join(capabilities)}, or a field of the card and its value, such as "
                "region=eu"
            )
    if len(names) == len(asked):
        return tuple(asked)
    pairs = _read("requires", (word for word in asked if "=" in word), "region=eu", names)
    return {**dict.fromkeys(names, True), **pairs}


def read_penalties(asked: Any) -> dict[str, Any]:
    """Effect a unit by field, from words or a mapping; the numbers are left to be checked.

    Raises:
        ValueError: It is something else, or a number is true or false.

    Example:
        >>> read_penalties(["energy_wh=0.02"])
        {'energy_wh': '0.02'}
    """
    if not isinstance(asked, Mapping):
        _check_words("penalties", asked, "{'energy_wh': 0.02}")
        return dict(_read("penalties", asked, "energy_wh=0.02"))
    for name, value in asked.items():
        _check_name("penalties", name)
        if value is None or isinstance(value, bool):
            raise ValueError(
                f"penalties.{name} = {value} is not accepted: expected a finite number of at least "
                "0, the effect that one unit of the field takes off"
            )
    return dict(asked)


def _read(
    setting: str, words: Iterable[str], example: str, taken: Collection[str] = ()
) -> dict[str, str]:
    try:
        pairs = read_pairs(words, expected=f"NAME=VALUE, such as {example}")
    except ValueError as error:
        raise ValueError(f"{setting} {error}") from None
    for name in pairs:
        if name in taken:
            raise ValueError(f"{setting} names {name!r} twice; expected each once")
    return pairs


def _check_words(setting: str, asked: Any, example: str) -> None:
    is_list = isinstance(asked, list | tuple)
    if not is_list or not all(isinstance(word, str) for word in asked):
        raise ValueError(
            f"{setting} = {asked!r} is not accepted: expected a mapping from fields of the card, "
            f"such as {example}, or a list of words"
        )


def _check_name(setting: str, name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"{setting} names {name!r}; expected the name of a field of the card")
    return name


def _check(name: str, value: Any) -> OwnValue:
    try:
        return check_value(value)
    except ValueError as error:
        raise ValueError(f"requires.{name} = {value!r} is not accepted: expected {error}") from None
