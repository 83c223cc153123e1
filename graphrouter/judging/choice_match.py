"""Answers that choose among options with labels, such as A to D."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass

from graphrouter.exceptions import DataError
from graphrouter.judging.answer_parts import check_answer, find_box, plain_words
from graphrouter.wording import show_value

_TEX = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|boxed|fbox)\s*\{([^{}]*)\}")
_MARKS = re.compile(r"[*_`$#>]+|\\[()\[\]]")
_REASONS = r"because|since|as|is|are|and|or|due|for"
"""Words behind a label that is a word too: "A because ..." but not "A dog"."""
_SPOKEN_OF = re.compile(
    r"[):.]?\s+(?:is|are|was|were|isn't|cannot|can't|could|would|does|has)\b", re.I
)
"""Behind a label that is spoken of, and not chosen by that alone."""
_NEGATION = re.compile(r"\b(?:neither|nor|not|none|never|cannot|\w+n't|except|without)\b", re.I)


@dataclass(frozen=True)
class ChoiceMatch:
    r"""Score 1 for an answer that chooses the expected option and no other, else 0.

    Of an answer counts what `read_choice` finds: "Answer: C", "the answer is (C)", `\boxed{C}`, a
    lone "C", "**C**" or "C) Paris". Nothing found, or two options at once, scores 0.

    Raises:
        DataError: There are fewer than two choices, or the expected one is not among them.

    Example:
        >>> judge = ChoiceMatch("C")
        >>> judge("Which?", "A is wrong. The answer is **(C)**."), judge("Which?", "B or C")
        (1.0, 0.0)
        >>> ChoiceMatch("B", texts=["Rome", "Paris", "Bern", "Kiev"])("Which?", "It is Paris.")
        1.0
    """

    expected: str | Collection[str]
    """A label, or several that have to be chosen all together."""
    choices: str | Sequence[str] = "ABCD"
    """All labels: the letters of a text, or a list."""
    _: KW_ONLY
    texts: Sequence[str] = ()
    """What the options say, in order, so that one may be chosen in words; none: by labels alone."""

    def __post_init__(self) -> None:
        labels = _check_labels(self.choices)
        texts = _check_texts(self.texts, labels)
        asked = (self.expected,) if isinstance(self.expected, str) else self.expected
        wanted = tuple(asked) if isinstance(asked, Collection) else ()
        known = {label.casefold(): label for label in labels}
        if not wanted or not all(
            isinstance(label, str) and label.casefold() in known for label in wanted
        ):
            raise DataError(
                f"expected is {show_value(self.expected)}; expected one of the choices "
                f"{', '.join(labels)}, or a list of those that are right together."
            )
        object.__setattr__(self, "expected", tuple(known[label.casefold()] for label in wanted))
        object.__setattr__(self, "choices", labels)
        object.__setattr__(self, "texts", texts)

    def __call__(self, prompt: str, answer: str) -> float:
        """1.0 where exactly the expected options are chosen, else 0.0."""
        found = read_choice(answer, self.choices, texts=self.texts)
        return float(found == frozenset(self.expected))


def read_choice(
    answer: str, choices: str | Sequence[str] = "ABCD", *, texts: Sequence[str] = ()
) -> frozenset[str] | None:
    r"""The labels that an answer chooses; None where it chooses none, or leaves it open.

    Looked for, in this order: `\boxed{C}`; the last of "answer: C", "the answer is C", "option C is
    correct", "#### C"; an answer, or a first or last line, that is "C", "(C)", "C." or "C) Paris";
    one label in the last sentence that has any, not behind a "not"; the text of one option and of
    no other. "A and C", "A, C" and "AC" choose both, "A or C" neither. "A" and "I" count where they
    are no words.

    Args:
        answer: Of a model.
        choices: All labels.
        texts: What the options say, in order; none: labels alone are looked for.

    Raises:
        DataError: The answer is no string, or the labels are no such list.

    Example:
        >>> read_choice("Answer: (b)") == {"B"}, read_choice("I cannot say."), read_choice("A or B")
        (True, None, None)
    """
    labels = _check_labels(choices)
    texts = _check_texts(texts, labels)
    text = check_answer(answer)
    reading = _Reading(labels)
    box = find_box(text)
    if box is not None:
        return reading.find_first(_plain(box)) or None
    text = _plain(text)
    marked = reading.find_marked(text)
    if marked is not None:
        return marked or None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in (*lines[:1], *lines[-1:]):
        found = reading.find_first(line, is_marked=False)
        if found:
            return found
    named = reading.find_named(text)
    if named is not None:
        return named if len(named) == 1 else None
    words = f" {plain_words(text)} "
    said = [
        label
        for label, option in zip(labels, texts, strict=False)
        if option.strip() and f" {plain_words(option)} " in words
    ]
    return frozenset(said) if len(said) == 1 else None


class _Reading:
    """The patterns of some labels."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._known = {label.casefold(): label for label in labels}
        one = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
        self._one = re.compile(rf"(?<!\w)(?:{one})(?!\w)", re.I)
        self._letters = "".join(labels) if all(len(label) == 1 for label in labels) else ""
        bracketed = rf"[(\[]\s*(?:{one})\s*[)\]]"
        alone = rf"(?:{one})(?!\w|['\u2019]|-\w)"
        kind = r"(?:the\s+)?(?:option|choice|letter|answer)?s?\s*:?\s*"
        join = r"(?:,|;|&|/|\band\b|\bor\b)"
        self._list = re.compile(
            rf"{kind}(?P<first>{bracketed}|{alone})"
            rf"(?P<more>(?:\s*{join}+\s*(?:and\s+|or\s+)?(?:{bracketed}|{alone}))*)"
            r"(?P<rest>[^\n]*)",
            re.I,
        )
        self._marker = re.compile(
            r"####|\b(?:choose|select|pick|go(?:ing)? with|choice|answer)\s+"
            rf"(?={kind}(?:{bracketed}|{alone})(?!\s+(?:is|was)\b))"
            r"|\b(?:answer|choice|option)s?\b[^.:\n]{0,60}?"
            r"(?::|\bis\b|\bare\b|\bwould be\b|\bmust be\b)(?!\s+not\b)\s*:?\s*",
            re.I,
        )
        self._right = re.compile(
            rf"(?:\b(?:option|choice|answer)\s+|^|(?<=[.!?:,]\s))(?:{bracketed}|{alone})[):.]?\s+is\s+"
            r"(?:the\s+)?(?:most\s+|only\s+|best\s+)?(?:correct|right|true|best|answer)\b",
            re.I | re.M,
        )
        self._lone = re.compile(rf"{bracketed}|(?<![\w'\u2019.-])(?:{one})(?![\w'\u2019-])")

    def find_first(self, text: str, *, is_marked: bool = True) -> frozenset[str] | None:
        """The labels that a text begins with, where they are meant as labels.

        Empty where it leaves them open, None where there are none.
        """
        text = text.strip()
        match = self._list.match(text)
        if match is None:
            return self._split_letters(text)
        first, rest = match["first"], match["rest"]
        if not first.startswith(("(", "[")) and not self._is_label(first, match["more"] + rest):
            return None
        if not is_marked and _SPOKEN_OF.match(rest):
            return None
        if re.search(r"\bor\b|/", match["more"], re.I):
            return frozenset()
        return frozenset(self._labels(first + match["more"]))

    def find_marked(self, text: str) -> frozenset[str] | None:
        """The labels behind the last mark of an answer, as `find_first` gives them."""
        found, place = None, -1
        for mark in self._marker.finditer(text):
            labels = self.find_first(text[mark.end() : mark.end() + 200])
            if labels is not None:
                found, place = labels, mark.start()
        for match in self._right.finditer(text):
            if match.start() > place:
                found = frozenset(self._labels(match[0]))
        return found

    def find_named(self, text: str) -> frozenset[str] | None:
        """The labels of the last sentence that has any; empty behind a "not"."""
        sentences = re.split(r"(?<=[.!?])\s+|\n+", text)
        for sentence in reversed(sentences):
            places = list(self._find_lone(sentence))
            if places:
                is_denied = _NEGATION.search(sentence[: places[-1][0]]) is not None
                return frozenset() if is_denied else frozenset(label for _, label in places)
        return None

    def _find_lone(self, text: str) -> Iterator[tuple[int, str]]:
        """Places of labels in brackets, or alone in their own case; "A" as an article is none."""
        for match in self._lone.finditer(text):
            if match[0][0] in "([" or self._is_label(match[0], text[match.end() :]):
                yield from ((match.start(), label) for label in self._labels(match[0]))

    def _split_letters(self, text: str) -> frozenset[str] | None:
        """The letters of "AC", where they stand in order; None where a text does not begin so."""
        match = re.match(r"[(\[]?(\w{2,})[)\]]?(?=[.:,;!]?\s*(?:\n|$))", text)
        places = [self._letters.find(letter) for letter in match[1]] if match else []
        if not places or -1 in places or places != sorted(set(places)):
            return None
        return frozenset(self._letters[place] for place in places)

    def _labels(self, text: str) -> Iterator[str]:
        for match in self._one.finditer(text):
            yield self._known[match[0].casefold()]

    def _is_label(self, word: str, rest: str) -> bool:
        """Whether a label without brackets is one, by what stands behind it."""
        is_own_case = word in self._known.values()
        if re.match(r"\s*(?:[).:,;!\]]|$)|\s+[-\N{EN DASH}\N{EM DASH}]\s", rest):
            return is_own_case or not re.match(r"\s*[,;]", rest)
        if not is_own_case:
            return False
        if word.casefold() in ("a", "i"):
            return re.match(rf"\s+(?:{_REASONS})\b", rest, re.I) is not None
        return True


def _plain(text: str) -> str:
    """Text without LaTeX around words and without marks of Markdown."""
    return _MARKS.sub("", _TEX.sub(r"\1", text))


def _check_labels(choices: object) -> tuple[str, ...]:
    labels = tuple(choices) if isinstance(choices, Sequence) else ()
    is_text = all(isinstance(label, str) and label.strip() == label != "" for label in labels)
    if not is_text or len({str(label).casefold() for label in labels}) < max(len(labels), 2):
        raise DataError(
            f"choices is {show_value(choices)}; expected at least two labels that differ, such "
            'as "ABCD" or ["1", "2", "3"].'
        )
    return labels


def _check_texts(texts: object, labels: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(texts) if isinstance(texts, Sequence) and not isinstance(texts, str) else None
    if found is None or not all(isinstance(text, str) for text in found):
        raise DataError(
            f"texts is {show_value(texts)}; expected what each of the options "
            f"{', '.join(labels)} says, as a list of strings in this order."
        )
    if found and len(found) != len(labels):
        raise DataError(
            f"texts has {len(found)} options, choices {len(labels)} labels; expected one text for "
            f"each of {', '.join(labels)}."
        )
    return found
