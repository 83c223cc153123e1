"""What is freed stays with the process, unless the environment says otherwise."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
import weakref

import pytest

from graphrouter.nn.freed_memory import release_freed_memory

CODE = """
import resource
from graphrouter.nn.freed_memory import keep_freed_memory

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [bytes([i + 1]) * 1_000_000 for i in range(100)]
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = [count_faults() for _ in range(4)]
keep_freed_memory()
count_faults()
print(min(before), count_faults())
"""


def printed_by(code: str, variables: dict[str, str]) -> list[int]:
    """Numbers that a process of its own prints, in which these alone tell glibc what to do."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**others, **variables},
    )
    return list(map(int, done.stdout.split()))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told what to do")
@pytest.mark.parametrize(
    ("variables", "is_kept"),
    [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "1000000", "MALLOC_MMAP_THRESHOLD_": "9999"}, False)],
)
def test_pages_are_asked_for_once(variables: dict[str, str], is_kept: bool) -> None:
    before, after = printed_by(CODE, variables)
    assert before > 10_000  # as long as nobody says anything, glibc gives it back
    assert (after < 1_000) == is_kept


RELEASED = """
from pathlib import Path
from graphrouter.nn.freed_memory import keep_freed_memory, release_freed_memory

def read_mib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024

keep_freed_memory()
blocks = [bytes([i % 255 + 1]) * 1_000_000 for i in range(200)]
last = bytes(1_000_000)  # in use, behind all that is freed: the heap cannot shrink to its end
del blocks
kept = read_mib()
release_freed_memory()
print(kept, read_mib())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told what to do")
def test_what_lies_in_pieces_is_given_back() -> None:
    kept, left = printed_by(RELEASED, {})
    assert kept - left > 100


def test_what_holds_nothing_but_itself_is_let_go_where_that_is_asked_for() -> None:
    """As a trainer that has ended, with the tables that it was given."""

    class Trainer:
        def __init__(self) -> None:
            self.itself = self

    ended = weakref.ref(Trainer())
    gc.disable()
    try:
        release_freed_memory()
        assert ended() is not None
        release_freed_memory(cycles=True)
        assert ended() is None
    finally:
        gc.enable()
