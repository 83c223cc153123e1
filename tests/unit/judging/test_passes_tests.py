"""Code is judged by its tests alone, and what it does otherwise stays in its process.

Nothing here is run unless others' processes are out of its reach: `required` sees to that.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graphrouter.exceptions import DataError, GraphRouterError, NotApplicableError
from graphrouter.judging import PassesTests, list_protections

ADD = "def add(a, b): return a + b\n"
WRONG = "def add(a, b): return a - b\n"
CHECK = "assert add(2, 3) == 5"


@pytest.fixture(scope="module")
def protections() -> dict[str, bool]:
    try:
        found = list_protections()
    except NotApplicableError as error:
        pytest.skip(str(error))
    if not found["processes"]:
        pytest.skip("others' processes are not protected here")
    return found


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        (ADD, 1),
        (f"Here it is:\n```python\n{ADD}```\nUse it well.", 1),
        (f"```py\n{ADD}```\n```python\nprint(add(1, 1))\n```\n```bash\nrm -rf x\n```", 1),
        (f"```\n{ADD}```", 1),
        (f"```python\n{ADD}", 1),
        (f"<think>\n```python\n{WRONG}```\n</think>\n```python\n{ADD}```", 1),
        (f"```python\n{ADD}```\n```python\n>>> add(1, 1)\n2\n```", 1),
        (f"from __future__ import annotations\n{ADD}", 1),
        (f"{ADD}if __name__ == '__main__':\n    raise SystemExit\n", 1),
        (WRONG, 0),
        ("", 0),
        ("I cannot do that.", 0),
        ("def add(a, b:", 0),
        ("x\0", 0),
        ("'\ud800'", 0),
        (f"{ADD}import sys\nsys.exit(0)", 0),
        (f"{ADD}import os\nos._exit(0)", 0),
        ("def add(a, b): raise SystemExit(0)", 0),
        ("def add(a, b):\n    import os\n    os._exit(0)", 0),
        (f"{WRONG}print('passed')\nprint('[[0, null]]')", 0),
        (f"{ADD}raise ValueError", 0),
        (f"{ADD}x = bytearray(10**10)", 0),
        (f"{ADD}input()", 0),
        (f"{ADD}print('x' * 10**7)", 1),
    ],
)
def test_answers(answer: str, score: float, protections: dict[str, bool]) -> None:
    assert PassesTests(CHECK)("?", answer) == score


def test_a_report_that_is_forged_does_not_count(protections: dict[str, bool]) -> None:
    forged = "import os\nfor f in range(3, 30):\n  try: os.write(f, b'x [[0, null]]\\n')\n"
    forged += "  except OSError: pass\nos._exit(0)"
    assert PassesTests(CHECK)("?", forged) == 0


@pytest.mark.parametrize("code", ["while True: pass", "import time\ntime.sleep(1000)"])
def test_what_does_not_end_is_ended(code: str, protections: dict[str, bool]) -> None:
    assert PassesTests(CHECK, timeout_s=1)("?", ADD + code) == 0


def test_shares(protections: dict[str, bool]) -> None:
    tests = [
        CHECK,
        "assert add(2, 3) == 6",
        "def test_a(): assert add(0, 0) == 0\ndef test_b(): assert add(0, 0) == 1",
        "def check(f):\n    assert f(1, 1) == 2\ncheck(add)",
    ]
    assert PassesTests(tests, partial=True)("?", ADD) == 3 / 5
    assert PassesTests(tests)("?", ADD) == 0


def test_a_prelude_and_the_module_answer(protections: dict[str, bool]) -> None:
    code = "def f(x: List[int]) -> int: return len(x)"
    test = "from answer import f\nassert f([1]) == 1"
    assert PassesTests(test)("?", code) == 0
    assert PassesTests(test, prelude="from typing import List")("?", code) == 1


def test_it_gets_nothing_of_this_process(
    protections: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "1")
    code = "import os, sys\nkeys, text = set(os.environ), sys.stdin.read()"
    test = "assert 'SECRET_KEY' not in keys and 'PATH' not in keys and text == ''"
    assert PassesTests(test)("?", code) == 1


def test_the_number_of_its_processes_is_bounded(protections: dict[str, bool]) -> None:
    code = (
        "import os, time\nn = 0\ntry:\n  while n < 200:\n    if os.fork() == 0:\n"
        "      time.sleep(60)\n      os._exit(0)\n    n += 1\nexcept OSError: pass"
    )
    assert PassesTests("assert 1 < n < 100", timeout_s=20)("?", code) == 1


def test_what_it_leaves_behind_is_ended(protections: dict[str, bool]) -> None:
    if not protections["network"]:
        pytest.skip("processes have no namespace of their own here")
    mark = f"left-behind-{os.getpid()}"
    code = (
        f"import os, subprocess, sys\nsubprocess.Popen([sys.executable, '-c', "
        f"'import time; time.sleep(600)  # {mark}'], start_new_session=True)"
    )
    assert PassesTests("assert True")("?", code) == 1
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(mark.encode() in line for line in lines)


def test_it_cannot_end_others(protections: dict[str, bool]) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        code = (
            f"import os, signal\ntry:\n  os.kill({other.pid}, signal.SIGKILL)\n"
            "  ended = True\nexcept OSError:\n  ended = False"
        )
        assert PassesTests("assert not ended")("?", code) == 1
        assert other.poll() is None
        other.send_signal(signal.SIGKILL)


def test_it_writes_in_its_folder_alone(protections: dict[str, bool], tmp_path: Path) -> None:
    code = (
        f"open('here', 'w').write('x')\ntry:\n  open({str(tmp_path / 'there')!r}, 'w')\n"
        "  wrote = True\nexcept OSError:\n  wrote = False\n"
    )
    if not protections["files"] and os.geteuid() != 0:
        pytest.skip("files are not protected here")
    assert PassesTests("assert not wrote")("?", code) == 1
    assert not (tmp_path / "there").exists()
    large = "with open('large', 'wb') as f:\n  for _ in range(1000): f.write(b'x' * 10**6)"
    assert PassesTests("assert True")("?", large) == 0


def test_it_has_no_network(protections: dict[str, bool]) -> None:
    if not protections["network"]:
        pytest.skip("the network is not cut off here")
    code = "import socket\nnames = [name for _, name in socket.if_nameindex()]"
    judge = PassesTests("assert set(names) <= {'lo'}", required=["network"])
    assert judge("?", code) == 1


def test_nothing_runs_where_a_protection_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import graphrouter.judging.sandbox as sandbox

    monkeypatch.setattr(sandbox, "_start", lambda *_: ["shut in processes"])
    with pytest.raises(NotApplicableError, match="protect network and files from code .*nothing"):
        PassesTests(CHECK, required=["network", "processes", "files"])("?", ADD)
    assert PassesTests(CHECK)("?", ADD) == 0
    monkeypatch.setattr(sandbox, "_start", lambda *_: ["shut in", "refused"])
    with pytest.raises(NotApplicableError, match="processes of root"):
        PassesTests(CHECK, required=[])("?", ADD)
    monkeypatch.setattr(sandbox, "_start", lambda *_: [])
    with pytest.raises(GraphRouterError, match="ended before it began"):
        PassesTests(CHECK)("?", ADD)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PassesTests(""), "checks nothing when it runs"),
        (lambda: PassesTests([]), "tests is empty"),
        (lambda: PassesTests("def check(f): assert f()"), "checks nothing when it runs"),
        (lambda: PassesTests("def test_a(x): pass"), "takes arguments"),
        (lambda: PassesTests("async def test_a(): pass"), "is async"),
        (lambda: PassesTests("assert ("), "is no Python"),
        (lambda: PassesTests(3), "expected Python code as a string"),  # type: ignore[arg-type]
        (lambda: PassesTests(CHECK, "c"), "language is 'c'"),  # type: ignore[arg-type]
        (lambda: PassesTests(CHECK, timeout_s=0), "timeout_s is 0"),
        (lambda: PassesTests(CHECK, memory_mb=1), "memory_mb is 1; expected"),
        (lambda: PassesTests(CHECK, required="files"), "required is 'files'"),
        (lambda: PassesTests(CHECK, required=5), "required is 5; expected a list of some"),  # type: ignore[arg-type]
        (lambda: PassesTests(CHECK, prelude="("), "prelude is"),
        (lambda: PassesTests(CHECK)("?", None), "The answer is a NoneType"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(call: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()  # type: ignore[operator]
