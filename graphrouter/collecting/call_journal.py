"""What was asked, answered, paid and graded, written down before and after every call.

One line of JSON an event, each brought to the disk (`fsync`) before work goes on, so that a process
that is killed at any moment has lost nothing that it knew. A call that was on its way then has a
beginning and no end: it may be paid for, and counts as if it were.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

from graphrouter.chats.usage import Usage
from graphrouter.exceptions import DataError
from graphrouter.gateway.token_prices import to_usd

__all__ = ["JOURNAL", "Answer", "CallJournal", "Question", "hash_prompt"]

JOURNAL = "journal.jsonl"
FORMAT = 1


def hash_prompt(text: str) -> str:
    """A short name of a text, by which it is seen that a prompt has changed.

    Example:
        >>> hash_prompt("Hello")
        '185f8db32271fe25'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Question(NamedTuple):
    """What a call is for. No two calls that are answered have the same."""

    query_id: str
    model: str
    """Whose answer is wanted, or is judged."""
    purpose: str = "answer"
    """`answer`, or what a judge asks about it, such as `judge:grand:swapped`."""


class Answer(NamedTuple):
    """What a model said, and what it took."""

    text: str
    usage: Usage
    cost_nanousd: int | None
    """By usage and prices; None where one of them is not known."""
    latency_s: float

    @property
    def cost_usd(self) -> float | None:
        """US dollars of the call; None where they are not known."""
        return to_usd(self.cost_nanousd)


class CallJournal:
    """A journal that is open for writing, and what it has said so far.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with CallJournal.open(Path(folder)) as journal:
        ...         number = journal.begin(Question("1", "nano"), "Hello", 300)
        ...     with CallJournal.open(Path(folder)) as journal:
        ...         journal.spent_nanousd, journal.num_cut_off
        (300, 1)
    """

    def __init__(self, file: Path) -> None:
        """A journal in a file; `open` reads what it holds."""
        self._file = file
        self._stream: BinaryIO
        self._open_calls: dict[int, tuple[Question, int]] = {}
        self.answers: dict[Question, Answer] = {}
        self.grades: dict[tuple[str, str], float] = {}
        """Effect in [0, 1] by query and model."""
        self.prompts: dict[str, str] = {}
        """Hash of the prompt of each query that was asked."""
        self.reasons: dict[Question, str] = {}
        """Why the last call for a question brought no answer."""
        self.num_calls = 0
        """Calls that were begun, those that failed too."""
        self.spent_nanousd = 0
        """What was paid, and what may have been."""
        self.doubtful_nanousd = 0
        """The part of it that may have been paid: of calls that brought no answer, or no usage."""
        self.num_cut_off = 0
        """Calls that were on their way when an earlier run was killed."""

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The journal of a folder, which is made where there is none.

        Raises:
            DataError: It is damaged elsewhere than at its end, or of another version.
        """
        folder.mkdir(parents=True, exist_ok=True)
        journal = cls(folder / JOURNAL)
        known = journal._read_lines()
        journal._stream = open(journal._file, "ab")  # noqa: PTH123, SIM115
        if not known:
            journal._write({"event": "journal", "format": FORMAT})
        for number, (question, reserved) in sorted(journal._open_calls.items()):
            journal.num_cut_off += 1
            journal.end(number, question, reserved, "cut off by a kill; it may be paid for")
        return journal

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def begin(self, question: Question, prompt: str, reserved_nanousd: int) -> int:
        """Write that a call is about to be sent; its number.

        Args:
            question: What it is for.
            prompt: Of the query.
            reserved_nanousd: The most that it can cost.
        """
        number = self.num_calls + 1
        event = {"event": "begin", "call": number, **question._asdict()}
        self._write(event | {"prompt": hash_prompt(prompt), "reserved_nanousd": reserved_nanousd})
        return number

    def end(
        self,
        number: int,
        question: Question,
        spent_nanousd: int,
        found: Answer | str,
    ) -> None:
        """Write what has come of a call.

        Args:
            number: Of the call.
            question: What it was for.
            spent_nanousd: What is counted for it.
            found: Its answer, or why there is none.
        """
        event: dict[str, Any] = {"event": "end", "call": number, **question._asdict()}
        event["spent_nanousd"] = spent_nanousd
        if isinstance(found, str):
            event["reason"] = found
        else:
            event |= {"text": found.text, **found.usage._asdict()}
            event |= {"cost_nanousd": found.cost_nanousd, "latency_s": round(found.latency_s, 4)}
        self._write(event)

    def grade(self, query_id: str, model: str, effect: float, judge: str) -> None:
        """Write what an answer is worth.

        Args:
            query_id: Of the query.
            model: Who answered.
            effect: In [0, 1].
            judge: Who says so.
        """
        event = {"event": "grade", "query_id": query_id, "model": model}
        self._write(event | {"effect": effect, "judge": judge})

    def _write(self, event: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps(event, ensure_ascii=True).encode() + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._take(event)

    def _read_lines(self) -> bool:
        """Take in what the file holds; whether it holds anything.

        A last line without an end was cut off by a kill, before anything was done about it.
        """
        if not self._file.exists():
            return False
        raw = self._file.read_bytes()
        whole, _, rest = raw.rpartition(b"\n")
        if rest:
            with self._file.open("r+b") as stream:
                stream.truncate(len(raw) - len(rest))
        for number, event in enumerate(self._parse(whole), 1):
            try:
                self._take(event)
            except (KeyError, TypeError, ValueError) as error:
                raise self._damage(number) from error
        return bool(whole)

    def _parse(self, text: bytes) -> Iterator[Mapping[str, Any]]:
        for number, line in enumerate(text.splitlines(), 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise self._damage(number) from error

    def _damage(self, number: int) -> DataError:
        return DataError(
            f"{self._file}, line {number}, is no event of a journal of format {FORMAT}. Restore "
            "the file from a copy, or collect into another folder."
        )

    def _take(self, event: Mapping[str, Any]) -> None:
        """Change what is known by an event."""
        kind = event["event"]
        if kind == "journal":
            if event["format"] != FORMAT:
                raise ValueError(event["format"])
            return
        if kind == "grade":
            self.grades[event["query_id"], event["model"]] = float(event["effect"])
            return
        question = Question(event["query_id"], event["model"], event["purpose"])
        if kind == "begin":
            self.num_calls = max(self.num_calls, int(event["call"]))
            self._open_calls[event["call"]] = question, int(event["reserved_nanousd"])
            self.prompts[question.query_id] = event["prompt"]
            return
        if kind != "end":
            raise ValueError(kind)
        self._open_calls.pop(event["call"], None)
        spent = int(event["spent_nanousd"])
        self.spent_nanousd += spent
        if "reason" in event:
            self.reasons[question] = str(event["reason"])
            self.doubtful_nanousd += spent
            return
        self.reasons.pop(question, None)
        usage = Usage(*(event[name] for name in Usage._fields))
        answer = Answer(str(event["text"]), usage, event["cost_nanousd"], event["latency_s"])
        self.answers[question] = answer
        if answer.cost_nanousd is None:
            self.doubtful_nanousd += spent
