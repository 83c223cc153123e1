"""A saved router: a folder of JSON, safetensors and Parquet.

No pickle, nothing half-written, nothing silently edited or lost.

Files carry their checksum in their name and the manifest names them. Writing takes the lock of the
folder, adds the new files beside the old ones and then replaces the manifest in one atomic step: a
crash at any moment leaves either the old artifact or the new one, whole. The last few versions stay
in the folder. Reading takes no lock. What older formats become is in `router.migrations`.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors.numpy import save as save_arrays

from graphrouter.artifact_files import (
    MANIFEST,
    Arrays,
    FileEntry,
    decode_file,
    make_entry,
    read_entries,
    read_file,
    write_durably,
)
from graphrouter.artifact_manifest import (
    FORMAT_VERSION,
    KEPT_VERSIONS,
    OWN,
    READABLE_VERSIONS,
    Lineage,
    UnreadableFormatError,
    Version,
    encode_manifest,
    is_same,
    list_versions,
    read_manifest,
    replace_manifest,
    strip_manifest,
)
from graphrouter.artifact_tables import StoredTable, encode_table
from graphrouter.exceptions import ArtifactError
from graphrouter.files import to_path
from graphrouter.lazy import pandas as pd
from graphrouter.locks import LOCK_FILES, WAIT_S, lock_folder
from graphrouter.upward_imports import REGISTRY_SCHEMES, load_part

__all__ = [
    "FORMAT_VERSION",
    "KEPT_VERSIONS",
    "ArtifactContents",
    "Lineage",
    "Version",
    "copy_artifact",
    "list_versions",
    "lock_artifact",
    "read_artifact",
    "read_manifest",
    "restore_version",
    "write_artifact",
]

BASELINE = "baseline"
"""Kind of the artifacts of baselines; a graph router is of kind graphrouter."""

_TRIES = 5
T = TypeVar("T")
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
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ArtifactContents:
    """What an artifact holds."""

    manifest: Mapping[str, Any]
    """Plain JSON values; `files`, `libraries`, `format_version`, `previous` and `checksum` are
    added when it is written."""
    tensors: Mapping[str, Mapping[str, np.ndarray[Any, Any]]]
    """Groups of arrays by name, one safetensors file a group."""
    tables: Mapping[str, pd.DataFrame | StoredTable]
    """Tables by name, one Parquet file each; those that were read stay as they lie there."""


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


@contextmanager
def lock_artifact(folder: Path, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Keep all others from changing the artifact at `folder` for as long as the context lasts.

    What is read inside is what will be changed.

    Raises:
        ArtifactError: There is no artifact, or none that this release reads.
        BusyError: Another process is changing it, and did not end in time.
    """
    if is_registry_uri(folder):
        raise ArtifactError(
            f"{folder} is a version in MLflow, which stays as it is. Load it, and save the changed "
            "router to a folder."
        )
    read_manifest(folder)  # no lock where there is nothing to change
    with lock_folder(folder, wait_s=wait_s):
        yield


