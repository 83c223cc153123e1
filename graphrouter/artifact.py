"""A saved router: a folder of JSON, safetensors and Parquet.

No pickle, nothing half-written, nothing silently edited.

Files carry their checksum in their name and the manifest names them. Writing adds the new files
beside the old ones and then replaces the manifest in one atomic step: a crash at any moment leaves
either the old artifact or the new one, whole. What older formats become is in `router.migrations`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from graphrouter.exceptions import ArtifactError
from graphrouter.files import to_path
from graphrouter.upward_imports import REGISTRY_SCHEMES, load_part

__all__ = [
    "FORMAT_VERSION",
    "ArtifactContents",
    "read_artifact",
    "read_manifest",
    "write_artifact",
]

FORMAT_VERSION = 5
"""1 and 2: with another network; they are not read any more: train again. 3: weights of a graph
router under other names. 4: without what the manifest names since. Both are read, and converted by
`router.migrations`."""
READABLE_VERSIONS = (3, 4, FORMAT_VERSION)
MANIFEST = "manifest.json"
BASELINE = "baseline"
"""Kind of the artifacts of baselines; a graph router is of kind graphrouter."""

_SUFFIXES = {"tensors": ".safetensors", "tables": ".parquet"}
_OWN = re.compile(
    r".+\.[0-9a-f]{12}\.(safetensors|parquet)|\..+\.partial"
)  # what write_artifact itself puts beside the manifest
_LIBRARIES = (
    "torch",
    "torch-geometric",
    "lightning",
    "numpy",
    "pandas",
    "pyarrow",
    "safetensors",
    "wordllama",
)


@dataclass(frozen=True)
class ArtifactContents:
    """What an artifact holds."""

    manifest: Mapping[str, Any]
    """Plain JSON values; `files`, `libraries`, `format_version` and `checksum` are added when it is
    written."""
    tensors: Mapping[str, Mapping[str, Tensor]]
    """Groups of tensors by name, one safetensors file a group."""
    tables: Mapping[str, pd.DataFrame]
    """Tables by name, one Parquet file each."""


def is_registry_uri(place: str | Path) -> bool:
    """Whether a place is a URI of MLflow.

    Example:
        >>> is_registry_uri("models:/mine/1"), is_registry_uri("artifacts/mine")
        (True, False)
    """
    return str(place).startswith(REGISTRY_SCHEMES)


@contextmanager
def artifact_folder(place: str | Path) -> Iterator[Path]:
    """The folder of an artifact, for as long as the context lasts.

    It is `place` itself, or a copy of what MLflow has there.

    Args:
        place: A folder, or where an artifact lies in MLflow: `models:/name/version`,
            `models:/name@alias` or `runs:/id/path`.

    Raises:
        ArtifactError: MLflow has no router there.
        MissingExtraError: It lies in MLflow, which is not installed.
    """
    if not is_registry_uri(place):
        yield to_path(place, "an artifact", ArtifactError)
        return
    with load_part("mlflow_store").fetch_router(str(place)) as folder:
        yield folder


def write_artifact(folder: Path, contents: ArtifactContents) -> None:
    """Write the artifact to `folder`.

    Raises:
        ArtifactError: `folder` is a file, or a folder with something else in it, such as a router
            of another kind.
    """
    check_writable(folder)
    _check_kind(folder, contents.manifest)
    folder.mkdir(parents=True, exist_ok=True)
    blobs = {
        name: save_tensors({k: t.contiguous() for k, t in group.items()})
        for name, group in contents.tensors.items()
    }
    files = {}
    for kind, named in (
        ("tensors", blobs),
        ("tables", {name: _encode_parquet(table) for name, table in contents.tables.items()}),
    ):
        for name, blob in named.items():
            digest = hashlib.sha256(blob).hexdigest()
            file = f"{name}.{digest[:12]}{_SUFFIXES[kind]}"
            _write_durably(folder / file, blob)
            files[name] = {"kind": kind, "file": file, "sha256": digest, "num_bytes": len(blob)}
    manifest = {
        **contents.manifest,
        "format_version": FORMAT_VERSION,
        "files": files,
        "libraries": _list_library_versions(),
    }
    manifest["checksum"] = _checksum_manifest(manifest)
    _write_durably(folder / MANIFEST, _encode_manifest(manifest))
    _sweep(folder, keep={MANIFEST, *(str(entry["file"]) for entry in files.values())})


def _check_kind(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Check that no router of another kind would be lost."""
    try:
        there = read_manifest(folder)
    except ArtifactError:  # none, or one that nobody can read any more
        return
    old, new = (said.get("baseline", said.get("kind")) for said in (there, manifest))
    if old != new:
        raise ArtifactError(
            f"Cannot write the artifact: {folder} holds a {old!r}, which a {new!r} would replace. "
            "Name another."
        )


