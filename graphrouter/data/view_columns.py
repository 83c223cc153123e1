"""Columns of what goes with a query beside its text: context, embedding, embedding_encoder."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrouter.data.columns import VIEWS
from graphrouter.data.prompt_keys import question_key
from graphrouter.data.values import make_row_error
from graphrouter.exceptions import DataError
from graphrouter.lazy import pandas as pd
from graphrouter.query_views import OWN_ENCODER, Embedding, check_lengths, read_context
from graphrouter.types import BoolArray

EMBEDDING_FILE = "embeddings.npz"
"""Where the embeddings of a dataset may stand beside its tables."""
VIEW_KEY = "view_key"
"""Column of the solved queries of a router that stands for what it does not keep of them."""
_PROMPTS_AT_ONCE = 65_536
_EXPECTED = "Its arrays are query_id (texts), embedding (a row a query) and perhaps encoder"


def parse_views(raw: pd.DataFrame, source: str) -> pd.DataFrame:
    """The columns of `VIEWS` that hold anything, in their type, of a table of queries.

    `context` holds lists of texts, `embedding` arrays in single precision, `embedding_encoder`
    names; None where there is none. A list may be written as JSON in a text.

    Args:
        raw: The table as it was received.
        source: What to call it in messages.

    Raises:
        DataError: A value is no such thing, a name stands without an embedding, or embeddings of
            one encoder differ in length.

    Example:
        >>> raw = pd.DataFrame({"context": ["Paris is in France.", None], "embedding": ["[1]", ""]})
        >>> parse_views(raw, "queries")["context"].tolist()
        [['Paris is in France.'], None]
    """
    found: dict[str, pd.Series] = {}
    if "context" in raw.columns:
        contexts = _read_cells(raw["context"], source, read_context)
        if any(context is not None for context in contexts):
            found["context"] = _to_column([c if c is None else list(c) for c in contexts], raw)
    embeddings, names = _parse_embeddings(raw, source)
    if any(embedding is not None for embedding in embeddings):
        found["embedding"] = _to_column([e if e is None else e.vector for e in embeddings], raw)
        found["embedding_encoder"] = pd.Series(names, dtype="str", index=raw.index)
    return pd.DataFrame(found, index=raw.index)


def list_view_keys(queries: pd.DataFrame) -> list[str]:
    """What identifies what goes with each query beside its text; empty where nothing does.

    Args:
        queries: Clean, from a dataset or `parse_views`; or with these in a column `view_key`.
    """
    if VIEW_KEY in queries.columns:
        return queries[VIEW_KEY].tolist()
    if not any(name in queries.columns for name in VIEWS[:2]):
        return [""] * len(queries)
    absent = [None] * len(queries)
    columns = (queries[n].tolist() if n in queries.columns else absent for n in VIEWS)
    return [_digest(*cells) for cells in zip(*columns, strict=True)]


def question_texts(queries: pd.DataFrame) -> pd.Series:
    """What tells whether two queries ask the same: their prompts without outer white space.

    Queries that have none ask the same where what goes with them is the same.
    """
    prompts = queries["prompt"].str.strip()
    blank = (prompts == "").to_numpy(dtype=bool)
    if not blank.any():
        return prompts
    keys = pd.Series(list_view_keys(queries), index=queries.index, dtype="str")
    return prompts.where(~blank, "\0" + keys)


def question_keys(queries: pd.DataFrame) -> list[str]:
    """The `question_key` of each query."""
    prompts, keys = queries["prompt"], list_view_keys(queries)
    found: list[str] = []
    for first in range(0, len(keys), _PROMPTS_AT_ONCE):  # the texts of a long log are much
        rows = slice(first, first + _PROMPTS_AT_ONCE)
        found += map(question_key, prompts.iloc[rows].tolist(), keys[rows])
    return found


def find_viewed(views: pd.DataFrame) -> BoolArray:
    """Which queries have a context or an embedding: (num_queries,)."""
    there = [views[name].notna().to_numpy(dtype=bool) for name in VIEWS[:2] if name in views]
    return np.logical_or.reduce(there) if there else np.zeros(len(views), dtype=bool)


def count_embeddings(queries: pd.DataFrame) -> dict[str, int]:
    """How many of clean queries have an embedding, by the name of its encoder."""
    if "embedding" not in queries.columns:
        return {}
    counts = queries["embedding_encoder"].dropna().value_counts().sort_index()
    return {str(name): int(count) for name, count in counts.items()}


def join_embedding_file(queries: pd.DataFrame, file: Path, source: str) -> pd.DataFrame:
    """The queries with the embeddings of an NPZ file beside their table.

    Args:
        queries: As they were read.
        file: Arrays `query_id`, `embedding` and perhaps `encoder`: a name, or one a row.
        source: What to call the queries in messages.

    Raises:
        DataError: It is no such file, names a query twice or one that is not there, or the table
            has embeddings of its own.
    """
    if "embedding" in queries.columns:
        raise DataError(
            f"{source} has a column embedding, and {file.name} lies beside it, so it is unclear "
            "which one counts. Keep one of them."
        )
    try:
        with zipfile.ZipFile(file) as arrays:
            ids, vectors = _read_array(arrays, "query_id"), _read_array(arrays, "embedding")
            encoder = np.array(OWN_ENCODER)
            if "encoder.npy" in arrays.namelist():
                encoder = _read_array(arrays, "encoder")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{file.name} cannot be read: {error}. {_EXPECTED}.") from None
    if ids.ndim != 1 or vectors.ndim != 2 or len(ids) != len(vectors):
        raise DataError(
            f"{file.name} has query_id of shape {ids.shape} and embedding of shape "
            f"{vectors.shape}. {_EXPECTED}."
        )
    if encoder.ndim and encoder.shape != ids.shape:
        raise DataError(f"{file.name} has encoder of shape {encoder.shape}. {_EXPECTED}.")
    names = np.broadcast_to(encoder, ids.shape)
    place = pd.Index(queries["query_id"].astype(str).str.strip()).get_indexer(
        pd.Index(ids.astype(str))
    )
    rows, counts = np.unique(place, return_counts=True)
    if (place < 0).any() or (counts > 1).any():
        wrong = ids[place < 0][0] if (place < 0).any() else ids[place == rows[counts > 1][0]][0]
        told = "is not in" if (place < 0).any() else "stands twice for"
        raise DataError(f"{file.name}: query_id {str(wrong)!r} {told} {source}. Correct it.")
    cells: list[Any] = [None] * len(queries)
    named: list[Any] = [None] * len(queries)
    for row, vector, name in zip(place.tolist(), vectors, names.tolist(), strict=True):
        cells[row], named[row] = vector, str(name)
    return queries.assign(
        embedding=_to_column(cells, queries), embedding_encoder=_to_column(named, queries)
    )


def _read_array(arrays: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """An array of an NPZ file, which is none of objects: those would be pickled."""
    with arrays.open(f"{name}.npy") as stream:
        found: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return found


def write_cells(frame: pd.DataFrame, *, as_text: bool) -> pd.DataFrame:
    """The table with lists for arrays in the columns of `VIEWS`, as JSON where text is wanted."""
    changed = {}
    for name in VIEWS[:2]:
        if name not in frame.columns:
            continue
        cells = [x.tolist() if isinstance(x, np.ndarray) else x for x in frame[name].tolist()]
        if as_text:
            cells = [None if x is None else json.dumps(x, ensure_ascii=False) for x in cells]
        changed[name] = _to_column(cells, frame)
    return frame.assign(**changed) if changed else frame


def _parse_embeddings(
    raw: pd.DataFrame, source: str
) -> tuple[list[Embedding | None], list[str | None]]:
    """Embedding and name of the encoder of each query."""
    nothing: list[Any] = [None] * len(raw)
    stated = _tell_missing(raw["embedding_encoder"]) if "embedding_encoder" in raw else nothing
    named = (None if isinstance(name, str) and not name.strip() else name for name in stated)

    def read(value: object, where: str) -> Embedding | None:
        name = next(named)
        if value is None or (isinstance(value, str) and not value.strip()):
            if name is not None:
                raise DataError(f"embedding_encoder is {name!r} and embedding is empty")
            return None
        return Embedding.of(value, name, where)  # type: ignore[arg-type]  # what it is, is checked

    column = raw["embedding"] if "embedding" in raw else pd.Series(nothing, dtype=object)
    found = _read_cells(column, source, read)
    check_lengths(found, source)
    return found, [None if each is None else each.encoder for each in found]


def _read_cells(column: pd.Series, source: str, read: Any) -> list[Any]:
    """What each cell means; a text that is a list in JSON is read as one."""
    found = []
    for row, cell in enumerate(_tell_missing(column)):
        if isinstance(cell, str) and cell.lstrip().startswith("["):
            cell = _read_json_list(cell)
        try:
            found.append(read(cell, str(column.name or "embedding")))
        except DataError as error:
            problem = str(error).rstrip(".")
            raise make_row_error(source, [row], problem, "Correct it, or delete the row.") from None
    return found


def _read_json_list(cell: str) -> Any:
    """The list that a text is in JSON; the text itself where it is none."""
    try:
        listed = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    is_of_one_kind = isinstance(listed, list) and (
        all(isinstance(each, str) for each in listed)
        or all(isinstance(each, int | float) for each in listed)
    )
    return listed if is_of_one_kind else cell


def _tell_missing(column: pd.Series) -> list[Any]:
    """The cells, None where a table has nothing."""
    return [
        None
        if cell is None or cell is pd.NA or (isinstance(cell, float) and cell != cell)
        else cell
        for cell in column.tolist()
    ]


def _to_column(cells: list[Any], like: pd.DataFrame) -> pd.Series:
    column = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):  # a list of lists of one length would become a matrix, and
        column[row] = cell  # pandas would make a scalar of an array of one number
    return pd.Series(column, dtype=object, index=like.index)


def _digest(context: Any, embedding: Any, encoder: Any) -> str:
    has_context, has_embedding = isinstance(context, list), isinstance(embedding, np.ndarray)
    if not has_context and not has_embedding:
        return ""
    digest = hashlib.sha256()
    digest.update(json.dumps(context if has_context else None).encode())
    if has_embedding:
        digest.update(json.dumps(encoder).encode() + embedding.astype("<f4").tobytes())
    return digest.hexdigest()[:16]
