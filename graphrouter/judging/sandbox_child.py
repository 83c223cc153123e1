"""What a sandboxed process runs: it shuts itself in, runs an answer and its tests, and reports.

`sandbox.py` starts it as a script of its own, so it takes nothing but the standard library. Three
processes work: the one that is started watches the clock; the second, the first of its own process
namespace where there is one, mounts and waits; the third runs the code. When the second ends the
kernel ends all that the code has started.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time
import types
from typing import Any

_NAMESPACES = 0x00020000 | 0x08000000 | 0x20000000 | 0x40000000  # mounts, IPC, processes, network
_NEW_USER = 0x10000000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _RECURSIVE, _PRIVATE = 1, 2, 4, 16384, 1 << 18
_AT_RECURSIVE, _MOUNT_SETATTR = 0x8000, 442
_DEATH_SIGNAL, _KEEP_CAPABILITIES, _SUBREAPER, _NO_NEW_RIGHTS = 1, 8, 36, 38
_READ_ALL = 1 << 2  # CAP_DAC_READ_SEARCH
_NOBODY = 65534
_MOST_PROCESSES = 32
_MOST_FILES = 64
_MIB = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Read the task from standard input, run it, report to the file that the task names."""
    task: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a process that starts fast
        os.dup2(nothing.fileno(), 0)
    deadline = time.monotonic() + task["timeout_s"]
    is_apart = _shut_in()
    first = os.fork()
    if first == 0:
        _follow_parent()
        os._exit(_wait_for_code(task, is_apart))
    _watch(first, deadline)
    _end_the_rest()
    os._exit(0)


def _wait_for_code(task: dict[str, Any], is_apart: bool) -> int:
    """In the second process: start the third, and end when it does."""
    is_sealed = is_apart and _seal_files(task["folder"], task["disk_mb"])
    os.chdir(task["folder"])
    third = os.fork()
    if third == 0:
        is_stranger = _give_up_rights(task["user"], task["folder"])
        _follow_parent()  # after what makes the kernel forget it
        holds = {"network": is_apart, "processes": is_apart or is_stranger, "files": is_sealed}
        _report(task, "shut in " + " ".join(name for name in holds if holds[name]))
        if os.geteuid() == 0 and not is_apart:
            # It could end every process of the machine, so nothing is run, whatever was required.
            _report(task, "refused")
        elif all(holds[name] for name in task["required"]):
            _limit(task, is_apart)
            _run(task)
        os._exit(0)
    while True:
        pid, _ = os.wait()
        if pid == third:
            return 0


def _run(task: dict[str, Any]) -> None:
    """In the third process: run the answer, then each test, and report those that passed."""
    passed = []
    write, leave, token = os.write, os._exit, task.pop("token")
    report = task["report"]
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    try:
        exec(_compile(task["prelude"], "<prelude>"), module.__dict__)
        for block in _compile_blocks(task["answers"]):
            exec(block, module.__dict__)
        for number, (test, names) in enumerate(task["tests"]):
            space = dict(module.__dict__)
            try:
                exec(_compile(test, f"<test {number}>"), space)
            except BaseException:  # SystemExit and KeyboardInterrupt too: the test did not pass
                continue
            for name in names or [None]:
                try:
                    if name is not None:
                        space[name]()
                except BaseException:
                    continue
                passed.append([number, name])
    except BaseException:
        passed = []
    write(report, f"{token} {json.dumps(passed)}\n".encode())
    leave(0)


def _compile(code: str, name: str) -> types.CodeType:
    return compile(code, name, "exec", dont_inherit=True)  # nor the __future__ of this file


def _compile_blocks(blocks: list[str]) -> list[types.CodeType]:
    """The code of all blocks that are Python.

    Raises:
        SyntaxError: None is.
    """
    found = []
    for block in blocks:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            found.append(_compile(block, "<answer>"))
    if not found:
        raise SyntaxError("no block is Python")
    return found


def _report(task: dict[str, Any], text: str) -> None:
    os.write(task["report"], f"{text}\n".encode())


def _shut_in() -> bool:
    """Take on an own view of network, processes and mounts; False where the kernel refuses."""
    if not sys.platform.startswith("linux"):
        return False
    _libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    _libc.prctl(_NO_NEW_RIGHTS, 1, 0, 0, 0)
    if os.geteuid() == 0:
        return bool(_libc.unshare(_NAMESPACES) == 0)
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_NAMESPACES | _NEW_USER) != 0:
        return False
    try:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            _write(f"/proc/self/{name}", text)
    except OSError:
        return False
    return True


