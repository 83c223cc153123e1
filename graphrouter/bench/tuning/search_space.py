"""What `graphrouter tune` may change: settings with the values that they may take.

Declared here, next to the settings.

A setting is named as everywhere, `training.learning_rate`, and every value of a space is one that
`TrainConfig` accepts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from graphrouter.config import (
    Settings,
    TrainConfig,
    parse_config,
    read_yaml,
)
from graphrouter.documented_model import first_problem, list_fields
from graphrouter.exceptions import ConfigError

Value = str | int | float | None
"""What a setting may be."""

NOT_TUNED = {
    "seed": "a seed that does well is luck",
    "split.by": "trials would be judged on different queries",
    "split.validation": "trials would be judged on different queries",
    "split.test": "trials would be judged on different queries",
    "split.seed": "trials would be judged on different queries",
    "encoder.cache_dir": "it changes no figure",
    "training.num_threads": "it changes no figure",
    "training.accelerator": "it changes no figure",
    "training.devices": "it changes no figure",
}
"""Settings that no space may hold, and why."""
_HEADER = (
    "# What `graphrouter tune` may change. Keep the lines that you want; --space FILE takes "
    "the file."
)
_EXPECTED = "{low: 1, high: 8}, with step: or log: true if you like, or {choices: [1, 2, 4]}"


class FloatRange(Settings):
    """All numbers between two ends.

    Example:
        >>> FloatRange(low=0.1, high=0.5).contains(0.3)
        True
    """

    low: float = Field(allow_inf_nan=False, description="Smallest value.")
    high: float = Field(allow_inf_nan=False, description="Largest value, above low.")
    log: bool = Field(False, description="Try orders of magnitude equally often; needs low > 0.")

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        _check_ends(self.low, self.high, log=self.log)
        return self

    def contains(self, value: Value) -> bool:
        """Whether a setting may have this value."""
        return isinstance(value, int | float) and self.low <= value <= self.high


class IntRange(Settings):
    """Whole numbers between two ends.

    Example:
        >>> IntRange(low=16, high=64, step=16).contains(40)
        False
    """

    low: int = Field(description="Smallest value.")
    high: int = Field(description="Largest value, above low.")
    step: int = Field(1, ge=1, description="Distance of neighbouring values; divides high - low.")
    log: bool = Field(
        False, description="Try orders of magnitude equally often; needs low > 0 and step 1."
    )

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        _check_ends(self.low, self.high, log=self.log)
        if self.log and self.step != 1:
            raise ValueError(
                f"step is {self.step} with log: true; a step goes with log: false alone"
            )
        if (self.high - self.low) % self.step:
            raise ValueError(
                f"step {self.step} does not lead from low {self.low} to high {self.high}"
            )
        return self

    def contains(self, value: Value) -> bool:
        """Whether a setting may have this value."""
        return (
            isinstance(value, int)
            and self.low <= value <= self.high
            and (value - self.low) % self.step == 0
        )


class Choice(Settings):
    """A few values without an order.

    Example:
        >>> Choice(choices=("wordllama", "hashing")).contains("hashing")
        True
    """

    choices: tuple[Value, ...] = Field(min_length=2, description="The values, at least two.")

    @field_validator("choices", mode="before")
    @classmethod
    def _are_no_truth_values(cls, choices: Any) -> Any:
        if isinstance(choices, list | tuple) and any(isinstance(value, bool) for value in choices):
            raise ValueError(
                "expected numbers, words or null, neither true nor false"
            )  # pydantic would read true as 1
        return choices

    def contains(self, value: Value) -> bool:
        """Whether a setting may have this value."""
        return value in self.choices


Range = FloatRange | IntRange | Choice


@dataclass(frozen=True)
class SearchSpace:
    """The settings to tune, each with the values that it may take; made by `of`, which checks them.

    Example:
        >>> space = SearchSpace.of({"network.dropout": FloatRange(low=0.0, high=0.5)})
        >>> space.apply(TrainConfig(), {"network.dropout": 0.2}).network.dropout
        0.2
    """

    ranges: Mapping[str, Range]
    """By dotted name, in the order in which they are shown."""

    @classmethod
    def of(cls, ranges: Mapping[str, Range], *, source: str = "search space") -> Self:
        """The space of these settings.

        Args:
            ranges: Range of each setting, by dotted name.
            source: What to call it in an error.

        Raises:
            ConfigError: It is empty, or names a setting that does not exist, that cannot be tuned,
                or that refuses a value.
        """
        if not ranges:
            raise ConfigError(
                f"{source} is empty; expected at least one setting with its range, such as "
                f"{_EXPECTED}."
            )
        return cls({key: _checked(key, each, source) for key, each in ranges.items()})

    def apply(self, config: TrainConfig, params: Mapping[str, Value]) -> TrainConfig:
        """The settings with those of one trial in place of their own.

        Args:
            config: All settings.
            params: Value of each setting that is tuned, by dotted name.

        Raises:
            ConfigError: The values do not go together.
        """
        values = config.model_dump()
        for key, value in params.items():
            _place(values, key, value)
        return parse_config(values, source="trial")

    def start(self, config: TrainConfig) -> dict[str, Value]:
        """What the tuned settings are before tuning, by dotted name.

        Raises:
            ConfigError: One of them is outside of its range: the search could not begin with it.
        """
        values = {key: _value_at(config, key) for key in self.ranges}
        for key, value in values.items():
            if not self.ranges[key].contains(value):
                raise ConfigError(
                    f"{key} = {value!r} lies outside of the search space "
                    f"({describe(self.ranges[key])}), and the first trial "
                    "takes the settings as they are. Widen its range in a file for --space, leave "
                    "it out there to keep it as it "
                    "is, or change the setting."
                )
        return values

    def to_json(self) -> dict[str, dict[str, Any]]:
        """The space as plain values, as `parse_space` takes them."""
        return {key: each.model_dump(mode="json") for key, each in self.ranges.items()}


def build_default_space() -> SearchSpace:
    """What is tuned unless told otherwise.

    Settings that may matter from one dataset to the next, within reasonable bounds.

    Two ranges keep away from their ends on purpose. Validation asks for models and tasks that are
    known, so it would talk `newcomer_share` down to nothing, and newcomers would be predicted
    badly; and `hide_task` decides for which of two settings the network is trained.

    Example:
        >>> len(build_default_space().ranges)
        12
    """
    return SearchSpace.of(
        {
            "graph.num_neighbours": IntRange(low=16, high=128, log=True),
            "network.width": IntRange(low=16, high=64, step=16),
            "network.hidden": IntRange(low=32, high=128, step=32),
            "network.dropout": FloatRange(low=0.1, high=0.5),
            "training.learning_rate": FloatRange(low=3e-4, high=3e-3, log=True),
            "training.structural_speed": FloatRange(low=3, high=30, log=True),
            "training.batch_queries": IntRange(low=128, high=512, step=128),
            "training.support_queries": IntRange(low=1024, high=4096, step=1024),
            "training.newcomer_share": FloatRange(low=0.1, high=0.4),
            "training.hide_task": FloatRange(low=0.3, high=0.7),
            "training.tokens_weight": FloatRange(low=0.03, high=0.3, log=True),
            "training.decision_weight": FloatRange(low=0.01, high=0.2, log=True),
        }
    )


def load_space(path: str | Path) -> SearchSpace:
    """The search space of a YAML file.

    Raises:
        ConfigError: The file is missing or no YAML mapping, or what it says is not accepted.
    """
    file = Path(path)
    missing = f"No search space at {file}. graphrouter tune --list-space prints one to start from."
    return parse_space(read_yaml(file, missing=missing), source=str(file))


def parse_space(values: Any, *, source: str = "search space") -> SearchSpace:
    """The search space of plain values: `low` and `high` for a number, `choices` for anything.

    Example:
        >>> space = parse_space({"network.width": {"low": 16, "high": 64, "step": 16}})
        >>> space.ranges["network.width"].high
        64

    Raises:
        ConfigError: It is no mapping, or what it says is not accepted.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{source} holds a {type(values).__name__}; expected settings with their ranges, such "
            f"as {_EXPECTED}."
        )
    return SearchSpace.of(
        {str(key): _parse_range(str(key), value, source) for key, value in values.items()},
        source=source,
    )


