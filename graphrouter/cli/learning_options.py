"""The options of `graphrouter serve` by which it learns from what comes back."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from graphrouter.exceptions import ConfigError
from graphrouter.policy_words import read_pairs

if TYPE_CHECKING:
    from graphrouter.gateway.exploring import Exploration
    from graphrouter.gateway.store.drift_watch import DriftSettings

_LEARNING = "learning"
_PANEL = "Learning"
_LEAST_RUN = 100
"""Grades; alarms that are more often wrong would make a router forget all the time."""
_TASK_SHARE = "a task and its share, such as translation=0.1"


class Learning(NamedTuple):
    """How a gateway learns."""

    exploration: Exploration | None
    drift: DriftSettings | None
    judges: Path | None
    """File of judges."""

    @property
    def needs_store(self) -> str:
        """The option that is of no use without a store; empty where there is none."""
        if self.judges is not None:
            return "--judges"
        return "--explore" if self.exploration is not None else ""


def add_learning_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of learning in the place of its parameter `learning`.

    Args:
        command: Has a keyword-only parameter `learning`: a `Learning`.

    Raises:
        ConfigError: When the command is run, if a value is not accepted.
    """
    own, made = (inspect.signature(each, eval_str=True) for each in (command, make_learning))

    @wraps(command)
    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in made.parameters}
        command(**values, learning=make_learning(**given))

    parameters: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        is_place = parameter.name == _LEARNING
        parameters += made.parameters.values() if is_place else [parameter]
    # Typer reads the signature, not the code.
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def make_learning(
    *,
    explore: Annotated[
        float,
        typer.Option(
            "--explore",
            min=0,
            max=1,
            metavar="SHARE",
            help="Share of the decisions that may try another candidate than the best.",
            rich_help_panel=_PANEL,
        ),
    ] = 0.0,
    explore_by: Annotated[
        Literal["thompson", "uniform"],
        typer.Option(
            "--explore-by",
            help="Try those that may be the best by their intervals, or all alike.",
            rich_help_panel=_PANEL,
        ),
    ] = "thompson",
    explore_task: Annotated[
        list[str] | None,
        typer.Option(
            "--explore-task",
            metavar="TASK=SHARE",
            help="Share of the decisions of one task, in the place of --explore. Repeat for more.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    explore_newcomers: Annotated[
        float,
        typer.Option(
            "--explore-newcomers",
            min=0,
            max=1,
            metavar="SHARE",
            help="Share of the decisions that models with few outcomes may have together: a fifth "
            "of it without outcomes, all of it from 40 on, less where they are hardly the best.",
            rich_help_panel=_PANEL,
        ),
    ] = 0.0,
    explore_most_loss: Annotated[
        float | None,
        typer.Option(
            "--explore-most-loss",
            min=0,
            metavar="EFFECT",
            help="Effect that a decision may be expected to lose by exploration, such as 0.005.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    explore_usd_per_day: Annotated[
        float | None,
        typer.Option(
            "--explore-usd-per-day",
            min=0,
            metavar="USD",
            help="Dollars that tried models may be expected to cost more than the best, in all on "
            "a day.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    drift_run_length: Annotated[
        float,
        typer.Option(
            "--drift-run-length",
            min=0,
            metavar="N",
            help="Raise an alarm of a model whose grades are not what was expected: a false one "
            "in N grades at most, on average. 0 for no alarms.",
            rich_help_panel=_PANEL,
        ),
    ] = 10_000,
    forget_on_drift: Annotated[
        bool,
        typer.Option(
            "--forget-on-drift/--keep-on-drift",
            help="Whether an alarm makes the router forget what the model did before its change.",
            rich_help_panel=_PANEL,
        ),
    ] = True,
    judges: Annotated[
        Path | None,
        typer.Option(
            "--judges",
            metavar="FILE",
            help="Judges of a share of the answers that nobody has graded, as .yaml or .json: see "
            "docs/gateway-learning.md.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
) -> Learning:
    """What the options say.

    Raises:
        ConfigError: A value is not accepted.
    """
    from graphrouter.extras import require_extra

    require_extra("serve", purpose="graphrouter serve")
    from graphrouter.gateway.exploring import Exploration
    from graphrouter.gateway.store.drift_watch import DriftSettings

    by_task = _read_shares(explore_task or [])
    exploration = Exploration(
        explore,
        explore_by,
        by_task=by_task,
        newcomers=explore_newcomers,
        most_loss=explore_most_loss,
        usd_per_day=explore_usd_per_day,
    )
    explores = explore or explore_newcomers or any(by_task.values())
    if drift_run_length and not _LEAST_RUN <= drift_run_length < math.inf:
        raise ConfigError(
            f"--drift-run-length is {drift_run_length:g}; expected at least {_LEAST_RUN}, or 0 for "
            "no alarms."
        )
    drift = DriftSettings(drift_run_length, forget_on_drift) if drift_run_length else None
    return Learning(exploration if explores else None, drift, judges)


def _read_shares(words: list[str]) -> Mapping[str, float]:
    """The share of each task.

    Raises:
        ConfigError: A word is no TASK=SHARE.
    """
    found = {}
    try:
        for task, text in read_pairs(words, expected=_TASK_SHARE, of_last=True).items():
            found[task] = _read_share(text)
    except ValueError as error:
        raise ConfigError(f"--explore-task {error}.") from None
    return found


def _read_share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"received {text!r}; expected {_TASK_SHARE}") from None
