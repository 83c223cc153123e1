"""What the moment brings: extra seconds and models that cannot be called, checked and applied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphrouter.exceptions import GraphRouterError, PolicyError, UnknownModelError
from graphrouter.moment import Moment
from graphrouter.types import Predictions

MODELS = ("grand", "nano")


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"extra_latency_s": {"grand": -1}}, PolicyError, "extra_latency_s['grand'] is -1; exp"),
        ({"extra_latency_s": {"grand": float("nan")}}, PolicyError, "expected a finite number"),
        ({"extra_latency_s": {"grand": True}}, PolicyError, "is True; expected a finite number"),
        ({"extra_latency_s": {"grand": "4"}}, PolicyError, "is '4'; expected a finite number"),
        ({"extra_latency_s": [4]}, PolicyError, "extra_latency_s is a list; expected a mapping"),
        ({"extra_latency_s": {"gramd": 1}}, UnknownModelError, "Did you mean 'grand'?"),
        ({"unavailable": "grand"}, PolicyError, "unavailable is 'grand'; expected names of"),
        ({"unavailable": 3}, PolicyError, "unavailable is 3; expected names of models"),
        ({"unavailable": {"huge"}}, UnknownModelError, "unavailable names 'huge', which is not in"),
        ({"unavailable": [None]}, UnknownModelError, "unavailable names None"),
    ],
)
def test_what_makes_no_sense_is_refused(
    values: dict[str, Any], error: type[GraphRouterError], message: str
) -> None:
    with pytest.raises(error) as caught:
        Moment.of(**values, models=MODELS)
    assert message in str(caught.value)


def test_seconds_are_added_and_unknown_ones_stay_unknown() -> None:
    latency = np.array([[1.0, np.nan], [2.0, 3.0]])
    predictions = Predictions.from_arrays(MODELS, np.full((2, 2), 0.5), latency_s=latency)
    moment = Moment.of({"grand": 4, "nano": np.float32(1)}, models=MODELS)
    received = moment.delay(predictions).latency_s
    assert np.array_equal(received, [[5.0, np.nan], [6.0, 4.0]], equal_nan=True)
    assert predictions.latency_s[0, 0] == 1.0
    assert Moment.of(models=MODELS).delay(predictions) is predictions
