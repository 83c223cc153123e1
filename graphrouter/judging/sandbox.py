"""Python code that is not trusted, run with tests in a process that is shut in."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphrouter.exceptions import NotApplicableError, RunError

_CHILD = Path(__file__).with_name("sandbox_child.py")
_DISK_MB = 64
_MOST_REPORTED = 1 << 20
_FIRST_USER = 1 << 30
"""Numbers of users from here on to twice that belong to nobody."""
_GRACE_S = 5.0
"""Seconds for the start of Python, and for the sandbox to end by itself, beyond the time limit."""
ALL_PROTECTIONS = ("network", "processes", "files")


@dataclass(frozen=True)
class Task:
    """Code, tests and limits of one run."""

    answers: Sequence[str]
    """Blocks of code; those that are no Python are left out."""
    tests: Sequence[tuple[str, tuple[str, ...]]]
    """Code of each test, and the functions in it that are called; none: the code alone."""
    prelude: str
    """Code that runs before the answer."""
    timeout_s: float
    memory_mb: int
    required: Sequence[str]
    """Those of `ALL_PROTECTIONS` without which nothing is run."""


@dataclass(frozen=True)
class Report:
    """What came of a run."""

    passed: frozenset[tuple[int, str | None]]
    """Number of the test and name of its function, of those that passed."""
    protections: tuple[str, ...]
    """Those of `ALL_PROTECTIONS` that the kernel gave."""


def run_sandboxed(task: Task) -> Report:
    """Run code and tests; code that dies, hangs or forges its report has passed nothing.

    Raises:
        NotApplicableError: The system has no limits for processes, as Windows, or it does not give
            a protection that is required.
        RunError: The process could not be started, or did not come to begin.
    """
    if os.name != "posix":
        raise NotApplicableError(
            f"Tests of code need limits on processes, which {sys.platform} does not have; expected "
            "Linux or macOS. Run the judge there, or in a Linux container."
        )
    folder = tempfile.mkdtemp(prefix="graphrouter-judge-")
    try:
        token = secrets.token_hex(16)
        lines = _start(task, folder, token)
    except OSError as error:
        raise RunError(
            f"The process that tests code could not be started: {error}; expected a free process, "
            "some memory and a temporary folder that can be written."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _read_report(lines, token, task)


def _start(task: Task, folder: str, token: str) -> list[str]:
    """The lines that the sandbox reported."""
    reading, writing = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, reading)
        payload = stack.enter_context(tempfile.TemporaryFile())
        wanted = {
            "answers": list(task.answers),
            "tests": [list(test) for test in task.tests],
            "prelude": task.prelude,
            "timeout_s": task.timeout_s,
            "memory_mb": task.memory_mb,
            "disk_mb": _DISK_MB,
            "required": list(task.required),
            "folder": folder,
            "report": writing,
            "token": token,
            "user": _FIRST_USER + secrets.randbelow(_FIRST_USER),
        }
        payload.write(json.dumps(wanted).encode())
        payload.seek(0)
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-X", "utf8", str(_CHILD)],
                stdin=payload,
                stdout=subprocess.DEVNULL,  # nothing of it counts, so it may be as long as it likes
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env={},
                pass_fds=(writing,),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        stack.callback(_end, process)
        text = b"".join(_receive(reading, time.monotonic() + task.timeout_s + _GRACE_S))
    return text.decode("utf-8", "replace").splitlines()


def _receive(pipe: int, deadline: float) -> Iterator[bytes]:
    """What comes out of a pipe until it is closed, too much, or late."""
    num_bytes = 0
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while num_bytes < _MOST_REPORTED and selector.select(deadline - time.monotonic()):
            part = os.read(pipe, 65536)
            if not part:
                return
            num_bytes += len(part)
            yield part
            if time.monotonic() > deadline:
                return


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group, if they have not ended by themselves."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.5)
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read_report(lines: list[str], token: str, task: Task) -> Report:
    if not lines or not lines[0].startswith("shut in"):
        raise RunError(
            "The process that tests code ended before it began; expected it to start within "
            f"{task.timeout_s + _GRACE_S:g} s. Look for want of memory or of processes."
        )
    protections = tuple(lines[0].split()[2:])
    passed: frozenset[tuple[int, str | None]] = frozenset()
    if len(lines) == 2 and lines[1].startswith(f"{token} "):
        pairs = json.loads(lines[1].removeprefix(token))
        passed = frozenset((int(number), name) for number, name in pairs)
    missing = [name for name in ALL_PROTECTIONS if name in {*task.required} - {*protections}]
    if missing or lines[1:2] == ["refused"]:
        raise NotApplicableError(
            f"This system does not protect {' and '.join(missing) or 'processes of root'} from "
            "code that is run, so nothing was run; expected Linux with user namespaces, or root "
            "that may become another user. PassesTests says what `required` can leave out, and at "
            "what risk."
        )
    return Report(passed, protections)
