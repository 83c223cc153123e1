"""A folder that one process at a time changes; who only reads it needs no lock.

The lock is a file in the folder, locked by `flock`. The kernel frees it when its owner dies, also
over NFS, where it becomes a lock of the server. The file is there while somebody changes the
folder; one that a killed process left behind locks nothing. Where a file system has no `flock`, or
one that other machines do not see, the file `.lock.held` is the lock: only one process can make it.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graphrouter.exceptions import BusyError

LOCK, HELD = ".lock", ".lock.held"
LOCK_FILES = (LOCK, HELD)
"""What may lie in a folder that nobody has written to yet."""
WAIT_S = 300.0
"""How long a change waits for another one: many times as long as the slowest takes."""

_SAY_AFTER_S = 1.0
_MOST_BYTES = 4_096
_WITHOUT_FLOCK = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
_TAKEN = {errno.EWOULDBLOCK, errno.EACCES, errno.EINTR}
_MOUNTS = Path("/proc/self/mountinfo")
_LOCKED_HERE_ALONE = {"9p", "fuse", "virtiofs", "vboxsf"}
"""File systems on which a lock is mostly kept by the kernel of this machine; so it is on those of
`fuse`, such as `fuse.sshfs`."""
_LOCK_HERE_ALONE = {"local_lock=flock", "local_lock=all", "nolock", "localflock", "nobrl"}
"""Options of NFS, Lustre and SMB that keep it here."""
_logger = logging.getLogger(__name__)
_mine = threading.local()
"""`held`: (process, folder) of the locks of this thread; the process, since a fork copies it."""


@contextmanager
def lock_folder(folder: Path, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Keep all others from changing `folder` for as long as the context lasts.

    The folder is made where it is missing. A thread that has the lock may take it again.

    Args:
        folder: What is to be changed.
        wait_s: How long to wait for another who has the lock. A second of waiting is said.

    Raises:
        BusyError: Another has the lock and did not give it back in time.
        OSError: The folder cannot be made or written to.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as name, lock_folder(Path(name)):
        ...     sorted(path.name for path in Path(name).iterdir())
        ['.lock']
    """
    held: set[tuple[int, Path]] = _mine.__dict__.setdefault("held", set())
    key = (os.getpid(), folder.resolve())
    if key in held:
        yield
        return
    descriptor = _wait_for(folder, wait_s)
    held.add(key)
    try:
        yield
    finally:
        held.discard(key)
        # First the file and then the lock: who opened the file meanwhile finds that it is gone.
        for name in (HELD, LOCK):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        os.close(descriptor)


def _wait_for(folder: Path, wait_s: float) -> int:
    """The open file by which this process has the lock."""
    start, is_said = time.monotonic(), False
    while True:
        descriptor = _try_to_lock(folder)
        if descriptor is not None:
            return descriptor
        waited = time.monotonic() - start
        if waited > _SAY_AFTER_S and not is_said:
            _logger.warning("Waiting for %s, which changes %s.", _name_owner(folder), folder)
            is_said = True
        if waited >= wait_s:
            since = f" Waited {waited:.0f} s." if wait_s else ""
            file = folder / HELD
            remedy = f" If it is gone, remove {file}." if file.exists() else ""
            raise BusyError(
                f"{folder} is being changed by {_name_owner(folder)}.{since} Try again when it is "
                f"done, or end that process.{remedy}"
            )
        # Unequal pauses, so that those who wait do not ask in step.
        time.sleep(min(random.uniform(0.01, 0.05), max(wait_s - waited, 0.001)))


def _try_to_lock(folder: Path) -> int | None:
    """The open file of the lock; None while another has it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    try:
        descriptor = _open(path)
    except FileNotFoundError:  # the folder was removed in this moment
        return None
    try:
        is_locked = _flock(descriptor)
        is_mine = is_locked is None
        if is_locked:  # a file that its owner has removed meanwhile keeps nobody away any more
            is_mine = _is_at(descriptor, path)
        if is_mine and not (is_locked and _is_locked_for_all(folder)):
            is_mine = _make_held(folder)
        if is_mine:
            with suppress(OSError):  # another user's file, a full disk: the lock holds all the same
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(_describe_owner()).encode(), 0)
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except PermissionError:
        if not path.is_file() or not os.access(path.parent, os.W_OK):
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)  # another user's


def _flock(descriptor: int) -> bool | None:
    """Whether the file is locked now; None where there are no such locks."""
    try:
        import fcntl  # only who changes something needs it
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _WITHOUT_FLOCK:
            return None
        if error.errno in _TAKEN:
            return False
        raise
    return True


def _is_locked_for_all(folder: Path) -> bool:
    """Whether a lock by `flock` keeps other machines away too, as far as the mount tells."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return True
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for mount in mounts:
        where, _, what = mount.partition(" - ")
        if where.split()[2:3] == [number]:
            kind, *_, options = what.split()
            is_here_alone = kind in _LOCKED_HERE_ALONE or kind.startswith("fuse.")
            return not is_here_alone and not _LOCK_HERE_ALONE & {*options.split(",")}
    return True


def _make_held(folder: Path) -> bool:
    """Whether this process made the file that is the lock where `flock` is none, or not for all."""
    path = folder / HELD
    owner = _read_owner(path)
    if owner.get("host") == socket.gethostname() and _is_dead(owner.get("process")):
        # Only one of those who find it can move it away.
        with suppress(OSError):
            gone = path.with_name(f".{HELD}.{os.getpid()}.partial")
            path.rename(gone)
            gone.unlink()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return False
    except PermissionError:
        if not os.access(folder, os.W_OK):
            raise
        return False  # it is there already, for which SFTP has no error of its own
    with os.fdopen(descriptor, "w") as stream:
        json.dump(_describe_owner(), stream)
    return True


def _describe_owner() -> dict[str, Any]:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "process": os.getpid(), "since": since}


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at `path`, and not one that was removed."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _is_dead(process: Any) -> bool:
    if not isinstance(process, int):
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # there, and another user's
        return False
    return False


def _name_owner(folder: Path) -> str:
    owner = _read_owner(folder / LOCK) or _read_owner(folder / HELD)
    if not owner:
        return "another process"
    since = f" since {owner['since']}" if "since" in owner else ""
    return f"process {owner.get('process')} on {owner.get('host')}{since}"


def _read_owner(file: Path) -> dict[str, Any]:
    """What the owner of a lock said of itself; empty where nothing can be read."""
    try:
        with file.open("rb") as stream:
            owner = json.loads(stream.read(_MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}
