"""What the moment brings to a choice: models that are slow just now, or cannot be called at all."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphrouter.exceptions import PolicyError, UnknownModelError
from graphrouter.number_checks import is_amount
from graphrouter.types import Predictions
from graphrouter.wording import show_value, suggest

__all__ = ["Moment", "check_in_pool", "warn_of_idle_seconds"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moment:
    """Queues and outages at the time of a call; nothing of it is learned or kept.

    Example:
        >>> Moment.of({"nano": 4}, {"grand"}, models=("nano", "grand"))
        Moment(extra_latency_s={'nano': 4.0}, unavailable=frozenset({'grand'}))
    """

    extra_latency_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds on top of the predicted ones, by model: to the first token and to the last."""
    unavailable: frozenset[str] = frozenset()
    """Models that cannot be called; they are ruled out, as a fallback too."""

    @classmethod
    def of(
        cls,
        extra_latency_s: Mapping[str, float] | None = None,
        unavailable: Iterable[str] | None = None,
        *,
        models: Sequence[str],
    ) -> Moment:
        """The moment, checked.

        Args:
            extra_latency_s: Finite seconds of at least 0 by model; others have none.
            unavailable: Names of models.
            models: Of the pool.

        Raises:
            PolicyError: Seconds are no such number, or an argument has another form.
            UnknownModelError: A model is not in the pool.
        """
        if not isinstance(extra_latency_s, Mapping | None):
            raise PolicyError(
                f"extra_latency_s is a {type(extra_latency_s).__name__}; expected a mapping from "
                "models to seconds, for example {'grand': 4}."
            )
        if isinstance(unavailable, str) or not isinstance(unavailable, Iterable | None):
            raise PolicyError(
                f"unavailable is {unavailable!r}; expected names of models, such as {{'grand'}}."
            )
        extra, out = dict(extra_latency_s or {}), tuple(unavailable or ())
        for model, seconds in extra.items():
            check_in_pool("extra_latency_s", model, models)
            if not is_amount(seconds):
                raise PolicyError(
                    f"extra_latency_s[{model!r}] is {seconds!r}; expected a finite number of "
                    "seconds of at least 0."
                )
        for model in out:
            check_in_pool("unavailable", model, models)
        return cls({model: float(s) for model, s in extra.items()}, frozenset(out))

    def delay(self, predictions: Predictions) -> Predictions:
        """The predictions with the extra seconds; unknown ones stay unknown."""
        if not self.extra_latency_s:
            return predictions
        extra = np.array([self.extra_latency_s.get(model, 0.0) for model in predictions.models])
        later = {"latency_s": predictions.latency_s + extra}
        if predictions.ttft_s is not None:
            later["ttft_s"] = predictions.ttft_s + extra
        return dataclasses.replace(predictions, **later)


def warn_of_idle_seconds() -> None:
    """Log a warning that the seconds of a moment change no choice."""
    _logger.warning(
        "extra_latency_s changes no choice: nothing limits seconds (max_latency_s, max_ttft_s, "
        "budget_s, deadline_s) or says what one costs (usd_per_second). What is expected has them, "
        "no more."
    )


def check_in_pool(argument: str, model: object, models: Collection[str]) -> None:
    """Refuse a name that is not in the pool.

    Args:
        argument: Who names it.
        model: What was named.
        models: Of the pool.

    Raises:
        UnknownModelError: It is not in it; the message tells the argument and the nearest model.
    """
    if isinstance(model, str) and model in models:
        return
    raise UnknownModelError(
        f"{argument} names {show_value(model)}, which is not in the pool. "
        f"{suggest(model, models, 'The pool: ')}"
    )
