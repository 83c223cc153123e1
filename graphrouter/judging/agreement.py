"""How far answers to one prompt agree, where nobody knows the right one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from graphrouter.exceptions import DataError
from graphrouter.grades import Grade, Judge
from graphrouter.judging.answer_parts import check_answer, find_final, plain_words
from graphrouter.number_checks import is_amount
from graphrouter.wording import count_of, show_value

NOTHING_TOLD = Grade(0.5, 0.5, 0.5)
"""The grade of an answer that there is nothing to compare with."""
Reader = Callable[[str], Hashable | None]
"""An answer to what it says, the same for answers that agree; None where it says nothing."""


def read_text(answer: str) -> str | None:
    r"""The final part of an answer in plain words; None where it is empty.

    What is boxed or stands behind "answer:", "the answer is" or "####", or else the last line,
    without case, punctuation and spaces that do not count.

    Raises:
        DataError: The answer is no string.

    Example:
        >>> read_text("Let me see.\nThe answer is **Paris**."), read_text(" ")
        ('paris', None)
    """
    return plain_words(find_final(check_answer(answer))) or None


def agree(answers: Sequence[str], *, read: Reader = read_text) -> list[float]:
    """For each answer the share of the others that say the same, in [0, 1].

    The one with the largest share is that of a vote (self-consistency: Wang and others, arXiv
    2203.11171). An answer that says nothing agrees with none.

    Args:
        answers: To one prompt, at least two, of one model or of several.
        read: What an answer says: `read_text`, `read_number`, `read_choice`, or a function of your
            own from a text to something that can be compared and hashed, or to None.

    Raises:
        DataError: There are fewer than two answers, one is no string, or `read` is no such
            function.

    Example:
        >>> from graphrouter.judging import read_number
        >>> agree(["It is 4.", "Answer: 4.0", "5"], read=read_number)
        [0.5, 0.5, 0.0]
    """
    texts = _check_answers(answers, 2)
    said = [_say(_check_reader(read), text) for text in texts]
    votes = Counter(said)
    return [0.0 if each is None else (votes[each] - 1) / (len(said) - 1) for each in said]


def vote(
    answers: Mapping[str, str],
    *,
    weights: Mapping[str, float] | None = None,
    read: Reader = read_text,
) -> str | None:
    """Whose answer a vote keeps: of those that say the same, the heaviest together.

    Among these it is the one that weighs most, then the first. None where no answer says anything.

    Args:
        answers: By who gave them, all to one prompt, at least one.
        weights: Of each, at least 0, such as its expected effect; all alike without them.
        read: As for `agree`.

    Raises:
        DataError: There are no answers, one is no string, a weight is missing or no number of at
            least 0, or `read` is no such function.

    Example:
        >>> answers = {"a": "Answer: 4", "b": "5", "c": "Answer: 4"}
        >>> vote(answers, weights={"a": 0.3, "b": 0.5, "c": 0.4})
        'c'
    """
    if not isinstance(answers, Mapping) or not answers:
        raise DataError(
            f"answers is {show_value(answers)}; expected a mapping from who answered to the answer."
        )
    heavy = dict.fromkeys(answers, 1.0) if weights is None else weights
    for name in answers:
        if not is_amount(heavy.get(name)):
            raise DataError(
                f"The weight of {name!r} is {show_value(heavy.get(name))}; expected a number of at "
                "least 0 for everybody who answered."
            )
    read = _check_reader(read)
    said = {name: _say(read, check_answer(answer)) for name, answer in answers.items()}
    total: dict[Hashable, float] = {}
    for name, each in said.items():
        if each is not None:
            total[each] = total.get(each, 0.0) + heavy[name]
    if not total:
        return None
    kept = max(total, key=lambda each: total[each])
    return max((name for name in said if said[name] == kept), key=lambda name: heavy[name])


@dataclass(frozen=True)
class Agreement:
    """Score an answer by the share of other answers that say the same, in [0, 1].

    Agreement is no proof: models err alike. How far it is to be believed, `graphrouter.Judge.fit`
    finds out from answers that were graded.

    Raises:
        DataError: There are no other answers, one is no string, or `read` is no such function.

    Example:
        >>> judge = Agreement(["Answer: Paris", "It is Lyon.", "Paris"])
        >>> round(judge("Capital of France?", "paris!"), 2)
        0.67
    """

    answers: Sequence[str]
    """Others' answers to the same prompt, at least one; without the one to be judged."""
    read: Reader = read_text
    """What an answer says; see `agree`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "answers", _check_answers(self.answers, 1))
        _check_reader(self.read)

    def __call__(self, prompt: str, answer: str) -> float:
        """Share of the other answers that say the same; 0.0 where this one says nothing."""
        said = self.read(check_answer(answer))
        if said is None:
            return 0.0
        return sum(self.read(other) == said for other in self.answers) / len(self.answers)


class RunningAgreement:
    """Grades each answer to a prompt by the share of those before it that say the same.

    A judge for `run`, made anew for each: the first answer has nothing to agree with and is told
    nothing of, and an agreement counts once, for the answer that came later. How far it is to be
    believed is stated, as `graphrouter.Judge.fit` finds it from graded answers; give it to `run` as
    `reliability` as well. Its grades are no outcomes to be learned from: models err alike.

    Raises:
        DataError: `reliability` is no judge, or `read` no function.

    Example:
        >>> judge = RunningAgreement(Judge(0.8, 0.2))
        >>> [judge("Capital of France?", said).effect for said in ("Paris.", "paris", "Lyon")]
        [0.5, 1.0, 0.0]
    """

    def __init__(self, reliability: Judge, *, read: Reader = read_text) -> None:
        if not isinstance(reliability, Judge):
            raise DataError(
                f"reliability is {show_value(reliability)}; expected a graphrouter.Judge, such as "
                "Judge.fit(scores, effects) of answers that were graded."
            )
        self._reliability, self._read = reliability, _check_reader(read)
        self._said: dict[str, list[Hashable]] = {}

    def __call__(self, prompt: str, answer: str) -> Grade:
        """What the answer's agreement with those before it is taken for.

        Raises:
            DataError: The answer is no string, or `read` makes of it what cannot be hashed.
        """
        says, before = _say(self._read, check_answer(answer)), self._said.setdefault(prompt, [])
        if says is None:
            return NOTHING_TOLD
        share = sum(other == says for other in before) / max(len(before), 1)
        grade = self._reliability.read(share) if before else NOTHING_TOLD
        before.append(says)
        return grade


def _check_answers(answers: object, fewest: int) -> tuple[str, ...]:
    is_list = isinstance(answers, Sequence) and not isinstance(answers, str)
    if not is_list or len(answers) < fewest:  # type: ignore[arg-type]
        raise DataError(
            f"answers is {show_value(answers)}; expected a list of at least "
            f"{count_of(fewest, 'answer')}, all to one prompt."
        )
    for answer in answers:  # type: ignore[attr-defined]
        check_answer(answer)
    return tuple(answers)  # type: ignore[arg-type]


def _check_reader(read: object) -> Reader:
    if not callable(read):
        raise DataError(
            f"read is {show_value(read)}; expected a function from an answer to what it says, such "
            "as read_number, read_choice or read_text of graphrouter.judging."
        )
    return read


def _say(read: Reader, answer: str) -> Hashable | None:
    """What an answer says, by a function that may be anybody's."""
    said = read(answer)
    try:
        hash(said)
    except TypeError:
        raise DataError(
            f"read made {show_value(said)} of an answer; expected something that can be hashed, "
            "such as a string, a number or a tuple of these, or None."
        ) from None
    return said