def write_space_yaml(space: SearchSpace) -> str:
    """The space as YAML with a comment on every line; reading it gives the same space."""
    return "\n".join([_HEADER, *_lines(space)]) + "\n"


def describe(values: Range) -> str:
    """A range in words.

    Example:
        >>> describe(IntRange(low=16, high=64, step=16)), describe(Choice(choices=("a", None)))
        ('16 to 64 in steps of 16', "'a', None")
    """
    if isinstance(values, Choice):
        return ", ".join(map(repr, values.choices))
    step = f" in steps of {values.step}" if isinstance(values, IntRange) and values.step > 1 else ""
    return f"{values.low:g} to {values.high:g}{step}{', log scale' if values.log else ''}"


def _lines(space: SearchSpace) -> Iterator[str]:
    for key, each in space.ranges.items():
        values = {
            name: value
            for name, value in each.model_dump(mode="json").items()
            if value != _default_of(each, name)
        }
        text = yaml.safe_dump(
            values, default_flow_style=True, sort_keys=False, width=math.inf
        ).strip()
        yield f"{key}: {text}  # {_field(key, 'search space').description}"


def _default_of(values: Range, name: str) -> Any:
    field = type(values).model_fields[name]
    return None if field.is_required() else field.default


def _parse_range(key: str, value: Any, source: str) -> Range:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{source}: {key} = {value!r} is no range. Write {_EXPECTED}.")
    kind: type[Range] = (
        Choice
        if "choices" in value
        else IntRange
        if _field(key, source).annotation is int
        else FloatRange
    )
    try:
        return kind.model_validate(dict(value))
    except ValidationError as error:
        problem = first_problem(error)
        received = f" = {problem.received!r}" if problem.key in value else ""
        name = f"{key}, {problem.key}{received}" if problem.key else key
        what = f"there is no {problem.key!r}" if problem.is_unknown else problem.message
        raise ConfigError(f"{source}: {name} is not accepted: {what}. Write {_EXPECTED}.") from None


