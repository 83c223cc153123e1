"""What identifies a prompt under any id, and stands for it where its text is not kept.

And what stands for those who asked.
"""

from __future__ import annotations

import hashlib
import re

_WITHHELD = re.compile(r"\(prompt withheld: ([0-9a-f]{16})\)")
_WITHHELD_PERSON = re.compile(r"\((user|team) withheld: [0-9a-f]{16}\)")


def prompt_key(prompt: str) -> str:
    """What identifies a prompt under any id.

    16 hexadecimal digits of the SHA-256 of its text without outer white space. What
    `withhold_prompt` puts in its place has the key of the prompt.
    """
    if (withheld := _WITHHELD.fullmatch(prompt)) is not None:
        return withheld[1]
    return hashlib.sha256(prompt.strip().encode("utf-8", "surrogatepass")).hexdigest()[:16]


def withhold_prompt(prompt: str) -> str:
    """What stands for a prompt whose text is not kept: its key, in words.

    Example:
        >>> withhold_prompt("1 + 1?"), withhold_prompt(withhold_prompt("1 + 1?"))
        ('(prompt withheld: c97c3a9c9b990740)', '(prompt withheld: c97c3a9c9b990740)')
    """
    return f"(prompt withheld: {prompt_key(prompt)})"


def is_withheld(prompt: str) -> bool:
    """Whether it is what `withhold_prompt` leaves."""
    return _WITHHELD.fullmatch(prompt) is not None


def withhold_person(name: str, kind: str) -> str:
    """What stands for a user or a team whose name is not kept.

    16 hexadecimal digits of the SHA-256 of the name.

    Args:
        name: Of the user or the team, or what stands for it already.
        kind: `user` or `team`.

    Example:
        >>> withhold_person(withhold_person("ann", "user"), "user")
        '(user withheld: 2e0e1ae2a7f7fd9d)'
    """
    if _WITHHELD_PERSON.fullmatch(name) is not None:
        return name
    digest = hashlib.sha256(f"{kind}:{name}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"({kind} withheld: {digest})"