def _seal_files(folder: str, disk_mb: int) -> bool:
    """Make all that is mounted read-only, but for a new, small file system on the folder."""
    if _mount(None, "/", None, _RECURSIVE | _PRIVATE) != 0:
        return False  # else the mounts below would be made for everybody
    attributes = (ctypes.c_uint64 * 4)(_READ_ONLY, 0, 0, 0)
    sealed = _libc.syscall(
        _MOUNT_SETATTR, -100, b"/", _AT_RECURSIVE, attributes, ctypes.sizeof(attributes)
    )
    options = f"size={disk_mb}m,mode=0700,nr_inodes=4096"
    small = _mount("tmpfs", folder, "tmpfs", _NO_SUID | _NO_DEVICES, options)
    # Others' processes show their environment there, keys among it.
    hidden = _mount("proc", "/proc", "proc", _NO_SUID | _NO_DEVICES | _READ_ONLY)
    if hidden != 0:
        hidden = _mount("tmpfs", "/proc", "tmpfs", _NO_SUID | _NO_DEVICES | _READ_ONLY)
    return bool(sealed == small == hidden == 0)


def _mount(
    what: str | None, where: str, kind: str | None, flags: int, options: str | None = None
) -> int:
    texts = [None if text is None else text.encode() for text in (what, where, kind, options)]
    return int(_libc.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]))


def _give_up_rights(user: int, folder: str) -> bool:
    """Become a user without rights, and give the folder to it; whether it is a user of its own.

    Root keeps reading all files where Python itself is root's alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    keeps = 0
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # a container that has no groups but its own
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        for other in (user, _NOBODY):  # of its own, so that its processes are counted alone
            with contextlib.suppress(OSError):  # a container that has no such user
                os.chown(folder, other, -1)
                os.seteuid(other)
                is_readable = os.access(os.__file__, os.R_OK, effective_ids=True)
                os.seteuid(0)
                keeps = 0 if is_readable else _READ_ALL
                _libc.prctl(_KEEP_CAPABILITIES, 1, 0, 0, 0)
                os.setresuid(other, other, other)
                break
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)(keeps, keeps, 0, 0, 0, 0)
    return bool(_libc.capset(header, sets) == 0) and os.geteuid() == user


def _limit(task: dict[str, Any], is_apart: bool) -> None:
    """Set the limits of the kernel on this process and all that it starts."""
    for name in ("OMP", "OPENBLAS", "MKL"):  # a thread takes address space
        os.environ[f"{name}_NUM_THREADS"] = "1"
    os.environ["HOME"] = os.environ["TMPDIR"] = task["folder"]
    processes = _MOST_PROCESSES + (0 if is_apart else _count_processes())
    seconds = int(task["timeout_s"]) + 1
    for name, most in (
        ("AS", task["memory_mb"] * _MIB),
        ("CORE", 0),
        ("CPU", seconds),
        ("FSIZE", task["disk_mb"] * _MIB),
        ("NOFILE", _MOST_FILES),
        ("NPROC", processes),
    ):
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(OSError, ValueError):  # macOS has no limit of address space
            resource.setrlimit(kind, (most, most))


def _count_processes() -> int:
    """Threads of this user, which the limit counts too where nothing is apart."""
    found = 0
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.getuid():  # noqa: PTH116
                    found += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
    return found


def _follow_parent() -> None:
    """Make this process end with the one that started it."""
    if sys.platform.startswith("linux"):
        _libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def _watch(child: int, deadline: float) -> None:
    """Wait for the second process until the deadline, then end it and all that came of it."""
    is_over = False
    while not is_over and time.monotonic() < deadline:
        is_over = os.waitpid(child, os.WNOHANG)[0] == child
        time.sleep(0.002)
    if not is_over:
        os.kill(child, signal.SIGKILL)


def _end_the_rest() -> None:
    """End what is left: processes that outlived their parent and so came to this one; the group."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for orphan in _children():
            with contextlib.suppress(OSError):
                os.kill(orphan, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)
    os.killpg(0, signal.SIGKILL)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)


if __name__ == "__main__":
    main()
