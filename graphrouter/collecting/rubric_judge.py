"""A language model that grades answers by a rubric: a score, or a comparison with a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from graphrouter.collecting.call_journal import Question
from graphrouter.collecting.model_calls import ModelCalls, check_can_be_collected
from graphrouter.collecting.prompt_table import PromptRow
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.gateway.upstreams import Deployment
from graphrouter.judging.answer_parts import check_answer
from graphrouter.judging.rubric_questions import (
    ask_comparison,
    ask_score,
    read_score,
    read_verdict,
)

__all__ = ["DEFAULT_RUBRIC", "RubricJudge"]

DEFAULT_RUBRIC = (
    "The answer does what was asked, all of it and nothing else. What it states is true. It is as "
    "long as it has to be."
)
_WORTH = {"a": 1.0, "b": 0.0, "tie": 0.5}


class RubricJudge:
    """Asks a language model; its calls are paid by the same allowance, and never asked twice.

    A comparison is asked in both orders, since judges favour a place (Zheng and others 2023,
    section 3.3). The effect is the mean of the two: 1 = better than the reference, 0.5 = as good,
    or the two orders disagree.
    """

    is_person = False

    def __init__(
        self,
        calls: ModelCalls,
        deployments: Mapping[str, Sequence[Deployment]],
        model: str,
        *,
        rubric: str = DEFAULT_RUBRIC,
        mode: Literal["score", "pairwise"] = "score",
    ) -> None:
        """A judge.

        Args:
            calls: Who asks.
            deployments: Where models are served, by name.
            model: Who judges.
            rubric: What counts.
            mode: A score, beside the reference where there is one; or a comparison with it.

        Raises:
            ConfigError: The model is not served anywhere or has no prices where dollars are
                limited, or the rubric is empty.
        """
        if model not in deployments:
            raise ConfigError(
                f"The judge {model!r} has no address; expected it in the file of upstreams: under "
                "others, or among the models that are collected from."
            )
        check_can_be_collected({model: deployments[model]}, needs_prices=calls.has_budget)
        if not rubric.strip():
            raise ConfigError("The rubric is empty; expected what makes an answer good, in words.")
        self._calls, self._deployments, self._model = calls, deployments[model], model
        self._rubric, self._mode = rubric.strip(), mode
        self.name = f"{'llm' if mode == 'score' else 'pairwise'}:{model}"
        self._num_compared, self._num_agreed = 0, 0

    @property
    def agreement(self) -> float | None:
        """Share of its comparisons in which both orders said the same; None without any."""
        return self._num_agreed / self._num_compared if self._num_compared else None

    def check(self, prompts: Sequence[PromptRow]) -> None:
        """Refuse to compare with a reference that is not there.

        Raises:
            DataError: A prompt has none.
        """
        if self._mode == "score":
            return
        for prompt in prompts:
            if not isinstance(prompt.expected, str) or not prompt.expected.strip():
                raise DataError(
                    f"The query {prompt.query_id!r} has no reference answer to compare with. Give "
                    "the prompts a column expected with one, or judge by llm:MODEL, which needs "
                    "none."
                )

    async def grade(self, prompt: PromptRow, model: str, answer: str) -> float | None:
        """What the judge says; None where it cannot be reached or does not say."""
        said = check_answer(answer)
        if self._mode == "score":
            return await self._score(prompt, model, said)
        return await self._compare(prompt, model, said)

    async def _score(self, prompt: PromptRow, model: str, answer: str) -> float | None:
        told = await self._ask(
            ask_score(self._rubric, prompt.prompt, answer, prompt.expected), prompt, model, ""
        )
        return None if told is None else read_score(told)

    async def _compare(self, prompt: PromptRow, model: str, answer: str) -> float | None:
        worth = []
        for order, (first, second) in {
            "": (answer, prompt.expected),
            ":swapped": (prompt.expected, answer),
        }.items():
            text = ask_comparison(self._rubric, prompt.prompt, first, second)
            told = await self._ask(text, prompt, model, order)
            verdict = None if told is None else read_verdict(told)
            if verdict is None:
                return None
            value = _WORTH[verdict]
            worth.append(1 - value if order else value)
        self._num_compared += 1
        self._num_agreed += worth[0] == worth[1]
        return sum(worth) / 2

    async def _ask(self, text: str, prompt: PromptRow, model: str, order: str) -> str | None:
        question = Question(prompt.query_id, model, f"{self.name}{order}")
        messages = [{"role": "user", "content": text}]
        found = await self._calls.ask(self._deployments, messages, question, prompt.prompt)
        return None if found is None else check_answer(found.text)
