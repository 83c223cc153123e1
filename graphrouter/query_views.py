"""What goes with a query beside its text: the documents of its context, and an embedding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphrouter.exceptions import DataError
from graphrouter.text_files import has_half_character
from graphrouter.wording import show_value

Context: TypeAlias = tuple[str, ...]
"""The documents that go with a query; none of them is blank."""
OWN_ENCODER = "own"
"""Name of the encoder of an embedding that comes without one."""
MOST_DOCUMENTS = 1_000
MOST_CONTEXT_CHARS = 10_000_000
MOST_DIMENSIONS = 65_536


@dataclass(frozen=True, eq=False, slots=True)
class Embedding:
    """A vector that goes with a query: of a picture, of sound, of code, or of a model of one's own.

    Example:
        >>> picture = Embedding.of([0.6, 0.8], "clip")
        >>> picture.encoder, len(picture.vector)
        ('clip', 2)
    """

    vector: NDArray[np.float32]
    """(dimension,) finite, not to be written to."""
    encoder: str = OWN_ENCODER
    """What made it. Vectors of two encoders are never compared."""

    @classmethod
    def of(
        cls,
        value: Embedding | Iterable[float],
        encoder: str | None = None,
        where: str = "embedding",
    ) -> Embedding:
        """An embedding, checked.

        Args:
            value: Numbers, or an embedding, which is given back as it is.
            encoder: Name of its encoder; `OWN_ENCODER` without.
            where: What to call it in errors.

        Raises:
            DataError: It holds no numbers, none at all, too many, or one that is not finite.
        """
        if isinstance(value, Embedding):
            return value
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise DataError(f"{where} is {show_value(value)}; expected a list of numbers.")
        try:
            numbers = np.asarray(
                value if isinstance(value, np.ndarray) else list(value), dtype=np.float64
            )
        except (TypeError, ValueError, OverflowError):
            raise DataError(
                f"{where} is {show_value(value)}; expected a list of numbers."
            ) from None
        if numbers.ndim != 1 or not 0 < len(numbers) <= MOST_DIMENSIONS:
            raise DataError(
                f"{where} has the shape {numbers.shape}; expected one list of 1 to "
                f"{MOST_DIMENSIONS:,} numbers. Leave it empty where there is none."
            )
        with np.errstate(over="ignore"):
            vector = numbers.astype(np.float32)
        off = np.flatnonzero(~np.isfinite(vector))
        if len(off):
            raise DataError(
                f"{where}[{off[0]}] is {numbers[off[0]]:g}; expected a finite number. Leave the "
                "whole embedding empty where it is unknown."
            )
        vector.flags.writeable = False
        return cls(vector, check_encoder_name(OWN_ENCODER if encoder is None else encoder, where))

    def __eq__(self, other: object) -> bool:
        """Whether it is the same vector of the same encoder."""
        if not isinstance(other, Embedding):
            return NotImplemented
        return self.encoder == other.encoder and np.array_equal(self.vector, other.vector)

    def __hash__(self) -> int:
        return hash((self.encoder, self.vector.tobytes()))


def check_encoder_name(name: object, where: str) -> str:
    """The name of an encoder.

    Raises:
        DataError: It is none: no text, blank, or with characters that have no place in a name.
    """
    if isinstance(name, str) and name.strip() and name.isprintable() and "/" not in name:
        return name.strip()
    raise DataError(
        f"The encoder of {where} is {show_value(name)}; expected a name without line breaks and "
        "slashes, such as 'clip'."
    )


def read_context(value: object, where: str = "context") -> Context | None:
    """The documents of a context, checked; None where there are none.

    A blank text and an empty list are no context: that nothing was found is not told apart from
    that nothing was looked for.

    Args:
        value: A text, or a list of texts.
        where: What to call it in errors.

    Raises:
        DataError: It is neither, holds a blank document, or is larger than
            `MOST_DOCUMENTS` and `MOST_CONTEXT_CHARS` allow.

    Example:
        >>> read_context("Paris is in France."), read_context([]), read_context(["a", "b"])
        (('Paris is in France.',), None, ('a', 'b'))
    """
    if value is None:
        return None
    if isinstance(value, str):
        documents: tuple[Any, ...] = (value,) if value.strip() else ()
    elif isinstance(value, Sequence | np.ndarray) and not isinstance(value, bytes):
        documents = tuple(value)
    else:
        raise DataError(f"{where} is {show_value(value)}; expected a text, or a list of texts.")
    for number, document in enumerate(documents):
        if not isinstance(document, str):
            raise DataError(f"{where}[{number}] is {show_value(document)}; expected a text.")
        if not document.strip():
            raise DataError(f"{where}[{number}] is a blank document. Leave it out.")
        if has_half_character(document):
            raise DataError(
                f"{where}[{number}] holds half of a character ({ascii(document)[:60]}), which is "
                "no valid Unicode. Write it again with errors='replace'."
            )
    num_chars = sum(map(len, documents))
    if len(documents) > MOST_DOCUMENTS or num_chars > MOST_CONTEXT_CHARS:
        raise DataError(
            f"{where} holds {len(documents):,} documents of {num_chars:,} characters; expected at "
            f"most {MOST_DOCUMENTS:,} and {MOST_CONTEXT_CHARS:,}. Give those that go with the "
            "query."
        )
    return documents or None


def read_contexts(values: Sequence[object] | None, num_queries: int) -> tuple[Context | None, ...]:
    """The context of each query, None where there is none.

    Raises:
        DataError: There is not one entry a query, or one is no context.
    """
    listed = _list_entries(values, num_queries, "contexts", "a text, a list of texts or None")
    return tuple(read_context(value, f"contexts[{i}]") for i, value in enumerate(listed))


def read_embeddings(
    values: Sequence[object] | None, num_queries: int
) -> tuple[Embedding | None, ...]:
    """The embedding of each query, None where there is none.

    Raises:
        DataError: There is not one entry a query, one is no embedding, or two of one encoder differ
            in length.
    """
    listed = _list_entries(values, num_queries, "embeddings", "an Embedding, numbers or None")
    read = tuple(
        None if value is None else Embedding.of(value, where=f"embeddings[{i}]")  # type: ignore[arg-type]  # what it is, is checked there
        for i, value in enumerate(listed)
    )
    check_lengths(read, "embeddings")
    return read


def check_lengths(embeddings: Sequence[Embedding | None], where: str) -> dict[str, int]:
    """The length of the vectors of each encoder, by its name.

    Raises:
        DataError: Vectors of one encoder differ in length.
    """
    first: dict[str, tuple[int, int]] = {}
    for i, embedding in enumerate(embeddings):
        if embedding is None:
            continue
        length, at = first.setdefault(embedding.encoder, (len(embedding.vector), i))
        if length != len(embedding.vector):
            raise DataError(
                f"{where}: row {i + 1} has {len(embedding.vector)} numbers of the encoder "
                f"{embedding.encoder!r}, and row {at + 1} has {length}; expected one length. Name "
                "two encoders where there are two."
            )
    return {name: length for name, (length, _) in first.items()}


def _list_entries(
    values: Sequence[object] | None, num_queries: int, name: str, expected: str
) -> list[object]:
    if values is None:
        return [None] * num_queries
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise DataError(
            f"{name} is a {type(values).__name__}; expected a sequence with {expected} a prompt."
        )
    listed = list(values)
    if len(listed) != num_queries:
        raise DataError(
            f"{name} has {len(listed):,} entries for {num_queries:,} prompts; expected one a "
            "prompt, None where there is none."
        )
    return listed
