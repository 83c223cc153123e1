"""What went with prompts that a store keeps, read so that one row which is off spoils no other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from graphrouter.exceptions import DataError
from graphrouter.query_views import Context, Embedding, read_context

__all__ = ["Kept", "has_lesson", "read_kept"]

Kept = tuple[str | None, str | None, str | None]
"""Context and embedding as JSON, and the name of its encoder: the columns of `VIEWS`."""


def has_lesson(prompt: str | None, context: str | None, embedding: str | None) -> bool:
    """Whether a router can learn from what a store has of a query; never of a blank prompt alone.

    Args:
        prompt: None where it is not known.
        context: As JSON.
        embedding: As JSON.

    Example:
        >>> has_lesson("", None, None), has_lesson("", '["Paris."]', None)
        (False, True)
    """
    return prompt is not None and bool(prompt.strip() or context or embedding)


def read_kept(rows: Sequence[Kept]) -> list[tuple[Context | None, Embedding | None] | None]:
    """Context and embedding of each query; None where they are none that a router takes.

    Blank documents, which a redaction left nothing of, are passed over. Of several lengths under
    one name of an encoder the most frequent counts, of equals the one that came first.

    Args:
        rows: In the order of the store.

    Example:
        >>> read_kept([('["a", ""]', None, None), ('[""]', None, None)])
        [(('a',), None), None]
    """
    found = [_read(*row) for row in rows]
    lengths: dict[str, Counter[int]] = {}
    for each in found:
        if each is not None and each[1] is not None:
            lengths.setdefault(each[1].encoder, Counter())[len(each[1].vector)] += 1
    usual = {name: counts.most_common(1)[0][0] for name, counts in lengths.items()}

    def is_usual(vector: Embedding | None) -> bool:
        return vector is None or len(vector.vector) == usual[vector.encoder]

    return [each if each is not None and is_usual(each[1]) else None for each in found]


def _read(
    context: str | None, embedding: str | None, encoder: str | None
) -> tuple[Context | None, Embedding | None] | None:
    try:
        documents = None
        if context is not None:
            documents = read_context([each for each in json.loads(context) if each.strip()])
            if documents is None:  # without it the prompt would be another query
                return None
        vector = None if embedding is None else Embedding.of(json.loads(embedding), encoder)
    except (DataError, ValueError):
        return None
    return documents, vector
