"""Who grades collected answers: a judge by what is expected of a prompt, or a function."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from graphrouter.collecting.prompt_table import PromptRow
from graphrouter.exceptions import ConfigError, DataError, GraphRouterError, RunError
from graphrouter.grades import Grade
from graphrouter.judging import (
    AnswerJudge,
    ChoiceMatch,
    ExactMatch,
    NumericMatch,
    PassesTests,
    Rouge,
    SchemaMatch,
    WordF1,
)
from graphrouter.wording import show_value, suggest

__all__ = ["BY_EXPECTED", "CollectingJudge", "ExpectedJudge", "FunctionJudge", "load_function"]


class CollectingJudge(Protocol):
    """Grades answers while they are collected."""

    name: str
    """As the journal has it."""
    is_person: bool
    """Whether answers are graded one after the other, once all calls of a run are made."""

    @property
    def agreement(self) -> float | None:
        """How often it agreed with itself, in [0, 1]; None where it was not asked twice."""
        ...

    def check(self, prompts: Sequence[PromptRow]) -> None:
        """Refuse prompts that it cannot judge answers to, before anything is paid."""
        ...

    async def grade(self, prompt: PromptRow, model: str, answer: str) -> float | None:
        """The effect in [0, 1]; None where it does not say.

        Raises:
            SpentError: It had to spend, and nothing is left.
        """
        ...


def _read_schema(expected: Any) -> AnswerJudge:
    if isinstance(expected, str):
        try:
            expected = json.loads(expected)
        except ValueError as error:
            raise DataError(f"the schema is no JSON ({error}).") from None
    return SchemaMatch(expected)


def _read_choice(expected: Any) -> AnswerJudge:
    return ChoiceMatch(expected, choices="ABCDEFGHIJ")


BY_EXPECTED: Mapping[str, Callable[[Any], AnswerJudge]] = {
    "exact": ExactMatch,
    "exact:final": lambda expected: ExactMatch(expected, part="final"),
    "exact:anywhere": lambda expected: ExactMatch(expected, part="anywhere"),
    "numeric": NumericMatch,
    "choice": _read_choice,
    "f1": WordF1,
    "rouge": Rouge,
    "schema": _read_schema,
    "tests": lambda expected: PassesTests(expected, partial=True),
}
"""Judges that are made of what is expected of a prompt, by their word."""
_TEXTUAL = ("exact", "choice", "f1", "rouge")


class ExpectedJudge:
    """A judge of `graphrouter.judging`, made for each prompt of what is expected of it.

    Example:
        >>> judge = ExpectedJudge("numeric")
        >>> asked = PromptRow("1", "6 times 7?", expected="42")
        >>> asyncio.run(judge.grade(asked, "nano", "It is 42."))
        1.0
    """

    is_person = False
    agreement = None

    def __init__(self, word: str) -> None:
        """A judge by its word, one of `BY_EXPECTED`."""
        self.name = word
        self._make, self._judges = BY_EXPECTED[word], dict[str, AnswerJudge]()

    def check(self, prompts: Sequence[PromptRow]) -> None:
        """Refuse prompts without what is expected, or with what makes no judge.

        Raises:
            DataError: There is one.
        """
        for prompt in prompts:
            if prompt.expected is None:
                raise DataError(
                    f"Nothing is expected of the query {prompt.query_id!r}, which the judge "
                    f"{self.name} needs. Give the prompts a column expected, or name it with "
                    "--expected."
                )
            try:
                self._find(prompt)
            except GraphRouterError as error:
                error.args = (f"Query {prompt.query_id!r}: {error}",)
                raise

    async def grade(self, prompt: PromptRow, model: str, answer: str) -> float | None:
        """What its judge says."""
        found = await asyncio.to_thread(self._find(prompt), prompt.prompt, answer)
        return found.effect if isinstance(found, Grade) else float(found)

    def _find(self, prompt: PromptRow) -> AnswerJudge:
        known = self._judges.get(prompt.query_id)
        if known is None:
            wanted = prompt.expected
            if self.name.startswith(_TEXTUAL) and isinstance(wanted, int | float):
                wanted = f"{wanted:g}"  # a table of numbers makes numbers of texts
            known = self._judges[prompt.query_id] = self._make(wanted)
        return known


class FunctionJudge:
    """A function of Python: of prompt and answer, or also of what is expected."""

    is_person = False
    agreement = None

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        """A judge.

        Args:
            function: Gives a number in [0, 1], a `Grade`, or None where it does not say.
            name: What to call it.
        """
        self.name, self._function = name, function
        positional = [
            each
            for each in inspect.signature(function).parameters.values()
            if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD, each.VAR_POSITIONAL)
        ]
        is_open = any(each.kind == each.VAR_POSITIONAL for each in positional)
        self._takes_expected = is_open or len(positional) > 2

    def check(self, prompts: Sequence[PromptRow]) -> None:
        """Any prompt will do."""

    async def grade(self, prompt: PromptRow, model: str, answer: str) -> float | None:
        """What the function says.

        Raises:
            RunError: It failed, or gave no such number.
        """
        more = (prompt.expected,) if self._takes_expected else ()
        try:
            found = await asyncio.to_thread(self._function, prompt.prompt, answer, *more)
            if found is None:
                return None
            return Grade.of(found, "the grade").effect
        except Exception as error:
            raise RunError(
                f"The judge {self.name} failed on the answer of {model} to the query "
                f"{prompt.query_id!r} ({type(error).__name__}: {error}). What was collected is "
                "kept; mend the judge and run the command again."
            ) from error


def load_function(path: str) -> Callable[..., Any]:
    """A function by its dotted path, such as `my_judges.is_polite`, also from the working folder.

    Raises:
        ConfigError: There is none.

    Example:
        >>> load_function("math.sqrt")(4.0)
        2.0
    """
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise ConfigError(
            f"The judge's function is {show_value(path)}; expected MODULE.FUNCTION, such as "
            "my_judges.is_polite for a file my_judges.py in this folder."
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"The module {module_name!r} of the judge cannot be imported ({error}). Run the "
            "command in the folder that holds it."
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        hint = suggest(name, [n for n in vars(module) if not n.startswith("_")], "It has: ")
        raise ConfigError(f"{module_name} has no function {name!r}. {hint}")
    return found  # type: ignore[no-any-return]
