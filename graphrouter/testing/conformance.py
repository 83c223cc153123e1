"""All that a router promises, checked for a class of routers: the suite that ours run through."""

from __future__ import annotations

from graphrouter.config import TrainConfig
from graphrouter.exceptions import ConformanceError
from graphrouter.router.protocol import Router
from graphrouter.testing.check_data import CheckData
from graphrouter.testing.fitting_checks import FITTING_CHECKS
from graphrouter.testing.newcomer_checks import NEWCOMER_CHECKS
from graphrouter.testing.prediction_checks import PREDICTION_CHECKS
from graphrouter.testing.router_check import Check, CheckedRouter

ALL_CHECKS = (*PREDICTION_CHECKS, *FITTING_CHECKS, *NEWCOMER_CHECKS)


def conformance_checks(kind: type[Router] | None = None) -> tuple[Check, ...]:
    """The checks of what a class of routers promises; all of them without a class.

    Example:
        >>> from graphrouter.bench.baselines import find_router
        >>> [check.name for check in conformance_checks(find_router("svm"))][-1]
        'refusal'
    """
    return tuple(
        check
        for check in ALL_CHECKS
        if kind is None or check.applies_to is None or check.applies_to(kind)
    )


def check_router(kind: type[Router], config: TrainConfig | None = None) -> tuple[str, ...]:
    """Hold a class of routers against all that it promises; the names of the checks that ran.

    It is fitted a dozen times on small simulated data.

    Args:
        kind: The class: `fit`, what it predicts, and what it declares (`can_extend`, ...).
        config: Settings of the fits; without them, those of a very short training.

    Raises:
        ConformanceError: `kind` is no class of routers, or a promise is broken. The message names
            the first, and says what was promised and what happened; `failures` has all messages.

    Example:
        >>> from graphrouter.bench.baselines import find_router
        >>> "batch_mates" in check_router(find_router("task_mean"))
        True
    """
    if not (isinstance(kind, type) and issubclass(kind, Router)):
        raise ConformanceError(
            f"check_router received {kind!r}; expected a class that inherits graphrouter.router."
            "Router, such as find_router('knn')."
        )
    checked = CheckedRouter(kind, CheckData(config))
    checks, failures = conformance_checks(kind), []
    for check in checks:
        try:
            check.run(checked)
        except ConformanceError as error:
            failures.append(str(error))
    if failures:
        others = f" ({len(failures) - 1} more: see failures)" if len(failures) > 1 else ""
        raise ConformanceError(failures[0] + others, failures=tuple(failures))
    return tuple(check.name for check in checks)
