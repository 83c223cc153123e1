"""Numbers are found in the shapes in which answers have them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.exceptions import DataError
from graphrouter.judging import NumericMatch, read_number


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("42", 42),
        ("So 6 * 7 = 42.", 42),
        ("**42**", 42),
        ("_42_", 42),
        ("The answer is 42 because 6 times 7 is not 43.", 42),
        ("Answer: 3 + 4 = 7", 7),
        ("She has 18 dollars.\n#### 18", 18),
        (r"Thus $\boxed{42}$. There were 3 steps.", 42),
        (r"\boxed{x = -5}", -5),
        (r"\boxed{\$1{,}234.50}", 1234.5),
        (r"\boxed{90^\circ}", 90),
        (r"\boxed{12 \text{ cm}^2}", 12),
        (r"\boxed{1\frac{1}{2}}", 1.5),
        (r"-\dfrac34", -0.75),
        ("1,234,567", 1234567),
        ("12,34,567", 1234567),
        ("1_000", 1000),
        ("1'000", 1000),
        ("1\N{NARROW NO-BREAK SPACE}000", 1000),
        ("1, 2, 3", 3),
        ("3/4", 0.75),
        ("1 1/2 cups", 1.5),
        ("2\N{VULGAR FRACTION ONE HALF}", 2.5),
        ("5-7", 7),
        ("-7", -7),
        ("\N{MINUS SIGN}7", -7),
        ("x = - 7", -7),
        ("- 7 dogs", 7),
        ("minus 4", -4),
        ("10 minus 4", 4),
        ("-$5", -5),
        ("3e8", 3e8),
        ("1.0E-3", 0.001),
        (r"3 \times 10^{8}", 3e8),
        ("3 x 10\N{SUPERSCRIPT EIGHT}", 3e8),
        ("2^10", 1024),
        ("5 m^2", 5),
        ("45%", 0.45),
        ("2.5 million", 2500000),
        ("<think>41?</think>42", 42),
    ],
)
def test_a_number_is_read(answer: str, value: float) -> None:
    assert read_number(answer) == Fraction(str(value))


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "forty-two",
        "H2O",
        r"\boxed{2\pi}",
        r"\boxed{\sqrt{2}}",
        r"\boxed{(3, 4)}",
        r"\boxed{5x}",
        "12/05/2024",
        "192.168.0.1",
        "12.05.2024",
        "12,34.56",
        "1,234,56",
        "1,000,00",
        r"\boxed{(3,4)}",
        r"\boxed{\{1,5\}}",
        "3/0",
        "1e999999999",
        "9^999999",
        "7" * 5000,
        "<think>42",
    ],
)
def test_no_number_is_made_up(answer: str) -> None:
    assert read_number(answer) is None
    assert NumericMatch(0)("?", answer) == 0


def test_tolerances() -> None:
    assert NumericMatch(3.14)("?", "3.1415") == 0
    assert NumericMatch(3.14, 0.01)("?", "3.1415") == 1
    assert NumericMatch(100, relative=0.01)("?", "101") == 1
    assert NumericMatch(0.1, 0.2)("?", "0.3") == 1  # decimals are exact
    assert NumericMatch(12345678901234567890, relative=0)("?", "12345678901234567891") == 0


@pytest.mark.parametrize(
    ("units", "score_of_share", "score_of_number"),
    [("either", 1, 1), ("applied", 1, 0), ("ignored", 0, 1)],
)
def test_units(units: str, score_of_share: float, score_of_number: float) -> None:
    assert NumericMatch(0.45, units=units)("?", "45 %") == score_of_share  # type: ignore[arg-type]
    assert NumericMatch(45, units=units)("?", "45 %") == score_of_number  # type: ignore[arg-type]


def test_what_is_expected_may_be_text_several_or_of_numpy() -> None:
    assert NumericMatch("1/3")("?", r"\frac{1}{3}") == 1
    assert NumericMatch([1, "2"])("?", "2") == 1
    assert NumericMatch(np.float64(0.5))("?", "1/2") == 1  # type: ignore[arg-type]
    assert NumericMatch(np.int64(3))("?", "3") == 1  # type: ignore[arg-type]
    assert NumericMatch(Fraction(3, 4), tolerance=Decimal("0.01"))("?", "0.76") == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("1 000", 1000),
        ("The answer is 1 000.", 1000),
        ("In all 1 000 000 people", 1000000),
        (r"\boxed{12 345}", 12345),
        ("1\N{THIN SPACE}000", 1000),
        ("1\N{NO-BREAK SPACE}000,5", 1000.5),
        (r"$1\,000\,000$", 1000000),
        (r"1\ 000", 1000),
        ("1_000", 1000),
        ("1'234.50", 1234.5),
        ("1\N{RIGHT SINGLE QUOTATION MARK}234,50", 1234.5),
        ("1.234,50", 1234.5),
        ("-1.234.567,89 EUR", -1234567.89),
        ("\N{EURO SIGN} 1.234,5", 1234.5),
        ("1,234.50", 1234.5),
        ("1 234,50", 1234.5),
        ("1 234.50", 1234.5),
        ("1.234.567", 1234567),
        ("1,234,567", 1234567),
        ("12,34,567.8", 1234567.8),
        ("1,5", 1.5),
        ("1.5", 1.5),
        ("0,125", 0.125),
        ("0.125", 0.125),
        ("3,14159", 3.14159),
        ("1{,}5", 1.5),
        (r"\frac{1,5}{2}", 0.75),
        ("1,5e3", 1500),
        ("2,5 million", 2500000),
        ("1,2,3", 3),
        ("1.5,2.5", 2.5),
        (r"3\ 4", 4),
        ("in 2023 100", 100),
        ("1 100/200", 1.5),
        ("1/2 100", 100),
        ("on day 3 100 came", 3100),
    ],
)
def test_thousands_and_decimals_that_are_clear(answer: str, value: float, decimal: str) -> None:
    assert read_number(answer, decimal=decimal) == Fraction(str(value))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "with_point", "with_comma"),
    [
        ("1,234", "1234", "1.234"),
        ("1.234", "1.234", "1234"),
        ("100.000", "100", "100000"),
        ("1{,}234", "1234", "1.234"),
        ("The point is (3,4)", "4", "3.4"),
    ],
)
def test_what_could_be_either_the_judge_is_told(
    answer: str, with_point: str, with_comma: str
) -> None:
    assert read_number(answer) == Fraction(with_point)
    assert read_number(answer, decimal=",") == Fraction(with_comma)
    assert NumericMatch(float(with_point))("?", answer) == 1
    assert NumericMatch(float(with_comma))("?", answer) == 0


@given(st.integers(0, 10**9), st.sampled_from([", .", ". ,", "_ .", "  ,", "  ."]))
def test_thousands_with_decimals_are_read_whatever_the_marks(cents: int, marks: str) -> None:
    of_thousands, of_decimals = marks[0], marks[-1]
    written = f"{cents // 100:,}".replace(",", of_thousands) + f"{of_decimals}{cents % 100:02}"
    for decimal in (".", ","):
        assert read_number(written, decimal=decimal) == Fraction(cents, 100)  # type: ignore[arg-type]


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=3))
def test_every_way_to_write_a_number_is_read(value: object) -> None:
    for text in (f"{value}", f"It is {value:,}.", rf"\boxed{{{value}}}", f"{value:e}"):
        assert read_number(text) == Fraction(str(value))


@given(st.text(alphabet="0123456789.,-+/^%e x{}\\frac$=()_' \n"))
def test_no_text_breaks_it(text: str) -> None:
    assert NumericMatch(1)("?", text) in (0, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NumericMatch("four"), "expected is 'four'; expected a finite number"),
        (lambda: NumericMatch(float("nan")), "expected a finite number"),
        (lambda: NumericMatch(True), "expected a finite number"),
        (lambda: NumericMatch([]), "expected is empty"),
        (lambda: NumericMatch(None), "expected a finite number"),  # type: ignore[arg-type]
        (lambda: NumericMatch(1, -1), "tolerance is -1; expected a finite number"),
        (lambda: NumericMatch(1, units="percent"), "units is 'percent'; expected"),  # type: ignore[arg-type]
        (lambda: NumericMatch(1, decimal=";"), "decimal is ';'; expected"),  # type: ignore[arg-type]
        (lambda: NumericMatch(1)("?", 1), "The answer is a int"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(call: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()  # type: ignore[operator]
