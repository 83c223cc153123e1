"""The manifest of an artifact: its versions, the step from one to the next, and what is checked.

The present one is `manifest.json`. Each names the one before it by its checksum, under which that
stays in the folder with its files for a few versions more.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from graphrouter.artifact_files import MANIFEST, parse_manifest, read_entries, write_durably
from graphrouter.exceptions import ArtifactError

FORMAT_VERSION = 8
"""1 and 2: with another network; `router.refitting` trains it again on what they hold. 3: weights
of a graph router under other names. 4: without what the manifest names since. 5: of a network that
did not solve for skills and texts at once. 6: of one that learned to tell tasks apart. 7:
without what goes with queries beside their texts. They are read, and converted by
`router.migrations`."""
READABLE_VERSIONS = (3, 4, 5, 6, 7, FORMAT_VERSION)
KEPT_VERSIONS = 3
"""How many versions before the present one an artifact keeps."""
OWN = re.compile(
    r".+\.[0-9a-f]{12}\.(safetensors|parquet|json)|\..+\.partial"
)  # what writing puts beside the manifest
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHANGING = ("previous", "checksum")
"""Keys in which versions of the same contents differ."""


class UnreadableFormatError(ArtifactError):
    """An artifact of a format that another release reads."""


class Version(NamedTuple):
    """A version of an artifact that its folder still holds."""

    name: str
    """The first 12 digits of the checksum of its manifest."""
    written_at: datetime
    """In UTC."""
    manifest: Mapping[str, Any]


class Lineage:
    """The saved artifacts that a router is, or comes from: by folder, the checksums of manifests.

    Example:
        >>> read, changed = Lineage(), Lineage()
        >>> read.note(Path("mine"), "0f3c")
        >>> changed.follow(read)
        >>> changed.find(Path("mine"))
        {'0f3c'}
    """

    def __init__(self) -> None:
        self._known: dict[Path, set[str]] = {}
        self._before: list[Lineage] = []

    def note(self, folder: Path, checksum: str) -> None:
        """Take down that the router is what lies in `folder` with this checksum."""
        self._known.setdefault(folder.resolve(), set()).add(checksum)

    def follow(self, before: Lineage) -> None:
        """Take down that the router was made of another one."""
        self._before.append(before)

    def find(self, folder: Path) -> set[str]:
        """The checksums that it knows of `folder`; empty where it never lay there."""
        found, open_ = set(), [self]
        while open_:
            lineage = open_.pop()
            found |= lineage._known.get(folder.resolve(), set())
            open_ += lineage._before
        return found


def read_manifest(folder: Path, *, formats: Collection[int] = READABLE_VERSIONS) -> dict[str, Any]:
    """The manifest of an artifact, checked.

    Args:
        folder: The artifact.
        formats: What its format may be.

    Raises:
        ArtifactError: As `read_artifact`.
    """
    manifest, raw = parse_manifest(folder)
    version = manifest.get("format_version")
    if not isinstance(version, int) or version not in formats:
        raise UnreadableFormatError(
            f"The artifact at {folder} has format version {version}; this release reads versions "
            f"{', '.join(map(str, READABLE_VERSIONS[:-1]))} and {FORMAT_VERSION}. "
            f"{_find_remedy(folder, version)}"
        )
    # The bytes too: white space, 1E-05 for 1e-05 and their like change no value and so no checksum
    # of values.
    if manifest.get("checksum") != checksum_manifest(manifest) or raw != encode_manifest(manifest):
        raise ArtifactError(
            f"{folder / MANIFEST} was changed after it was written: its checksum does not match. "
            "Train again, or restore a copy."
        )
    read_entries(manifest, folder / MANIFEST)
    return manifest


def _find_remedy(folder: Path, version: Any) -> str:
    if isinstance(version, int) and version > FORMAT_VERSION:
        return "Upgrade graphrouter, or train it again with this release."
    if isinstance(version, int) and 0 < version < READABLE_VERSIONS[0]:
        return (
            "Train it again on what it holds: graphrouter migrate "
            f"{shlex.quote(str(folder))} --out NEW"
        )
    return "Train it again with this release."


def list_versions(folder: Path) -> list[Version]:
    """The present version of an artifact and those before it, the present one first.

    Raises:
        ArtifactError: As `read_manifest`.
    """
    manifest = read_manifest(folder)
    return [
        _describe_version(folder / MANIFEST, manifest),
        *list_older(folder, manifest),
    ]


def list_older(folder: Path, manifest: Mapping[str, Any]) -> list[Version]:
    """The versions before that of the manifest, the last first, as far as they are kept."""
    found: list[Version] = []
    previous = manifest.get("previous")
    while isinstance(previous, str) and _DIGEST.fullmatch(previous) and len(found) < KEPT_VERSIONS:
        file = folder / _name_manifest(previous)
        try:
            older, raw = parse_manifest(folder, file.name)
            read_entries(older, file)
        except ArtifactError:
            break
        if previous != checksum_manifest(older) or raw != encode_manifest(older):
            break
        found.append(_describe_version(file, older))
        previous = older.get("previous")
    return found


def _describe_version(file: Path, manifest: Mapping[str, Any]) -> Version:
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC).replace(microsecond=0)
    return Version(str(manifest["checksum"])[:12], written, manifest)


def strip_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What versions of the same contents have in common."""
    return {key: value for key, value in manifest.items() if key not in _CHANGING}


def replace_manifest(
    folder: Path, manifest: Mapping[str, Any], there: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Put the manifest in the place of the present one, and return it as it stands there.

    All of its files are written, and the lock of the folder is held.

    Args:
        folder: The artifact.
        manifest: Without `previous` and `checksum`.
        there: The present one, which stays as an older version; None where there is none.
    """
    checksum = None if there is None else str(there["checksum"])
    if checksum is not None:
        old = folder / MANIFEST
        kept = folder / _name_manifest(checksum)
        written = old.stat().st_mtime_ns
        write_durably(kept, old.read_bytes())
        os.utime(kept, ns=(written, written))
    new = {**manifest, "previous": checksum}
    new["checksum"] = checksum_manifest(new)
    write_durably(folder / MANIFEST, encode_manifest(new))
    _sweep(folder, new)
    return new


def _sweep(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Remove files of versions that are not kept and of interrupted writes; the lock is held."""
    keep = {MANIFEST}
    older = [version.manifest for version in list_older(folder, manifest)]
    keep |= {_name_manifest(str(each["checksum"])) for each in older}
    for each in (manifest, *older):
        keep |= {entry.file for entry in read_entries(each, folder / MANIFEST).values()}
    for path in folder.iterdir():
        if path.name not in keep and OWN.fullmatch(path.name):
            path.unlink(missing_ok=True)


def is_same(there: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest that was read has the contents of one that is to be written."""
    return encode_manifest(strip_manifest(there)) == encode_manifest(manifest)


def _name_manifest(checksum: str) -> str:
    return f"manifest.{checksum[:12]}.json"


def encode_manifest(manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest; one with the same values has the same."""
    return json.dumps(manifest, indent=2, sort_keys=True).encode()


def checksum_manifest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its checksum."""
    text = json.dumps(
        {k: v for k, v in manifest.items() if k != "checksum"},
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(text.encode()).hexdigest()
