"""Answers that are code, judged by tests."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, NamedTuple

from graphrouter.exceptions import DataError
from graphrouter.judging.answer_parts import check_answer, find_fences
from graphrouter.judging.sandbox import ALL_PROTECTIONS, Task, run_sandboxed
from graphrouter.number_checks import is_amount, is_whole
from graphrouter.wording import show_value

_PYTHON = ("python", "py", "python3", "ipython")
_LEAST_MEMORY_MB = 64
_DEFINITIONS = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
)


class _Test(NamedTuple):
    """A test, and the functions in it that are called; without any its code is all of it."""

    code: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class PassesTests:
    r"""Score 1 for an answer whose Python code passes all tests, else 0.

    The code is that of the fences marked as Python, one after the other, or else of all fences, or
    else the whole answer. It runs as the module `answer`, so its `if __name__ == "__main__"` does
    not; then each test runs with its names at hand. Code that fails, exits, hangs or is killed has
    passed nothing from there on.

    It runs in a process of its own: an empty temporary folder that is removed, `python -I`, no
    environment variables, no standard input, output that is thrown away, and limits of the kernel
    on CPU time, address space, open files, sizes of files and the number of processes (32). At the
    time limit the process and all that it started are killed. Where Linux lets it, three
    protections come on top; `list_protections` says which hold here, `required` which have to:

    - `network`: there is none.
    - `processes`: it sees, ends and reads none but its own; or, root's sandbox where the kernel
      refuses that, it is another user (what it starts in a session of its own may then live on).
    - `files`: it writes nowhere but to its folder, which then holds 64 MB.

    What it does **not** protect from: the code can read every file that its user can (root's: that
    anyone can, or all where Python itself is root's alone), reach sockets that lie in the file
    system, and take 32 times the memory of one process. It runs in one process with the tests, so
    code that is written to deceive this judge can forge its report, or compare equal to everything.
    There is no guard against flaws of the kernel. Without `processes`, as on macOS and in
    containers of a user other than root, **it can end every process of its user**, read their
    environment with its keys, and leave processes behind; without `files` it can write and delete
    what its user can. Use a container or a virtual machine of its own then.

    Raises:
        DataError: There are no tests, one of them checks nothing or is no Python, or a limit is out
            of range.

    Example:
        >>> judge = PassesTests(["assert add(2, 3) == 5", "assert add(-1, 1) == 0"])
        >>> answer = "Here:\n```python\ndef add(a, b):\n    return a + b\n```"
        >>> judge("Write add.", answer), judge("Write add.", answer.replace("+", "-"))
        (1.0, 0.0)
    """

    tests: str | Sequence[str]
    """Python code, or several pieces of it, each a test that passes where it ends without an
    exception; one that defines functions named `test_...` is as many tests as those."""
    language: Literal["python"] = "python"
    timeout_s: float = 10.0
    """Seconds for the answer and all of its tests together; > 0."""
    memory_mb: int = 512
    """Address space of each process in MiB; >= 64. Libraries such as NumPy take several hundred."""
    _: KW_ONLY
    partial: bool = False
    """Whether the score is the share of tests that passed."""
    prelude: str = ""
    """Code that runs before the answer, such as imports that the prompt promised."""
    required: Sequence[str] = ("processes",)
    """Of `"network"`, `"processes"`, `"files"` those without which nothing is run; `()` runs
    code as it can be run, at the risk above."""

    def __post_init__(self) -> None:
        if self.language != "python":
            raise DataError(f"language is {self.language!r}; expected 'python', the only one yet.")
        if not is_amount(self.timeout_s) or not self.timeout_s:
            raise DataError(f"timeout_s is {self.timeout_s!r}; expected seconds above 0.")
        if not is_whole(self.memory_mb, least=_LEAST_MEMORY_MB):
            raise DataError(
                f"memory_mb is {self.memory_mb!r}; expected a whole number of MiB from "
                f"{_LEAST_MEMORY_MB}."
            )
        is_list = isinstance(self.required, Collection) and not isinstance(self.required, str)
        if not is_list or not all(name in ALL_PROTECTIONS for name in self.required):
            raise DataError(
                f"required is {show_value(self.required)}; expected a list of some of "
                f"{', '.join(map(repr, ALL_PROTECTIONS))}."
            )
        object.__setattr__(self, "required", tuple(self.required))
        tests = (self.tests,) if isinstance(self.tests, str) else self.tests
        if not isinstance(tests, Sequence) or not all(isinstance(test, str) for test in tests):
            raise DataError(
                f"tests is {show_value(self.tests)}; expected Python code as a string, or a "
                'list of such, as ["assert add(2, 3) == 5"].'
            )
        if not tests:
            raise DataError("tests is empty; expected at least one, or every answer would pass.")
        for number, test in enumerate(tests):
            _read_test(test, f"tests[{number}]")
        _parse(self.prelude, "prelude")
        object.__setattr__(self, "tests", tuple(tests))

    def __call__(self, prompt: str, answer: str) -> float:
        """1.0 where all tests pass, else 0.0; with `partial` the share that passes.

        Raises:
            NotApplicableError: The system cannot run it, or lacks a protection that is required.
            RunError: No process could be started.
        """
        tests = [_read_test(test, f"tests[{n}]") for n, test in enumerate(self.tests)]
        task = Task(
            answers=_find_code(check_answer(answer)),
            tests=tests,
            prelude=self.prelude,
            timeout_s=float(self.timeout_s),
            memory_mb=int(self.memory_mb),
            required=self.required,
        )
        num_tests = sum(max(len(test.names), 1) for test in tests)
        num_passed = len(run_sandboxed(task).passed)
        return num_passed / num_tests if self.partial else float(num_passed == num_tests)


def list_protections() -> dict[str, bool]:
    """What `PassesTests` cuts code off from on this system, found by trying.

    `network`; `processes`, those of others; `files`, writing outside of its folder.

    Raises:
        NotApplicableError: The system cannot run code in a sandbox at all.
        RunError: No process could be started.

    Example:
        >>> sorted(list_protections())
        ['files', 'network', 'processes']
    """
    report = run_sandboxed(Task(["pass"], [("pass", ())], "", 10.0, 512, ()))
    return {name: name in report.protections for name in ALL_PROTECTIONS}


def _find_code(answer: str) -> list[str]:
    fences = find_fences(answer)
    marked = [fence.text for fence in fences if fence.language in _PYTHON]
    return marked or [fence.text for fence in fences] or [answer]


def _read_test(code: str, where: str) -> _Test:
    body = _parse(code, where).body
    functions = [
        node
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]
    for node in functions:
        arguments = node.args
        num_free = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
        if isinstance(node, ast.AsyncFunctionDef) or num_free or None in arguments.kw_defaults:
            raise DataError(
                f"{where} has the test {node.name}, which is async or takes arguments; expected "
                f"`def {node.name}():`. Fixtures and parametrize of pytest are not there."
            )
    if not functions and all(isinstance(node, _DEFINITIONS) for node in body):
        raise DataError(
            f"{where} is {show_value(code)}, which checks nothing when it runs; expected an "
            "assert, a call such as check(add), or functions named test_..."
        )
    return _Test(code, tuple(dict.fromkeys(node.name for node in functions)))


def _parse(code: object, where: str) -> ast.Module:
    try:
        return ast.parse(code)  # type: ignore[call-overload, no-any-return]
    except (SyntaxError, ValueError, TypeError) as error:
        raise DataError(
            f"{where} is {show_value(code)}, which is no Python: {error}; expected code that "
            "compiles."
        ) from error
