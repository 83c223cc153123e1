"""The default encoder: the mean of WordLlama's token embeddings of a text."""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from graphrouter.config import EncoderConfig
from graphrouter.encoders.text_encoder import (
    DEFAULT_MAX_CHARS,
    Embeddings,
    clip_texts,
    iterate_batches,
    unit_rows,
)
from graphrouter.exceptions import ConfigError, EncoderError
from graphrouter.types import IntArray

_DIMENSIONS = (64, 128, 256)
_CONFIG = "l2_supercat"
_FILES = (f"weights/{_CONFIG}_*.safetensors", f"tokenizers/{_CONFIG}_*.json")
_TENSOR = "embedding.weight"
_BATCH_SIZE = 256
_TOKENS_AT_ONCE = 1024
_WORD = re.compile(r" *[^ ]+(?: +\Z)?| +")
"""A word with the blanks before it; those at the end of a text go with the last word."""
_BLANK = "\u2581".encode()
_INNER_BLANK = re.compile(_BLANK + b'(?<!["\x20]' + _BLANK + b")(?<!" + _BLANK * 2 + b")")
"""In the file of a vocabulary, a blank that begins no token, is no second of a pair, and does not
follow one."""
_MOST_WORDS = 32_768
"""Whose tokens are remembered: what most texts are made of, some 10 MB."""
_LONGEST_WORD = 32
"""Characters of a word that is remembered; longer ones hardly come again."""


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

    id = f"wordllama/{_CONFIG}"
    works_in_memory = True

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

    def __reduce__(self) -> tuple[Callable[[], Self], tuple[()]]:
        """Read anew where it is unpickled, as in another process: the files lie there too."""
        return partial(type(self), self.dimension, max_chars=self._max_chars), ()

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Embeddings:
        """Vectors (num_texts, dimension) of unit length, float32.

        All zeros for a text without any token.
        """
        clipped = clip_texts(texts, self._max_chars)
        vectors = np.zeros((len(clipped), self.dimension), dtype=np.float32)
        for part in iterate_batches(len(clipped), _BATCH_SIZE, progress=progress):
            # Pooling goes text by text. WordLlama's own `embed` pads to the longest of the batch,
            # which is slower, and divides by zero for an empty text.
            row = part.start
            for tokens in _group_tokens(self._tokenizer.tokenize(clipped[part])):
                self._sum_tokens(tokens, out=vectors[row : row + len(tokens)])
                row += len(tokens)
        return unit_rows(vectors)  # of unit length, sum and mean are the same

    def _sum_tokens(self, tokens: list[IntArray], *, out: Embeddings) -> None:
        """Write the summed vectors of the tokens of texts to `out`, (num_texts, dimension) of 0.

        Each distinct token of a text is read once: long texts repeat theirs. Each text is summed up
        by itself, in the order of its tokens' numbers.
        """
        ordered = np.concatenate(tokens)
        if len(tokens) > 1:
            text = np.repeat(np.arange(len(tokens)), [len(each) for each in tokens])
            ordered += text * len(self._token_vectors)
        ordered.sort()
        is_first = np.ones(len(ordered) + 1, dtype=np.bool_)
        np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:-1])
        first = is_first.nonzero()[0]  # and the end
        counts = (first[1:] - first[:-1]).astype(np.float32)
        token = ordered[first[:-1]]
        ends = [0, len(token)]
        if len(tokens) > 1:
            text, token = np.divmod(token, len(self._token_vectors))
            ends = np.searchsorted(text, np.arange(len(tokens) + 1)).tolist()
        vectors = self._token_vectors.take(token)
        vectors *= counts[:, None]
        for row, (start, end) in enumerate(pairwise(ends)):
            if start < end:
                np.add.reduce(vectors[start:end], axis=0, out=out[row])


def _group_tokens(tokens: Iterable[IntArray]) -> Iterator[list[IntArray]]:
    """The tokens of texts in order, in groups whose vectors stay in the cache."""
    group: list[IntArray] = []
    count = 0
    for each in tokens:
        if group and count + len(each) > _TOKENS_AT_ONCE:
            yield group
            group, count = [], 0
        group.append(each)
        count += len(each)
    if group:
        yield group


