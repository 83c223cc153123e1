"""One judge for many prompts, each with what is expected of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphrouter.exceptions import DataError, GraphRouterError
from graphrouter.grades import Grade
from graphrouter.judging.answer_parts import AnswerJudge
from graphrouter.wording import count_of, show_value


@dataclass(frozen=True)
class ByPrompt:
    """Judge each answer by the judge of its prompt; `by_prompt` makes one.

    Example:
        >>> ByPrompt({"Ready?": lambda prompt, answer: float(answer == "yes")})("Ready?", "yes")
        1.0
    """

    judges: Mapping[str, AnswerJudge]

    def __post_init__(self) -> None:
        if not isinstance(self.judges, Mapping) or not self.judges:
            raise DataError(
                f"judges is {show_value(self.judges)}; expected a mapping from at least one "
                "prompt to its judge."
            )
        for prompt, judge in self.judges.items():
            if not isinstance(prompt, str) or not callable(judge):
                raise DataError(
                    f"Of the prompt {show_value(prompt)} the judge is {show_value(judge)}; "
                    "expected a string and a function of prompt and answer. by_prompt(expected, "
                    "make) makes the functions."
                )
        object.__setattr__(self, "judges", dict(self.judges))

    def __call__(self, prompt: str, answer: str) -> float | Grade:
        """The score in [0, 1] that the prompt's judge gives, or its `Grade`.

        Raises:
            DataError: No judge is known for the prompt.
        """
        judge = self.judges.get(prompt) if isinstance(prompt, str) else None
        if judge is None:
            raise DataError(self._explain(prompt))
        return judge(prompt, answer)

    def _explain(self, prompt: object) -> str:
        text = show_value(prompt) if isinstance(prompt, str) else f"a {type(prompt).__name__}"
        same = isinstance(prompt, str) and any(
            prompt.split() == known.split() for known in self.judges
        )
        return (
            f"Nothing is expected of the prompt {text}; expected one of the "
            f"{count_of(len(self.judges), 'prompt')} that the judge has, letter for letter. "
            + ("One differs in spaces alone." if same else "Add it to the mapping.")
        )


def by_prompt(
    expected: Mapping[str, Any], make: Callable[[Any], AnswerJudge] | None = None
) -> ByPrompt:
    """One judge for many prompts.

    Args:
        expected: By prompt, what its judge is made of; without `make` the judges themselves.
        make: The judge of what is expected, such as `NumericMatch`, or a function that sets
            options: `lambda value: NumericMatch(value, tolerance=0.1)`.

    Raises:
        DataError: There are no prompts, `make` is no function, or something expected makes no
            judge.

    Example:
        >>> from graphrouter.judging import NumericMatch
        >>> judge = by_prompt({"2 + 2?": 4, "A third of 9?": 3}, NumericMatch)
        >>> judge("2 + 2?", "It is 4."), judge("A third of 9?", "4")
        (1.0, 0.0)
    """
    if not isinstance(expected, Mapping) or not expected:
        raise DataError(
            f"expected is {show_value(expected)}; expected a mapping from at least one prompt to "
            "what its judge is made of."
        )
    if make is None:
        return ByPrompt(expected)
    if not callable(make):
        raise DataError(
            f"make is {show_value(make)}; expected a function from what is expected of a prompt to "
            "its judge, such as NumericMatch."
        )
    judges = {}
    for prompt, value in expected.items():
        try:
            judges[prompt] = make(value)
        except GraphRouterError as error:
            error.args = (f"Of the prompt {show_value(prompt)}: {error}",)
            raise
    return ByPrompt(judges)
