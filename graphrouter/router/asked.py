"""What a router is asked, held against what it knows: tasks, and grades of answers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from graphrouter.exceptions import NotApplicableError
from graphrouter.moment import check_in_pool
from graphrouter.types import Queries
from graphrouter.wording import suggest

_logger = logging.getLogger(__name__)
_MOST_TASKS_WARNED_OF = 100


class UnknownTasks:
    """Warns of tasks that a router has never seen, once a task, and of the first 100 alone.

    A server would say it at every call.
    """

    def __init__(self) -> None:
        """Nobody is warned of yet."""
        self._warned_of: set[str] = set()

    def warn(self, tasks: Iterable[str | None], known: Sequence[str]) -> None:
        """Log a warning for each of the tasks that is not known, with the nearest that is."""
        for task in dict.fromkeys(tasks):
            if task is None or task in known or task in self._warned_of:
                continue
            if len(self._warned_of) == _MOST_TASKS_WARNED_OF:
                return
            self._warned_of.add(task)
            _logger.warning(
                "The router has never seen the task %r, which counts as unknown. %s",
                task,
                suggest(task, known, "Known tasks: "),
            )


def check_grades(asked: Queries, models: Sequence[str], *, reader: str, reads_known: bool) -> None:
    """Refuse grades that a router cannot read.

    Args:
        asked: What it is asked.
        models: Its pool.
        reader: What to call it in an error.
        reads_known: Whether grades change what it predicts.

    Raises:
        NotApplicableError: The method learns nothing from them.
        UnknownModelError: One is of a model that is not in the pool.
    """
    graded = {model for grades in asked.known for model in grades}
    if graded and not reads_known:
        raise NotApplicableError(
            f"A {reader} learns nothing from grades of other models on the same "
            "query. Use a router of kind graphrouter, or leave out known."
        )
    for model in sorted(graded - set(models)):
        check_in_pool("known", model, models)
