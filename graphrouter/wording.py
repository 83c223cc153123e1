"""Counts, names and amounts in messages: one way to write each of them."""

from __future__ import annotations

import difflib
import math
import re
import reprlib
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Context
from typing import Any

_DIGITS = 6
_MOST_SHOWN = 3


class _Short(reprlib.Repr):
    """Hides users and passwords before it cuts: what is left of one would not be known as one."""

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(hide_login(x), level)

    def repr_instance(self, x: Any, level: int) -> str:
        return hide_login(super().repr_instance(x, level))


_SHORT = _Short()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxfrozenset = _MOST_SHOWN
_SHORT.maxdict = _MOST_SHOWN
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 3
_ONE_ADDRESS = re.compile(r"[^\s:@/'\"(\[{]*:\S")
"""How a text begins that could be an address as a whole: a scheme or a user, and a colon."""
_WORD = re.compile(r"\S+")


def count_of(number: int, noun: str, one: str = "", more: str = "") -> str:
    """A number with its noun, in the plural where there is not one of it, and perhaps a verb.

    Args:
        number: How many.
        noun: In the singular, with or without words before it.
        one: The verb of one.
        more: The verb of more.

    Example:
        >>> count_of(1, "new outcome"), count_of(2_000, "query"), count_of(0, "prompt")
        ('1 new outcome', '2,000 queries', '0 prompts')
        >>> count_of(1, "trial", "is", "are"), count_of(3, "trial", "is", "are")
        ('1 trial is', '3 trials are')
    """
    return f"{number:,} {agree(number, noun)} {one if number == 1 else more}".rstrip()


def agree(number: int, noun: str) -> str:
    """The noun alone, in the plural where there is not one of it.

    Example:
        >>> agree(1, "task"), agree(3, "reply"), agree(3, "day")
        ('task', 'replies', 'days')
    """
    if number == 1:
        return noun
    if noun.endswith("y") and noun[-2:-1] not in ("a", "e", "o", "u"):
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def name_some(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are.

    Example:
        >>> name_some(["a", "b"]), name_some(["a", "b", "c", "d"], most=2)
        ('a, b', 'a, b and 2 more')
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def suggest(name: object, known: Iterable[str], listed: str = "", *, most: int = 8) -> str:
    """What may have been meant by a name that is not known, else what there is: a sentence.

    Args:
        name: What was received.
        known: The names that there are.
        listed: What stands before them where none is near; nothing is said then without it.
        most: Names that are listed at most; the others are counted.

    Example:
        >>> suggest("grnd", ["grand", "nano"], "The pool: "), suggest("x", ["grand"], "The pool: ")
        ("Did you mean 'grand'?", 'The pool: grand.')
        >>> suggest("x", [], "It knows "), suggest("x", ["grand"])
        ('It knows none.', '')
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"{listed}{name_some(names, most=most) or 'none'}." if listed else ""


def hide_login(text: str, *, is_address: bool = False) -> str:
    """A text with neither user nor password in the addresses that it names.

    Up to the last @: a password may hold all that an address is parted by, and be no valid one.

    Args:
        text: An address, or a text in which some stand between blanks.
        is_address: Whether it is meant as one, so that `me@example.com` is no address of e-mail.

    Example:
        >>> hide_login("asked https://me:sec/ret@example.com/v1")
        'asked https://***@example.com/v1'
        >>> hide_login("me:secret@example.com/v1"), hide_login("Ask ann@example.com.")
        ('***@example.com/v1', 'Ask ann@example.com.')
    """
    if "@" not in text:
        return text
    if is_address or _ONE_ADDRESS.match(text):
        return _hide_to_last_at(text)
    return _WORD.sub(lambda word: _hide_to_last_at(word[0]) if "://" in word[0] else word[0], text)


def _hide_to_last_at(address: str) -> str:
    login, at, host = address.rpartition("@")
    scheme, mark, _ = login.partition("://")
    return f"{scheme if mark else ''}{mark}***@{host}" if at else address


def show_value(value: object) -> str:
    """A value as Python writes it, cut where it is long; of a list the first few and a count.

    Without users and passwords of addresses: what is received is shown in errors and logs.

    Example:
        >>> show_value(-1), show_value(["Hello."] * 1000)
        ('-1', "['Hello.', 'Hello.', 'Hello.', ...] (1,000 in all)")
    """
    shown = _SHORT.repr(value)
    is_cut = isinstance(value, list | tuple | set | frozenset | dict) and len(value) > _MOST_SHOWN
    return f"{shown} ({len(value):,} in all)" if is_cut else shown  # type: ignore[arg-type]


def tell_apart(amount: float, limit: float, form: str) -> str:
    """An amount in a form, or with all of its digits where the form would reach the limit.

    Args:
        amount: Above or below the limit.
        limit: What it is compared with.
        form: As `format` takes it.

    Example:
        >>> tell_apart(0.0041, 0.002, ".6f"), tell_apart(0.0000021, 0.000002, ".6f")
        ('0.004100', '2.1e-06')
    """
    text = f"{amount:{form}}"
    is_apart = (float(text) - limit) * (amount - limit) > 0
    return text if is_apart else f"{amount:.15g}"


def round_up(amount: float) -> str:
    """An amount in six digits that is not below it, so that who gives that much gives enough.

    Example:
        >>> round_up(0.12345649), round_up(0.5), round_up(1234567.2)
        ('0.123457', '0.5', '1.23457e+06')
    """
    if not math.isfinite(amount):
        return f"{amount:g}"
    text = f"{amount:.{_DIGITS}g}"
    if float(text) >= amount:
        return text
    return f"{float(Context(prec=_DIGITS, rounding=ROUND_CEILING).create_decimal(amount)):g}"