class WordTokenizer:
    """Tokens of texts, word by word: those of a word that was met before are looked up.

    No token of the vocabulary goes on beyond a blank into the next word, and pairs are merged into
    tokens alone (byte pair encoding: Sennrich, Haddow and Birch 2016), so the tokens of a text are
    those of its words. Where a vocabulary is of another kind, whole texts are tokenized.
    """

    def __init__(self, tokenizer: Any, vocabulary: bytes) -> None:
        """A tokenizer that has met no word yet.

        Args:
            tokenizer: Of the library `tokenizers`.
            vocabulary: Its file.
        """
        self._tokenizer = tokenizer
        added = (each.content for each in tokenizer.get_added_tokens_decoder().values())
        self._apart = (_BLANK.decode(), *added)  # a written mark of a blank may join words
        self._cuts_words = _ends_tokens_with_words(tokenizer, vocabulary)
        self._known: dict[str, bytes] = {}
        """The bytes of an array of the tokens of a word: those of a text are put together at once,
        and become one array."""

    def tokenize(self, texts: Sequence[str]) -> list[IntArray]:
        """The numbers of the tokens of each text."""
        words = [self._cut(text) for text in texts]
        tokens = [list(map(self._known.get, each)) for each in words]
        new = [i for i, found in enumerate(tokens) if None in found]
        if new:
            missing = {
                word for i in new for word, ids in zip(words[i], tokens[i], strict=True) if not ids
            }
            read = self._read_words([*missing])
            for i in new:
                pairs = zip(words[i], tokens[i], strict=True)
                tokens[i] = [ids or read[word] for word, ids in pairs]
        return [np.frombuffer(b"".join(each), np.int64) for each in tokens]  # type: ignore[arg-type]

    def _read_words(self, words: list[str]) -> dict[str, bytes]:
        """The tokens of new words, most of which are remembered."""
        # The tokenizer puts the first blank before a text itself.
        found = self._tokenizer.encode_batch_fast(
            [word[1:] for word in words], add_special_tokens=False
        )
        fresh = {
            word: np.array(each.ids, dtype=np.int64).tobytes()
            for word, each in zip(words, found, strict=True)
        }
        if len(self._known) + len(fresh) > _MOST_WORDS:
            self._known = {}
        else:
            self._known.update(item for item in fresh.items() if len(item[0]) <= _LONGEST_WORD)
        return fresh

    def _cut(self, text: str) -> list[str]:
        """The words of a text, each with its blanks; one word where it cannot be cut."""
        if not self._cuts_words or any(map(text.__contains__, self._apart)):
            return [f" {text}"]
        found: list[str] = _WORD.findall(f" {text}")
        return found


def _ends_tokens_with_words(tokenizer: Any, vocabulary: bytes) -> bool:
    """Whether tokens hold blanks at their beginning alone, and nothing else parts a text."""
    return (
        _INNER_BLANK.search(vocabulary) is None
        and b"\\u2581" not in vocabulary
        and tokenizer.pre_tokenizer is None
        and tokenizer.normalizer.normalize_str("a  b ") == "\u2581a\u2581\u2581b\u2581"
    )


class TokenVectors:
    """Vectors of tokens in single precision, each widened when it is first asked for.

    Those of all tokens take 33 MB, of which a page comes into memory when something is written to
    it. Half precision is widened by NumPy number by number, which takes as long as the rest of the
    sum.
    """

    def __init__(self, narrow: NDArray[np.float16]) -> None:
        """Vectors of which none was asked for.

        Args:
            narrow: (num_tokens, dimension), as they lie in the file.
        """
        self._narrow = narrow
        # Not from NumPy, which asks for pages of 2 MB: most would come in with a few texts.
        memory = mmap.mmap(-1, max(1, 4 * narrow.size))
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            memory.madvise(mmap.MADV_NOHUGEPAGE)
        wide = np.frombuffer(memory, dtype=np.float32, count=narrow.size)
        self._wide: Embeddings = wide.reshape(narrow.shape)
        self._is_wide = np.zeros(len(narrow), dtype=np.bool_)

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self._narrow)

    def take(self, tokens: IntArray) -> Embeddings:
        """Vectors (n, dimension) of tokens (n,)."""
        is_wide = self._is_wide[tokens]
        if not is_wide.all():
            new = tokens[~is_wide]
            self._wide[new] = self._narrow[new]
            self._is_wide[new] = True  # after the numbers: other threads look at it
        return self._wide.take(tokens, axis=0)


class _Parts(NamedTuple):
    """What an encoder reads of WordLlama."""

    revision: str
    tokenizer: WordTokenizer
    token_vectors: TokenVectors


@lru_cache(maxsize=1)
def _read_parts(folder: Path, dimension: int) -> _Parts:
    """Read once: every router that is fitted or loaded in this process asks for the same.

    Of the package its files alone: importing it takes longer than all else that an answer needs.
    """
    with _named_as_missing():
        from tokenizers import Tokenizer

        weights, vocabulary = (_find_file(folder, pattern) for pattern in _FILES)
        tokenizer = Tokenizer.from_file(str(vocabulary))
        vectors = _map_tensor(weights, _TENSOR)[:, :dimension]
        with weights.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
        stored = vocabulary.read_bytes()
        digest.update(stored)  # either changes the vectors
    tokenizer.no_padding()  # each text keeps its own tokens, whatever its batch mates are
    tokenizer.no_truncation()
    words = WordTokenizer(tokenizer, stored)
    return _Parts(digest.hexdigest()[:12], words, TokenVectors(vectors))


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
