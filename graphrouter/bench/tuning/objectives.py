"""What a trial is measured by: figures on validation queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from graphrouter.exceptions import ConfigError

ObjectiveName = Literal["log_loss", "reward", "area"]


class Objective(NamedTuple):
    """A figure to make as good as can be."""

    name: ObjectiveName
    title: str
    """As people read it."""
    direction: Literal["minimize", "maximize"]
    watched: str | None
    """The same figure after each epoch, among the metrics of the trainer: what trials are pruned
    by. None = only at the end."""

    def is_better(self, value: float, other: float) -> bool:
        """Whether the first of two values is the better one."""
        return value < other if self.direction == "minimize" else value > other


OBJECTIVES: dict[str, Objective] = {
    each.name: each
    for each in (
        Objective("log_loss", "log loss", "minimize", "val/log_loss"),
        Objective("reward", "mean reward of the presets", "maximize", "val/reward"),
        Objective("area", "area under the frontier", "maximize", None),
    )
}
"""By name. All are averages of two settings, task known and task hidden."""


def find_objectives(names: Sequence[str]) -> tuple[Objective, ...]:
    """The objectives of these names, in their order.

    Example:
        >>> [objective.direction for objective in find_objectives(["log_loss", "area"])]
        ['minimize', 'maximize']

    Raises:
        ConfigError: There is none, one is unknown, or one stands there twice.
    """
    known = ", ".join(OBJECTIVES)
    for name in names:
        if name not in OBJECTIVES:
            raise ConfigError(f"Unknown objective {name!r}; expected one or more of {known}.")
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            f"The objectives are {', '.join(names) or 'missing'}; expected one or more of "
            f"{known}, each once."
        )
    return tuple(OBJECTIVES[name] for name in names)