def _checked(key: str, values: Range, source: str) -> Range:
    """The range, its choices as the settings read them: YAML reads 1e-3 as a word."""
    annotation = _field(key, source).annotation
    if key in NOT_TUNED:
        raise ConfigError(f"{source}: {key} cannot be tuned: {NOT_TUNED[key]}. Leave it out.")
    if isinstance(values, Choice):
        choices = tuple(_as_read(key, value, source) for value in values.choices)
        if len(set(choices)) < len(choices):
            raise ConfigError(
                f"{source}: {key} has the choices {describe(values)}; expected each value once."
            )
        return Choice(choices=choices)
    for end in (values.low, values.high):
        _as_read(key, end, source)
    if isinstance(values, FloatRange) and annotation is not float:
        raise ConfigError(f"{source}: {key} takes no fractions. Give it an IntRange, or choices.")
    return values


def _as_read(key: str, value: Value, source: str) -> Value:
    """The value as the settings read it."""
    nested: dict[str, Any] = {}
    _place(nested, key, value)
    return _value_at(parse_config(nested, source=source), key)


def _place(values: dict[str, Any], key: str, value: Value) -> None:
    *groups, name = key.split(".")
    for group in groups:
        values = values.setdefault(group, {})
    values[name] = value


def _value_at(config: TrainConfig, key: str) -> Value:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    found: Value = value
    return found


def _field(key: str, source: str) -> FieldInfo:
    """The definition of a setting.

    Raises:
        ConfigError: There is no such setting.
    """
    known = list(list_fields(TrainConfig))
    if key not in known:
        below = [name for name in known if name.startswith(f"{key}.")]
        if below:
            raise ConfigError(
                f"{source}: {key} is a group of settings: {', '.join(below)}. Name those to tune."
            )
        parse_config({key: None}, source=source)  # refuses it, and knows the nearest name
    group, _, name = key.rpartition(".")
    model = TrainConfig.model_fields[group].annotation if group else TrainConfig
    fields: dict[str, FieldInfo] = getattr(model, "model_fields", {})
    return fields[name]


def _check_ends(low: float, high: float, *, log: bool) -> None:
    if low >= high:
        raise ValueError(f"low is {low} and high {high}; expected low below high")
    if log and low <= 0:
        raise ValueError(f"low is {low}; expected a number above 0 with log: true")
