"""Fetches a public dataset into a folder.

Pinned to a commit, checked by checksum, and going on where it was interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from graphrouter.bench.hub.sources import PUBLIC, SOURCE_FILE, RemoteFile
from graphrouter.exceptions import DataError
from graphrouter.extras import require_extra
from graphrouter.locks import LOCK_FILES, lock_folder

if TYPE_CHECKING:
    from graphrouter.bench.hub.client import HubClient

DEFAULT_ENDPOINT = "https://huggingface.co"
_CHUNK_BYTES = 1 << 20

Progress = Callable[[str, int, int], None]
"""Called with the file, the bytes that are there and the bytes that it has."""


@dataclass(frozen=True)
class FetchResult:
    """What a folder holds after fetching."""

    repo: str
    commit: str
    num_files: int
    num_bytes: int
    num_downloaded: int
    """Files that this call wrote; 0 where all of them were there."""


@dataclass(frozen=True)
class _Source:
    """What SOURCE.json says: where the files of a folder come from."""

    repo: str
    revision: str
    commit: str
    files: tuple[RemoteFile, ...]


def fetch_dataset(
    name: str,
    folder: Path,
    *,
    endpoint: str | None = None,
    revision: str = "main",
    progress: Progress | None = None,
) -> FetchResult:
    """Fetch the named public dataset into `folder`, under the paths of its repository.

    `SOURCE.json` beside says what it is. What comes back says how much was there and how much came.

    The revision is resolved to a commit once, and the folder stays at it. Each file is written
    beside its place (`.part`), checked and only then moved there; a later call goes on with what an
    interrupted one left, and downloads nothing that is complete.

    Args:
        name: One of `PUBLIC`.
        folder: Made where it is absent; otherwise it must be empty or hold an earlier fetch of the
            same dataset.
        endpoint: Address of the hub; the environment's HF_ENDPOINT, or the public hub, by default.
        revision: Branch, tag or commit.
        progress: Told after each piece.

    Raises:
        DataError: The name is unknown, the folder holds something else, the hub cannot be reached
            or has no such thing, the connection breaks, or a file has another checksum than the hub
            states.
        MissingExtraError: The HTTP client is not installed.

    Example:
        >>> try:
        ...     fetch_dataset("routerbank", Path("downloads"))
        ... except DataError as error:
        ...     print(str(error)[:36])
        Unknown public dataset 'routerbank'.
    """
    if name not in PUBLIC:
        raise DataError(f"Unknown public dataset {name!r}. Known: {', '.join(PUBLIC)}.")
    recorded = _read_source(folder, PUBLIC[name].repo, revision)
    if recorded is not None and all(
        _is_complete(folder / file.path, file) for file in recorded.files
    ):
        return _make_result(recorded, num_downloaded=0)

    # HTTP only where something is to be downloaded
    require_extra("bench", "httpx2", purpose="Fetching a public dataset")
    from graphrouter.bench.hub.client import HubClient

    with HubClient(
        endpoint or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT, PUBLIC[name].repo
    ) as hub:
        source = recorded or _find_source(hub, PUBLIC[name].wanted, revision)
        folder.mkdir(parents=True, exist_ok=True)
        with lock_folder(folder, wait_s=0):  # two would write to one file
            _write_source(source, folder)
            missing = [file for file in source.files if not _is_complete(folder / file.path, file)]
            for file in missing:
                _download(hub, file, source.commit, folder / file.path, progress or _ignore)
    return _make_result(source, num_downloaded=len(missing))


def compute_checksum(file: Path, algorithm: str) -> str:
    """The checksum of a file as the hub states it, in hex.

    Args:
        file: What to read.
        algorithm: sha256 of the contents, or git-sha1: SHA-1 of the word blob, the size, a zero
            byte and the contents.
    """
    digest = hashlib.sha256() if algorithm == "sha256" else hashlib.sha1(usedforsecurity=False)
    if algorithm != "sha256":
        digest.update(f"blob {file.stat().st_size}\0".encode())
    with file.open("rb") as contents:
        while piece := contents.read(_CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _read_source(folder: Path, repo: str, revision: str) -> _Source | None:
    """What an earlier fetch into the folder recorded; None for an empty folder.

    Raises:
        DataError: The folder holds something else, or another commit.
    """
    if not folder.exists() or (
        folder.is_dir() and all(path.name in LOCK_FILES for path in folder.iterdir())
    ):
        return None
    record = folder / SOURCE_FILE
    if not record.is_file():
        raise DataError(
            f"{folder} holds something that was not fetched (there is no {SOURCE_FILE}). Name "
            "another folder."
        )
    try:
        said = json.loads(record.read_text(encoding="utf-8"))
        files = tuple(RemoteFile(**file) for file in said["files"])
        source = _Source(str(said["repo"]), str(said["revision"]), str(said["commit"]), files)
    except (ValueError, TypeError, KeyError):
        raise DataError(f"{record} is damaged. Delete {folder} and fetch again.") from None
    if source.repo != repo or revision not in (source.revision, source.commit):
        raise DataError(
            f"{folder} holds {source.repo} at {source.revision} ({source.commit[:12]}), not "
            f"{repo} at {revision}. "
            "Name another folder."
        )
    return source


def _find_source(hub: HubClient, wanted: Sequence[str], revision: str) -> _Source:
    """The commit that the revision stands for now, with the files that are wanted of it."""
    commit = hub.find_commit(revision)
    there = hub.list_files(commit)
    files = tuple(
        file for file in there if any(fnmatchcase(file.path, pattern) for pattern in wanted)
    )
    if not files:
        names = ", ".join(file.path for file in there[:6]) or "nothing"
        raise DataError(
            f"{hub.repo} has no file like {' or '.join(wanted)} at {revision!r} (found: {names}). "
            "Has it moved?"
        )
    return _Source(hub.repo, revision, commit, files)


def _write_source(source: _Source, folder: Path) -> None:
    part = folder / f"{SOURCE_FILE}.part"
    part.write_text(json.dumps(asdict(source), indent=2) + "\n", encoding="utf-8")
    part.replace(folder / SOURCE_FILE)


def _is_complete(target: Path, file: RemoteFile) -> bool:
    if not target.is_file() or target.stat().st_size != file.num_bytes:
        return False
    return compute_checksum(target, file.algorithm) == file.checksum


def _download(
    hub: HubClient, file: RemoteFile, commit: str, target: Path, progress: Progress
) -> None:
    """Download the file to `target`, going on from `target`.part where that is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    there = part.stat().st_size if part.is_file() else 0
    if there > file.num_bytes:
        part.unlink()
        there = 0
    if there < file.num_bytes or not part.is_file():
        _receive(hub, file, commit, part, there, progress)
    received = compute_checksum(part, file.algorithm)
    if received != file.checksum:
        part.unlink()
        raise DataError(
            f"{file.path} of {hub.repo} arrived with the {file.algorithm} checksum "
            f"{received[:16]}..., but the hub states "
            f"{file.checksum[:16]}.... What arrived was deleted; run the same command again."
        )
    part.replace(target)


def _receive(
    hub: HubClient, file: RemoteFile, commit: str, part: Path, there: int, progress: Progress
) -> None:
    """Add to `part` the bytes of the file that it lacks."""
    with hub.open(file, commit, start=there) as (begins, pieces), part.open("ab") as out:
        out.truncate(begins)
        progress(file.path, begins, file.num_bytes)
        for piece in pieces:
            out.write(piece)
            progress(file.path, out.tell(), file.num_bytes)
    num_bytes = part.stat().st_size
    if num_bytes < file.num_bytes:
        raise DataError(
            f"{file.path} of {hub.repo} ended after {num_bytes:,} of {file.num_bytes:,} bytes. "
            "The same command goes on from there."
        )


def _make_result(source: _Source, *, num_downloaded: int) -> FetchResult:
    num_bytes = sum(file.num_bytes for file in source.files)
    return FetchResult(source.repo, source.commit, len(source.files), num_bytes, num_downloaded)


def _ignore(path: str, there: int, total: int) -> None:
    """Ignore how far it is: nobody watches."""
