"""One at a time changes a folder; a dead owner keeps nobody waiting."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from graphrouter import locks
from graphrouter.exceptions import BusyError
from graphrouter.locks import HELD, LOCK, lock_folder

HOLD = """
import sys, time
from pathlib import Path
from graphrouter.locks import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
Hold = Callable[[Path], subprocess.Popen[str]]


@contextmanager
def other_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the lock of the folder."""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_another_process_waits_says_so_and_names_the_owner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_SAY_AFTER_S", 0.05)
    with other_process(tmp_path) as owner:
        with (
            caplog.at_level(logging.WARNING),
            pytest.raises(BusyError) as caught,
            lock_folder(tmp_path, wait_s=0.3),
        ):
            raise AssertionError("two have the lock")
        named = f"process {owner.pid} on {socket.gethostname()} since "
        assert f"{tmp_path} is being changed by {named}" in str(caught.value)
        assert "Try again when it is done, or end that process." in str(caught.value)
        [said] = caplog.messages
        assert f"Waiting for {named}" in said


def test_a_lock_whose_owner_was_killed_is_free_at_once(tmp_path: Path) -> None:
    with other_process(tmp_path) as owner:
        owner.kill()
        owner.wait()
        with lock_folder(tmp_path, wait_s=0):
            assert json.loads((tmp_path / LOCK).read_text("utf-8"))["process"] == os.getpid()
    assert list(tmp_path.iterdir()) == [], "nothing stays behind"


def test_a_thread_may_take_its_lock_again_and_others_may_not(tmp_path: Path) -> None:
    refused: list[BusyError] = []

    def ask() -> None:
        try:
            with lock_folder(tmp_path, wait_s=0):
                pass
        except BusyError as error:
            refused.append(error)

    with lock_folder(tmp_path), lock_folder(tmp_path / "." / "", wait_s=0):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert len(refused) == 1
    with lock_folder(tmp_path, wait_s=0):
        pass


@pytest.mark.parametrize("has_flock", [True, False])
def test_many_threads_change_it_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_flock: bool
) -> None:
    if not has_flock:
        monkeypatch.setattr(fcntl, "flock", refuse_to_lock)
    counter = tmp_path / "counter"
    counter.write_text("0", encoding="utf-8")

    def count() -> None:
        for _ in range(5):
            with lock_folder(tmp_path):
                number = int(counter.read_text(encoding="utf-8"))
                time.sleep(0.001)
                counter.write_text(str(number + 1), encoding="utf-8")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text(encoding="utf-8") == "20"
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]


def refuse_to_lock(descriptor: int, operation: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def test_without_flock_a_file_is_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse_to_lock)
    owner = {"host": "elsewhere", "process": 7}
    (tmp_path / HELD).write_text(json.dumps(owner), encoding="utf-8")
    with (
        pytest.raises(BusyError, match=f"process 7 on elsewhere.* If it is gone, remove .*{HELD}"),
        lock_folder(tmp_path, wait_s=0.05),
    ):
        pass
    # Of this machine it is known whether the owner lives.
    gone = {"host": socket.gethostname(), "process": 2**22 + 1}
    (tmp_path / HELD).write_text(json.dumps(gone), encoding="utf-8")
    with lock_folder(tmp_path, wait_s=0):
        assert json.loads((tmp_path / HELD).read_text("utf-8"))["process"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mount", "is_for_all"),
    [
        ("ext4 /dev/vda rw", True),
        ("nfs4 server:/disk rw,vers=4.2,local_lock=none,addr=192.0.2.1", True),
        ("nfs server:/disk rw,vers=3,nolock,local_lock=all,addr=192.0.2.1", False),
        ("cifs //server/disk rw,nobrl", False),
        ("fuse.sshfs server:/disk rw,user_id=0", False),
        ("9p disk rw,trans=virtio", False),
    ],
)
def test_where_other_machines_do_not_see_flock_a_file_is_the_lock_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mount: str, *, is_for_all: bool
) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"1 0 0:0 / / rw - proc proc rw\n"
        f"42 27 {os.major(device)}:{os.minor(device)} / /mnt rw shared:1 - {mount}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(locks, "_MOUNTS", mounts)
    folder = tmp_path / "folder"
    with lock_folder(folder):
        assert (folder / HELD).exists() is not is_for_all
        # Another machine, on which `flock` is free.
        monkeypatch.setattr(fcntl, "flock", lambda descriptor, operation: None)
        (folder / LOCK).unlink()
        assert (_can_lock_elsewhere(folder)) is is_for_all
    assert list(folder.iterdir()) == []


def _can_lock_elsewhere(folder: Path) -> bool:
    """Whether another thread gets the lock."""
    found: list[bool] = []

    def lock() -> None:
        try:
            with lock_folder(folder, wait_s=0):
                found.append(True)
        except BusyError:
            found.append(False)

    thread = threading.Thread(target=lock)
    thread.start()
    thread.join()
    return found == [True]


def test_sftp_has_no_word_for_what_is_there_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse_to_lock)
    opened = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_EXCL and Path(path).name == HELD:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BusyError), lock_folder(tmp_path, wait_s=0):
        pass


def test_a_folder_that_is_removed_meanwhile_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    with lock_folder(folder):
        shutil.rmtree(folder)
        with lock_folder(folder, wait_s=0):
            pass
    with lock_folder(folder, wait_s=0):
        assert folder.is_dir()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="file"), lock_folder(tmp_path / "file" / "below"):
        pass
