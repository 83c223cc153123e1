"""The files of an artifact: names that stay in its folder, sizes that are known before reading.

An artifact may come from a stranger. Whatever its manifest says, nothing outside of its folder is
read, and no more memory is taken than its files are large, but for the stated growth of a table.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import safetensors
from safetensors.numpy import load as load_arrays

from graphrouter.artifact_tables import MEND, StoredTable
from graphrouter.exceptions import ArtifactError

Arrays = dict[str, np.ndarray[Any, Any]]
"""By name."""

MANIFEST = "manifest.json"
SUFFIXES: Mapping[str, str] = {"tensors": ".safetensors", "tables": ".parquet"}

_MOST_MANIFEST_BYTES = 32 * 2**20
_MOST_FILE_BYTES = 8 * 2**30
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class FileEntry(NamedTuple):
    """What a manifest says of a file."""

    kind: Literal["tensors", "tables"]
    file: str
    """Its name, made of that of its part and of its digest: no way out of a folder."""
    sha256: str
    num_bytes: int


def make_entry(kind: Literal["tensors", "tables"], name: str, blob: bytes) -> FileEntry:
    """The entry of a file with these bytes.

    Example:
        >>> make_entry("tables", "pool", b"PAR1").file
        'pool.fbc62d3b5113.parquet'
    """
    digest = hashlib.sha256(blob).hexdigest()
    return FileEntry(kind, f"{name}.{digest[:12]}{SUFFIXES[kind]}", digest, len(blob))


def read_entries(manifest: Mapping[str, Any], path: Path) -> dict[str, FileEntry]:
    """The files that a manifest names, by the names of their parts.

    Args:
        manifest: As it was read.
        path: Where, for messages.

    Raises:
        ArtifactError: An entry is none, or names what `make_entry` would not.
    """
    files = manifest.get("files")
    if not isinstance(files, dict):
        raise ArtifactError(
            f"{path} names no files: 'files' is a {type(files).__name__}, expected a mapping. "
            f"{MEND}"
        )
    return {name: _read_entry(name, said, path) for name, said in files.items()}


def _read_entry(name: str, said: Any, path: Path) -> FileEntry:
    values: dict[str, Any] = said if isinstance(said, dict) else {}
    entry = FileEntry._make(values.get(field) for field in FileEntry._fields)
    is_sound = (
        set(values) == set(FileEntry._fields)
        and _NAME.fullmatch(name)
        and isinstance(entry.kind, str)
        and entry.kind in SUFFIXES
        and isinstance(entry.sha256, str)
        and _DIGEST.fullmatch(entry.sha256)
        and type(entry.num_bytes) is int
        and entry.num_bytes >= 0
    )
    if not is_sound or entry.file != f"{name}.{entry.sha256[:12]}{SUFFIXES[entry.kind]}":
        shown = f"{name}: {json.dumps(said)}"[:200]
        raise ArtifactError(
            f"{path} names a file that no artifact has: {shown}. Expected kind, sha256, num_bytes, "
            f"and file as NAME.DIGEST.safetensors or .parquet in its own folder. {MEND}"
        )
    return entry


def parse_manifest(folder: Path, name: str = MANIFEST) -> tuple[dict[str, Any], bytes]:
    """The manifest of a folder as plain JSON, and its bytes; not checked any further.

    Args:
        folder: Where it lies.
        name: Of its file.

    Raises:
        ArtifactError: There is none, it leads out of the folder, or it is no JSON of a mapping.
    """
    path = folder / name
    if not path.is_file():
        raise ArtifactError(
            f"No artifact at {folder}: {name} is missing. Make one with: graphrouter train "
            f"DATA --out {folder}"
        )
    raw = _read_plain(path, most_bytes=_MOST_MANIFEST_BYTES)
    try:
        manifest = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path} is no valid JSON ({error}): the artifact is damaged. {MEND}"
        ) from None
    return (manifest if isinstance(manifest, dict) else {}), raw


def read_file(folder: Path, entry: FileEntry) -> bytes:
    """The bytes of a file, which are those that the manifest names.

    Raises:
        ArtifactError: They are not, or the file is not there.
    """
    path = folder / entry.file
    if not path.is_file():
        raise ArtifactError(f"The artifact is incomplete: {path} is missing. {MEND}")
    blob = _read_plain(path, most_bytes=_MOST_FILE_BYTES, num_bytes=entry.num_bytes)
    if hashlib.sha256(blob).hexdigest() != entry.sha256:
        raise ArtifactError(
            f"{path} was changed after it was written: its checksum does not match. {MEND}"
        )
    return blob


def _read_plain(path: Path, *, most_bytes: int, num_bytes: int | None = None) -> bytes:
    """The bytes of a file in its own folder, whose size is looked at first."""
    try:
        if not path.resolve().is_relative_to(path.parent.resolve()):
            raise ArtifactError(
                f"{path} is a link that leads out of its folder, so it is not read. Copy the "
                "artifact with its links followed: cp -rL"
            )
        with path.open("rb") as stream:
            there = os.fstat(stream.fileno()).st_size
            if there > most_bytes:
                raise ArtifactError(
                    f"{path} has {there:,} bytes; expected at most {most_bytes:,}. {MEND}"
                )
            blob = b"" if num_bytes not in (None, there) else stream.read(there)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}. {MEND}") from error
    if num_bytes is not None and there != num_bytes:
        raise ArtifactError(f"{path} is truncated: {there} bytes, expected {num_bytes}. {MEND}")
    return blob


def decode_file(blob: bytes, entry: FileEntry, folder: Path) -> Arrays | StoredTable:
    """Arrays by name, or a table.

    Raises:
        ArtifactError: It cannot be read, or is a table that would take far more memory than its
            file.
    """
    path = folder / entry.file
    if entry.kind == "tables":
        return StoredTable(blob, path)
    try:
        return load_arrays(blob)
    # What the library raises over bytes that somebody made by hand.
    except (
        safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError, OverflowError
    ) as error:  # fmt: skip
        raise ArtifactError(f"{path} cannot be read: {error}. {MEND}") from error


def write_durably(path: Path, blob: bytes) -> None:
    """Write a file so that it is there whole, or not at all, also after a power cut."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as stream:
        stream.write(blob)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
