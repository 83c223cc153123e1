"""Readers for the forms in which others publish routing outcomes.

Docs/formats.md says what each one takes and leaves out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from graphrouter.bench.formats.embedllm import read_embedllm
from graphrouter.bench.formats.graphrouter_paper import read_graphrouter_paper
from graphrouter.bench.formats.llmrouter import read_llmrouter
from graphrouter.bench.formats.llmrouterbench import read_llmrouterbench
from graphrouter.bench.formats.routellm import read_routellm
from graphrouter.bench.formats.routerarena import read_routerarena
from graphrouter.bench.formats.routerbench import read_routerbench
from graphrouter.bench.formats.routereval import read_routereval
from graphrouter.bench.formats.sprout import read_sprout
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import DataError

READERS: dict[str, Callable[..., RoutingDataset]] = {
    "embedllm": read_embedllm,
    "graphrouter_paper": read_graphrouter_paper,
    "llmrouter": read_llmrouter,
    "llmrouterbench": read_llmrouterbench,
    "routellm": read_routellm,
    "routerarena": read_routerarena,
    "routerbench": read_routerbench,
    "routereval": read_routereval,
    "sprout": read_sprout,
}
"""Name of each form and the function that reads it."""
WITH_ANSWERS = ("llmrouter", "llmrouterbench", "routerbench", "sprout")
"""Forms that hold what models said; their readers take `keep_answers`."""

__all__ = [
    "READERS",
    "WITH_ANSWERS",
    "read_embedllm",
    "read_format",
    "read_graphrouter_paper",
    "read_llmrouter",
    "read_llmrouterbench",
    "read_routellm",
    "read_routerarena",
    "read_routerbench",
    "read_routereval",
    "read_sprout",
]


def read_format(name: str, source: str | Path, *, keep_answers: bool = False) -> RoutingDataset:
    """The dataset in files of another project.

    Args:
        name: One of `READERS`.
        source: The file or folder, as that project publishes it.
        keep_answers: Keep what models said, in the column `answer` of the outcomes; of
            `WITH_ANSWERS`.

    Raises:
        DataError: The name is unknown, the form holds no answers to keep, something is missing, or
            a value is out of range.

    Example:
        >>> try:
        ...     read_format("embedlm", "downloads")
        ... except DataError as error:
        ...     print(str(error)[:25])
        Unknown format 'embedlm'.
    """
    if name not in READERS:
        raise DataError(f"Unknown format {name!r}. Formats: {', '.join(READERS)}.")
    if not keep_answers:
        return READERS[name](Path(source))
    if name not in WITH_ANSWERS:
        raise DataError(
            f"The form {name!r} holds no answers to keep; expected one of "
            f"{', '.join(WITH_ANSWERS)}. Leave keep_answers (--answers) out."
        )
    return READERS[name](Path(source), keep_answers=True)
