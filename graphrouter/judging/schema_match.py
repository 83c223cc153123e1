"""Answers that hold JSON of a given form."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from graphrouter.exceptions import DataError
from graphrouter.extras import require_extra
from graphrouter.judging.answer_parts import check_answer, find_fences
from graphrouter.wording import show_value

_MOST_STARTS = 1000
"""Brackets of a text that are tried as the start of JSON."""


class _NotJsonError(ValueError):
    pass


@dataclass(frozen=True)
class SchemaMatch:
    r"""Score 1 for an answer whose JSON fits a JSON schema, else 0.

    The JSON is the whole answer, or else the last fence that holds JSON, or else the longest object
    or list within the text. NaN and Infinity are no JSON. References are followed within the schema
    and to the drafts of JSON Schema, never over the network. Patterns in the schema have no time
    limit. Needs the extra: `pip install 'graphrouter[judging]'`.

    Raises:
        DataError: It is no valid schema, or refers to what is not there.
        MissingExtraError: The library jsonschema is not installed.

    Example:
        >>> judge = SchemaMatch({"type": "object", "required": ["age"]})
        >>> judge("Age?", 'Sure:\n```json\n{"age": 3}\n```'), judge("Age?", "3")
        (1.0, 0.0)
    """

    schema: Mapping[str, Any] | bool
    """As JSON has it; of a pydantic model it is `Model.model_json_schema()`. The draft is that of
    its `$schema`, else 2020-12."""
    _: KW_ONLY
    strict: bool = False
    """Whether the whole answer has to be the JSON, without a fence or a word around it."""

    def __post_init__(self) -> None:
        require_extra("judging", "jsonschema", purpose="SchemaMatch")
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import validator_for

        if not isinstance(self.schema, Mapping | bool):
            raise DataError(
                f"schema is {show_value(self.schema)}; expected a JSON schema as a mapping, as "
                '{"type": "object", "required": ["name"]}. json.loads makes one of a text.'
            )
        schema = self.schema if isinstance(self.schema, bool) else copy.deepcopy(dict(self.schema))
        try:
            _make_validator(schema, validator_for).check_schema(schema)
        except SchemaError as error:
            raise DataError(
                f"The schema is not valid at {error.json_path}: {error.message}; expected a JSON "
                "schema of the draft that its $schema names, or of 2020-12."
            ) from error
        object.__setattr__(self, "schema", schema)

    def __call__(self, prompt: str, answer: str) -> float:
        """1.0 where the JSON of the answer fits the schema, else 0.0.

        Raises:
            DataError: The answer is no string, or the schema refers to what is not there.
        """
        from jsonschema.validators import validator_for
        from referencing.exceptions import Unresolvable

        try:
            value = _find_json(check_answer(answer), strict=self.strict)
        except _NotJsonError:
            return 0.0
        try:
            return float(_make_validator(self.schema, validator_for).is_valid(value))
        except RecursionError:
            return 0.0
        except Unresolvable as error:
            raise DataError(
                f"The schema refers to {error.ref!r}, which is not there; expected a reference "
                "within the schema. Put what it refers to under $defs."
            ) from error


def _make_validator(schema: Any, validator_for: Any) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    kind = validator_for(schema, default=Draft202012Validator)
    return kind(schema, registry=Registry())  # one of its own fetches nothing


def _find_json(answer: str, *, strict: bool) -> Any:
    """The JSON of an answer.

    Raises:
        _NotJsonError: It has none.
    """
    candidates = [answer.strip()]
    if not strict:
        candidates += [fence.text.strip() for fence in reversed(find_fences(answer))]
    for text in candidates:
        try:
            return _decode(text)
        except _NotJsonError:
            continue
    if strict:
        raise _NotJsonError
    found = max(_find_within(answer), key=lambda pair: pair[0], default=None)
    if found is None:
        raise _NotJsonError
    return found[1]


def _find_within(text: str) -> Iterator[tuple[int, Any]]:
    """Lengths and values of the objects and lists in a text that are not within one another."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    place = 0
    for _ in range(_MOST_STARTS):
        starts = [start for mark in "{[" if (start := text.find(mark, place)) >= 0]
        if not starts:
            return
        start = min(starts)
        try:
            value, place = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            place = start + 1
        else:
            yield place - start, value


def _decode(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise _NotJsonError from error


def _refuse(name: str) -> None:
    raise _NotJsonError(name)