def write_artifact(
    folder: Path,
    contents: ArtifactContents,
    *,
    lineage: Lineage | None = None,
    overwrite: bool = False,
    keeps_older: bool = True,
    sign: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> None:
    """Write the artifact to `folder`; what was there stays as an older version.

    Args:
        folder: Where.
        contents: What.
        lineage: Of the router; it learns where the router lies now.
        overwrite: Also put it in the place of changes that it does not come from.
        keeps_older: Whether what was there stays; else all older versions are deleted.
        sign: The manifest with what is known once the digests of all files are.

    Raises:
        ArtifactError: `folder` is a file, or a folder with something else in it, such as a router
            of another kind, or a version that came after the one that the router comes from.
        BusyError: Another process is changing the artifact, and did not end in time.
    """
    check_writable(folder)
    blobs: dict[FileEntry, bytes] = {}
    files = {}
    for name, group in contents.tensors.items():
        blob = save_arrays({k: np.asarray(each, order="C") for k, each in group.items()})
        files[name] = make_entry("tensors", name, blob)
        blobs[files[name]] = blob
    for name, table in contents.tables.items():
        blob = encode_table(table)
        files[name] = make_entry("tables", name, blob)
        blobs[files[name]] = blob
    manifest = sign(
        {
            **contents.manifest,
            "format_version": FORMAT_VERSION,
            "files": {name: entry._asdict() for name, entry in files.items()},
            "libraries": _list_library_versions(),
        }
    )
    with lock_folder(folder):
        check_writable(folder)
        there = _read_present(folder)
        if there is not None:
            _check_kind(folder, there, manifest)
            if not overwrite and lineage is not None:
                _check_lineage(folder, there, lineage)
        if there is None or not is_same(there, manifest):
            for entry, blob in blobs.items():
                write_durably(folder / entry.file, blob)
            there = replace_manifest(folder, manifest, there if keeps_older else None)
        if lineage is not None:
            lineage.note(folder, str(there["checksum"]))


def _read_present(folder: Path) -> dict[str, Any] | None:
    """The manifest that is to be replaced; None where there is none that could be lost.

    Raises:
        ArtifactError: It is of a format that another release reads.
    """
    if not (folder / MANIFEST).exists():
        return None
    try:
        return read_manifest(folder)
    except UnreadableFormatError:
        raise
    except ArtifactError as error:
        _logger.warning("What was at %s is replaced, since nobody could read it: %s", folder, error)
        return None


def _check_kind(folder: Path, there: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Check that no router of another kind would be replaced."""
    old, new = (said.get("baseline", said.get("kind")) for said in (there, manifest))
    if old != new:
        raise ArtifactError(
            f"Cannot write the artifact: {folder} holds a {old!r}, which a {new!r} would replace. "
            "Name another."
        )


def _check_lineage(folder: Path, there: Mapping[str, Any], lineage: Lineage) -> None:
    """Check that no change would be lost that was made after the router was read or saved."""
    known = lineage.find(folder)
    if known and there["checksum"] not in known:
        raise ArtifactError(
            f"Cannot write the artifact: {folder} was changed after this router was read from it "
            "or saved there, and the change would be lost. Make yours again on what is there now, "
            "by graphrouter.change_router, or save with overwrite=True."
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
        not OWN.fullmatch(path.name) and path.name not in LOCK_FILES for path in folder.iterdir()
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


def read_artifact(
    folder: Path, *, formats: Collection[int] = READABLE_VERSIONS
) -> ArtifactContents:
    """The contents of an artifact, every byte checked.

    Others may change it meanwhile: what is read is one version, whole.

    Args:
        folder: The artifact.
        formats: What its format may be.

    Raises:
        ArtifactError: There is no artifact, or it is damaged, edited, incomplete or of another
            format version.
    """
    return _read_version(folder, lambda manifest: _read_files(folder, manifest), formats)


def _read_version(
    folder: Path,
    read: Callable[[Mapping[str, Any]], T],
    formats: Collection[int] = READABLE_VERSIONS,
) -> T:
    """What `read` makes of one version, while others may sweep its files for newer ones."""
    for _ in range(_TRIES):
        manifest = read_manifest(folder, formats=formats)
        try:
            return read(manifest)
        except ArtifactError:
            if read_manifest(folder, formats=formats)["checksum"] == manifest["checksum"]:
                raise
    with lock_folder(folder):  # it is changed faster than it can be read
        return read(read_manifest(folder, formats=formats))


def _read_files(folder: Path, manifest: Mapping[str, Any]) -> ArtifactContents:
    tensors: dict[str, Arrays] = {}
    tables: dict[str, StoredTable] = {}
    for name, entry in read_entries(manifest, folder / MANIFEST).items():
        found = decode_file(read_file(folder, entry), entry, folder)
        if isinstance(found, StoredTable):
            tables[name] = found
        else:
            tensors[name] = found
    return ArtifactContents(manifest=manifest, tensors=tensors, tables=tables)


def restore_version(folder: Path, name: str) -> None:
    """Make an older version the present one; what was the present one stays as an older one.

    Args:
        folder: The artifact.
        name: Of the version, or the beginning of it.

    Raises:
        ArtifactError: It has no such version, or that one is damaged.
        BusyError: Another process is changing the artifact, and did not end in time.
    """
    read_manifest(folder)  # no lock where there is no artifact
    with lock_folder(folder):
        present, *older = list_versions(folder)
        found = [version for version in older if name and version.name.startswith(name)]
        if len(found) != 1:
            names = ", ".join(version.name for version in older) or "none"
            raise ArtifactError(
                f"{folder} has {'several older versions' if found else 'no older version'} "
                f"{name!r}; expected one of: {names}."
            )
        _read_files(folder, found[0].manifest)  # it is whole
        replace_manifest(folder, strip_manifest(found[0].manifest), present.manifest)


def copy_artifact(folder: Path, target: Path) -> None:
    """Write the present version of an artifact, and nothing else, to a new or empty folder.

    Raises:
        ArtifactError: As `read_artifact` and `write_artifact`.
    """
    check_writable(target)

    def copy(manifest: Mapping[str, Any]) -> None:
        for entry in read_entries(manifest, folder / MANIFEST).values():
            write_durably(target / entry.file, read_file(folder, entry))
        write_durably(target / MANIFEST, encode_manifest(manifest))

    target.mkdir(parents=True, exist_ok=True)
    _read_version(folder, copy)


def _list_library_versions() -> dict[str, str]:
    from importlib import metadata  # of what writes alone

    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