def check_writable(folder: Path) -> None:
    """Check that `write_artifact` would accept `folder`. Ask before training, not after.

    Raises:
        ArtifactError: `folder` is a file, holds something else, or cannot be made or written to.
    """
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(
            f"Cannot write the artifact: {folder} is a file; expected a new or empty folder, or "
            "an older artifact."
        )
    is_new = folder.is_dir() and not (folder / MANIFEST).is_file()
    if is_new and any(
        not _OWN.fullmatch(path.name) for path in folder.iterdir()
    ):  # an interrupted first write may be repeated
        raise ArtifactError(
            f"Cannot write the artifact: {folder} holds other files. Name a new or empty folder, "
            "or an older artifact."
        )
    nearest = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        what = "no folder" if not nearest.is_dir() else "not writable for you"
        raise ArtifactError(
            f"Cannot write the artifact to {folder}: {nearest} is {what}. Name another place."
        )


def read_artifact(folder: Path) -> ArtifactContents:
    """The contents of an artifact, every byte checked.

    Raises:
        ArtifactError: There is no artifact, or it is damaged, edited, incomplete or of another
            format version.
    """
    manifest = read_manifest(folder)
    tensors: dict[str, dict[str, Tensor]] = {}
    tables: dict[str, pd.DataFrame] = {}
    for name, entry in manifest["files"].items():
        blob = _read_checked(folder / entry["file"], entry)
        try:
            if entry["kind"] == "tensors":
                tensors[name] = load_tensors(blob)
            else:
                tables[name] = pd.read_parquet(io.BytesIO(blob))
        except (safetensors.SafetensorError, OSError, ValueError) as error:
            raise ArtifactError(
                f"{folder / entry['file']} cannot be read: {error}. Train again, or restore a copy."
            ) from error
    return ArtifactContents(manifest=manifest, tensors=tensors, tables=tables)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an artifact, checked.

    Raises:
        ArtifactError: As `read_artifact`.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtifactError(
            f"No artifact at {folder}: {MANIFEST} is missing. Make one with: graphrouter train "
            f"DATA --out {folder}"
        )
    try:
        raw = path.read_bytes()
        manifest = json.loads(raw.decode())
    except ValueError as error:
        raise ArtifactError(
            f"{path} is no valid JSON ({error}): the artifact is damaged. Train again, or restore "
            "a copy."
        ) from None
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version not in READABLE_VERSIONS:
        is_newer = isinstance(version, int) and version > FORMAT_VERSION
        raise ArtifactError(
            f"The artifact at {folder} has format version {version}; this release reads versions "
            f"{', '.join(map(str, READABLE_VERSIONS[:-1]))} and {FORMAT_VERSION}. "
            + (
                "Upgrade graphrouter, or train it again with this release."
                if is_newer
                else "Train it again with this release."
            )
        )
    # The bytes too: white space, 1E-05 for 1e-05 and their like change no value and so no checksum
    # of values.
    if manifest.get("checksum") != _checksum_manifest(manifest) or raw != _encode_manifest(
        manifest
    ):
        raise ArtifactError(
            f"{path} was changed after it was written: its checksum does not match. Train again, "
            "or restore a copy."
        )
    return dict(manifest)


def _encode_manifest(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, indent=2, sort_keys=True).encode()


def _checksum_manifest(manifest: Mapping[str, Any]) -> str:
    text = json.dumps(
        {k: v for k, v in manifest.items() if k != "checksum"},
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _read_checked(path: Path, entry: Mapping[str, Any]) -> bytes:
    if not path.is_file():
        raise ArtifactError(
            f"The artifact is incomplete: {path} is missing. Train again, or restore a copy."
        )
    blob = path.read_bytes()
    if len(blob) != entry["num_bytes"]:
        raise ArtifactError(
            f"{path} is truncated: {len(blob)} bytes, expected {entry['num_bytes']}. Train again, "
            "or restore a copy."
        )
    if hashlib.sha256(blob).hexdigest() != entry["sha256"]:
        raise ArtifactError(
            f"{path} was changed after it was written: its checksum does not match. Train again, "
            "or restore a copy."
        )
    return blob


def _encode_parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _write_durably(path: Path, blob: bytes) -> None:
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


def _sweep(folder: Path, *, keep: set[str]) -> None:
    """Remove the files of older versions of this artifact and of interrupted writes."""
    for path in folder.iterdir():
        if path.name not in keep and _OWN.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _list_library_versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
