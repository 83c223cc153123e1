"""Answers that come to a number that is known."""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Literal, TypeGuard, get_args

from graphrouter.exceptions import DataError
from graphrouter.judging.answer_parts import check_answer, find_box, find_marked
from graphrouter.judging.number_reading import Decimal, Number, find_numbers, write_plainly
from graphrouter.number_checks import is_number
from graphrouter.wording import show_value

Units = Literal["either", "applied", "ignored"]
_IN_A_BOX = re.compile(
    r"(?:[\s$~≈.°(){}]|\\approx|\\%|\^\{?-?\d\}?|/|[A-Za-z]{2,}|(?<=[\s/])[A-Za-z](?![A-Za-z(]))*"
)
"""What may stand beside the number of a box: spaces and units, such as `cm^2` or `m/s`."""
_EQUALS = re.compile(r"=|≈|\\approx")


@dataclass(frozen=True)
class NumericMatch:
    r"""Score 1 for an answer that comes to the expected number, else 0.

    Of an answer counts, in this order: the number in its last `\boxed{}`, where that holds one
    number and units; the first number behind the last "answer:", "the answer is" or "####" (behind
    the last = there); the last number of all. What is read as a number says `read_number`. Ask for
    an answer that ends with "Answer: ...": the last number of "18 dollars after 2 days" is 2.

    Raises:
        DataError: What is expected is no number, or an argument is out of range.

    Example:
        >>> judge = NumericMatch(1234.5, tolerance=0.01)
        >>> judge("Sum?", "1,200 + 34.50 = **$1,234.50**"), judge("Sum?", "About 1200.")
        (1.0, 0.0)
        >>> judge = NumericMatch("3/4")
        >>> judge("Chance?", r"Thus $\boxed{\frac{3}{4}}$"), judge("Chance?", "75%")
        (1.0, 1.0)
    """

    expected: float | str | Sequence[float | str]
    """A number, a text that holds one, such as `"1/3"` or `"45%"`, or several that are all
    right."""
    tolerance: float = 0.0
    """How far off an answer may be, in the unit of the number; >= 0."""
    _: KW_ONLY
    relative: float = 1e-9
    """How far off it may be as a share of the expected number, where that is more; >= 0."""
    units: Units = "either"
    """What a percent sign, or a million, billion and so on behind a number does: `"applied"` reads
    45 % as 0.45, `"ignored"` as 45, `"either"` takes both for right."""
    decimal: Decimal = "."
    """What stands before decimals, where thousands could be meant too: with `"."`, 1,234 is 1234
    and 1.234 is 1.234; with `","` it is the other way round. All other forms are read alike."""

    def __post_init__(self) -> None:
        for name in ("tolerance", "relative"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value < math.inf:
                raise DataError(f"{name} is {value!r}; expected a finite number of at least 0.")
        _check_choice("units", self.units, get_args(Units))
        _check_choice("decimal", self.decimal, get_args(Decimal))
        several = isinstance(self.expected, Sequence) and not isinstance(self.expected, str)
        values = tuple(self.expected) if several else (self.expected,)  # type: ignore[arg-type]
        if not values:
            raise DataError("expected is empty; expected a number, or several that are all right.")
        for value in values:
            self._read_expected(value)
        object.__setattr__(self, "expected", values)

    def __call__(self, prompt: str, answer: str) -> float:
        """1.0 where the number of the answer is near enough to an expected one, else 0.0."""
        found = _find_number(check_answer(answer), self.decimal)
        if found is None:
            return 0.0
        readings = _read(found, self.units)
        return float(
            any(
                self._is_near(reading, wanted)
                for value in self.expected  # type: ignore[union-attr]
                for wanted in self._read_expected(value)
                for reading in readings
            )
        )

    def _is_near(self, value: Fraction, wanted: Fraction) -> bool:
        allowed = max(Fraction(str(self.tolerance)), Fraction(str(self.relative)) * abs(wanted))
        return abs(value - wanted) <= allowed

    def _read_expected(self, value: object) -> list[Fraction]:
        found = None
        if isinstance(value, str):
            found = _find_number(value, self.decimal)
        elif _is_number(value) and math.isfinite(value):
            # Through its digits: 0.1 is a tenth, as in the answer.
            found = Number(Fraction(str(value)), Fraction(1), 0, 0)
        if found is None:
            raise DataError(
                f"expected is {show_value(value)}; expected a finite number, a text that holds "
                "one, or a list of these. Texts are for ExactMatch."
            )
        return _read(found, self.units)


def read_number(
    answer: str, *, units: Literal["applied", "ignored"] = "applied", decimal: Decimal = "."
) -> Fraction | None:
    r"""The number that an answer comes to, exactly; None where it holds none.

    Read are signs (also "minus 4"), thousands, decimals, powers (3e8, 3 x 10^8, 2^10), fractions
    (3/4, 1 1/2, ½, `\frac{3}{4}`), money, percent, and hundred to trillion behind digits. Not read
    are words ("four"), roots, multiples of pi, digits within words (H2O), exponents of units (m^2),
    dates, and more than 400 digits.

    Thousands are groups of three digits behind a comma, a point, an underscore, an apostrophe or a
    space, thin or not (1,234 and 1_234 and 1'234 and 1 234), or of two as in India (12,34,567).
    Decimals stand behind a point or a comma: 1,234.50 and 1.234,50 are one number, 1.234.567 is a
    whole one, 0,5 is a half. `decimal` settles what could be either, 1,234 and 1.234. A space
    before three digits always joins, so "on day 3 100 came" holds 3100; (3,4) and 1,2,3 are several
    numbers; what is none of these, such as 12,34.56 and 1,234,56, is not read.

    Args:
        answer: Of a model.
        units: Whether 45 % is 0.45, and 2 million is 2,000,000.
        decimal: What stands before decimals, where thousands could be meant too.

    Raises:
        DataError: The answer is no string.

    Example:
        >>> read_number("So 3/4 of them, which is the answer: 75 %")
        Fraction(3, 4)
        >>> read_number("1.234,50 EUR") == read_number("1 234.5") == Fraction("1234.5")
        True
        >>> read_number("1.234"), read_number("1.234", decimal=",")
        (Fraction(617, 500), Fraction(1234, 1))
    """
    _check_choice("units", units, ("applied", "ignored"))
    _check_choice("decimal", decimal, get_args(Decimal))
    found = _find_number(check_answer(answer), decimal)
    return None if found is None else _read(found, units)[0]


def _find_number(answer: str, decimal: Decimal) -> Number | None:
    """The number that an answer without thoughts comes to."""
    box = find_box(answer)
    if box is not None:
        return _read_box(write_plainly(box, decimal))
    marked = find_marked(answer)
    if marked is not None:
        text = write_plainly(marked, decimal)
        for part in (_EQUALS.split(text)[-1], text):
            for number in find_numbers(part):
                return number
    last = None
    for last in find_numbers(write_plainly(answer, decimal)):  # noqa: B007
        pass
    return last


def _read_box(text: str) -> Number | None:
    """The one number of a box; None where there are more, or more than that."""
    text = _EQUALS.split(text)[-1]
    numbers = list(find_numbers(text))
    if len(numbers) != 1:
        return None
    before, after = text[: numbers[0].start], text[numbers[0].end :]
    return numbers[0] if all(map(_IN_A_BOX.fullmatch, (before, after))) else None


def _read(number: Number, units: Units) -> list[Fraction]:
    applied, ignored = number.value * number.factor, number.value
    return {"applied": [applied], "ignored": [ignored], "either": [applied, ignored]}[units]


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number, exact ones of the standard library included."""
    return isinstance(value, Fraction | decimal.Decimal) or is_number(value)


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise DataError(f"{name} is {value!r}; expected {' or '.join(map(repr, choices))}.")
