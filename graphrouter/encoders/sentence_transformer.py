"""Transformer encoders from the sentence-transformers library (an extra)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphrouter.config import EncoderConfig
from graphrouter.encoders.text_encoder import (
    DEFAULT_MAX_CHARS,
    Embeddings,
    clip_texts,
    iterate_batches,
    unit_rows,
)
from graphrouter.exceptions import EncoderError
from graphrouter.extras import require_extra

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH_SIZE = 32
_TEXTS_A_CALL = 512


class SentenceTransformerEncoder:
    """A sentence-transformers model from a folder, the local hub cache, or the hub, in that order.

    Padding and batched products round differently from single texts: rows agree to about 1e-6, not
    to the last bit.

    Example:
        encoder = SentenceTransformerEncoder("sentence-transformers/all-MiniLM-L6-v2")
        encoder.encode(["Prove that 2 is prime."]).shape  # (1, 384)

    Raises:
        EncoderError: There is no such folder, or no such model on a hub that can be reached.
        MissingExtraError: sentence-transformers is not installed.
    """

    def __init__(self, path: str, *, max_chars: int = DEFAULT_MAX_CHARS) -> None:
        self._max_chars = max_chars
        self.config = EncoderConfig(name="sentence-transformers", path=path, max_chars=max_chars)
        self._model = _load(path)
        # A folder may lie anywhere, so its place is no part of the identity; the digest tells the
        # weights apart.
        self.id = f"sentence-transformers/{Path(path).name}"
        self.revision = _digest(self._model)
        self.dimension = _dimension(self._model, path)

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Embeddings:
        """Vectors (num_texts, dimension) of unit length, float32; all zeros for a blank text."""
        clipped = clip_texts(texts, self._max_chars)
        vectors = np.zeros((len(clipped), self.dimension), dtype=np.float32)
        # Texts of like length share a batch, which spares most of the padding.
        by_length = sorted(
            (row for row, text in enumerate(clipped) if text.strip()),
            key=lambda row: len(clipped[row]),
        )
        for part in iterate_batches(len(by_length), _TEXTS_A_CALL, progress=progress):
            rows = by_length[part]
            vectors[rows] = self._model.encode(
                [clipped[row] for row in rows],
                batch_size=_BATCH_SIZE,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return unit_rows(vectors)


def _load(path: str) -> SentenceTransformer:
    require_extra("sentence-transformers", purpose="The sentence-transformers encoder")
    from sentence_transformers import SentenceTransformer

    is_folder = Path(path).expanduser().is_dir()
    if not is_folder and (path.count("/") > 1 or path.startswith((".", "~", "/"))):
        raise EncoderError(
            f"No model folder at {path}. Pass a folder of a sentence-transformers model, or a hub "
            "name as org/name."
        )
    try:
        with _no_progress_bars():
            if is_folder:
                return SentenceTransformer(
                    str(Path(path).expanduser()), local_files_only=True
                ).float()
            try:
                return SentenceTransformer(path, local_files_only=True).float()
            except (OSError, ValueError):  # not in the local cache yet
                return SentenceTransformer(path).float()
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        hint = (
            "Is it a sentence-transformers model?"
            if is_folder
            else "Check the name and the network, or download the model elsewhere and pass its "
            "folder as encoder.path."
        )
        raise EncoderError(
            f"The sentence-transformers model {path!r} cannot be loaded: {reason}. {hint}"
        ) from error


def _dimension(model: SentenceTransformer, path: str) -> int:
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise EncoderError(
            f"The sentence-transformers model {path!r} does not state its dimension; expected one "
            "vector a text."
        )
    return dimension


def _digest(model: SentenceTransformer) -> str:
    """First 12 hex digits of the SHA-256 of the weights and the input length.

    They are the same wherever the weights were loaded from.
    """
    digest = hashlib.sha256(f"{model.max_seq_length}".encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weights.cpu().numpy()).data)
    return digest.hexdigest()[:12]


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar of its own while it loads weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
