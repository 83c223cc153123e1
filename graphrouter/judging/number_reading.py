"""Numbers in the text of an answer: where they stand, and what each is worth."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal, NamedTuple

Decimal = Literal[".", ","]
_MOST_DIGITS = 400
"""Of a number, and of a power of ten: longer ones are not read, so that no text costs much."""
_SCALES = {
    "hundred": 2,
    "thousand": 3,
    "million": 6,
    "billion": 9,
    "trillion": 12,
}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_THIN_SPACES = re.compile(
    r"(?<=\d)(?:\\[,;:! ]|[\u00a0\u2006\u2007\u2009\u200a\u202f\u205f])(?=\d{3}(?!\d))"
)
"""Before three digits; a plain space there has `_SPACED`."""
_TEX_SPACES = re.compile(r"\\[,;: ]")
_TEX_NOTHING = re.compile(r"\\(?:!|left|right)")
_TEX_WORDS = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_TEX_FRACTION = re.compile(
    r"\\[dtc]?frac\s*(?:\{\s*([^{}]{1,60})\s*\}\s*\{\s*([^{}]{1,60})\s*\}|(\d)\s*(\d))"
)
_SPACED = re.compile(
    r"(?<![^\W_])(?<!\d[.,'])(?<![/^])[1-9]\d{0,2}(?: \d{3})+(?![\d_']|[.,]\d+[.,]\d|\s?/\s?\d)"
)
"""Thousands with spaces; not the 1 100 of the fractions 1 100/200 and 1/2 100."""
_RUN = re.compile(r"(?<![^\W_])(?<!\d[.,'])\d+(?:[.,_']\d+)+")
"""Digits with separators: one number, or several, or no number at all."""
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:([.,_'])\d{3})(?:\1\d{3})*|[1-9]\d?(?:(,)\d{2})+,\d{3}")
"""The second as in India: 12,34,567."""
_MARKS = re.compile(r"[.,_']")
_PLAIN = r"\d+(?:\.\d+)?|\.\d+"
_SIGN = r"[-+]|(?<=[=({:≈])-\s|(?<=[=({:≈]\s)-\s|(?<!\d\s)\b(?:minus|negative)\s+"
_NUMBER = re.compile(
    rf"""
    (?<![^\W_])(?<![^\W_]_)(?<![.^/√])(?<!\^\{{)(?<!sqrt\{{)   # no part of a word or a power
    (?P<sign>(?<![\w)\]}}])(?:{_SIGN}))?             # 5-7 is from 5 to 7
    (?:[$€£¥₹]\s?|\\\$\s?)?(?P<late>-)?
    (?P<first>{_PLAIN})
    (?:
        [eE](?P<exponent>[-+]?\d+)(?!\w)
      | \s?(?:\xd7|·|\*|x|\\times|\\cdot)\s?10\s?(?:\^|\*\*)?\{{?\s?(?P<times>[-+]?\d+)\}}?
      | \s?(?:\^|\*\*)\s?\{{?\s?(?P<power>[-+]?\d+)\}}?
      | \s?/\s?(?P<under>{_PLAIN})(?!\s?/\s?\d)
      | [ ](?P<above>\d{{1,4}})/(?P<below>\d{{1,4}})(?!\s?/\s?\d)
    )?
    (?!\s*(?:\\?sqrt|√|\\pi|π))                      # 2π is not 2
    (?!\.?\d|[^\W\d_]*\^|_\w|\s?/\s?\d)             # nor of a date, nor before x^2
    (?:\s?(?P<percent>%|\\%|per\s?cent\b)|\s(?P<scale>{"|".join(_SCALES)})s?\b)?
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Number(NamedTuple):
    """A number of a text."""

    value: Fraction
    """Without what a unit does."""
    factor: Fraction
    """Of its unit: 1/100 of a percent sign, a million of that word; else 1."""
    start: int
    """Place of its first character in the text that was searched, after `write_plainly`."""
    end: int
    """Place behind its last one."""


def write_plainly(text: str, decimal: Decimal = ".") -> str:
    r"""The text with LaTeX, small digits, thousands and decimals in the form that is searched.

    Args:
        text: Any.
        decimal: What stands before decimals, where thousands could be meant too: 1,234 and 1.234.

    Example:
        >>> write_plainly(r"\text{about } 1\tfrac{1}{2} \times 10⁸"), write_plainly("2½")
        ('about  1 1/2 \\times 10^8', '2 1/2')
        >>> write_plainly("1 234,5 or 1.234"), write_plainly("1 234,5 or 1.234", ",")
        ('1234.5 or 1.234', '1234.5 or 1234')
    """
    text = text.replace("\N{MINUS SIGN}", "-").replace("\N{FIGURE DASH}", "-")
    text = re.sub(r"(?<!\S)\N{EN DASH}(?=\d)", "-", text)
    text = re.sub(r"(?<=\d)\{,\}(?=\d)", ",", re.sub(r"(?<=\d)[\u2019\u02bc](?=\d{3})", "'", text))
    text = _TEX_NOTHING.sub("", _TEX_SPACES.sub(" ", _THIN_SPACES.sub("", text)))
    text = re.sub(r"\^\{?\s?\\circ\s?\}?", "°", text)
    text = _TEX_WORDS.sub(r"\1", text)
    text = _TEX_FRACTION.sub(_write_fraction, text)
    text = re.sub(r"(\d ?)?([\u00bc-\u00be\u2150-\u215e])", _write_small_fraction, text)
    text = re.sub(
        r"([⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda found: f"^{found[0].translate(_SUPERSCRIPTS)}", text
    )
    text = _SPACED.sub(lambda found: found[0].replace(" ", ""), text)
    return _RUN.sub(lambda found: _write_run(found, decimal), text)


