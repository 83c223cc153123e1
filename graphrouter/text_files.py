"""Reads text and plain values from files, whatever program saved them.

UTF-8 with or without its mark, UTF-16, packed by gzip or not: what can be told for sure is read,
and the log says so. Everything else is refused with its likely cause.
"""

from __future__ import annotations

import codecs
import gzip
import json
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from graphrouter.exceptions import DataError, GraphRouterError
from graphrouter.files import parse_yaml

logger = logging.getLogger(__name__)

_MARKS = (  # the longer ones first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GZIP = b"\x1f\x8b"
_FOREIGN = {
    b"PK\x03\x04": "a zip archive, such as an Excel workbook. Save the sheet as CSV (UTF-8)",
    b"PAR1": "a Parquet file. Give its name the suffix .parquet",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file. Save it as CSV (UTF-8)",
    b"%PDF": "a PDF file. Give the text that it was made of",
}
"""How files begin that are no text, and what to do with them."""


class _SafeLoader(yaml.SafeLoader):
    """Reads plain values alone, and no mapping in which a key occurs twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping.

        Raises:
            ConstructorError: A key occurs twice.
        """
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((name for name in names if name != "<<" and names.count(name) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice!r} occurs twice", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


class JsonNaN(float):
    """The bare word NaN of a JSON file: a calculation that failed, or a value that is missing."""


def read_text_file(file: Path, *, refuse: type[GraphRouterError] = DataError) -> str:
    """The text of a file as UTF-8, or as UTF-16 or UTF-32 where its first bytes say so.

    A byte-order mark is no part of it. What is compressed by gzip is unpacked.

    Args:
        file: What to read.
        refuse: Class of the error.

    Raises:
        GraphRouterError: It is not there, or no text.
    """
    if not file.is_file():
        what = "a folder" if file.is_dir() else "not there"
        raise refuse(f"{file} is {what}; expected a file.")
    raw = file.read_bytes()
    if raw.startswith(_GZIP):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise refuse(
                f"{file.name} is packed by gzip and damaged: {error}. Write or download it again."
            ) from None
        if file.suffix != ".gz":
            logger.warning("%s is packed by gzip, and was read as such.", file.name)
    for start, kind in _FOREIGN.items():
        if raw.startswith(start):
            raise refuse(f"{file.name} is no text but {kind}.")
    encoding = _find_encoding(raw)
    if "utf-8" not in encoding:
        logger.warning("%s is %s text, and was read as such.", file.name, encoding.upper())
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        cause = (
            "It may be Windows-1252 or Latin-1, as spreadsheets write it. "
            if encoding == "utf-8"
            else ""
        )
        raise refuse(
            f"{file.name} is not {encoding.removesuffix('-sig').upper()} text (byte "
            f"{error.start}: {error.reason}). {cause}Save it as UTF-8."
        ) from None


def _find_encoding(raw: bytes) -> str:
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return encoding
    head = raw[:64]
    for first, encoding in ((0, "utf-16-be"), (1, "utf-16-le")):  # ASCII letters have a zero byte
        zeros, others = head[first::2], head[1 - first :: 2]
        if len(zeros) >= 2 and not any(zeros) and all(others):
            return encoding
    return "utf-8"


def parse_json(text: str) -> Any:
    """What a JSON text holds; a bare NaN comes as `JsonNaN`.

    Example:
        >>> parse_json('{"effect": 1, "note": NaN}')["note"].__class__.__name__
        'JsonNaN'

    Raises:
        ValueError: It is no JSON, too deep, or names a key twice.
    """
    try:
        return json.loads(text, parse_constant=_parse_constant, object_pairs_hook=_make_object)
    except RecursionError:
        raise ValueError("lists or objects are nested too deeply") from None


def _parse_constant(name: str) -> float:
    return JsonNaN("nan") if name == "NaN" else float(name)


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice")
    return made


def has_half_character(text: str) -> bool:
    r"""Whether a text holds half of a surrogate pair, as JSON escapes of cut strings leave it.

    Nothing can be written or sent that holds one.

    Example:
        >>> has_half_character("cut \ud83d"), has_half_character("whole \U0001f600")
        (True, False)
    """
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def read_plain_file(
    file: Path, *, refuse: type[GraphRouterError] = DataError, holds_secrets: bool = False
) -> Any:
    """What a YAML file, or by its suffix a JSON file, holds as plain values.

    Args:
        file: What to read.
        refuse: Class of the error.
        holds_secrets: Whether errors say where it is wrong and quote nothing of it.

    Raises:
        GraphRouterError: It is not there, no text, neither YAML nor JSON, names a key twice or
            holds half of a character.
    """
    text = read_text_file(file, refuse=refuse)
    is_json = file.suffix == ".json"
    try:
        value = parse_json(text) if is_json else parse_yaml(text, _SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        told = _find_place(error) if holds_secrets else str(error)
        reason = " ".join(told.split()) or "nested too deeply"
        kind = "JSON" if is_json else "YAML"
        raise refuse(f"{file} is no valid {kind} ({reason}). Correct it there.") from None
    broken = next((text for text in _list_texts(value, set()) if has_half_character(text)), None)
    if broken is not None:
        shown = "" if holds_secrets else f" ({ascii(broken)[:60]})"
        raise refuse(
            f"{file} holds half of a character{shown}, which is no valid Unicode. "
            "Write the text again with errors='replace'."
        )
    return value


def _find_place(error: Exception) -> str:
    """Where a file is wrong, without a word of it."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}, column {mark.column + 1}"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "a value in it is not accepted, or a key occurs twice"


def _list_texts(value: Any, seen: set[int]) -> Iterator[str]:
    """All texts in plain values; what several places share is looked at once."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and id(value) not in seen:
        seen.add(id(value))
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _list_texts(item, seen)
