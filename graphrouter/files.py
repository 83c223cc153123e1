"""Files that are written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrouter.wording import show_value

if TYPE_CHECKING:
    from yaml import SafeLoader

_MOST_VALUES = 100_000


def to_path(value: str | Path, what: str, error: type[Exception]) -> Path:
    """The path that a caller named.

    Args:
        value: What was received in the place of a path.
        what: What lies there, for the message, such as "an artifact".
        error: What to raise.

    Raises:
        Exception: `error`: it is no path.
    """
    if not isinstance(value, str | Path) or value == "" or "\0" in str(value):
        raise error(
            f"{show_value(value)} stands for the path of {what}; expected a text or a pathlib.Path."
        )
    return Path(value)


def replace_file(file: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write `file`, whole or not at all.

    It is given another path with the same suffix, which then takes the place of `file`.

    A crash leaves the old file, if there was one.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        partial = Path(folder) / file.name
        write(partial)
        partial.replace(file)


def write_json(value: Any, file: Path) -> None:
    """Write the plain value to `file` as indented UTF-8 JSON; NaN is refused.

    Raises:
        ValueError: The value holds NaN or an infinity.
    """
    file.write_text(
        json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )


def parse_yaml(text: str, loader: type[SafeLoader] | None = None) -> Any:
    """What the text holds, as `yaml.safe_load` reads it.

    Args:
        text: YAML.
        loader: Refuses more than `SafeLoader` does.

    Raises:
        YAMLError: It is no valid YAML, or so deep, or with aliases that unfold to so many values,
            that nobody means it.

    Example:
        >>> parse_yaml("network: {width: 64}")
        {'network': {'width': 64}}
    """
    import yaml

    try:
        value = yaml.load(text, loader or yaml.SafeLoader)
        if _count_values(value, {}) > _MOST_VALUES:
            raise yaml.YAMLError(f"it unfolds to more than {_MOST_VALUES:,} values")
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except ValueError as error:  # a date that there is not, a number of thousands of digits
        raise yaml.YAMLError(str(error)) from None
    return value


def _count_values(value: Any, known: dict[int, float]) -> float:
    """How many values there are when every alias is written out; infinite for one of itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count_values(item, known) for item in items)
    return known[id(value)]


def to_plain(value: Any) -> Any:
    """The value as JSON can hold it, None for NaN and infinity.

    Takes what the package hands around: mappings, sequences, dataclasses, settings, paths, NumPy
    arrays and scalars.

    Example:
        >>> to_plain({"cost_usd": float("nan"), "models": ("nano", "grand")})
        {'cost_usd': None, 'models': ['nano', 'grand']}

    Raises:
        TypeError: It holds something else.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):  # also numpy.float64
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "model_dump"):  # pydantic, without importing it here
        return to_plain(value.model_dump(mode="json", by_alias=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: to_plain(getattr(value, each.name))
            for each in dataclasses.fields(value)
            if not each.name.startswith("_")
        }
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy, without importing it here
        return to_plain(value.tolist())
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes):
        return [to_plain(item) for item in value]
    raise TypeError(
        f"JSON was to be made of a value, received a {type(value).__name__}; expected numbers, "
        "text, mappings, sequences or dataclasses."
    )
