"""JSON is found in an answer, and held against a schema, without a network."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.exceptions import DataError, MissingExtraError
from graphrouter.judging import SchemaMatch

AGE: dict[str, Any] = {
    "type": "object",
    "properties": {"age": {"type": "integer", "minimum": 0}},
    "required": ["age"],
}


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ('{"age": 3}', 1),
        (' {"age": 3}\n', 1),
        ('Sure!\n```json\n{"age": 3}\n```\nDone.', 1),
        ('```\n{"age": 3}\n```', 1),
        ('```json\n{"age": -1}\n```\nBetter:\n```json\n{"age": 1}\n```', 1),
        ('The object is {"age": 3}, see [1].', 1),
        ('```json\n{"age": 3', 0),
        ('{"age": "3"}', 0),
        ('{"age": NaN}', 0),
        ("{'age': 3}", 0),
        ("3", 0),
        ("", 0),
        ("[" * 100_000, 0),
        ('<think>{"age": 3}</think>', 0),
    ],
)
def test_answers(answer: str, score: float) -> None:
    assert SchemaMatch(AGE)("?", answer) == score


def test_strict_takes_no_word_around_it() -> None:
    judge = SchemaMatch(AGE, strict=True)
    assert judge("?", '{"age": 3}') == 1
    assert judge("?", '```json\n{"age": 3}\n```') == 0


@given(st.text(alphabet='{}[]":,0 a\n`'))
def test_no_text_breaks_it(text: str) -> None:
    assert SchemaMatch({"type": "object"})("?", text) in (0, 1)


def test_a_schema_that_changes_later_does_not_change_the_judge() -> None:
    schema = {"type": "object", "required": ["a"]}
    judge = SchemaMatch(schema)
    schema["required"] = []
    assert judge("?", "{}") == 0


def test_references() -> None:
    assert SchemaMatch({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array"}}})("?", "[]") == 1
    judge = SchemaMatch({"$ref": "https://example.com/schema.json"})
    with pytest.raises(DataError, match="refers to 'https://example.com/schema.json'"):
        judge("?", "[]")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SchemaMatch("{}"), "expected a JSON schema as a mapping"),  # type: ignore[arg-type]
        (lambda: SchemaMatch({"type": "text"}), r"not valid at \$\.type: 'text' is not valid"),
        (lambda: SchemaMatch(AGE)("?", None), "The answer is a NoneType"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(call: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()  # type: ignore[operator]


def test_the_pip_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(MissingExtraError, match=r"'graphrouter\[judging\]'"):
        SchemaMatch(AGE)
