"""Asks a pool, has the answers graded, and leaves a dataset: in rounds, within an allowance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pandas as pd

from graphrouter.collecting.allowance import Allowance, SpentError
from graphrouter.collecting.call_journal import CallJournal, Question, hash_prompt
from graphrouter.collecting.collecting_judges import CollectingJudge
from graphrouter.collecting.model_calls import ModelCalls, check_can_be_collected
from graphrouter.collecting.prompt_table import PromptRow
from graphrouter.data import RoutingDataset, suggest_pairs
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.gateway.token_prices import to_nanousd, to_usd
from graphrouter.gateway.upstreams import Deployment
from graphrouter.locks import lock_folder
from graphrouter.number_checks import is_amount, is_whole
from graphrouter.pool import ModelPool
from graphrouter.wording import name_some

__all__ = ["Collected", "Limits", "Progress", "collect"]

_LEAST_MODELS = 2


@dataclass(frozen=True)
class Limits:
    """How much is collected, and how fast.

    Example:
        >>> Limits(budget_usd=2.5).budget_usd
        2.5
    """

    budget_usd: float | None = None
    """US dollars in all, earlier runs in the same folder and judges among them; None for none."""
    max_calls: int | None = None
    """Calls in all, likewise; attempts that failed are counted."""
    concurrency: int = 8
    """Calls on their way at once."""
    max_output_tokens: int = 2048
    """That an answer may have where the upstream's parameters say nothing."""

    def __post_init__(self) -> None:
        if self.budget_usd is not None and not is_amount(self.budget_usd):
            raise ConfigError(f"budget_usd is {self.budget_usd!r}; expected dollars of at least 0.")
        for name in ("max_calls", "concurrency", "max_output_tokens"):
            value = getattr(self, name)
            if not (value is None and name == "max_calls") and not is_whole(value, least=1):
                raise ConfigError(f"{name} is {value!r}; expected a whole number above 0.")


class Progress(NamedTuple):
    """How far a collection is."""

    num_answers: int
    num_pairs: int
    """That are wanted in all."""
    num_failed: int
    spent_usd: float
    is_over: bool = False
    """Whether all calls are made; a person may still have to grade."""


@dataclass(frozen=True)
class Collected:
    """What a collection has come to, all runs in its folder together."""

    num_pairs: int
    num_answers: int
    num_graded: int
    failures: Mapping[str, int]
    """Pairs without an answer, by the reason of the last attempt."""
    given_up: tuple[str, ...]
    """Models that failed so often in a row that they were not asked any more."""
    num_calls: int
    spent_usd: float
    """What was paid, and what may have been."""
    doubtful_usd: float
    """Of it, what calls may have cost that brought no answer, or did not say what they used."""
    num_cut_off: int
    """Calls that were on their way when the run before was killed."""
    stopped: str
    """Which limit was reached, in words; empty where all is there that can be had."""
    agreement: float | None
    """Share of the comparisons of this run in which both orders said the same; None without."""
    dataset: RoutingDataset | None
    """The answers; None where those that are graded are of fewer than two models."""


