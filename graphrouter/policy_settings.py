"""The settings of a policy as others offer them, read from its fields: options, parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from graphrouter.policy import PRESETS, Policy
from graphrouter.policy_words import PRESET, OptionName

__all__ = ["PolicySetting", "list_settings"]


@dataclass(frozen=True)
class PolicySetting:
    """One of the plain values of `parse_policy`, as an option or a parameter offers it."""

    name: str
    """A field of the policy, or `preset`."""
    help: str
    """What it means, in one or two sentences."""
    kind: type
    """Class of the value, of each value for a list: float, str, ... A mapping is a list of words
    such as NAME=VALUE."""
    choices: tuple[str, ...] = ()
    """The words that are accepted; empty where any value is."""
    is_list: bool = False
    option: OptionName = field(default_factory=OptionName)

    @property
    def option_name(self) -> str:
        """The long option of a command line, such as `--max-cost-usd`."""
        return f"--{(self.option.name or self.name).replace('_', '-')}"


def list_settings(kind: type[Policy] = Policy) -> tuple[PolicySetting, ...]:
    """All plain values that make a policy: the preset, then one for each field.

    Args:
        kind: The class, where it is one with more settings.

    Example:
        >>> [setting.option_name for setting in list_settings() if setting.is_list]
        ['--penalty', '--allow', '--exclude', '--require']
    """
    preset = PolicySetting(
        PRESET,
        f"Named weights: {', '.join(PRESETS)}. Without any policy: balanced.",
        str,
        choices=tuple(PRESETS),
        option=OptionName(metavar="NAME"),
    )
    return preset, *(_read_field(name, info) for name, info in kind.model_fields.items())


def _read_field(name: str, info: FieldInfo) -> PolicySetting:
    """The setting that a field is; its annotation says the class and the words accepted."""
    of_value = _drop_none(info.annotation)
    is_list = get_origin(of_value) in (tuple, dict)
    of_one = get_args(of_value)[0] if is_list else of_value
    choices = get_args(of_one) if get_origin(of_one) is Literal else ()
    named = [extra for extra in info.metadata if isinstance(extra, OptionName)]
    return PolicySetting(
        name,
        info.description or "",
        type(choices[0]) if choices else of_one,
        choices=choices,
        is_list=is_list,
        option=named[0] if named else OptionName(),
    )


def _drop_none(annotation: Any) -> Any:
    """The annotation without `None`, which stands for a setting that is not given."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    return next(part for part in get_args(annotation) if part is not type(None))
