"""The default encoder: static token embeddings whose weights come in the package's wheel, so it
needs no network.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from graphrouter.config import EncoderConfig
from graphrouter.encoders.text_encoder import (
    DEFAULT_MAX_CHARS,
    Embeddings,
    clip_texts,
    iterate_batches,
    unit_rows,
)
from graphrouter.exceptions import ConfigError, EncoderError

DIMENSIONS = (64, 128, 256)
_CONFIG = "l2_supercat"
_BATCH_SIZE = 256


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

    def __init__(self, dimension: int = 256, *, max_chars: int = DEFAULT_MAX_CHARS) -> None:
        if dimension not in DIMENSIONS:
            raise ConfigError(
                f"encoder.dimension = {dimension} is not accepted by wordllama; expected one of "
                f"{DIMENSIONS}."
            )
        self.dimension = dimension
        self.config = EncoderConfig(name="wordllama", dimension=dimension, max_chars=max_chars)
        self._max_chars = max_chars
        folder, model = _load(dimension)
        self.revision = _digest(folder)
        self._tokenizer = model.tokenizer
        self._tokenizer.no_padding()  # each text keeps its own tokens, whatever its batch mates are
        self._token_vectors: Embeddings = model.embedding

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
            for row, encoding in enumerate(encodings, start=part.start):
                vectors[row] = self._sum_of_tokens(encoding.ids)
        return unit_rows(vectors)  # of unit length, sum and mean are the same

    def _sum_of_tokens(self, ids: list[int]) -> Embeddings:
        """The summed vectors (dimension,) of the tokens, each distinct one read once: long texts
        repeat theirs.
        """
        distinct, counts = np.unique(np.array(ids, dtype=np.int64), return_counts=True)
        summed: Embeddings = (
            self._token_vectors[distinct] * counts[:, None].astype(np.float32)
        ).sum(axis=0)
        return summed


def _load(dimension: int) -> tuple[Path, Any]:
    """The package's folder and WordLlama's model, read from there and nowhere else."""
    try:
        with _root_logger_untouched():
            import wordllama
        folder = Path(wordllama.__file__).parent
        return folder, wordllama.WordLlama.load(
            _CONFIG, cache_dir=folder, trunc_dim=dimension, disable_download=True
        )
    except (ImportError, OSError, ValueError) as error:
        raise EncoderError(
            f"The wordllama package cannot be loaded: {error}. Reinstall it with: pip install "
            "wordllama"
        ) from error


def _digest(folder: Path) -> str:
    """First 12 hex digits of the SHA-256 of weights and tokenizer: either one changes the
    vectors.
    """
    digest = hashlib.sha256()
    for pattern in (f"weights/{_CONFIG}_*.safetensors", f"tokenizers/{_CONFIG}_*.json"):
        for path in sorted(folder.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def _root_logger_untouched() -> Iterator[None]:
    """Undoes what `import wordllama` does: it configures the root logger, so that all libraries
    start to talk.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
