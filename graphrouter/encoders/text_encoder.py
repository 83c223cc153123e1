"""What every text encoder promises, and the steps that all share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from graphrouter.exceptions import DataError, EncoderError, GraphRouterError

Embeddings = NDArray[np.float32]

DEFAULT_MAX_CHARS = 20_000
_SHOW_PROGRESS_ABOVE = 2_000


class TextEncoder(Protocol):
    """Turns texts into vectors; a text's vector does not depend on the other texts of a call.

    An encoder of your own needs these four names and nothing else. It gets texts as they are, empty
    and very long ones included; `clip_text` keeps both ends of a long one. An attribute `config`
    is optional: an `EncoderConfig` from which `create_encoder` makes the encoder again. A router
    whose encoder has none is loaded by `load_router(FOLDER, encoder=...)`. So is an attribute
    `works_in_memory`: whether `encode` never waits for a disk, a network or another process, and
    takes milliseconds for a short text. The gateway then decides on short prompts in its event
    loop; without it, it never does.

    Example:
        >>> class LengthEncoder:
        ...     id, revision, dimension = "mine/length", "1", 2
        ...
        ...     def encode(self, texts: Sequence[str], *, progress: bool = False) -> Embeddings:
        ...         rows = np.array([[len(text), 100.0] for text in texts])
        ...         return unit_rows(rows.reshape(-1, 2))
        >>> check_is_encoder(LengthEncoder())
    """

    @property
    def id(self) -> str:
        """Family and weights, such as `wordllama/l2_supercat`."""

    @property
    def revision(self) -> str:
        """Version of the weights; vectors of two revisions must not be mixed."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Embeddings:
        """Vectors (num_texts, dimension) of unit length, float32.

        All zeros for a text without any token.

        Args:
            texts: Any texts, empty and very long ones included.
            progress: Show a progress bar on standard error when there are thousands of texts.
        """


def check_is_encoder(encoder: object) -> None:
    """Check that an object has what every text encoder has.

    Raises:
        EncoderError: It lacks an attribute; the message names it.
    """
    promised = ("id", "revision", "dimension", "encode")
    missing = [name for name in promised if not hasattr(encoder, name)]
    if missing:
        raise EncoderError(
            f"The text encoder is a {type(encoder).__name__} without {', '.join(missing)}; "
            f"expected an object with {', '.join(promised)} (see graphrouter.encoders.TextEncoder)."
        )


def encode_texts(
    encoder: TextEncoder, texts: Sequence[str], *, progress: bool = False
) -> Embeddings:
    """What the encoder makes of the texts, held to the contract of `TextEncoder.encode`.

    Raises:
        EncoderError: It raised an error, or made something else than finite numbers of the promised
            shape.
    """
    expected = (len(texts), encoder.dimension)
    name = type(encoder).__name__
    try:
        vectors = encoder.encode(texts, progress=True) if progress else encoder.encode(texts)
        found = np.asarray(vectors, dtype=np.float32)
    except GraphRouterError:
        raise
    except Exception as error:  # whatever the code of others raises
        raise EncoderError(
            f"The text encoder {name} failed on {len(texts)} texts: {type(error).__name__}: "
            f"{' '.join(str(error).split())}. Expected float32 vectors of shape {expected} from "
            "encode(texts, *, progress=False)."
        ) from error
    if found.shape != expected:
        raise EncoderError(
            f"The text encoder {name} gave vectors of shape {found.shape}; expected "
            f"(num_texts, dimension) = {expected}."
        )
    if not np.isfinite(found).all():
        row = int((~np.isfinite(found).all(axis=1)).argmax())
        raise EncoderError(
            f"The text encoder {name} gave a vector that is not finite for text {row} of "
            f"{len(texts)}; expected finite numbers, all 0 for a text without any token."
        )
    return found


def encode_present(encoder: TextEncoder, texts: Sequence[str | None]) -> Embeddings:
    """Embeddings (num_texts, dimension), a zero row where there is no text."""
    vectors = np.zeros((len(texts), encoder.dimension), dtype=np.float32)
    present = [i for i, text in enumerate(texts) if text]
    if present:
        vectors[present] = encode_texts(encoder, [texts[i] or "" for i in present])
    return vectors


def check_encoder(encoder: TextEncoder, *, id: str, revision: str, dimension: int) -> None:
    """Check that the encoder is the one that is asked for.

    Raises:
        EncoderError: It is another one, so that its vectors would mean something else; the message
            names both.
    """
    received = (encoder.id, encoder.revision, encoder.dimension)
    if received != (id, revision, dimension):
        raise EncoderError(
            f"The text encoder is {describe_encoder(*received)}; expected "
            f"{describe_encoder(id, revision, dimension)}. "
            "Use the encoder that the router was trained with, or train again with this one."
        )


def clip_text(text: str, max_chars: int = DEFAULT_MAX_CHARS) -> str:
    """The text itself, or its first and last halves of `max_chars` when it is longer.

    Always valid Unicode.

    The beginning of a long prompt often says what is wanted, the end often asks; what lies between
    is mostly material. Clipping a clipped text changes nothing.
    """
    if len(text) > max_chars:
        half = (max_chars - 1) // 2  # leaves room for the line break
        text = f"{text[:half]}\n{text[-half:]}"
    # JSON can smuggle in half of a surrogate pair, which no tokenizer accepts.
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode("utf-8")


def clip_texts(texts: Sequence[str], max_chars: int) -> list[str]:
    """Each text, clipped.

    Raises:
        DataError: `texts` is a single string or holds something else than strings.
    """
    if isinstance(texts, str):
        raise DataError(
            "texts is a single string; expected a sequence of strings. For one text pass [text]."
        )
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"texts[{i}] is a {type(text).__name__}; expected a string.")
    return [clip_text(text, max_chars) for text in texts]


def unit_rows(vectors: NDArray[np.floating]) -> Embeddings:
    """The rows (num_texts, dimension) scaled to unit length, float32.

    A row of zeros stays as it is.
    """
    norms = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    scaled: NDArray[np.floating] = np.divide(
        vectors, norms, out=np.zeros_like(vectors), where=norms > 0
    )
    return scaled.astype(np.float32, copy=False)


def iterate_batches(num_texts: int, batch_size: int, *, progress: bool = False) -> Iterator[slice]:
    """Slices that cover `num_texts` in order.

    With one progress bar on standard error where there are thousands of texts.
    """
    slices = (
        slice(start, min(start + batch_size, num_texts))
        for start in range(0, num_texts, batch_size)
    )
    if not progress or num_texts <= _SHOW_PROGRESS_ABOVE:
        yield from slices
        return

    from rich.console import Console  # only here: a library that never shows a bar never loads it
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Encoding texts", total=num_texts)
        for part in slices:
            yield part
            bar.advance(task, part.stop - part.start)


def describe_encoder(id: str, revision: str, dimension: int) -> str:
    """An encoder in the words of error messages."""
    return f"{id!r} revision {revision!r} with {dimension} dimensions"
