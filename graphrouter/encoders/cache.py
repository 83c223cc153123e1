"""An on-disk cache around any encoder: a SQLite file each, shared by any number of processes."""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from graphrouter.config import EncoderConfig
from graphrouter.encoders.text_encoder import (
    DEFAULT_MAX_CHARS,
    Embeddings,
    TextEncoder,
    clip_texts,
    encode_texts,
    iterate_batches,
)
from graphrouter.exceptions import EncoderError

logger = logging.getLogger(__name__)

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS embeddings (text_sha256 BLOB PRIMARY KEY, vector BLOB NOT "
    "NULL, crc32 INTEGER NOT NULL)"
)
_KEYS_A_QUERY = 500
_TEXTS_A_COMMIT = 1_024
_WAIT_FOR_LOCK_S = 30.0


class CachedEncoder:
    """Encodes only the texts that no earlier run has encoded with the same encoder.

    The same is one of the same id, revision and dimension. The cache never stands in the way: a
    damaged file is replaced and one that cannot be written is passed over, each with a warning.
    Every vector carries a checksum, so that a flipped bit on disk is a miss and not a wrong vector.

    Example:
        >>> from tempfile import mkdtemp
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> encoder = CachedEncoder(HashingEncoder(64), mkdtemp())
        >>> bool((encoder.encode(["a text"]) == encoder.encode(["a text"])).all())
        True

    Raises:
        EncoderError: The folder cannot be made.
    """

    def __init__(
        self, encoder: TextEncoder, folder: str | Path, *, max_chars: int = DEFAULT_MAX_CHARS
    ) -> None:
        self.id = encoder.id
        self.revision = encoder.revision
        self.dimension = encoder.dimension
        inner: EncoderConfig | None = getattr(encoder, "config", None)
        self.config = inner and inner.model_copy(
            update={"cache_dir": str(folder), "max_chars": max_chars}
        )
        self._encoder = encoder
        self._max_chars = max_chars
        folder = Path(folder).expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EncoderError(
                f"encoder.cache_dir = {folder} cannot be made: {error}. Name a folder that can be "
                "written."
            ) from error
        self.path = folder / _file_name(encoder)
        self._broken = False

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Embeddings:
        """Vectors (num_texts, dimension) as the wrapped encoder gives them, bit for bit."""
        # Clipped before the key is taken: what the encoder does not see must not tell texts apart,
        # and a cache that is shared by runs of different max_chars must not mix them.
        clipped = clip_texts(texts, self._max_chars)
        keys = [hashlib.sha256(text.encode()).digest() for text in clipped]
        text_of = dict(zip(keys, clipped, strict=True))
        known = self._read(list(text_of))
        missing = [key for key in text_of if key not in known]
        for part in iterate_batches(len(missing), _TEXTS_A_COMMIT, progress=progress):
            batch = missing[part]
            fresh = dict(
                zip(
                    batch, encode_texts(self._encoder, [text_of[key] for key in batch]), strict=True
                )
            )
            self._write(fresh)  # by parts: an interrupted run keeps what it has paid for
            known.update(fresh)
        vectors = np.empty((len(keys), self.dimension), dtype=np.float32)
        for row, key in enumerate(keys):
            vectors[row] = known[key]
        return vectors

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, Embeddings]:
        """The cached vector of each key that has a sound one."""
        found: dict[bytes, Embeddings] = {}
        with self._survive_failures(), closing(self._connect()) as connection:
            for part in iterate_batches(len(keys), _KEYS_A_QUERY):
                marks = ",".join("?" * len(keys[part]))
                query = (
                    "SELECT text_sha256, vector, crc32 FROM embeddings WHERE text_sha256 IN "
                    f"({marks})"
                )
                for key, blob, checksum in connection.execute(query, keys[part]):
                    if len(blob) == 4 * self.dimension and _checksum(key, blob) == checksum:
                        found[key] = np.frombuffer(blob, dtype="<f4").astype(np.float32, copy=False)
        return found

    def _write(self, vectors: Mapping[bytes, Embeddings]) -> None:
        blobs = ((key, vector.astype("<f4").tobytes()) for key, vector in vectors.items())
        rows = [(key, blob, _checksum(key, blob)) for key, blob in blobs]
        with self._survive_failures(), closing(self._connect()) as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", rows)

    def _connect(self) -> sqlite3.Connection:
        """A connection of its own for each use.

        Connections cannot be shared by threads, nor carried over a fork.
        """
        if self._broken:
            raise sqlite3.OperationalError("switched off after an earlier failure")
        connection = sqlite3.connect(self.path, timeout=_WAIT_FOR_LOCK_S)
        try:
            _switch_to_wal(connection)  # readers and one writer do not wait for each other
            # No fsync: it costs 20 ms a prompt. A killed process loses nothing by that, and what a
            # power cut damages is replaced.
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def _survive_failures(self) -> Iterator[None]:
        try:
            yield
        except (
            sqlite3.OperationalError
        ) as error:  # locked, read-only, disk full: the file itself is sound
            if not self._broken:
                logger.warning(
                    "The embedding cache %s cannot be used (%s); going on without it.",
                    self.path,
                    error,
                )
            self._broken = True
        except sqlite3.DatabaseError as error:
            logger.warning(
                "The embedding cache %s was damaged (%s) and is replaced by an empty one.",
                self.path,
                error,
            )
            for suffix in ("-wal", "-shm", ""):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)


def _file_name(encoder: TextEncoder) -> str:
    """A readable name with a digest that tells apart what the readable part cannot."""
    identity = f"{encoder.id}|{encoder.revision}|{encoder.dimension}"
    readable = re.sub(r"[^A-Za-z0-9_.]+", "-", f"{encoder.id}-{encoder.dimension}")
    return f"{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.sqlite3"


def _checksum(key: bytes, blob: bytes) -> int:
    return zlib.crc32(blob, zlib.crc32(key))


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch the journal mode.

    SQLite does not wait for other processes that do the same at the same moment: this does.
    """
    deadline = time.monotonic() + _WAIT_FOR_LOCK_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