def collect(
    prompts: Sequence[PromptRow],
    pool: ModelPool,
    deployments: Mapping[str, Sequence[Deployment]],
    make_judge: Callable[[ModelCalls], CollectingJudge],
    folder: Path,
    limits: Limits | None = None,
    *,
    system: str | None = None,
    seed: int = 0,
    transport: httpx2.AsyncBaseTransport | None = None,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Collected:
    """Answers of a pool to prompts, graded, as a dataset in a folder.

    Pairs come in the order of `suggest_pairs`, so that whatever the limits leave is spread over
    tasks, prompts and models. What the folder's journal holds is neither asked nor paid again.

    Args:
        prompts: What to ask.
        pool: The models to ask, with their cards.
        deployments: Where they are served, and perhaps the judge.
        make_judge: Who grades; it may ask models too, by the same calls.
        folder: For the journal and the tables; it is made where there is none.
        limits: How much; all pairs without.
        system: Goes before every prompt as system message; not before chats, which are sent as they
            are.
        seed: Of the order.
        transport: In the place of the network, for tests.
        tell: Is told how far it is after every answer and failure.

    Raises:
        ConfigError: A limit is out of range, or an upstream cannot be used.
        DataError: The judge cannot judge a prompt, prompts have changed since the folder was
            begun, or its journal is damaged.
        RunError: The judge failed.
        BusyError: Another process collects into the folder.
    """
    limits = limits or Limits()
    chatting = {
        name: tuple(each for each in several if "chat" in each.endpoints)
        for name, several in deployments.items()
    }
    asked = {card.model: chatting[card.model] for card in pool if chatting.get(card.model)}
    if len(asked) < _LEAST_MODELS:
        raise ConfigError(
            f"Models with an address: {name_some(list(asked)) or 'none'}; expected at least two, "
            "or there is nothing to choose between."
        )
    check_can_be_collected(asked, needs_prices=limits.budget_usd is not None)
    with lock_folder(folder, wait_s=0), CallJournal.open(folder) as journal:
        _check_unchanged(prompts, journal)
        run = _Run(prompts, pool, asked, journal, limits, system=system, seed=seed, tell=tell)
        try:
            asyncio.run(run.run(make_judge, transport))
        finally:
            dataset = run.save(folder)
        return run.report(dataset)


class _Run:
    """One run of a collection."""

    def __init__(
        self,
        prompts: Sequence[PromptRow],
        pool: ModelPool,
        deployments: Mapping[str, Sequence[Deployment]],
        journal: CallJournal,
        limits: Limits,
        *,
        system: str | None,
        seed: int,
        tell: Callable[[Progress], None],
    ) -> None:
        self._prompts = {prompt.query_id: prompt for prompt in prompts}
        self._pool, self._deployments, self._journal = pool, deployments, journal
        self._limits, self._system, self._seed, self._tell = limits, system, seed, tell
        self._allowance = Allowance(
            None if limits.budget_usd is None else to_nanousd(limits.budget_usd),
            limits.max_calls,
            spent_nanousd=journal.spent_nanousd,
            num_calls=journal.num_calls,
        )
        self._pairs = self._order_pairs()
        self._num_answers, self._num_failed = len(self._answered()), 0
        self._given_up: tuple[str, ...] = ()
        self._agreement: float | None = None

    async def run(
        self,
        make_judge: Callable[[ModelCalls], CollectingJudge],
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        """Ask and grade whatever is missing, until it is there or a limit is reached."""
        async with httpx2.AsyncClient(transport=transport, follow_redirects=False) as client:
            calls = ModelCalls(
                client,
                self._journal,
                self._allowance,
                max_output_tokens=self._limits.max_output_tokens,
            )
            judge = make_judge(calls)
            judge.check(list(self._prompts.values()))
            waiting = iter(self._pairs)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._limits.concurrency):
                        group.create_task(self._work(waiting, calls, judge))
            except* Exception as errors:  # of several workers the first is told
                raise _find_first(errors) from None
            self._tell(self._progress()._replace(is_over=True))
            if judge.is_person:
                await self._ask_person(judge)
            self._given_up = tuple(calls.given_up)
            self._agreement = judge.agreement

    async def _work(
        self, waiting: Iterator[tuple[str, str]], calls: ModelCalls, judge: CollectingJudge
    ) -> None:
        for query_id, model in waiting:
            prompt, pair = self._prompts[query_id], Question(query_id, model)
            is_known = pair in self._journal.answers
            try:
                answer = await calls.ask(
                    self._deployments[model], self._write(prompt), pair, prompt.prompt
                )
                self._num_answers += answer is not None and not is_known
                self._num_failed += answer is None
                self._tell(self._progress())
                if answer is not None and not judge.is_person:
                    await self._grade(judge, prompt, model, answer.text)
            except SpentError:
                # What was answered before may still be graded by a judge who costs nothing.
                continue

    async def _ask_person(self, judge: CollectingJudge) -> None:
        """Have answers graded one by one, in an order that says nothing of who gave them."""
        asked = [pair for pair in self._pairs if Question(*pair) in self._journal.answers]
        random.Random(self._seed).shuffle(asked)
        for query_id, model in asked:
            answer = self._journal.answers[Question(query_id, model)]
            await self._grade(judge, self._prompts[query_id], model, answer.text)

    async def _grade(
        self, judge: CollectingJudge, prompt: PromptRow, model: str, answer: str
    ) -> None:
        if (prompt.query_id, model) in self._journal.grades:
            return
        effect = await judge.grade(prompt, model, answer)
        if effect is not None:
            self._journal.grade(prompt.query_id, model, effect, judge.name)

    def _write(self, prompt: PromptRow) -> list[Mapping[str, Any]]:
        if prompt.messages:
            return list(prompt.messages)
        system = [{"role": "system", "content": self._system}] if self._system else []
        return [*system, {"role": "user", "content": prompt.prompt}]

    def _order_pairs(self) -> list[tuple[str, str]]:
        """All pairs, those that have an answer first."""
        names = list(self._deployments)
        rows = [(p.query_id, p.prompt, p.task) for p in self._prompts.values()]
        frame = pd.DataFrame(rows, columns=["query_id", "prompt", "task"])
        known = self._answered()
        asked = pd.DataFrame(known, columns=["query_id", "model"])
        num = len(frame) * len(names)
        left = suggest_pairs(frame, names, num, asked=asked, seed=self._seed)
        return [*known, *zip(left["query_id"], left["model"], strict=True)]

    def _answered(self) -> list[tuple[str, str]]:
        return [
            (each.query_id, each.model)
            for each in self._journal.answers
            if each.purpose == "answer"
            and each.query_id in self._prompts
            and each.model in self._deployments
        ]

    def _failures(self) -> Iterable[str]:
        for question, reason in self._journal.reasons.items():
            if question.purpose == "answer" and question.model in self._deployments:
                yield f"{question.model}: {reason}"

    def _progress(self) -> Progress:
        return Progress(
            self._num_answers,
            len(self._pairs),
            self._num_failed,
            to_usd(self._journal.spent_nanousd) or 0.0,
        )

    def save(self, folder: Path) -> RoutingDataset | None:
        """Write the tables of what was answered, where enough of it is graded for a dataset."""
        rows = [self._write_row(*pair) for pair in self._answered()]
        if len({row["model"] for row in rows if row["effect"] is not None}) < _LEAST_MODELS:
            return None
        asked = {row["query_id"] for row in rows}
        queries = [p for p in self._prompts.values() if p.query_id in asked]
        frame = pd.DataFrame(
            [(p.query_id, p.task, p.prompt) for p in queries],
            columns=["query_id", "task", "prompt"],
        )
        cards = [card for card in self._pool if card.model in self._deployments]
        dataset = RoutingDataset.from_frames(
            queries=frame,
            models=pd.DataFrame(
                [card.model_dump(by_alias=True, exclude_none=True) for card in cards]
            ),
            outcomes=pd.DataFrame(rows),
            name=folder.resolve().name,
        )
        dataset.save(folder)
        return dataset

    def _write_row(self, query_id: str, model: str) -> dict[str, Any]:
        """An answer as a row of outcomes; one that nobody graded tells what it cost."""
        answer = self._journal.answers[Question(query_id, model)]
        return {
            "query_id": query_id,
            "model": model,
            "effect": self._journal.grades.get((query_id, model)),
            "cost_usd": answer.cost_usd,
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
            "latency_s": answer.latency_s,
            "answer": answer.text,
        }

    def report(self, dataset: RoutingDataset | None) -> Collected:
        """What it has come to."""
        answered, failures = self._answered(), dict[str, int]()
        for reason in self._failures():
            failures[reason] = failures.get(reason, 0) + 1
        return Collected(
            num_pairs=len(self._pairs),
            num_answers=len(answered),
            num_graded=sum(pair in self._journal.grades for pair in answered),
            failures=dict(sorted(failures.items(), key=lambda each: -each[1])),
            given_up=self._given_up,
            num_calls=self._journal.num_calls,
            spent_usd=to_usd(self._journal.spent_nanousd) or 0.0,
            doubtful_usd=to_usd(self._journal.doubtful_nanousd) or 0.0,
            num_cut_off=self._journal.num_cut_off,
            stopped=self._allowance.reached,
            agreement=self._agreement,
            dataset=dataset,
        )


def _check_unchanged(prompts: Sequence[PromptRow], journal: CallJournal) -> None:
    for prompt in prompts:
        known = journal.prompts.get(prompt.query_id)
        if known is not None and known != hash_prompt(prompt.prompt):
            raise DataError(
                f"The prompt of the query {prompt.query_id!r} has changed since it was asked. Give "
                "the changed prompt another query_id, or collect into another folder."
            )


def _find_first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _find_first(first) if isinstance(first, BaseExceptionGroup) else first
