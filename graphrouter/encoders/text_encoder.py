"""What every text encoder promises, the steps that all share, and the default encoder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from graphrouter.config import EncoderConfig
from graphrouter.exceptions import ConfigError, DataError, EncoderError, GraphRouterError

Embeddings = NDArray[np.float32]

DEFAULT_MAX_CHARS = 20_000
_SHOW_PROGRESS_ABOVE = 2_000
_DIMENSIONS = (64, 128, 256)
_WORDLLAMA_CONFIG = "l2_supercat"
_WORDLLAMA_FILES = (
    f"weights/{_WORDLLAMA_CONFIG}_*.safetensors",
    f"tokenizers/{_WORDLLAMA_CONFIG}_*.json",
)
_WORDLLAMA_TENSOR = "embedding.weight"
_BATCH_SIZE = 256
_TOKENS_AT_ONCE = 1024


class TextEncoder(Protocol):
    """Turns texts into vectors; a text's vector does not depend on the other texts of a call.

    An encoder of your own needs these four names and nothing else. It gets texts as they are, empty
    and very long ones included; `clip_text` keeps both ends of a long one. An attribute `config`
    is optional: an `EncoderConfig` from which `create_encoder` makes the encoder again. A router
    whose encoder has none is loaded by `load_router(FOLDER, encoder=...)`.

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
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
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


class WordLlamaEncoder:
    """Mean of the token embeddings of a text, from WordLlama's `l2_supercat` weights.

    Example:
        >>> encoder = WordLlamaEncoder(128)
        >>> encoder.encode(["Prove that 2 is prime.", ""]).shape
        (2, 128)

    Raises:
        ConfigError: There are no weights of that dimension.
        EncoderError: The package's files are missing or unreadable.
    """

    id = f"wordllama/{_WORDLLAMA_CONFIG}"

    def __init__(self, dimension: int = 256, *, max_chars: int = DEFAULT_MAX_CHARS) -> None:
        if dimension not in _DIMENSIONS:
            raise ConfigError(
                f"encoder.dimension = {dimension} is not accepted by wordllama; expected one of "
                f"{_DIMENSIONS}."
            )
        self.dimension = dimension
        self.config = EncoderConfig(name="wordllama", dimension=dimension, max_chars=max_chars)
        self._max_chars = max_chars
        self.revision, self._tokenizer, self._token_vectors = _read_parts(
            _find_wordllama(), dimension
        )

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Embeddings:
        """Vectors (num_texts, dimension) of unit length, float32.

        All zeros for a text without any token.
        """
        clipped = clip_texts(texts, self._max_chars)
        vectors = np.zeros((len(clipped), self.dimension), dtype=np.float32)
        for part in iterate_batches(len(clipped), _BATCH_SIZE, progress=progress):
            # Tokens come in batches, over several threads; pooling goes text by text. WordLlama's
            # own `embed` pads to the longest of the batch, which is slower, and divides by zero for
            # an empty text.
            encodings = self._tokenizer.encode_batch_fast(clipped[part], add_special_tokens=False)
            row = part.start
            for ids in _group_tokens(encoding.ids for encoding in encodings):
                self._sum_tokens(ids, out=vectors[row : row + len(ids)])
                row += len(ids)
        return unit_rows(vectors)  # of unit length, sum and mean are the same

    def _sum_tokens(self, ids: list[list[int]], *, out: Embeddings) -> None:
        """Write the summed vectors of the tokens of texts to `out`, (num_texts, dimension) of 0.

        Each distinct token of a text is read once: long texts repeat theirs. Each text is summed up
        by itself, in the order of its tokens' numbers.
        """
        ordered = np.array(list(chain.from_iterable(ids)), dtype=np.int64)
        if len(ids) > 1:
            text = np.repeat(np.arange(len(ids)), [len(each) for each in ids])
            ordered += text * len(self._token_vectors)
        ordered.sort()
        is_first = np.ones(len(ordered) + 1, dtype=np.bool_)
        np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:-1])
        first = is_first.nonzero()[0]  # and the end
        counts = (first[1:] - first[:-1]).astype(np.float32)
        token = ordered[first[:-1]]
        ends = [0, len(token)]
        if len(ids) > 1:
            text, token = np.divmod(token, len(self._token_vectors))
            ends = np.searchsorted(text, np.arange(len(ids) + 1)).tolist()
        vectors = self._token_vectors[token].astype(np.float32)
        vectors *= counts[:, None]
        for row, (start, end) in enumerate(pairwise(ends)):
            if start < end:
                np.add.reduce(vectors[start:end], axis=0, out=out[row])


def _group_tokens(ids: Iterable[list[int]]) -> Iterator[list[list[int]]]:
    """The tokens of texts in order, in groups whose vectors stay in the cache."""
    group: list[list[int]] = []
    count = 0
    for each in ids:
        if group and count + len(each) > _TOKENS_AT_ONCE:
            yield group
            group, count = [], 0
        group.append(each)
        count += len(each)
    if group:
        yield group


class _Parts(NamedTuple):
    """What an encoder reads of WordLlama; it changes none of it."""

    revision: str
    tokenizer: Any
    token_vectors: NDArray[np.float16]
    """As they lie in the file: those of the tokens of a text are widened when it is read."""


@lru_cache(maxsize=1)
def _read_parts(folder: Path, dimension: int) -> _Parts:
    """Read once: every router that is fitted or loaded in this process asks for the same.

    Of the package its files alone: importing it takes longer than all else that an answer needs.
    """
    with _named_as_missing():
        from tokenizers import Tokenizer

        weights, vocabulary = (_find_file(folder, pattern) for pattern in _WORDLLAMA_FILES)
        tokenizer = Tokenizer.from_file(str(vocabulary))
        vectors = _map_tensor(weights, _WORDLLAMA_TENSOR)[:, :dimension]
        with weights.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
        digest.update(vocabulary.read_bytes())  # either changes the vectors
    tokenizer.no_padding()  # each text keeps its own tokens, whatever its batch mates are
    tokenizer.no_truncation()
    return _Parts(digest.hexdigest()[:12], tokenizer, vectors)


def _map_tensor(path: Path, name: str) -> NDArray[np.float16]:
    """A tensor of a safetensors file, of which what is looked at is read, and no more.

    The file holds the length of its header (8 bytes, little-endian), the header as JSON, and then
    the numbers (huggingface.co/docs/safetensors, "Format").
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        entry = json.loads(stream.read(length))[name]
    start = 8 + length + entry["data_offsets"][0]
    if entry["dtype"] != "F16":
        raise ValueError(f"{path} holds numbers of type {entry['dtype']}, expected F16")
    shape = tuple(entry["shape"])
    return np.asarray(np.memmap(path, np.float16, mode="r", offset=start, shape=shape))


def _find_wordllama() -> Path:
    """The package's folder."""
    with _named_as_missing():
        found = find_spec("wordllama")
        if found is None or found.origin is None:
            raise ImportError("it is not installed")
        return Path(found.origin).parent


def _find_file(folder: Path, pattern: str) -> Path:
    """The one file of a pattern.

    Raises:
        FileNotFoundError: There is none, or several.
    """
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(f"{folder} holds {len(found)} files {pattern}, expected 1")
    return found[0]


@contextmanager
def _named_as_missing() -> Iterator[None]:
    """Say of errors that they are about WordLlama's files, and how to mend that."""
    try:
        yield
    # What tokenizers raises over a file that is none has no class of its own.
    except Exception as error:
        raise EncoderError(
            f"The wordllama package cannot be loaded: {error}. Reinstall it with: pip install "
            "wordllama"
        ) from error
