"""One promise that is checked, the router that it is checked on, and how a broken one is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike

from graphrouter.exceptions import ConformanceError, GraphRouterError
from graphrouter.router.protocol import Router
from graphrouter.router.training_view import TrainingView
from graphrouter.testing.check_data import PROMPTS, CheckData
from graphrouter.types import Predictions


class CheckedRouter:
    """A class of routers with what the checks need of it, each made once.

    Example:
        >>> from graphrouter.bench.baselines import find_router
        >>> checked = CheckedRouter(find_router("best_single"))
        >>> checked.router.models == checked.data.view.data.pool.names
        True
    """

    def __init__(self, kind: type[Router], data: CheckData | None = None) -> None:
        """Keeps the class.

        Args:
            kind: The class.
            data: Give the same to several classes, and what they share is made once.
        """
        self.kind = kind
        self.data = data or CheckData()

    @cached_property
    def router(self) -> Router:
        """A router of the class, fitted on the data with half of the outcomes missing."""
        return self.fit(self.data.view)

    @cached_property
    def predictions(self) -> Predictions:
        """What it predicts for `PROMPTS`, no task known."""
        return self.router.predict(PROMPTS)

    def fit(self, view: TrainingView) -> Router:
        """A router of the class, fitted on a view."""
        return self.kind.fit(view)


@dataclass(frozen=True)
class Check:
    """One promise.

    Call `run` with a `CheckedRouter`: it gives nothing back, or raises a `ConformanceError`.
    """

    name: str
    """Unique, such as `scores_do_not_depend_on_batch_mates`."""
    promise: str
    """What is promised, in one sentence."""
    check: Callable[[CheckedRouter], None]
    applies_to: Callable[[type[Router]], bool] | None = None
    """Whether a class makes this promise at all; None where every class does."""

    @classmethod
    def of(
        cls,
        check: Callable[[CheckedRouter], None],
        case: str = "",
        *,
        applies: Callable[[type[Router]], bool] | None = None,
    ) -> Check:
        """The check of a function, whose name and first sentence say what is promised.

        Args:
            check: Raises a `ConformanceError` where the promise is broken.
            case: Tells apart checks of one function.
            applies: Whether a class makes this promise at all; without it, every class does.
        """
        function = check.func if isinstance(check, partial) else check
        name = function.__name__.removeprefix("check_") + (f"[{case}]" if case else "")
        promise = (function.__doc__ or "").strip().partition("\n")[0]
        return cls(name, promise, check, applies)

    def run(self, checked: CheckedRouter) -> None:
        """Check the promise.

        Raises:
            ConformanceError: It is broken; the message says what was promised and what happened.
        """
        try:
            self.check(checked)
        except Exception as error:
            told = str(error)
            if not isinstance(error, ConformanceError):
                told = f"{type(error).__name__}: {error}"
            raise ConformanceError(
                f"{checked.kind.__name__} breaks {self.name!r} ({self.promise.rstrip('.')}): {told}"
            ) from error


def expect(holds: bool | np.bool_, otherwise: str) -> None:
    """Go on where something holds.

    Raises:
        ConformanceError: It does not; the message is `otherwise`.
    """
    if not holds:
        _fail(otherwise)


def expect_equal(received: ArrayLike, expected: ArrayLike, what: str) -> None:
    """Go on where two arrays are the same to the bit, NaN like NaN."""
    expect_close(received, expected, what, rtol=0.0, atol=0.0)


def expect_close(
    received: ArrayLike, expected: ArrayLike, what: str, *, atol: float = 0.0, rtol: float = 1e-7
) -> None:
    """Go on where two arrays are nearly the same, NaN like NaN.

    Args:
        received: Of any shape.
        expected: Of the same shape.
        what: Names the array in the message.
        atol: Largest difference.
        rtol: Largest difference by the size of what is expected, added to `atol`.

    Raises:
        ConformanceError: They differ by more; the message says by how much.
    """
    found, wanted = np.asarray(received, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if found.shape != wanted.shape:
        _fail(f"{what} has shape {found.shape}; expected {wanted.shape}.")
    if not np.array_equal(np.isnan(found), np.isnan(wanted)):
        _fail(f"{what} is NaN elsewhere than expected.")
    if not np.allclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True):
        _fail(f"{what} differs by {np.nanmax(np.abs(found - wanted)):.3g}; expected {atol:.0e}.")


@contextmanager
def expect_error(*kinds: type[GraphRouterError], saying: str, what: str) -> Iterator[None]:
    """Go on where the block raises an error of these kinds with a message of one line.

    Args:
        kinds: The errors that are expected.
        saying: What the message must contain.
        what: Names what was tried.

    Raises:
        ConformanceError: There was no error, or one that says something else.
    """
    names = " or ".join(kind.__name__ for kind in kinds)
    try:
        yield
    except kinds as error:
        told = str(error)
        if saying not in told or "\n" in told:
            _fail(f"{what} raised {told!r}; expected one line that says {saying!r}.")
        return
    _fail(f"{what} went through; expected {names} that says {saying!r}.")


def _fail(message: str) -> NoReturn:
    raise ConformanceError(message)