def _write_run(found: re.Match[str], decimal: Decimal) -> str:
    """Digits with separators as one number: no thousands, a point before decimals.

    As they stand where they are a list, a date or an address; with points in the place of commas,
    so that nothing is read, where they may be a list or a number that is written wrongly.
    """
    run = found[0]
    marks = re.sub(r"\d", "", run)
    mark, is_one = marks[-1], marks.count(marks[-1]) == 1
    whole, _, decimals = run.rpartition(mark)
    if len(marks) > 1 and is_one and mark in ".," and _THOUSANDS.fullmatch(whole):
        return f"{_MARKS.sub('', whole)}.{decimals}"  # 1.234,50 and 1,234.50
    if _THOUSANDS.fullmatch(run) and (len(marks) > 1 or mark != decimal):
        return _MARKS.sub("", run)
    if len(marks) == 1 and mark in ".,":
        is_pair = mark == "," != decimal and _is_in_brackets(found)
        return run if is_pair else f"{whole}.{decimals}"
    parts = run.split(",")
    is_list = all("." in part for part in parts) or not any(
        "." in part or len(part) == 3 for part in parts[1:]
    )
    return run if is_list else run.replace(",", ".")


def _is_in_brackets(found: re.Match[str]) -> bool:
    """Whether nothing else stands in brackets, as the (3,4) of a point and the [0,5] of a range."""
    text, start, end = found.string, found.start(), found.end()
    return text[start - 1 : start] in tuple("([{") and text[end : end + 2].startswith(
        (")", "]", "}", "\\}")
    )


def find_numbers(text: str) -> Iterator[Number]:
    """The numbers of a text that `write_plainly` made, in order.

    Read are signs (also "minus 4"), decimals, powers (3e8, 3 x 10^8, 2^10), fractions (3/4, 1 1/2),
    amounts of money, percent, and hundred to trillion behind digits. Not read are words ("four"),
    roots, multiples of pi, exponents, digits within words (H2O), what is divided by 0, and what has
    more than 400 digits.

    Example:
        >>> [str(number.value) for number in find_numbers("From 1234.5 on the 2nd, -3/4 or 2^10")]
        ['2469/2', '2', '-3/4', '1024']
    """
    for match in _NUMBER.finditer(text):
        value = _evaluate(match)
        if value is not None:
            yield Number(value, _factor(match), match.start(), match.end())


def _evaluate(match: re.Match[str]) -> Fraction | None:
    if match.end() - match.start() > _MOST_DIGITS:
        return None
    value = Fraction(match["first"])
    tens = match["exponent"] or match["times"]
    if tens:
        if abs(int(tens)) > _MOST_DIGITS:
            return None
        value *= Fraction(10) ** int(tens)
    if match["power"]:
        power = int(match["power"])
        if abs(power) * len(match["first"]) > _MOST_DIGITS or (value == 0 and power < 0):
            return None
        value **= power
    if match["under"]:
        under = Fraction(match["under"])
        if under == 0:
            return None
        value /= under
    if match["below"]:
        if int(match["below"]) == 0:
            return None
        value += Fraction(int(match["above"]), int(match["below"]))
    is_negative = (match["sign"] or "+").strip().lower() != "+" or bool(match["late"])
    return -value if is_negative else value


def _factor(match: re.Match[str]) -> Fraction:
    if match["percent"]:
        return Fraction(1, 100)
    return Fraction(10 ** _SCALES[match["scale"].lower()]) if match["scale"] else Fraction(1)


def _write_fraction(found: re.Match[str]) -> str:
    above, below = (found[1], found[2]) if found[1] else (found[3], found[4])
    is_mixed = found.string[: found.start()].rstrip()[-1:].isdigit()
    return f"{' ' if is_mixed else ''}{above.strip()}/{below.strip()}"


def _write_small_fraction(found: re.Match[str]) -> str:
    value = Fraction(unicodedata.numeric(found[2])).limit_denominator(10)
    whole = f"{found[1].strip()} " if found[1] else ""
    return f"{whole}{value.numerator}/{value.denominator}"
